"""Ingest on NATS: takes words, leases and heartbeats, tends nodes, sends orders."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Final

import nats.errors
import nats.js.errors
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.fleet import commands, devices, idleness, leases, strays
from api.fleet.desk import LATER_S, Desk, Pace
from api.fleet.door import Door
from api.fleet.follower import Appending, Ends, Follower, Renews
from api.fleet.hearing import take_beats, take_events, take_leases
from api.fleet.ingest import Ingest
from api.fleet.state import KnownNode
from api.fleet.words import Ending
from contracts import fleet
from contracts.network import SetPolicy
from contracts.signing import FleetError
from domain import runtime
from domain.errors import DomainError
from domain.instants import LEASING, Leasing
from evidence.append import Append
from evidence.line import client_with, with_tls
from evidence.watched import Watched

HEAD_SUBJECT: Final = "gpuaas.v1.log.head"
# Nodes tended at a time: they wait for the same disk, and their appends share a commit.
_SIDE_BY_SIDE: Final = 64
# Nobody answers a policy: it is told again, in case the stream lost it.
_POLICY_S: Final = 600.0
_UNSTARTED: Final = (runtime.Placed, runtime.Booting)
_AWAITED: Final = (runtime.Placed, runtime.Booting, runtime.Ending)


class Ingested(Struct, frozen=True):
    """What a session is given: the keys, the log, the admission writer, the clock, and
    the CAs whose users enter runtimes.

    Without an account key nobody is let into NATS here: its server does that by itself. With
    `tls` it is reached by it, and nodes must come with their certificates.
    """

    key: Ed25519PrivateKey
    account: Ed25519PrivateKey | None
    append: Appending
    ends: Ends
    now_us: Callable[[], int]
    ssh_ca: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    renews: Renews | None = None
    leasing: Leasing = LEASING


async def run(
    database_url: str,
    nats_url: str,
    key: Ed25519PrivateKey,
    append: Appending,
    ends: Ends,
    *,
    account: Ed25519PrivateKey | None = None,
    pace: Pace | None = None,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ssh_ca: tuple[str, ...] = (),
    tls: ssl.SSLContext | None = None,
    renews: Renews | None = None,
    leasing: Leasing = LEASING,
) -> None:
    """Never returns; cancel it to stop. Nothing is lost whenever it ends.

    Waits for its turn while another ingest serves the database. A lost server ends the session,
    and a new one begins from the log.
    """
    given = Ingested(key, account, append, ends, now_us, ssh_ca, tls, renews, leasing)
    while True:
        try:
            await _session(database_url, nats_url, given, pace)
            await _session(database_url, nats_url, given, pace)
        except (psycopg.OperationalError, OSError, nats.errors.Error, nats.js.errors.Error):
            # TimeoutError is an OSError. Agents keep every word until they hold its receipt.
            await asyncio.sleep(LATER_S)


async def _session(database_url: str, nats_url: str, given: Ingested, pace: Pace | None) -> None:
    connection = await Watched.connect(database_url, autocommit=True)
    async with connection:
        parts = (given.append, given.ends, given.key, given.now_us, given.renews)
        ingest = Ingest(Follower(connection, given.leasing), *parts)
        await _opened(ingest)
        client = client_with(given.tls)
        try:
            # Inside: a connection cut off half-way has a socket to close too.
            await client.connect(
                nats_url,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                error_cb=_quiet,
                **with_tls(given.tls),
            )
            kept = pace or Pace(timing=leases.timing_of(given.leasing))
            desk = Desk(ingest, client, kept, given.ssh_ca)
            if given.account is not None:
                desk.door = Door(ingest, client, given.account, certified=given.tls is not None)
                await desk.door.open()
            await _serve(desk)
        finally:
            with contextlib.suppress(nats.errors.Error, OSError):
                await client.close()


async def take_wakes(desk: Desk) -> None:
    """Never returns: a new head of the log means there may be an order to send."""
    subscription = await desk.client.subscribe(HEAD_SUBJECT)
    async for _message in subscription.messages:
        desk.wake.set()
    raise nats.errors.ConnectionClosedError


async def tend_nodes(desk: Desk) -> None:
    """Never returns: after each change, and on silence, what the log implies is done.

    A wake-up looks at the nodes with news only; every node is looked at each `tend_s`.
    """
    state = desk.ingest.follower.state
    all_at = began = 0.0
    while True:
        # Many launches a second would each wake this loop: it reads them together.
        await asyncio.sleep(max(0.0, began + desk.pace.gather_s - time.monotonic()))
        began = time.monotonic()
        desk.wake.clear()
        await desk.ingest.follower.catch_up()
        if began >= all_at:
            all_at = began + desk.pace.tend_s
            state.touched.update(state.nodes)
            for closing in state.terminals.orphaned(desk.ingest.now_us()):
                await _append(desk, closing)
        touched, state.touched = state.touched, set()
        await _tend_all(desk, touched)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, all_at - time.monotonic())):
                await desk.wake.wait()


async def _tend_all(desk: Desk, touched: set[str]) -> None:
    """Each of them once. Raises: what the first of them raised, when nobody works any more."""
    turns = iter(touched)

    async def clerk() -> None:
        for node in turns:
            await _tend_if_needed(desk, node)

    clerks = [asyncio.create_task(clerk()) for _ in range(min(_SIDE_BY_SIDE, len(touched)))]
    if not clerks:
        return
    try:
        done, _ = await asyncio.wait(clerks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in clerks:
            task.cancel()
        await asyncio.gather(*clerks, return_exceptions=True)


async def _tend_if_needed(desk: Desk, node: str) -> None:
    known = desk.ingest.follower.state.nodes[node]
    if not needs_tending(desk, known):
        return
    # A server that does not answer: the next look at all nodes comes here again.
    with contextlib.suppress(TimeoutError, nats.errors.Error, nats.js.errors.Error):
        async with desk.ingest.locks[node]:
            await desk.ingest.follower.catch_up()
            await tend(desk, known)


def needs_tending(desk: Desk, known: KnownNode) -> bool:
    """False for a node of which the last look found all in order, and still would."""
    now_us = desk.ingest.now_us()
    seen_us = desk.heard_us(known)
    state = desk.ingest.follower.state
    return bool(
        (known.key and known.node not in desk.consumers)
        or (desk.door is not None and desk.door.must_cut(known))
        or leases.silence(known, seen_us, now_us, desk.pace.timing) is not None
        or leases.overdue(known, now_us, desk.pace.timing)
        or (known.anchor.boot and (state.asks(known) or strays.next_due(state, known, now_us)))
        or (
            known.anchor.boot
            and not known.identity.barred
            and any(
                isinstance(one.state, _AWAITED)
                or one.runtime in state.terminals.of_runtime
                or idleness.is_due(known, one, now_us)
                or _policy_is_due(desk, known, one.network)
                for one in known.live.values()
            )
        )
    )


def _policy_is_due(desk: Desk, known: KnownNode, network: str) -> bool:
    one = desk.ingest.follower.state.networks.get(network)
    if one is None or one.policy.version == 1:
        return False
    last = desk.sent_at.get((known.node, one.changed_at))
    return last is None or time.monotonic() - last >= _POLICY_S


async def tend(desk: Desk, known: KnownNode) -> None:
    """Reachability, ends by silence or reboot, starts and stops of one node. Its lock is held."""
    ingest = desk.ingest
    now_us = ingest.now_us()
    if desk.door is not None and desk.door.must_cut(known):
        await desk.door.cut(known)
    if known.key and known.node not in desk.consumers:
        await commands.ensure_consumer(desk.stream, known.node)
        desk.consumers.add(known.node)
    # Just started: what agents said while nobody listened comes first, silence is no proof yet.
    if now_us - desk.opened_us > desk.pace.settle_us:
        seen_us = ingest.last_seen_us.get(known.node, desk.opened_us)
        change = leases.silence(known, seen_us, now_us, desk.pace.timing)
        if change is not None:
            await _append(desk, change)
        for ending in leases.overdue(known, now_us, desk.pace.timing):
            await _end(desk, ending)
    if not known.anchor.boot or known.identity.barred:
        return
    for live in sorted(known.live.values(), key=lambda one: one.allocated_at):
        unstarted = isinstance(live.state, _UNSTARTED)
        if unstarted and not leases.may_start(known, live, now_us):
            continue
        if isinstance(live.state, runtime.Placed):
            await _append(desk, commands.starting(live, now_us))
        if idleness.is_due(known, live, now_us):
            await _append(desk, commands.unused(live, now_us))
        one = ingest.follower.state.networks.get(live.network)
        policy = None if one is None else one.policy
        order = commands.order_of(ingest.key, known, live, now_us, desk.ssh_ca, policy)
        if order is not None:
            await _send(desk, order)
        for terminal in ingest.follower.state.terminals.wanted(ingest.key, live.runtime, now_us):
            await _send(desk, commands.terminal_order(ingest.key, known, live, terminal, now_us))
    for policy_order in commands.policies(
        ingest.key, known, ingest.follower.state.networks, now_us
    ):
        await _send(desk, policy_order)
    await _tend_devices(desk, known, now_us)


async def _tend_devices(desk: Desk, known: KnownNode, now_us: int) -> None:
    """Every thing that is due, one fact after the other, then the orders that outlive boots."""
    state = desk.ingest.follower.state
    while (command := strays.next_due(state, known, now_us)) is not None:
        append = devices.appending(known, command)
        version = known.version
        if append is not None:
            await _append(desk, append)
        if known.version == version:
            break
    for order in commands.lasting(desk.ingest.key, known, state, now_us):
        await _send(desk, order)


async def _send(desk: Desk, order: fleet.Command) -> None:
    # Lost here by a crash: the next tending finds the same standing and sends the same order.
    pause_s = _POLICY_S if isinstance(order.order, SetPolicy) else desk.pace.resend_s
    last = desk.sent_at.get((order.node, order.number))
    if last is not None and time.monotonic() - last < pause_s:
        return
    subject = fleet.subject(order.node, "cmd")
    message = fleet.seal(desk.ingest.key, order)
    desk.ingest.remember(order.number, message)
    await desk.stream.publish(subject, message)
    desk.sent_at[order.node, order.number] = time.monotonic()


async def _end(desk: Desk, ending: Ending) -> None:
    try:
        await desk.ingest.end(ending)
    except DomainError as error:
        # One runtime that cannot end must not keep the other nodes from being served.
        node = desk.ingest.follower.state.runtimes[ending.runtime].node
        await desk.ingest.refuse(node, FleetError(f"end.{error.code}", error.detail))


async def _append(desk: Desk, append: Append) -> None:
    try:
        await desk.ingest.append(append)
    except DomainError as error:
        # Something else moved the stream or the log waits: the next tending looks again.
        if not error.code.startswith(("log.", "clock.")):
            raise
    await desk.ingest.follower.catch_up()


async def _serve(desk: Desk) -> None:
    await commands.ensure_streams(desk.stream)
    # No task group: one that is cancelled while a server is lost shows only the loss.
    loops = (take_events, take_leases, take_beats, take_wakes, tend_nodes)
    tasks = [asyncio.create_task(loop(desk)) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _opened(ingest: Ingest) -> None:
    while True:
        try:
            return await ingest.open()
        except DomainError as error:
            if error.code != "ingest.not_alone":
                raise
            await asyncio.sleep(1)


async def _quiet(_error: Exception) -> None:
    """A lost server is no event here: agents keep their words until the receipt."""
