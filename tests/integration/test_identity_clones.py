"""Two real agents from one disk, against the API as it runs: found out, barred, let in anew."""

import asyncio
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nats
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.embedded.nats import Nats
from api.tokens import developer_token
from contracts import fleet
from evidence.reader import Recorded, read_stream
from projections.views import step
from tests.agent_world import AgentProgram
from tests.commands import gpuaas
from tests.conftest import Database
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow

_NODES = "SELECT DISTINCT node FROM fleet.refused_message"
_ELSEWHERE = """
import asyncio, sys
from msgspec.structs import replace
from agent.__main__ import parsed
from agent.run import run
boot, beat_us, *words = sys.argv[1:]
config = parsed(words)
other = {"machine_boot": boot} if boot else {}
asyncio.run(run(replace(config, heartbeat_us=int(beat_us) or config.heartbeat_us, **other)))
"""


class Plant:
    """The API process, an operator, and where agents keep their disks."""

    def __init__(self, api: Served, server: Nats, folder: Path) -> None:
        self.api = api
        self.server = server
        self.folder = folder
        self.token = developer_token(api.settings)
        self.agents: list[AgentProgram] = []

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": secrets.token_hex(8)}
        answer = httpx.post(self.api.url + path, json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def agent(
        self, name: str, token: str = "", *, boot: str = "", beat_us: int = 0
    ) -> AgentProgram:
        """Started on the disk `name`; `boot`: on a machine of its own, that says so."""
        nats_url = self.server.node_url()
        made = AgentProgram(
            self.folder / name, "--api", self.api.url, "--nats", nats_url, token=token
        )
        made.start() if not boot and not beat_us else _start_elsewhere(made, boot, beat_us)
        self.agents.append(made)
        return made

    def entered(self, invited: dict[str, Any], name: str) -> AgentProgram:
        """An agent that has enrolled and said under which boot."""
        anchors = self.tags(invited["id"]).count("node.anchored")
        agent = self.agent(name, invited["token"])
        self.until(lambda: self.tags(invited["id"]).count("node.anchored") > anchors, "anchored")
        return agent

    def tags(self, node: str) -> list[str]:
        return [one.tag.split(".", 1)[1].rsplit(".", 1)[0] for one in self.entries(node)]

    def entries(self, node: str) -> list[Recorded]:
        with psycopg.connect(self.api.settings.database_url) as conn:
            return read_stream(conn, node)

    def until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, (what, self.standing())
            time.sleep(0.05)

    def standing(self) -> str:
        """Who runs, what was refused, and how the API's last words went."""
        with psycopg.connect(self.api.settings.database_url) as conn:
            asked = "SELECT node, code, times FROM fleet.refused_message ORDER BY node, code"
            refusals = conn.execute(asked).fetchall()
            nodes = {str(row[0]) for row in conn.execute(_NODES)}
        agents = {
            one.state.name: one.child and one.child.poll() for one in self.agents
        }  # None: it runs
        said = {node: self.tags(node) for node in nodes}
        ended = self.api.child.poll()
        return f"{agents=} api={ended} {refusals=} {said=}\n{self.api.said()}"

    def shown(self, node: str) -> str:
        """What `gpuaas node show` prints of it, and `list` of all."""
        with psycopg.connect(self.api.settings.database_url) as conn:
            while step(conn, 1000):
                pass
        env = {"GPUAAS_URL": self.api.url, "GPUAAS_TOKEN": self.token}
        one = gpuaas("node", "show", node, env=env)
        every = gpuaas("node", "list", env=env)
        assert one.status == every.status == 0
        return one.out + every.out


def _start_elsewhere(agent: AgentProgram, boot: str, beat_us: int) -> None:
    """As a machine of its own would start it: the kernel there names another boot.

    Not by a file over the kernel's in a mount namespace: that would keep every mount of this
    machine, the volumes of other tests included.
    """
    program = [sys.executable, "-c", _ELSEWHERE, boot, str(beat_us)]
    whole = [*program, "--state", str(agent.state), *agent.arguments]
    agent.child = subprocess.Popen(whole, env=agent.env, stderr=subprocess.PIPE)


@pytest.fixture
def plant(database: Database, nats_server: Nats, tmp_path: Path) -> Iterator[Plant]:
    # The door's answers are signed by the account key that this server believes.
    shutil.copyfile(nats_server.account_file, tmp_path / "nats-account.key")
    with served(database, nats_server.url(), tmp_path) as api:
        made = Plant(api, nats_server, tmp_path)
        try:
            yield made
        finally:
            for agent in made.agents:
                if agent.child is not None:
                    with agent.child as child:
                        child.kill()


async def forged(url: str, node: str) -> None:
    """Commands that nobody signed, all at once: whichever agent gets one answers with a signed
    refusal. One after the other would do no harm: a receipt moves the numbers of both on.
    """
    client = await nats.connect(url)
    order = fleet.StartRuntime("runtime-x", (fleet.Share(0, 1000),), 2**60)
    for _ in range(8):
        number = secrets.randbelow(2**40)
        command = fleet.Command(
            "gpuaas-command/1", number, node, "0" * 32, "allocation-x", 1, "n", 2**60, order
        )
        sealed = fleet.seal(Ed25519PrivateKey.generate(), command)
        await client.publish(fleet.subject(node, "cmd"), sealed)
    await client.close()


def doubled(plant: Plant, node: str) -> str:
    """The sign by which the log says that it has a double; empty while it does not."""
    found = [one.fact for one in plant.entries(node) if one.tag == "gpuaas.node.doubled.v1"]
    return str(found[0].sign) if found else ""  # type: ignore[attr-defined]


def refused(plant: Plant, node: str) -> int:
    """How often somebody came to NATS as this node with a key that is not its own."""
    asked = "SELECT times FROM fleet.refused_message WHERE node = %s AND code = 'nkey.unknown'"
    with psycopg.connect(plant.api.settings.database_url) as conn:
        row = conn.execute(asked, (node,)).fetchone()
    return 0 if row is None else int(row[0])


def test_a_copied_disk_bars_its_node_until_the_operator_lets_the_honest_one_in(
    plant: Plant,
) -> None:
    """Whatever either says shows the other; what hears of it ends, and the operator reads why.

    Revoked, invited again and enrolled with new keys, the node serves; the copy stays outside. A
    copy on another machine is taken for a reboot until the first one beats again: barred as well.
    So are two on one machine that never say anything: each beats again after the other.
    """
    silent = copied_and_silent(plant)
    elsewhere = copied_to_another_machine(plant)
    invited = plant.post("/v1/nodes", name="one", model="T4")
    node = invited["id"]
    assert plant.entered(invited, "a").end() == (0, "")
    shutil.copytree(plant.folder / "a", plant.folder / "b")
    both = [plant.agent("a"), plant.agent("b")]

    def told() -> bool:
        asyncio.run(forged(plant.server.url(), node))
        return bool(doubled(plant, node))

    assert "barred     no" in plant.shown(node)
    plant.until(told, "doubled")
    assert doubled(plant, node) == "event.seq_reused"
    plant.until(lambda: any(one.child and one.child.poll() == 1 for one in both), "one ends")
    ended = [one for one in both if one.child and one.child.poll() is not None]
    assert all("journal.rolled_back" in one.finished()[1] for one in ended)
    said = plant.shown(node)
    assert "barred     doubled (event.seq_reused) since 2" in said
    assert "  doubled since 2" in said
    plant.post(f"/v1/nodes/{node}/revoke")
    fresh = plant.post(f"/v1/nodes/{node}/reinvite")
    plant.entered(fresh, "honest")
    assert "barred     no" in plant.shown(node)
    words = plant.tags(node)
    copy = plant.agent("b")
    plant.until(lambda: refused(plant, node) > 0, "refused at the door")
    assert copy.child is not None
    assert copy.child.poll() is None
    assert plant.tags(node) == words
    assert words[-1] == "node.anchored"
    plant.until(lambda: bool(doubled(plant, elsewhere)), "doubled elsewhere")
    assert doubled(plant, elsewhere) == "beat.two_boots"
    plant.until(lambda: bool(doubled(plant, silent)), "doubled in silence")
    assert doubled(plant, silent) == "beat.two_agents"


def copied_and_silent(plant: Plant) -> str:
    """The node whose original and copy run under one boot, with nothing to say but beats."""
    invited = plant.post("/v1/nodes", name="three", model="T4")
    assert plant.entered(invited, "e").end() == (0, "")
    beats = 100_000
    shutil.copytree(plant.folder / "e", plant.folder / "f")
    plant.agent("e", beat_us=beats)
    plant.agent("f", beat_us=beats)
    return str(invited["id"])


def copied_to_another_machine(plant: Plant) -> str:
    """The node whose original and copy run under two boots."""
    invited = plant.post("/v1/nodes", name="two", model="T4")
    assert plant.entered(invited, "c").end() == (0, "")
    shutil.copytree(plant.folder / "c", plant.folder / "d")
    plant.agent("c")
    plant.agent("d", boot=secrets.token_hex(16))
    return str(invited["id"])
