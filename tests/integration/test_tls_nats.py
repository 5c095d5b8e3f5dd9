"""mTLS on a real nats-server: who shakes hands, whose certificate opens which door, and renewal."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from agent import identity as agent_identity
from agent import link
from agent.certificate import shown
from agent.simulator.crowd import Crowd
from agent.simulator.member import Habits, Identity
from api.embedded.nats import Nats
from api.fleet.node_ca import LIFE_US, NodeCa, node_ca, node_certificate
from contracts import fleet, nkeys
from contracts.signing import public_hex
from domain import identity
from evidence.line import with_tls
from tests.agent_world import (
    AgentProgram,
    Hand,
    World,
    entered,
    hand_of,
    now_us,
    showing,
    story,
)
from tests.conftest import Database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(servers_dir: Path) -> Iterator[Nats]:
    """A nats-server that shakes hands first and asks everybody for a certificate."""
    made = Nats(servers_dir / "nats-mtls", tls=True)
    yield made
    made.close()


def certified(ca: NodeCa, node: str, at_us: int = 0) -> dict[str, Any]:
    """Options of a client that shows a certificate of `ca` for the node, given at `at_us`."""
    key = Ed25519PrivateKey.generate()
    pem, _ = node_certificate(ca, node, key.public_key(), at_us or now_us())
    return {"pem": pem, "key": key}


def options(world: World, given: dict[str, Any] | None) -> dict[str, Any]:
    assert world.ca is not None
    if given is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=world.ca.pem)
        return with_tls(context)
    return with_tls(showing(world.ca.pem, given["pem"], given["key"]))


async def shut_out(world: World, hand: Hand, given: dict[str, Any] | None) -> None:
    """The node's own NATS key opens nothing with this certificate."""
    seed = nkeys.seed(hand.nats_key, nkeys.USER)
    with pytest.raises((nats.errors.Error, OSError, asyncio.IncompleteReadError)):
        await entered(world.node_url, hand.node, 5, nkeys_seed_str=seed, **options(world, given))


def refused(world: World) -> dict[str, int]:
    return dict(world.rows("SELECT code, times FROM fleet.refused_message"))


