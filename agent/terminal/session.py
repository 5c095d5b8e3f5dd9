"""What a host knows of its session: who is attached, what was typed, what may be shown."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.terminal.ring import Ring
from agent.terminal.wire import Settings
from contracts import terminal
from contracts.signing import FleetError
from contracts.terminal import PIECE, TYPED_WINDOW, Attach, Attached, Frame, Opener, Sealer, Status


class Session:
    """No I/O. `waiting`: input taken, in order and once, that the PTY has not read yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ring = Ring()
        self.size = (settings.columns, settings.rows)
        self.waiting = bytearray()
        self.closing = False
        self.exit: int | None = None
        self.refused: dict[str, int] = {}
        self._number = 0
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._granted = 0
        self._sent = 0
        self._typed = 0
        self._status_due = False
        self._exit_told = False

    def attach(self, raw: bytes) -> Attached:
        """The answer to an attachment whose signature the agent has checked; the latest wins."""
        asked = msgspec.json.decode(raw, type=Attach)
        if asked.number <= self._number:
            return self._refused(asked, "term.replayed")
        if asked.start > self.ring.end:
            return self._refused(asked, "term.ahead")
        fresh = X25519PrivateKey.generate()
        try:
            keys = terminal.keys_there(asked, self._settings.key, fresh)
        except FleetError as error:
            return self._refused(asked, error.code)
        self._number = asked.number
        self._sealer, self._opener = Sealer(keys, "out"), Opener(keys, "in")
        self._sent = self._granted = max(asked.start, self.ring.start)
        self._status_due, self._exit_told = True, False
        return self._answer(asked, terminal.exchange_hex(fresh), "")

    def receive(self, raw: bytes) -> None:
        """Takes a sealed frame; one that does not open is counted and changes nothing."""
        if self._opener is None:  # nobody is attached yet
            self._count("term.foreign")
            return
        try:
            self._take(self._opener.open(raw))
        except FleetError as error:
            self._count(error.code)

    def room(self) -> int:
        """How many bytes may be read from the PTY now."""
        return max(0, min(PIECE, self._granted - self.ring.end))

    def drained(self, size: int) -> None:
        """The PTY took `size` bytes of `waiting`: as many more may be typed."""
        del self.waiting[:size]
        self._status_due = True

    def has_frame(self) -> bool:
        """True when `next_frame` would give one."""
        return self._sealer is not None and (
            self._status_due
            or min(self.ring.end, self._granted) > self._sent
            or (self.exit is not None and self._sent == self.ring.end and not self._exit_told)
        )

    def next_frame(self) -> bytes | None:
        """The next frame to send, None when there is none now."""
        if self._sealer is None:
            return None
        if self._status_due:
            # What was typed is acknowledged before more output goes out.
            self._status_due = False
            body = terminal.status_body(self._status())
            return self._sealer.seal(terminal.STATUS, self._sent, body)
        most = min(self.ring.end, self._granted) - self._sent
        if most > 0:
            data = self.ring.read(self._sent, min(most, PIECE))
            raw = self._sealer.seal(terminal.OUTPUT, self._sent, data)
            self._sent += len(data)
            return raw
        if self.exit is not None and self._sent == self.ring.end and not self._exit_told:
            self._exit_told = True
            return self._sealer.seal(terminal.EXIT, self._sent, terminal.exit_body(self.exit))
        return None

    def tell_status(self) -> None:
        """A status goes out next; a lost EXIT is said again."""
        self._status_due, self._exit_told = True, False

    def _take(self, frame: Frame) -> None:
        if frame.kind == terminal.INPUT:
            self._type(frame)
        elif frame.kind == terminal.GRANT:
            grant = terminal.open_grant(frame.data)
            furthest = self._sent + terminal.WINDOW
            self._granted = max(self._granted, min(frame.offset, furthest))
            self.size = (grant.columns, grant.rows)
        elif frame.kind == terminal.CLOSE:
            self.closing = True
        else:
            raise FleetError("term.malformed", f"kind {frame.kind}")

    def _type(self, frame: Frame) -> None:
        # Sent again after a loss: what was taken is passed over. A hole waits for the repeat.
        self._status_due = True
        if frame.offset > self._typed:
            raise FleetError("term.hole", f"input {frame.offset} after {self._typed}")
        new = frame.data[self._typed - frame.offset :]
        if len(self.waiting) + len(new) > TYPED_WINDOW:
            raise FleetError("term.typed_too_far", "the program does not read")
        self.waiting += new
        self._typed += len(new)

    def _status(self) -> Status:
        limit = self._typed - len(self.waiting) + TYPED_WINDOW
        return Status(self._sent, self._typed, limit, sum(self.refused.values()))

    def _refused(self, asked: Attach, code: str) -> Attached:
        self._count(code)
        return self._answer(asked, "", code)

    def _count(self, code: str) -> None:
        self.refused[code] = self.refused.get(code, 0) + 1

    def _answer(self, asked: Attach, key: str, code: str) -> Attached:
        return Attached(
            format="gpuaas-term-attached/1",
            node=self._settings.node,
            session=self._settings.session,
            number=asked.number,
            attach_key=asked.key,
            key=key,
            start=0 if code else self._sent,
            end=0 if code else self.ring.end,
            typed=0 if code else self._typed,
            latest=self._number,
            code=code,
        )
