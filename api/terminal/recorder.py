"""One session's recording as it is written: each byte once, whatever was killed before."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts import recording
from contracts.recording import Chain, Header, Record, Seal

CHUNK_BYTES: Final = 65_536
CHUNK_US: Final = 1_000_000
LOGGED_US: Final = 8_000_000  # heads are in the log at least every 10 s
# What one session may hold: whoever plays it, or goes on after a kill, reads it whole.
MOST_BYTES: Final = 128 * 1024 * 1024


class Recorder:
    """Owned by the one program that shows the session; the file's lock says so.

    A record is handed to the kernel before the byte it holds goes on: a kill -9 loses none, a power
    cut at most what no fact names yet. `shown` and `typed`: recorded up to these offsets.
    """

    def __init__(self, path: Path, header: Header, now_us: Callable[[], int]) -> None:
        """Raises: BlockingIOError while another program records the session."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._now_us = now_us
        self._chain = Chain()
        self.last: Seal | None = None
        self.final = False
        self.shown = self.typed = 0
        self._size = self._unsealed = 0
        self._sealed_us = now_us()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raw = path.read_bytes()
            self._begin(header) if not raw else self._go_on(raw)
        except BaseException:
            os.close(self._file)
            raise

    def output(self, offset: int, data: bytes) -> None:
        """`data` was shown at `offset`; what was recorded before is passed over."""
        self.shown = self._take(recording.OUTPUT, self.shown, offset, data)

    def input(self, offset: int, data: bytes) -> None:
        """`data` was typed at `offset`, and is recorded before it is sent on."""
        self.typed = self._take(recording.INPUT, self.typed, offset, data)

    def resized(self, columns: int, rows: int) -> None:
        self._write(Record(recording.RESIZE, self._now_us(), 0, f"{columns}x{rows}".encode()))

    def exited(self, status: int) -> None:
        self._write(Record(recording.EXIT, self._now_us(), self.shown, str(status).encode()))

    def seal(self, *, final: bool = False) -> None:
        """The open chunk is sealed, if it holds anything or is the last; not yet durable."""
        if self.final or (not final and not self._unsealed):
            return
        head = self._chain.head(final=final)
        record = Record(recording.SEAL, 0, self._chain.chunk, bytes((final,)) + head)
        raw = recording.packed(record)
        self._append(raw)
        self.last = Seal(self._chain.chunk, head.hex(), self._size, final)
        self._chain.seal(head)
        self._unsealed, self.final = 0, final
        self._sealed_us = self._now_us()

    @property
    def full(self) -> bool:
        """No more is to be recorded, so nothing more is to be shown or typed."""
        return self._size >= MOST_BYTES

    def due(self) -> bool:
        """True when the open chunk is full or old."""
        if not self._unsealed or self.final:
            return False
        return self._unsealed >= CHUNK_BYTES or self._now_us() - self._sealed_us >= CHUNK_US

    def durable(self) -> None:
        """Everything sealed is on disk; blocks."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _begin(self, header: Header) -> None:
        line = recording.header_line(header)
        self._chain.add(line)
        self._append(line)
        self._unsealed = len(line)

    def _go_on(self, raw: bytes) -> None:
        # What a killed program left: whole records count, a torn one never happened.
        found = recording.read(raw)
        os.ftruncate(self._file, found.whole)
        self._size = found.whole
        sealed = found.seals[-1].size if found.seals else 0
        for seal in found.seals:
            self._chain.seal(bytes.fromhex(seal.head))
            self.last, self.final = seal, seal.final
        self._chain.add(raw[sealed : found.whole])
        self._unsealed = found.whole - sealed
        for record in found.records:
            if record.kind == recording.OUTPUT:
                self.shown = record.offset + len(record.data)
            elif record.kind == recording.INPUT:
                self.typed = record.offset + len(record.data)

    def _take(self, kind: bytes, through: int, offset: int, data: bytes) -> int:
        if offset > through:
            self._write(Record(recording.GAP, self._now_us(), offset, kind))
            through = offset
        new = data[through - offset :]
        for start in range(0, len(new), recording.MOST):
            piece = new[start : start + recording.MOST]
            self._write(Record(kind, self._now_us(), through, piece))
            through += len(piece)
        return through

    def _write(self, record: Record) -> None:
        if self.final:
            return
        raw = recording.packed(record)
        self._chain.add(raw)
        self._append(raw)
        self._unsealed += len(raw)

    def _append(self, raw: bytes) -> None:
        rest = memoryview(raw)
        while rest:  # a nearly full disk takes a part, and says so at the next
            rest = rest[os.write(self._file, rest) :]
        self._size += len(raw)
