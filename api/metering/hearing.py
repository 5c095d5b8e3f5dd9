"""Nodes' readings on JetStream: taken as those over HTTP are, and answered into the node's inbox.

Durable: a message is acknowledged after its batch is sealed or refused for good; what was not is
offered again, to whichever process asks first, and is a repeat there.
"""

import asyncio
from typing import Final

import nats.errors
import nats.js.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api as jetstream
from nats.js.client import JetStreamContext

from api.metering.desk import Desk
from api.work_queue import ensure_work_queue
from contracts import fleet, usage
from contracts.signing import FleetError, sealed
from domain.errors import DomainError

_PATIENCE_S: Final = 5.0
_LATER_S: Final = 0.3
_ACK_WAIT_S: Final = 30
_BATCH: Final = 256
_PER_SUBJECT: Final = 1024
_WEEK_S: Final = 7 * 86_400
_LOST: Final = (nats.errors.Error, nats.js.errors.Error, OSError)
# What passes by itself: the batch stays where it is and is offered again.
_PASSING: Final = ("log.", "clock.", "view.")


class Ear(Struct, frozen=True):
    """`key` signs answers, as it signs commands."""

    client: Client
    desk: Desk
    key: Ed25519PrivateKey


async def hear(ear: Ear) -> None:
    """Never returns: nodes side by side, each node's batches in the order they came."""
    stream = ear.client.jetstream(timeout=_PATIENCE_S)
    while True:
        try:
            await _listen(ear, stream)
        except _LOST:
            await asyncio.sleep(_LATER_S)


async def ensure_stream(stream: JetStreamContext) -> None:
    """NODE_USE exists. A node that is not heard for a week keeps the rest itself."""
    await ensure_work_queue(
        stream, fleet.USE_STREAM, fleet.USE_SUBJECTS, per_subject=_PER_SUBJECT, age_s=_WEEK_S
    )


async def _listen(ear: Ear, stream: JetStreamContext) -> None:
    await ensure_stream(stream)
    subscription = await stream.pull_subscribe(
        fleet.USE_SUBJECTS,
        durable="metering",
        stream=fleet.USE_STREAM,
        config=jetstream.ConsumerConfig(ack_wait=_ACK_WAIT_S, max_ack_pending=4 * _BATCH),
    )
    try:
        while True:
            try:
                batch = await subscription.fetch(_BATCH, timeout=_PATIENCE_S)
            except TimeoutError:
                continue
            by_subject: dict[str, list[Msg]] = {}
            for message in batch:
                by_subject.setdefault(message.subject, []).append(message)
            await asyncio.gather(*(_of_node(ear, some) for some in by_subject.values()))
    finally:
        await subscription.unsubscribe()


async def _of_node(ear: Ear, messages: list[Msg]) -> None:
    for message in messages:
        try:
            node = fleet.node_of(message.subject)
            said = usage.open_word(message.data)
        except FleetError:
            await message.ack()  # nobody's word: there is nobody to answer
            continue
        if said.source != node:
            await message.ack()
            continue
        answer = await _answer(ear.desk, said)
        if answer is None:
            await message.nak(delay=_LATER_S)
            continue
        await ear.client.publish(fleet.usage_subject(node), sealed(ear.key, answer))
        await message.ack()


async def _answer(desk: Desk, said: usage.Batch | usage.Complete) -> usage.Answer | None:
    """None: not now."""
    code, sequence = "", None
    try:
        if isinstance(said, usage.Batch):
            sequence = (await desk.take(said)).sequence
        else:
            await desk.completions.take(said)
            sequence = said.sequence
    except DomainError as error:
        if error.code.startswith(_PASSING):
            return None
        code, expected = error.code, error.facts.get("expected")
        sequence = expected - 1 if isinstance(expected, int) else None
    first, last = (said.first, said.last) if isinstance(said, usage.Batch) else (0, 0)
    return usage.Answer(
        "gpuaas-usage-answer/1", said.source, said.epoch, first, sequence, code, last
    )
