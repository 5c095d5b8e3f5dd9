"""The node's end of one session, as this program has it: attached, healed, in order.

NATS may lose anything at any time. Whatever was lost is seen (a hole, a status that is ahead, or
silence) and asked for again from the offset that was received; input goes out again until it is
taken. So above this module there is neither loss nor repetition.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import terminal
from contracts.signing import FleetError
from contracts.terminal import (
    PIECE,
    WINDOW,
    Attach,
    Attached,
    Frame,
    Grant,
    Opener,
    Sealer,
)

_ASK_S: Final = 1.0
_BEAT_S: Final = 0.5
_SILENT_S: Final = 4.0
_STEP: Final = 1_000_000  # a new owner's number lies at least so far ahead: healing never steals


GAP: Final = 0  # a frame of this end's own: output before its offset is lost


class EndedError(Exception):
    """No more of this session here. `code`: term.taken, term.gone or term.ahead."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Place(Struct, frozen=True):
    """Which session, on which node, and the keys that both ends prove themselves with."""

    node: str
    session: str
    event_key: str
    command_key: Ed25519PrivateKey


class Far:
    """Owned by one task. `frames` gives output in order, acknowledgements and the exit.

    `count(code)` is told of every frame and answer that was refused.
    """

    def __init__(
        self, client: Client, place: Place, size: tuple[int, int], count: Callable[[str], None]
    ) -> None:
        self.client = client
        self.place = place
        self.size = size
        self.count = count
        self.frames: asyncio.Queue[Frame | EndedError] = asyncio.Queue()
        self.received = 0
        self.typed = 0
        self.limit = 0
        self._granted = self._said = 0
        self._unacked = bytearray()
        self._number = 0
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._answers: asyncio.Queue[Attached] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._heard_at = self._typed_at = self._said_at = 0.0
        self._lost = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    async def open(self, start: int, within_s: float, gone_s: float) -> Attached:
        """Takes the session over; output comes from the answer's `start` on.

        For `gone_s` the node may not know it: its order may still be on the way.
        Raises: EndedError, TimeoutError when the node does not answer in time.
        """
        subject = terminal.subject(self.place.node, self.place.session, "out")
        self._subscription = await self.client.subscribe(subject, cb=self._on_message)
        began = time.monotonic()
        self._number = time.time_ns() // 1000
        while True:
            answer = await self._ask(self._attachment(start))
            if answer is not None and not answer.code:
                break
            if answer is not None and answer.code == "term.ahead":
                raise EndedError("term.ahead")
            waited_s = time.monotonic() - began
            if answer is not None and answer.code == "term.gone" and waited_s >= gone_s:
                raise EndedError("term.gone")
            if waited_s > within_s:
                raise TimeoutError
            if answer is not None and answer.code == "term.replayed":
                self._number = max(self._number, answer.latest) + _STEP
                continue
            await asyncio.sleep(0.1)
        self.received = self._granted = answer.start
        self.limit = answer.typed
        self.typed = answer.typed
        self._beating = asyncio.create_task(self._beat())
        return answer

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()

    async def grant(self, until: int) -> None:
        """Output may come up to `until`, at most a window beyond what was received."""
        self._granted = max(self._granted, min(until, self.received + WINDOW))
        # A keystroke's echo is no reason for a message: the window is moved on in quarters.
        if self._granted - self._said >= WINDOW // 4 or self.received + PIECE > self._said:
            await self._say_grant()

    async def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)
        await self._say_grant()

    async def type(self, data: bytes) -> None:
        """Goes on until the node has taken it. The caller keeps to `limit`."""
        if not self._unacked:
            self._typed_at = time.monotonic()
        start = self.typed + len(self._unacked)
        self._unacked += data
        await self._say_input(start, data)

    async def end(self) -> None:
        """Asks the node to end the session now; the signed order follows."""
        if self._sealer is not None:
            await self._say(self._sealer.seal(terminal.CLOSE, 0, b""))

    # ------------------------------------------------------------------ attaching
    def _attachment(self, start: int) -> tuple[Attach, X25519PrivateKey]:
        fresh = X25519PrivateKey.generate()
        attach = Attach(
            format="gpuaas-term-attach/1",
            node=self.place.node,
            session=self.place.session,
            number=self._number,
            key=terminal.exchange_hex(fresh),
            start=start,
        )
        return attach, fresh

    async def _ask(self, asked: tuple[Attach, X25519PrivateKey]) -> Attached | None:
        """The answer to this attachment, its keys in use when it is a good one; None in silence."""
        attach, fresh = asked
        raw = terminal.attach_message(self.place.command_key, attach)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ASK_S):
                await self._publish("ctl", raw)
                while True:
                    answer = await self._answers.get()
                    if answer.attach_key == attach.key:
                        break
                if not answer.code:
                    self._agree(attach, answer, fresh)
                return answer
        return None

    def _agree(self, attach: Attach, answer: Attached, fresh: X25519PrivateKey) -> None:
        session_key = terminal.session_key(self.place.command_key, self.place.session)
        keys = terminal.keys_here(attach, answer.key, session_key, fresh)
        self._sealer, self._opener = Sealer(keys, "in"), Opener(keys, "out")
        self._heard_at = time.monotonic()
        self._lost.clear()

    async def _beat(self) -> None:
        """Repeats what may have been lost; attaches again when something was."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_S):
                        await self._lost.wait()
                if self._lost.is_set() or time.monotonic() - self._heard_at > _SILENT_S:
                    await self._heal()
                    await self._say_grant()
                elif time.monotonic() - self._said_at > _ASK_S:
                    await self._say_grant()
                if self._unacked and time.monotonic() - self._typed_at > _ASK_S:
                    self._typed_at = time.monotonic()
                    await self._say_input(self.typed, bytes(self._unacked))
        except EndedError as ended:
            self.frames.put_nowait(ended)

    async def _heal(self) -> None:
        before = self._number
        while True:
            self._number += 1
            answer = await self._ask(self._attachment(self.received))
            if answer is None:
                continue
            if answer.code == "term.replayed" and not before <= answer.latest <= self._number:
                raise EndedError("term.taken")
            if answer.code in {"term.gone", "term.ahead"}:
                raise EndedError(answer.code)
            if not answer.code:
                break
            await asyncio.sleep(0.1)
        if answer.start > self.received:
            self.frames.put_nowait(Frame(GAP, answer.start, b""))
            self.received = answer.start
        self._taken(answer.typed, answer.typed)
        if self._unacked:
            await self._say_input(self.typed, bytes(self._unacked))

    # ------------------------------------------------------------------ frames
    async def _on_message(self, message: Msg) -> None:
        try:
            if terminal.is_frame(message.data):
                if self._opener is not None:
                    self._take(self._opener.open(message.data))
            else:
                answer = terminal.open_attached(message.data, self.place.event_key)
                if (answer.node, answer.session) == (self.place.node, self.place.session):
                    self._answered(answer)
        except FleetError as error:
            self.count(error.code)

    def _answered(self, answer: Attached) -> None:
        if answer.number > self._number and not answer.code:
            # Not one of ours: somebody else has the session now.
            self.frames.put_nowait(EndedError("term.taken"))
        self._answers.put_nowait(answer)

    def _take(self, frame: Frame) -> None:
        self._heard_at = time.monotonic()
        if frame.offset > self.received and frame.kind in {terminal.OUTPUT, terminal.EXIT}:
            self._lost.set()
        elif frame.kind == terminal.OUTPUT:
            # Attached anew, it begins where this end was when it asked: the rest came meanwhile.
            new = frame.data[self.received - frame.offset :]
            if new:
                self.frames.put_nowait(Frame(terminal.OUTPUT, self.received, new))
                self.received += len(new)
        elif frame.kind == terminal.STATUS:
            status = terminal.open_status(frame.data)
            if status.sent > self.received:
                self._lost.set()
            if self._taken(status.typed, status.limit):
                self.frames.put_nowait(frame)
        elif frame.kind == terminal.EXIT:
            self.frames.put_nowait(frame)

    def _taken(self, typed: int, limit: int) -> bool:
        """True when that is news: input up to `typed` is the node's now."""
        news = typed > self.typed or limit > self.limit
        if typed > self.typed:
            del self._unacked[: typed - self.typed]
            self.typed, self._typed_at = typed, time.monotonic()
        self.limit = max(self.limit, limit)
        return news

    async def _say_grant(self) -> None:
        self._said, self._said_at = self._granted, time.monotonic()
        if self._sealer is not None:
            body = terminal.grant_body(Grant(self.received, *self.size))
            await self._say(self._sealer.seal(terminal.GRANT, self._granted, body))

    async def _say_input(self, start: int, data: bytes) -> None:
        if self._sealer is None:
            return
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            await self._say(self._sealer.seal(terminal.INPUT, start + at, piece))

    async def _say(self, raw: bytes) -> None:
        await self._publish("in", raw)

    async def _publish(self, leaf: terminal.Leaf, raw: bytes) -> None:
        # What is lost here is said again by the beat.
        with contextlib.suppress(nats.errors.Error, OSError):
            if self.client.is_connected:
                subject = terminal.subject(self.place.node, self.place.session, leaf)
                await self.client.publish(subject, raw)
