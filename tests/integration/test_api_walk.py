"""From a tenant's creation to a launch, a stop and what the views say of it, over a real log."""

from pathlib import Path

import pytest

from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


def test_launch_stop_show(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A launch is admitted with its place, shown as soon as the views hold it, and stopped once."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        room = (await stage.get("/v1/capacity")).json()["models"]
        assert room == [
            {"model": "T4", "devices": 8, "free_devices": 8, "most_devices": 8, "most_milli": 1000}
        ]
        body = {"project": tenant["project"], "name": "train", "devices": 2}
        launched = await stage.post("/v1/runtimes", body)
        assert launched.status_code == 201, launched.text
        runtime = launched.json()
        assert (runtime["state"], len(runtime["devices"])) == ("allocated", 2)
        assert launched.headers["etag"] == '"2"'
        await stage.views()
        position = launched.headers["log-position"]
        shown = await stage.get(f"/v1/runtimes/{runtime['id']}", Min_Log_Position=position)
        assert shown.status_code == 200, shown.text
        assert shown.json()["name"] == "train"
        assert shown.headers["etag"] == '"2"'
        stopped = await stage.post(f"/v1/runtimes/{runtime['id']}/stop", {}, If_Match='"2"')
        assert stopped.status_code == 200, stopped.text
        again = await stage.post(f"/v1/runtimes/{runtime['id']}/stop", {}, If_Match='"2"')
        assert (again.status_code, again.json()["code"]) == (412, "if_match.stale")
        await stage.views()
        listed = (await stage.get("/v1/runtimes?state=stopping")).json()
        assert [one["id"] for one in listed["items"]] == [runtime["id"]]

    play(database, nats_url, tmp_path, scene)
