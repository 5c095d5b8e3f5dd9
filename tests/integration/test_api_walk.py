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
            {
                "model": "T4", "devices": 8, "free_devices": 8, "most_devices": 8,
                "most_milli": 1000, "soon": [],
            }
        ]  # fmt: skip
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


def test_a_launch_names_a_registered_image(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The image's digest is fixed at launch, its limits follow in the same append; a reference
    nobody registered, or limits without an image, launch nothing.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        body = {"project": tenant["project"], "name": "train", "image": "lab/ssh:1"}
        unknown = await stage.post("/v1/runtimes", body)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "image.unknown")
        first = {"reference": "lab/ssh:1", "digest": "sha256:" + "1" * 64}
        registered = await stage.post("/v1/images", first)
        assert registered.status_code == 201, registered.text
        await stage.post("/v1/images", {**first, "digest": "sha256:" + "2" * 64})
        await stage.views()
        listed = (await stage.get("/v1/images")).json()["items"]
        assert [(one["reference"], one["digest"][-1]) for one in listed] == [("lab/ssh:1", "2")]
        odd = await stage.post("/v1/runtimes", {**body, "image": None, "pids": 64})
        assert (odd.status_code, odd.json()["code"]) == (400, "request.invalid")
        launched = await stage.post("/v1/runtimes", {**body, "pids": 64, "restarts": 2})
        assert launched.status_code == 201, launched.text
        config = launched.json()["config"]
        assert config == {
            "image": "lab/ssh:1", "digest": "sha256:" + "2" * 64, "cpu_milli": 1000,
            "memory_bytes": 2**30, "pids": 64, "restarts": 2,
        }  # fmt: skip
        assert launched.headers["etag"] == '"3"'
        await stage.views()
        shown = await stage.get(f"/v1/runtimes/{launched.json()['id']}")
        assert (shown.json()["config"], shown.headers["etag"]) == (config, '"3"')

    play(database, nats_url, tmp_path, scene)
