"""Views and reactions of one worker process: woken by the log's head, polling on silence."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg

from domain.errors import DomainError
from evidence.condition import PARTS, read_condition
from evidence.log import EventLog
from evidence.storage import Storage
from projections import live, publisher, runner
from projections.budgeting import tell_due
from projections.crediting import credit_due
from projections.dunning import dun_due
from projections.invoicing import finalize_due
from projections.losses import propose_due
from projections.periods import GRACE_US, keep_periods
from projections.rater import Rater
from projections.settling import Settle, settle_due
from projections.telling import origin_of
from projections.tripwire import Wire, freeze_due

HEAD: Final = "gpuaas.v1.log.head"
POLL_S: Final = 1.0
REPORT_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0
# What passes by itself: the append is tried again, and a repeat of one that did commit is found.
PASSING: Final = frozenset({"log.unavailable", "log.unsigned_tail", "clock.disagrees"})


def clock_us() -> int:
    """The edge where a reaction's clock is read: microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


class Bell:
    """Rung by a new head; also ends its waiters. Each part hears every ring, by its own event."""

    def __init__(self) -> None:
        self.views = runner.Wake()
        self.money = asyncio.Event()
        self.facts = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def stopping(self) -> bool:
        return self.ended.is_set()

    def ring(self) -> None:
        self.money.set()
        self.facts.set()
        self.views.ring()

    def stop(self) -> None:
        self.ended.set()
        self.views.stop()
        self.ring()


async def heard(rung: asyncio.Event, timeout_s: float) -> None:
    """Returns when rung or after `timeout_s`; a ring before the call counts."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(rung.wait(), timeout_s)
    rung.clear()


async def run(
    app_url: str,
    nats: Client,
    log: EventLog,
    storage: Storage,
    bell: Bell,
    *,
    now_us: Callable[[], int] = clock_us,
    grace_us: int = GRACE_US,
    settle: Settle | None = None,
) -> None:
    """Views, rater, periods, invoices and the fact publisher until `bell.stop()`.

    A part that meets what it cannot apply has turned readiness red and is tried again ever less
    often; the others go on. Anything else (the database is gone) ends all of them: every place is
    in the database, so the caller starts them again.

    Raises:
        psycopg.OperationalError: the database went away.
        TimeoutError: NATS went away in the middle of an answer.
    """

    async def rung(_: Msg) -> None:
        bell.ring()

    await nats.subscribe(HEAD, cb=rung)
    parts = [
        asyncio.create_task(kept(lambda: asyncio.to_thread(runner.run, app_url, bell.views), bell)),
        asyncio.create_task(
            kept(lambda: react(app_url, log, storage, bell, now_us, grace_us, settle), bell)
        ),
        asyncio.create_task(kept(lambda: tell(app_url, nats, storage, bell), bell)),
    ]
    try:
        await asyncio.gather(*parts)
    finally:
        bell.stop()
        await asyncio.gather(*parts, return_exceptions=True)


async def kept(part: Callable[[], Awaitable[None]], bell: Bell) -> None:
    """Runs the part until the bell stops, again after a refusal, at most every 60 s."""
    pause = 1.0
    while not bell.stopping:
        try:
            await part()
        except DomainError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.ended.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


async def react(
    app_url: str,
    log: EventLog,
    storage: Storage,
    bell: Bell,
    now_us: Callable[[], int] = clock_us,
    grace_us: int = GRACE_US,
    settle: Settle | None = None,
) -> None:
    """Rating, periods and invoices until the bell stops; says `rater` is ok, or why not."""
    reported, sealed = float("-inf"), -1
    with psycopg.connect(app_url, autocommit=True) as conn:
        rater, wire = Rater(conn, log), Wire()
        while not bell.stopping:
            try:
                busy = await _once(rater, log, storage, now_us(), grace_us)
                if settle is not None:
                    busy = bool(await settle_due(rater, settle)) or busy
                told = await tell_due(log, rater.spending, rater.books, conn, now_us())
                told += await dun_due(log, rater.dunning, rater.duties, rater.books, now_us())
                told += await freeze_due(log, wire, conn, rater, now_us())
                busy = bool(told) or busy
            except DomainError as error:
                live.report_component(conn, "rater", False, str(error), now_us())
                if error.code not in PASSING:
                    raise
                reported, busy = float("-inf"), False
            else:
                if time.monotonic() - reported >= REPORT_S:
                    reported = time.monotonic()
                    detail = f"sealed through {rater.through}"
                    live.report_component(conn, "rater", True, detail, now_us())
            if rater.through != sealed or busy:
                sealed = rater.through
                bell.views.ring()
                bell.facts.set()
            if not busy:
                await heard(bell.money, POLL_S)


async def _once(rater: Rater, log: EventLog, storage: Storage, now_us: int, grace_us: int) -> bool:
    await rater.catch_up()
    done = await finalize_due(log, rater, storage, now_us)
    done += await credit_due(log, rater, storage, now_us)
    done += await propose_due(log, rater.losses, now_us)
    return bool(done + await keep_periods(log, rater.duties, now_us, grace_us, rater.sources))


async def tell(app_url: str, nats: Client, storage: Storage, bell: Bell) -> None:
    """Publishes facts, and passes on what the parts of the evidence say of themselves."""
    js = nats.jetstream()
    await publisher.ensure_stream(js)
    reported = float("-inf")
    with psycopg.connect(app_url, autocommit=True) as conn:
        origin = await _origin(conn, bell)
        while not bell.stopping:
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                report_evidence(conn, storage)
            if not await publisher.publish(conn, js, origin):
                await heard(bell.facts, POLL_S)


async def _origin(conn: psycopg.Connection[Any], bell: Bell) -> str:
    while not bell.stopping:
        found = origin_of(conn)
        if found is not None:
            return found
        await heard(bell.facts, POLL_S)
    return "-"


def report_evidence(conn: psycopg.Connection[Any], storage: Storage) -> None:
    """Integrator, signer, scrubber and heartbeat as components, with the time of their own word."""
    for part in PARTS:
        said = read_condition(storage, part)
        if said is None:
            continue
        detail = f"{said.done} done, {said.waiting} waiting, {said.refused} refused"
        if said.fault is not None:
            where = "" if said.fault.position is None else f" at position {said.fault.position}"
            detail = f"{said.fault.code}{where}: {said.fault.detail}"
        live.report_component(conn, part, said.fault is None, detail, said.at_us)