def test_a_certificate_of_this_enrolment_and_no_other_opens_the_door(
    database: Database, server: Nats, tmp_path: Path
) -> None:
    """None, a foreign CA's, an expired one: no handshake. A neighbour's, the platform's, one of
    an enrolment before: no entrance, by name. Its own lets in; a revoked node's does not.
    """

    async def law(world: World, tmp: Path) -> None:
        ca = server.ca
        assert ca is not None
        async with hand_of(world) as hand, hand_of(world) as other:
            foreign = node_ca(tmp / "foreign.pem")
            for given in (
                None,
                certified(foreign, hand.node),
                certified(ca, hand.node, now_us() - LIFE_US - 1_000_000),
            ):
                await shut_out(world, hand, given)
            assert not {"certificate.foreign", "certificate.missing"} & set(refused(world))
            for given in (
                certified(ca, other.node),
                certified(ca, "platform"),
                certified(ca, hand.node, now_us() - LIFE_US // 2),
            ):
                await shut_out(world, hand, given)
            assert refused(world)["certificate.foreign"] == 3
            again = await hand.connect()
            await again.close()
            await others_subjects(hand, other)
            await world.write(hand.node, identity.Revoked("operator", 1))
            await closed(hand.client)
            with pytest.raises((nats.errors.Error, OSError)):
                await hand.connect()
            await other.say(other.word(1, fleet.ANCHORED))
            assert (await other.receipt(1)).position is not None
            await crowd(world)
        plainly(server)
        await unproven(world, tmp, server)

    story(law, database, server, tmp_path)


async def closed(client: Client) -> None:
    for _ in range(400):
        if client.is_closed:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is still in")


async def others_subjects(hand: Hand, other: Hand) -> None:
    """The right certificate: its own words are heard, another node's subjects are refused."""
    said: list[str] = []

    async def keep(error: Exception) -> None:
        said.append(str(error).lower())

    hand.client._error_cb = keep
    await hand.say(hand.word(1, fleet.ANCHORED))
    assert (await hand.receipt(1)).position is not None
    subject = fleet.subject(other.node, "evt")
    await hand.client.publish(subject, b"x")
    await hand.client.subscribe(fleet.subject(other.node, "cmd"))
    await hand.client.flush(10)
    for _ in range(200):
        if len(said) >= 2:
            break
        await asyncio.sleep(0.02)
    assert any(f'publish to "{subject}"' in one for one in said), said
    assert any("subscription to" in one for one in said), said


async def crowd(world: World) -> None:
    """SIMULATED members of a crowd come with the certificates that enrolment gave them."""
    event, own = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    name = await world.enrol(public_hex(event), gpus=1, nkey=nkeys.public(own, nkeys.USER))
    tls = world.shown(name)["tls"]
    who = Identity(name, event, own, world.reply(name).command_key, tls)
    made = Crowd([(who, world.node_url)], Habits(gpus=1, heartbeat_us=200_000), 1)
    made.start()
    try:
        await world.until(name, "node.anchored")
    finally:
        made.stop()
        await asyncio.sleep(0.1)


def plainly(server: Nats) -> None:
    """Not a byte of NATS is said before TLS: nobody on the way can take it away."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)


async def unproven(world: World, tmp: Path, server: Nats) -> None:
    """An agent believes no server but one of the CA that enrolment gave it."""
    foreign = node_ca(tmp / "foreign.pem")
    node = "node-01936f00-0000-7000-8000-000000000001"
    state = tmp / "unproven"
    state.mkdir()
    key = agent_identity.certificate_key(state)
    pem, _ = node_certificate(foreign, node, key.public_key(), now_us())
    agent_identity.keep_certificate(state, pem, foreign.pem)
    credentials = link.Credentials(
        server.node_url(), "", "", Ed25519PrivateKey.generate(), lambda: shown(state)
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        await link.connect(credentials, node)


def keep_certificate(server: Nats, state: Path, node: str, at_us: int) -> None:
    """As a renewal leaves it: the next certificate with its key, in one file."""
    assert server.ca is not None
    key = agent_identity.certificate_key(state, following=True)
    pem, _ = node_certificate(server.ca, node, key.public_key(), at_us)
    agent_identity.keep_certificate(state, pem, server.ca.pem)


def test_a_connection_ends_with_its_certificate_and_nothing_of_the_agent_does(
    database: Database, server: Nats, tmp_path: Path
) -> None:
    """Cut off at the certificate's end, shut out with it, back with the next: what ran runs on,
    what was said meanwhile arrives once, the lease is renewed.
    """

    async def law(world: World, tmp: Path) -> None:
        state = tmp / "a"
        state.mkdir()
        (state / "agent.db").touch()
        key = agent_identity.event_key(state)
        nkey = nkeys.public(agent_identity.nats_key(state), nkeys.USER)
        # As if it had enrolled a day ago: a certificate that ends soon began then.
        name = await world.enrol(public_hex(key), nkey=nkey, at_us=now_us() - LIFE_US)
        agent_identity.keep_enrolment(state, world.reply(name))
        keep_certificate(server, state, name, now_us())
        agent = AgentProgram(state, "--usable-after-us", "200000", "--renew-us", "500000")
        agent.start()
        await world.until(name, "node.anchored", within_s=60)
        one = await world.launch(name)
        await world.until(one, "runtime.usable", within_s=60)
        agent.kill()
        ends_us = now_us() + 3_000_000
        keep_certificate(server, state, name, ends_us - LIFE_US)
        agent.start()
        await asyncio.sleep(max(0.0, ends_us / 1e6 - time.time()) + 0.7)
        await world.stop(one)
        leases = (await world.tags(name)).count("node.lease_renewed")
        await asyncio.sleep(1)
        assert (await world.tags(name)).count("node.lease_renewed") == leases, "it is shut out"
        assert (await world.tags(one))[-1] == "runtime.stopping"
        keep_certificate(server, state, name, now_us() // 1_000_000 * 1_000_000)
        await world.until(one, "runtime.stopped", within_s=60)
        two = await world.launch(name, 1)
        await world.until(two, "runtime.usable", within_s=60)
        await world.until(name, "node.lease_renewed", times=leases + 1)
        assert agent.end() == (0, "")
        tags = await world.tags(name)
        assert tags.count("node.anchored") == 1
        assert "node.doubled" not in tags
        assert (await world.tags(one)).count("runtime.stopped") == 1

    story(law, database, server, tmp_path)
