"""An agent as a real program against the real log, NATS and ingest."""

import asyncio
import random
import shutil
from pathlib import Path

import msgspec
import nats
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import Config
from agent.run import run
from api.embedded.nats import Nats
from contracts import enrolment, fleet
from contracts.signing import FleetError, public_hex
from domain import node, runtime
from domain.words import Attested
from evidence.ids import new_id
from tests.agent_world import AgentProgram, Front, World, enrolled_program, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


def checked_words(world: World, name: str) -> list[tuple[str, int]]:
    """(boot, seq) of each attested fact in log order, after verifying each as an auditor would."""
    entries = world.entries()
    key = next(e.fact.key for e in entries if isinstance(e.fact, node.Enrolled))
    numbers = []
    for entry in entries:
        words = getattr(entry.fact, "attested", None)
        if not isinstance(words, Attested):
            continue
        body = fleet.open_attested(
            fleet.Attested(words.node, words.key, words.boot, words.seq, words.body, words.sig), key
        )
        assert (body.tag, body.stream, body.node) == (entry.tag, entry.stream, name)
        assert body.boottime_us == entry.fact.boottime_us  # type: ignore[attr-defined]
        numbers.append((words.boot, words.seq))
    return numbers


def test_a_runtime_lives_and_ends_exactly_once_though_the_agent_is_killed(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """anchor, usable, stopped are each in the log once, in order, over two kills -9."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        one = await world.launch(name)
        await world.until(one, "runtime.usable")
        agent.kill()
        await world.stop(one)
        two = await world.launch(name, 1)
        agent.start()
        await world.until(one, "runtime.stopped")
        await world.until(two, "runtime.usable")
        agent.kill()
        agent.start()
        await world.stop(two)
        await world.until(two, "runtime.stopped")
        status, said = agent.end()
        assert (status, said) == (0, "")
        whole = [
            "runtime.requested", "runtime.allocated", "runtime.starting",
            "runtime.usable", "runtime.stopping", "runtime.stopped",
        ]  # fmt: skip
        assert await world.tags(one) == whole
        assert await world.tags(two) == whole
        assert (await world.tags(name)).count("node.anchored") == 1
        numbers = checked_words(world, name)
        assert [seq for _, seq in numbers] == [1, 2, 3, 4, 5]
        assert len({boot for boot, _ in numbers}) == 1

    story(law, database, nats_server, tmp_path)


def test_random_kills_of_agent_and_ingest_lose_and_double_nothing(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Whatever dies whenever: every runtime starts, is usable and stops once; numbers grow."""

    async def law(world: World, tmp: Path) -> None:
        dice = random.Random(7)
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        runtimes = []
        for index in range(6):
            one = await world.launch(name, index)
            runtimes.append(one)
            for _ in range(dice.randint(1, 2)):
                await asyncio.sleep(dice.random() / 3)
                if dice.random() < 0.6:
                    agent.kill()
                    agent.start()
                else:
                    await world.stop_ingest()
                    world.start_ingest()
            await world.until(one, "runtime.usable", within_s=30)
            await world.stop(one)
        for one in runtimes:
            await world.until(one, "runtime.stopped", within_s=30)
            assert await world.tags(one) == [
                "runtime.requested", "runtime.allocated", "runtime.starting",
                "runtime.usable", "runtime.stopping", "runtime.stopped",
            ]  # fmt: skip
        assert agent.end() == (0, "")
        numbers = [seq for _, seq in checked_words(world, name)]
        assert numbers == sorted(set(numbers))
        assert (await world.tags(name)).count("node.released") == len(runtimes)

    story(law, database, nats_server, tmp_path)


def test_a_node_enrols_itself_with_its_token_once(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Token -> key -> enrolled -> anchored; a reply lost to kill -9 is asked for again."""

    async def law(world: World, tmp: Path) -> None:
        token = enrolment.new_token(new_id("node"), public_hex(world.key))
        seen: list[enrolment.EnrolRequest] = []

        def answer(request: enrolment.EnrolRequest) -> tuple[int, bytes]:
            enrolment.check_proof(request)
            seen.append(request)
            if len(seen) == 1:
                return 503, b"not yet"
            return 200, msgspec.json.encode(world.reply(token.node))

        front = Front(answer)
        try:
            agent = AgentProgram(tmp / "a", "--api", front.url, token=token.text())
            agent.start()
            status, said = await asyncio.to_thread(agent.finished)
            assert (status, "enrol.refused" in said) == (1, True)
            await world.enrol(seen[0].key, token.node, nkey=str(seen[0].nkey))
            agent.start()
            await world.until(token.node, "node.anchored")
            assert agent.end()[0] == 0
            assert seen[0] == seen[1]
            assert seen[0].simulated
            agent.start()
            name = await world.launch(token.node)
            await world.until(name, "runtime.usable")
            assert agent.end()[0] == 0
            assert len(seen) == 2
        finally:
            front.close()

    story(law, database, nats_server, tmp_path)


def test_forged_and_replayed_commands_get_signed_refusals(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Through NATS, to a real agent: nothing starts, and its refusals are kept with their code."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        boot = world.entries()[-1].fact.boot  # type: ignore[attr-defined]
        order = fleet.StartRuntime("runtime-x", (fleet.Share(0, 1000),), 2**60)
        true = fleet.Command(
            "gpuaas-command/1", 3, name, boot, "allocation-x", 1, "n", 2**60, order
        )
        wrong_boot = msgspec.structs.replace(true, boot="0" * 32)
        expired = msgspec.structs.replace(true, expires_boottime_us=1)
        client = await nats.connect(world.nats_url)
        stream = client.jetstream()
        for raw in (
            fleet.seal(Ed25519PrivateKey.generate(), true),
            fleet.seal(world.key, wrong_boot),
            fleet.seal(world.key, expired),
            fleet.seal(world.key, expired),
        ):
            await stream.publish(fleet.subject(name, "cmd"), raw)
        refused: list[str] = []
        for _ in range(100):
            rows = world.rows("SELECT message FROM fleet.unlogged_event ORDER BY seq")
            if len(rows) >= 3:
                words = [msgspec.json.decode(row[0], type=fleet.Attested) for row in rows]
                bodies = [fleet.open_attested(word, word.key) for word in words]
                refused = [str(body.said["code"]) for body in bodies]
                break
            await asyncio.sleep(0.1)
        assert refused == ["command.forged", "command.wrong_boot", "command.expired"]
        await client.close()
        assert agent.end()[0] == 0
        assert not [e for e in world.entries() if e.stream.startswith("runtime-")]

    story(law, database, nats_server, tmp_path)


def test_a_start_that_the_node_refuses_ends_stopped_and_costs_nothing(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The device is freed only by the node's word that nothing runs there."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a", "--gpus", "2")
        agent.start()
        await world.until(name, "node.anchored")
        one = await world.launch(name, 5)
        await world.until(one, "runtime.stopped")
        assert (await world.tags(one))[2:] == [
            "runtime.starting", "runtime.stopping", "runtime.stopped",
        ]  # fmt: skip
        stopping = (await world.log.read_stream(one))[3].fact
        assert isinstance(stopping, runtime.Stopping)
        assert stopping.reason == "device.unknown"
        assert agent.end()[0] == 0

    story(law, database, nats_server, tmp_path)


def test_leases_are_renewed_by_the_agent_and_a_rolled_back_state_is_refused(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Renewals name what is usable; an old copy of the state directory ends the agent."""

    async def law(world: World, tmp: Path) -> None:
        name, _ = await enrolled_program(world, tmp / "a")
        config = Config(
            state=tmp / "a", usable_after_us=100_000, renew_us=800_000, heartbeat_us=200_000
        )
        stop = asyncio.Event()
        agent = asyncio.create_task(run(config, stop))
        await world.until(name, "node.anchored")
        one = await world.launch(name)
        await world.until(one, "runtime.usable")
        await world.until(name, "node.lease_renewed")
        stop.set()
        await agent
        await asyncio.to_thread(shutil.copytree, tmp / "a", tmp / "copy")
        agent = asyncio.create_task(run(config, asyncio.Event()))
        await world.until(name, "node.lease_renewed", times=3)
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        renewals = [
            e.fact for e in await world.log.read_stream(name)
            if isinstance(e.fact, node.LeaseRenewed)
        ]  # fmt: skip
        assert renewals[-1].runtimes == (one,)
        assert renewals[-1].until_us == renewals[-1].renewed_us + fleet.LEASE_US
        checked_words(world, name)
        copy = msgspec.structs.replace(config, state=tmp / "copy")
        with pytest.raises(FleetError) as error:
            await asyncio.wait_for(run(copy, asyncio.Event()), 15)
        assert error.value.code == "journal.rolled_back"

    story(law, database, nats_server, tmp_path)
