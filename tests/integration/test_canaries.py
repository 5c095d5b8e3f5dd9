"""A canary that is found: a real agent, the API as it runs, and the operator who reads why."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from agent.identity import event_key
from agent.simulated_devices import SimulatedDevices
from api.embedded.nats import Nats
from api.tokens import developer_token
from contracts.signing import public_hex
from evidence.reader import read_entries
from gpuaas_verify.books import Books
from projections.views import step
from tests.agent_world import AgentProgram
from tests.conftest import Database
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow


class Operator:
    """Who asks the API, and reads its views as they are now."""

    def __init__(self, api: Served) -> None:
        self.api = api
        self.token = developer_token(api.settings)

    def post(self, path: str, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": secrets.token_hex(8)}
        return httpx.post(self.api.url + path, json=body, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        with psycopg.connect(self.api.settings.database_url) as conn:
            while step(conn, 1000):
                pass
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(self.api.url + path, headers=headers, timeout=30).json()

    def until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 90
        while not true():
            assert time.monotonic() < deadline, (what, self.api.said())
            time.sleep(0.1)


@pytest.fixture
def api(database: Database, nats_server: Nats, tmp_path: Path) -> Iterator[Served]:
    shutil.copyfile(nats_server.account_file, tmp_path / "nats-account.key")
    with served(database, nats_server.url(), tmp_path) as made:
        yield made


def test_a_wipe_that_leaves_memory_puts_the_node_away(
    api: Served, nats_server: Nats, tmp_path: Path
) -> None:
    """One device of two keeps its memory over a sanitization whose receipt is clean: both are in
    quarantine with the cause, in the operator's view and in the timeline, over a kill -9 of the
    agent; neither that receipt nor a person returns them, until canaries that are gone do. An
    auditor's books agree.
    """
    operator, state = Operator(api), tmp_path / "a"
    invited = operator.post("/v1/nodes", name="n", model="T4").json()
    path = f"/v1/nodes/{invited['id']}"
    where = ("--api", api.url, "--nats", nats_server.node_url(), "--gpus", "2")
    agent = AgentProgram(state, *where, token=invited["token"])
    agent.start()
    outside = None
    try:
        operator.until(lambda: operator.get(path)["state"] == "reachable", "reachable")
        outside = SimulatedDevices(
            state / "simulated-devices.db", public_hex(event_key(state)), 2, "T4"
        )
        gpus = [one.uuid for one in outside.inventory()]
        assert operator.post(f"{path}/require-sanitization").is_success
        outside.keep(gpus[0], keeps=True)
        agent.kill()
        asked = operator.post(f"{path}/sanitize", devices=[0], reason="hand")
        assert asked.is_success, asked.text
        agent.start()
        operator.until(lambda: len(operator.get(f"{path}/upkeep")["receipts"]) == 1, "a receipt")
        shown = operator.get(f"{path}/upkeep")
        assert (shown["state"], shown["receipts"][0]["bytes_covered"]) == ("quarantined", 16 << 30)
        assert [one["quarantined"] for one in shown["devices"]] == ["canary.found"] * 2
        [canary] = shown["canaries"]
        told = [canary[name] for name in ("devices", "planted", "looked", "found", "method")]
        assert told == [[0], 1, 1, 1, "SIMULATED"]
        happened = [one["what"] for one in operator.get(f"{path}/timeline")["items"]]
        looked = (
            "it says it planted a canary in 1 places of devices 0, looked at 1 after sanitizing and "
            "found it in 1 (attested)"
        )
        barred = happened.index("devices 0, 1 went into quarantine: canary.found")
        assert happened.index(looked) == barred - 1
        refused = operator.post(f"{path}/return", devices=[0])
        assert refused.json()["code"] == "node.receipt_missing"
        outside.keep(gpus[0], keeps=False)
        assert operator.post(f"{path}/sanitize", devices=[], reason="again").is_success
        operator.until(lambda: len(operator.get(f"{path}/upkeep")["receipts"]) == 2, "another")
        assert operator.post(f"{path}/return", devices=[]).json()["did"] == ["returned"]
        shown = operator.get(f"{path}/upkeep")
        assert (shown["state"], shown["devices"]) == ("serving", [])
        assert [one["found"] for one in shown["canaries"]] == [0, 1]
        assert agent.end() == (0, "")
        books_agree(api)
    finally:
        if outside is not None:
            outside.close()
        if agent.child is not None and agent.child.poll() is None:
            agent.kill()


def books_agree(api: Served) -> None:
    with psycopg.connect(api.settings.database_url) as conn, Books(None) as books:
        for position, entry, _ in read_entries(conn, 0, 100_000):
            books.feed(position, msgspec.json.decode(entry))
