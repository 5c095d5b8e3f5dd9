"""Facts to webhooks: at least once, in order as long as they are taken, kill -9 safe.

One process of a deployment delivers (an advisory lock). A webhook's place moves behind each fact
after it was taken, or stands among those that are tried again: a crash before that sends it once
more under the same `webhook-id`. A fact that is not taken does not hold up those behind it, until
five in a row have failed: then nothing new is sent before one of those is taken or given up.

Nobody's slow receivers hold up others: an organization has few of the slots, and a webhook gives
its own up after a short turn. One that answers 410 is disabled at once, by a fact, before its place
moves. One that was changed is sent to as it is by then, what waits at once; one that is paused
is not served, and goes on from its place.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import psycopg
from msgspec import Struct

from api.edge import now_us
from api.reads import Reads
from api.webhooks import places
from api.webhooks.sending import Outcome, Sender
from api.webhooks.signatures import headers
from domain import webhook
from domain.decider import fold
from domain.errors import DomainError
from domain.webhook import wanted
from evidence.append import Append, Write
from evidence.log import EventLog
from evidence.reader import read_entries
from evidence.watched import Watched
from projections.entries import envelope
from projections.telling import cloud_event, origin_of
from projections.webhooks_read import Webhook, webhooks

# Seconds after the first, second, … attempt that failed (Standard Webhooks); then it is given up.
SCHEDULE_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
FAILING: Final = 5
GONE: Final = "answered.410"
_ACTOR: Final = "system-webhooks"
BOTH_US: Final = 86_400_000_000  # for so long the secret before signs too
_BATCH: Final = 256
_BATCHES: Final = 8  # then other words of the webhook are looked at: it may be deleted
_AT_ONCE: Final = 128
_OF_ONE: Final = 8  # of one organization
_TURN_S: Final = 2.0
_POLL_S: Final = 1.0
_PAUSE_S: Final = 0.002
_ELECT_S: Final = 5.0
_GATHER_S: Final = 0.1
_LOCK: Final = "SELECT pg_try_advisory_lock(7214036825)"


class Options(Struct, frozen=True):
    """What a test makes shorter."""

    schedule_s: tuple[float, ...] = SCHEDULE_S
    at_once: int = _AT_ONCE
    of_one: int = _OF_ONE
    turn_s: float = _TURN_S
    poll_s: float = _POLL_S
    elect_s: float = _ELECT_S
    now_us: Callable[[], int] = now_us


class Deliverer:
    """Owned by one event loop and one connection. A webhook is served by one task at a time, so
    one that answers slowly keeps nobody but itself waiting.
    """

    def __init__(
        self,
        conn: psycopg.AsyncConnection[Any],
        reads: Reads,
        sender: Sender,
        stop: asyncio.Event,
        options: Options,
        log: EventLog,
    ) -> None:
        self._log = log
        self._conn = conn
        self._reads = reads
        self._sender = sender
        self._stop = stop
        self._options = options
        self._origin = ""
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(options.at_once)
        self._of_org: dict[str, asyncio.Semaphore] = {}
        # Where the log says that it is disabled, before the views do; -1: it was looked at.
        self._disabled: dict[str, int] = {}
        self._read: tuple[int, list[tuple[int, bytes]]] = (-1, [])

    async def elected(self) -> bool:
        """Whether this process delivers, as long as its connection lives."""
        row = await (await self._conn.execute(_LOCK)).fetchone()
        return row is not None and bool(row[0])

    async def begin(self) -> None:
        """Starts to serve every webhook that is not being served. Raises: what serving one met."""
        for hook in [hook for hook, task in self._serving.items() if task.done()]:
            self._serving.pop(hook).result()
        standing = await self._standing()
        self._read = (-1, [])
        if not self._origin:
            return
        await places.forget_deleted(self._conn)
        for one in standing:
            if one.webhook not in self._serving:
                self._serving[one.webhook] = asyncio.create_task(self._serve(one))

    async def close(self) -> None:
        """Nothing is sent any more; what was under way is sent again by whoever comes next."""
        for task in self._serving.values():
            task.cancel()
        await asyncio.gather(*self._serving.values(), return_exceptions=True)

    async def _standing(self) -> list[Webhook]:
        if not self._origin:
            origin: str | None = await self._reads.ask(origin_of)
            self._origin = origin or ""
        found: list[Webhook] = []
        while part := await self._reads.ask(
            webhooks, state="standing", after=found[-1].from_position if found else -1
        ):
            found += part
        return found

    async def _serve(self, hook: Webhook) -> None:
        few = asyncio.Semaphore(self._options.of_one)
        async with self._of_org.setdefault(hook.organization, few), self._slots:
            if hook.url is None or hook.secret is None:
                return  # its words were erased: there is nobody to send to
            if not await self._stands(hook):
                return
            turn = asyncio.get_running_loop().time() + self._options.turn_s
            place = await places.begun(self._conn, hook.webhook, hook.from_position + 1)
            if hook.replay_at is not None and hook.replay_at > place.replayed:
                asked = (hook.replay_from or 0, hook.replay_at)
                await places.replay(self._conn, hook.webhook, *asked)
                place = await places.begun(self._conn, hook.webhook, 0)
            at = max(hook.changed_at or -1, hook.resumed_at or -1)
            if at > place.changed:
                await places.changed(self._conn, hook.webhook, at)
                place = await places.begun(self._conn, hook.webhook, 0)
            failing = await self._again(hook, place.failing, turn)
            if failing != place.failing:
                await places.advance(self._conn, hook.webhook, place.position, failing)
            for _ in range(_BATCHES):
                place = await places.begun(self._conn, hook.webhook, 0)
                if self._over(hook, turn) or (failing >= FAILING and place.waiting):
                    return
                failing, more = await self._onward(hook, place.position, failing, turn)
                if not more:
                    return

    async def _stands(self, hook: Webhook) -> bool:
        """Whether it is not disabled: as the log says when it is first served here, which the views
        may not know yet.
        """
        at = self._disabled.get(hook.webhook)
        if at is None:
            recorded = await self._log.read_stream(hook.webhook)
            facts: list[webhook.Event] = [one.fact for one in recorded]  # type: ignore[misc]
            off = isinstance(fold(webhook.DECIDER, facts), webhook.Off)
            at = self._disabled[hook.webhook] = recorded[-1].position if off else -1
        return at < 0 or _back(hook) > at

    def _over(self, hook: Webhook, turn: float) -> bool:
        """Whether it is others' turn, or it has just been disabled."""
        late = asyncio.get_running_loop().time() > turn
        return late or self._disabled[hook.webhook] > _back(hook)

    async def _again(self, hook: Webhook, failing: int, turn: float) -> int:
        """What is due of what was not taken; how many attempts in a row have failed then."""
        for one in await places.due(self._conn, hook.webhook, self._options.now_us()):
            if self._over(hook, turn):
                break
            rows = await self._entries(one.position, 1)
            if not wanted(hook.tags, envelope(rows[0][1]).tag):  # any more
                await places.taken(self._conn, hook.webhook, one.position)
                continue
            outcome = await self._send(hook, *rows[0])
            if outcome.taken:
                failing = 0
                # Its place is behind it already: only this row knew that it was not taken.
                await places.taken(self._conn, hook.webhook, one.position)
            else:
                failing += 1
                await self._failed(hook, one.position, one.attempts + 1, outcome)
        return failing

    async def _onward(
        self, hook: Webhook, first: int, failing: int, turn: float
    ) -> tuple[int, bool]:
        """One batch of what is new: attempts that failed in a row, and whether there is more."""
        rows = await self._batch(first)
        for position, raw in rows:
            entry = envelope(raw)
            if entry.org != hook.organization or not wanted(hook.tags, entry.tag):
                continue
            if self._stop.is_set():
                return failing, False
            outcome = await self._send(hook, position, raw)
            failing = 0 if outcome.taken else failing + 1
            if not outcome.taken:
                await self._failed(hook, position, 1, outcome)
            await places.advance(self._conn, hook.webhook, position + 1, failing)
            if failing >= FAILING or self._over(hook, turn):
                return failing, False
        if rows:
            await places.advance(self._conn, hook.webhook, rows[-1][0] + 1, failing)
        return failing, len(rows) == _BATCH

    async def _batch(self, first: int) -> list[tuple[int, bytes]]:
        """Webhooks that stand at the same place read the log once."""
        if self._read[0] != first:
            self._read = (first, await self._entries(first, _BATCH))
        return self._read[1]

    async def _entries(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        rows = await self._reads.ask(read_entries, first, limit)
        return [(position, raw) for position, raw, _ in rows]

    async def _send(self, hook: Webhook, position: int, raw: bytes) -> Outcome:
        body = cloud_event(self._origin, envelope(raw))
        now = self._options.now_us()
        keys = [hook.secret or ""]
        if hook.secret_before is not None and now < hook.rotated_us + BOTH_US:
            keys.append(hook.secret_before)
        # A full stop would end the id where it is signed: of the origin only its own digits.
        message = f"{self._origin.rpartition('/')[2]}-{position}"
        signed = headers(keys, message, now // 1_000_000, body)
        return await self._sender.send(hook.url or "", signed, body, hook.organization)

    async def _failed(self, hook: Webhook, position: int, attempts: int, said: Outcome) -> None:
        schedule = self._options.schedule_s
        gone = said.gone and await self._disable(hook, position)
        dead = gone or attempts > len(schedule)
        wait_s = 0.0 if dead else max(schedule[attempts - 1] * random.uniform(1, 1.2), said.again_s)  # noqa: S311 - spreads receivers' load
        again = places.Again(self._options.now_us() + round(wait_s * 1_000_000), dead)
        what = places.Failed(position, attempts, said.status, said.detail)
        await places.failed(self._conn, hook.webhook, what, again)

    async def _disable(self, hook: Webhook, position: int) -> bool:
        """False where it was changed meanwhile: what is gone is where it led before. A crash before
        this is durable sends the same fact again, and no other. Once more where its owner did
        something to it meanwhile, however often: nobody else's webhooks wait for that.
        """
        tries = 0
        while True:
            try:
                return await self._disabled_now(hook, position)
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            await asyncio.sleep(min(_PAUSE_S * tries, _POLL_S))
            tries += 1

    async def _disabled_now(self, hook: Webhook, position: int) -> bool:
        recorded = await self._log.read_stream(hook.webhook)
        for one in recorded:
            if isinstance(one.fact, webhook.Changed) and one.position > (hook.changed_at or -1):
                return False
        facts: list[webhook.Event] = [one.fact for one in recorded]  # type: ignore[misc]
        command = webhook.Disable(GONE, self._options.now_us())
        new = tuple(webhook.decide(command, fold(webhook.DECIDER, facts)))
        self._disabled[hook.webhook] = recorded[-1].position
        if new:
            write = Write(hook.webhook, hook.organization, recorded[-1].version, new)
            append = Append((write,), _ACTOR, f"pos:{position}")
            self._disabled[hook.webhook] = (await self._log.append(append)).last
        return True


async def run(
    database_url: str,
    log: EventLog,
    sender: Sender,
    stop: asyncio.Event,
    wake: Callable[[float], Any] | None = None,
    options: Options | None = None,
) -> None:
    """Delivers until told to stop, once no other process does; `wake`: waits for the log to grow.

    Raises: psycopg.OperationalError: the database went away; places are in it.
    """
    chosen = options or Options()
    async with (
        await Watched.connect(database_url, autocommit=True) as conn,
        _reading(database_url) as reads,
    ):
        deliverer = Deliverer(conn, reads, sender, stop, chosen, log)
        while not await deliverer.elected():
            await _stopped(stop, chosen.elect_s)
            if stop.is_set():
                return
        try:
            while not stop.is_set():
                await deliverer.begin()
                if wake is None:
                    await _stopped(stop, chosen.poll_s)
                else:
                    await wake(chosen.poll_s)
                    await _stopped(stop, _GATHER_S)  # a busy log wakes without end
        finally:
            await deliverer.close()


def _back(hook: Webhook) -> int:
    """Position of the last act by which it is sent to again after a 410; -1: there was none."""
    return max(hook.replay_at or -1, hook.resumed_at or -1)


@contextlib.asynccontextmanager
async def _reading(database_url: str) -> AsyncIterator[Reads]:
    reads = Reads(database_url, threads=2)
    try:
        yield reads
    finally:
        await asyncio.to_thread(reads.close)


async def _stopped(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
