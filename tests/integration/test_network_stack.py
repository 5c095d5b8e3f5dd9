"""Networks from the log to a packet and back: the control plane's words on a real node."""

import asyncio
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.engines import engine_of
from api.embedded.nats import Nats
from contracts import usage
from contracts.network import Egress, Policy
from domain import network, runtime
from domain.network import Rule
from domain.words import Attested
from evidence.append import Append, Write
from evidence.ids import new_id
from tests import skew
from tests.agent_world import ORG, PRIVATE, World, story
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.containers import Image, podman, until
from tests.crew import Crew, crew_of
from tests.machine import need
from tests.network_world import TCP, UDP, Beyond, beyond
from tests.told_messages import OF_READINGS, RENEWAL, Heard, described, listening
from tests.usage_world import PICO, charges, metered, payer_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_WEB = {"cidr": "203.0.113.0/24", "protocol": "tcp", "first_port": 80, "last_port": 443}


def test_a_network_over_the_api(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Created in a project, changed, named by a launch, deleted; every refusal by its name. What
    left by its policy is shown with the runtime, as its node counted it.
    """

    async def scene(stage: Stage) -> None:
        ids = await stage.tenant()
        await stage.node()
        await stage.post("/v1/images", {"reference": "lab:1", "digest": "sha256:" + "0" * 64})
        asked = {"project": ids["project"], "name": "lab", "egress": [_WEB]}
        made = (await stage.post("/v1/networks", asked)).json()
        assert (made["state"], made["internal"], made["egress"]) == ("standing", False, [_WEB])
        where = f"/v1/networks/{made['id']}"
        bad = {"egress": [{**_WEB, "cidr": "203.0.113.9/24"}]}
        refused = await stage.post(f"{where}/policy", bad)
        assert (refused.status_code, refused.json()["code"]) == (400, "network.policy_invalid")
        changed = await stage.post(f"{where}/policy", {"egress": [], "internal": True})
        assert (changed.json()["internal"], changed.json()["version"]) == (True, 2)
        launch: dict[str, Any] = {"project": ids["project"], "name": "r", "network": made["id"]}
        plain = await stage.post("/v1/runtimes", launch)
        assert (plain.status_code, plain.json()["code"]) == (400, "request.invalid")
        launch["image"] = "lab:1"
        await stage.views()
        began = await stage.post("/v1/runtimes", launch)
        assert began.status_code == 201, began.text
        assert began.json()["network"] == made["id"]
        await stage.views()
        shown = (await stage.get(f"/v1/runtimes/{began.json()['id']}")).json()
        assert (shown["network"], shown["egress"], shown["version"]) == (
            *(made["id"], None), began.json()["version"],
        )  # fmt: skip
        await counts(stage, began.json()["id"], 1 << 40, 7)
        await stage.views()
        counted = (await stage.get(f"/v1/runtimes/{began.json()['id']}")).json()["egress"]
        assert (counted["sent_bytes"], counted["received_bytes"]) == (1 << 40, 7)
        assert counted["counted_at"]
        [of_list] = (await stage.get("/v1/runtimes")).json()["items"]
        assert of_list["egress"] == counted
        [listed] = (await stage.get("/v1/networks")).json()["items"]
        assert (listed["name"], listed["runtimes"], listed["version"]) == ("lab", 1, 2)
        gone = await stage.post(f"{where}/delete", {})
        assert gone.json()["state"] == "deleted"
        await stage.views()
        assert (await stage.get(where)).json()["state"] == "deleted"
        late = await stage.post("/v1/runtimes", {**launch, "name": "s"})
        assert (late.status_code, late.json()["code"]) == (409, "network.deleted")
        foreign = stage.token("admin", (await stage.tenant())["org"])
        assert (await stage.get(where, token=foreign)).status_code == 404
        other = await stage.post(f"{where}/policy", {"egress": []}, token=foreign)
        assert other.status_code == 404

    play(database, nats_url, tmp_path, scene)


async def counts(stage: Stage, name: str, sent: int, received: int) -> None:
    """What the runtime's node would have said, in the log."""
    recorded = await stage.services.log.read_stream(name)
    word = Attested("node-1", "0" * 64, "0" * 32, 1, "e30=", "AA==")
    fact = runtime.EgressCounted(sent, received, 1, time.time_ns() // 1000, word)
    write = Write(name, recorded[0].org, recorded[-1].version, (fact,))
    cause = f"cmd:{secrets.token_hex(32)}"
    await stage.services.log.append(Append((write,), "system-test", cause))


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with podman() as found:
        yield found


@pytest.mark.machine
def test_a_policy_reaches_a_node_whose_agent_was_dead(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """The start carries the policy, the wall outlives kill -9 of the agent, the change waits for
    it, and what left is in the log before the runtime's end.
    """
    need("nft", "ip", root=True)

    async def law(world: World, tmp: Path) -> None:
        with beyond(tmp) as far:
            crew = await crew_of(world, image, tmp / "a", "--open", far.range)
            try:
                await _changed_while_dead(world, crew, far)
            finally:
                await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


async def _changed_while_dead(world: World, crew: Crew, far: Beyond) -> None:
    name, rule = new_id("network"), Rule(f"{far.inner}/32", "tcp", TCP, TCP)
    await world.write(name, network.Created("project-1", PRIVATE, False, (rule,), 1), org=ORG)
    spec = crew.image.spec(network=Policy(name, 1, False))
    one = await world.launch(crew.node, 0, spec)
    await world.until(one, "runtime.usable", 90)
    inside = f"{far.inner}:{TCP}"
    assert await asyncio.to_thread(_reaches, crew, inside)
    assert not await asyncio.to_thread(_reaches, crew, f"{far.world}:{TCP}")
    crew.program.kill()
    await world.write(name, network.PolicyChanged(False, (), 2), org=ORG)
    await asyncio.sleep(1)
    assert await asyncio.to_thread(_reaches, crew, inside), "nobody told the node yet"
    assert not await asyncio.to_thread(_reaches, crew, f"{far.world}:{TCP}"), "the wall stands"
    crew.program.start()
    await asyncio.to_thread(until, lambda: not _reaches(crew, inside), "it is shut", 30)
    await world.until(one, "runtime.egress_counted", 30)
    await world.stop(one)
    await world.until(one, "runtime.stopped", 60)
    counted = [
        entry.fact
        for entry in await world.log.read_stream(one)
        if isinstance(entry.fact, runtime.EgressCounted)
    ]
    assert counted[-1].sent_bytes > 0
    assert counted[-1].received_bytes > 0
    assert (await world.tags(one))[-1] == "runtime.stopped"


def _reaches(crew: Crew, target: str) -> bool:
    [name] = [one.name for one in engine_of(crew.image.settings).list_all(crew.node)]
    address, _, port = target.partition(":")
    opened = f"exec 3<>/dev/tcp/{address}/{port}"
    argv = (*crew.image.settings.podman, "exec", name, "timeout", "2", "bash", "-c", opened)
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


_DATAGRAM = 1000
_ON_WIRE = _DATAGRAM + 28  # with the heads of IP and UDP


@pytest.mark.machine
def test_what_leaves_a_runtime_is_charged_each_byte_once(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """Datagrams of a known size; the agent killed with -9 while they leave, then begun again with a
    wall clock that is off by ten minutes; each batch on JetStream three times. The charge is the
    datagrams' bytes to the last one, the node's counter, and what the auditor derives. What is said
    meanwhile is what the AsyncAPI document has, renewals and readings among it.
    """
    need("nft", "ip", root=True)

    async def law(world: World, tmp: Path) -> None:
        with beyond(tmp) as far:
            given = ("--open", far.range, "--usage-us", "1000000", "--renew-us", "5000000")
            crew = await crew_of(world, image, tmp / "a", *given)
            try:
                with listening(world.nats_url, world.tls) as heard:
                    async with metered(world):
                        await _charged_through_kills(world, crew, far, skew.compiled(tmp), heard)
                assert described(heard).seen >= OF_READINGS
            finally:
                await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


async def _charged_through_kills(
    world: World, crew: Crew, far: Beyond, library: Path, heard: Heard
) -> None:
    payer = await payer_of(world)
    name, rule = new_id("network"), Rule(f"{far.inner}/32", "udp", UDP, UDP)
    await world.write(name, network.Created(payer[0], PRIVATE, False, (rule,), 1), org=ORG)
    policy = Policy(name, 1, False, (Egress(f"{far.inner}/32", "udp", UDP, UDP),))
    one = await world.launch(crew.node, 0, crew.image.spec(network=policy), payer=payer)
    await world.until(one, "runtime.usable", 90)
    sent = await asyncio.to_thread(_sends, crew, far, 30)
    await _until_charged(world, one, 1)
    await asyncio.to_thread(
        until, lambda: any(RENEWAL.fullmatch(on) for on, _ in heard), "it is renewed", 30
    )
    crew.program.kill()
    crew.program.env |= skew.off_by(library, -600_000_000)
    sent += await asyncio.to_thread(_sends, crew, far, 20)
    crew.program.start()
    await world.stop(one)
    await world.until(one, "runtime.stopped", 60)
    facts = [entry.fact for entry in await world.log.read_stream(one)]
    counted = [fact for fact in facts if isinstance(fact, runtime.EgressCounted)]
    assert counted[-1].sent_bytes == sent * _ON_WIRE
    await _until_charged(world, one, sent * _ON_WIRE)
    await asyncio.sleep(1)  # what was sent again
    bytes_, pico = (await asyncio.to_thread(charges, world))[one, usage.EGRESS]
    assert (bytes_, pico) == (sent * _ON_WIRE, sent * _ON_WIRE * PICO)
    assert len(far.datagrams()) == sent


async def _until_charged(world: World, one: str, least: int) -> None:
    """Readings of the runtime come to so many bytes."""
    for _ in range(200):
        if (await asyncio.to_thread(charges, world)).get((one, usage.EGRESS), (0,))[0] >= least:
            return
        await asyncio.sleep(0.3)
    raise AssertionError(charges(world))


def _sends(crew: Crew, far: Beyond, count: int) -> int:
    """So many datagrams from inside, one after the other; how many."""
    [name] = [one.name for one in engine_of(crew.image.settings).list_all(crew.node)]
    word = f"printf -v said '%{_DATAGRAM}s'; said=${{said// /x}}"
    once = f"printf '%s' $said >/dev/udp/{far.inner}/{UDP}; sleep 0.02"
    loop = f"{word}; for i in {{1..{count}}}; do {once}; done"
    argv = (*crew.image.settings.podman, "exec", name, "bash", "-c", loop)
    subprocess.run(argv, capture_output=True, check=True, timeout=60)
    return count
