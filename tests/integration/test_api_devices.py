"""What the front door says of a node's devices."""

import uuid
from pathlib import Path

import pytest

from domain import device, node_facts
from domain.words import Attested
from evidence.append import Append, Write
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


def test_a_devices_health_is_shown_with_since_and_why(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Healthy until reported, ill with cause and since after it, healthy again after the test, XIDs
    counted for good; how fast it was when it was last measured; as of an earlier position as it was
    then; a tenant sees nothing of it.
    """

    async def scene(stage: Stage) -> None:
        name = await stage.node(gpus=2)
        word = Attested(name, "0" * 64, "0" * 32, 1, "", "")
        path = f"/v1/nodes/{name}/devices"
        await stage.views()
        calm = (await stage.get(path)).json()
        assert [one["health"] for one in calm["items"]] == ["healthy", "healthy"]
        gpu = calm["items"][1]["uuid"]
        version = len(await stage.services.log.read_stream(name))
        ill = (
            device.DeviceXid((1,), gpu, 48, 3, 7, 9_000_000, word),
            device.DeviceReported((1,), gpu, "suspect", "xid", 48, None, 7, 9_000_000, word),
            node_facts.Quarantined((1,), "health.xid.48", 9_000_000),
            device.DeviceProbed((1,), gpu, "cuda_copy", 6 * 10**10, 200_000, 7, 9_000_000, word),
        )
        write = Write(name, "-", version, ill)
        cause = f"cmd:{uuid.uuid4().hex * 2}"
        appended = await stage.services.log.append(Append((write,), "system-test", cause))
        await stage.views()
        [well, sick] = (await stage.get(path)).json()["items"]
        assert (well["health"], well["quarantined"], well["xids"]) == ("healthy", None, [])
        assert (sick["health"], sick["cause"], sick["xid"]) == ("suspect", "xid", 48)
        assert sick["since"] == "1970-01-01T00:00:09.000000Z"
        assert (sick["quarantined"], sick["says"]) == ("health.xid.48", "attested")
        assert sick["xids"] == [{"xid": 48, "count": 3}]
        speeds = [one["memory_bytes_per_s"] for one in (well, sick)]
        assert speeds == [None, "300000000000"]
        healed = (
            device.DeviceTested((1,), 5, True, "SIMULATED", "", 3, 7, 10_000_000, word),
            node_facts.Returned((1,), 10_000_000),
            device.DeviceProbed((1,), gpu, "refused:copy_failed", 0, 0, 7, 10_000_000, word),
        )
        write = Write(name, "-", version + 4, healed)
        cause = f"cmd:{uuid.uuid4().hex * 2}"
        await stage.services.log.append(Append((write,), "system-test", cause))
        await stage.views()
        back = (await stage.get(path)).json()["items"][1]
        assert (back["health"], back["since"], back["quarantined"]) == ("healthy", None, None)
        assert (back["xids"], back["memory_bytes_per_s"]) == (sick["xids"], None)
        then = (await stage.get(f"{path}?as_of={appended.last}")).json()["items"][1]
        assert then == sick
        nowhere = await stage.get(f"/v1/nodes/{name[:-1]}x/devices")
        assert nowhere.status_code == 404

    play(database, nats_url, tmp_path, scene)
