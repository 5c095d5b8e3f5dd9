"""What nodes say on NATS, taken and answered: events, leases, heartbeats."""

import asyncio
from typing import Final

import nats.errors
import nats.js.errors
import psycopg
from nats.aio.msg import Msg
from nats.js import api as jetstream

from api.fleet import leases, strays
from api.fleet.desk import LATER_S, PATIENCE_S, Desk
from api.fleet.ingest import LaterError
from api.fleet.state import KnownNode
from api.fleet.voices import two_agents
from contracts import fleet
from contracts.signing import FleetError

_ACK_WAIT_S: Final = 10
_BATCH: Final = 256


async def take_events(desk: Desk) -> None:
    """Never returns: nodes side by side, each node's words in the order they came."""
    subscription = await desk.stream.pull_subscribe(
        fleet.EVT_SUBJECTS,
        durable="ingest",
        stream=fleet.EVT_STREAM,
        config=jetstream.ConsumerConfig(ack_wait=_ACK_WAIT_S, max_ack_pending=4 * _BATCH),
    )
    while True:
        try:
            batch = await subscription.fetch(_BATCH, timeout=PATIENCE_S)
        except TimeoutError:
            continue
        except (nats.errors.Error, nats.js.errors.Error):
            await asyncio.sleep(LATER_S)
            continue
        by_subject: dict[str, list[Msg]] = {}
        for message in batch:
            by_subject.setdefault(message.subject, []).append(message)
        await asyncio.gather(*(_events_of(desk, words) for words in by_subject.values()))


async def take_leases(desk: Desk) -> None:
    """Never returns: each request is answered after its renewal is durable, or not at all."""
    subscription = await desk.client.subscribe(fleet.LEASE_SUBJECTS, queue="ingest")
    answering: set[asyncio.Task[None]] = set()
    async for message in subscription.messages:
        task = asyncio.create_task(_lease(desk, message))
        answering.add(task)
        task.add_done_callback(answering.discard)
    raise nats.errors.ConnectionClosedError


async def take_beats(desk: Desk) -> None:
    """Never returns: remembers when each node was last heard."""
    subscription = await desk.client.subscribe(fleet.HB_SUBJECTS)
    async for message in subscription.messages:
        try:
            known, beat = await _heard(desk, message)
        except FleetError as error:
            await desk.ingest.refuse(_claimed(message), error)
            continue
        if leases.heard_before(desk.boots, known.node, beat.boot):
            await desk.ingest.report_double(known, "beat.two_boots")
        now_us = desk.ingest.now_us()
        if two_agents(desk.voices, beat, now_us):
            await desk.ingest.report_double(known, "beat.two_agents")
        desk.ingest.last_seen_us[known.node] = now_us
        known.heard(beat.boot, beat.boottime_us, now_us)
        if beat.volumes:
            known.lying = beat.volumes
        if known.unreachable or strays.due(desk.ingest.follower.state, known, now_us):
            desk.ingest.follower.state.touched.add(known.node)
            desk.wake.set()
    raise nats.errors.ConnectionClosedError


async def _heard(desk: Desk, message: Msg) -> tuple[KnownNode, fleet.Beat]:
    node = fleet.node_of(message.subject)
    known = await desk.ingest.known(node)
    beat = fleet.open_beat(message.data, known.key)
    if beat.node != node:
        raise FleetError("beat.forged", "another node's heartbeat")
    return known, beat


def _claimed(message: Msg) -> str:
    # For counting only: whose subject it came on, if it is one.
    try:
        return fleet.node_of(message.subject)
    except FleetError:
        return "-"


async def _events_of(desk: Desk, words: list[Msg]) -> None:
    for message in words:
        try:
            node = fleet.node_of(message.subject)
            receipt = await desk.ingest.receive(node, fleet.decode_attested(message.data))
        except FleetError as error:
            await desk.ingest.refuse(_claimed(message), error)
            await message.ack()
        except LaterError:
            await message.nak(delay=LATER_S)
        else:
            subject = fleet.receipt_subject(node)
            await desk.client.publish(subject, fleet.seal(desk.ingest.key, receipt))
            await _date(desk, receipt)
            await message.ack()
            desk.wake.set()


async def _lease(desk: Desk, message: Msg) -> None:
    try:
        node = fleet.node_of(message.subject)
        request = fleet.decode_lease(message.data)
        receipt = await desk.ingest.receive(node, request.event, request.nonce)
    except FleetError as error:
        await desk.ingest.refuse(_claimed(message), error)
        return
    except (LaterError, psycopg.OperationalError):
        # No answer: the agent asks again. A lost database ends the session in another loop.
        return
    # Only ever into the node's own inbox: a reply subject is a stranger's word.
    if message.reply.startswith(f"{fleet.inbox_prefix(node)}."):
        await desk.client.publish(message.reply, fleet.seal(desk.ingest.key, receipt))
        await _date(desk, receipt)


async def _date(desk: Desk, receipt: fleet.Receipt) -> None:
    """With each receipt of an anchor or a lease: what the boot's clock means, for its readings."""
    anchor = desk.ingest.follower.state.nodes[receipt.node].anchor
    if isinstance(receipt.nonce, str) and anchor.boot == receipt.boot:
        said = fleet.Anchor(
            *("gpuaas-anchor/1", receipt.node, anchor.boot, anchor.boottime_us, anchor.anchor_us)
        )
        await desk.client.publish(
            fleet.anchor_subject(receipt.node), fleet.seal(desk.ingest.key, said)
        )
