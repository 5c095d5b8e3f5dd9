"""How long the oldest unsigned entry has waited: past a bound, appends are refused."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from domain.errors import DomainError
from evidence.storage import CHECKPOINT, Storage

BOUND_MS: Final = 60_000
_MARK_EVERY_MS: Final = 200
_LOOK_EVERY_MS: Final = 50


def monotonic_ms() -> int:
    """Milliseconds of a clock that is never set back."""
    return time.monotonic_ns() // 1_000_000


class UnsignedTail:
    """A process's own view: sizes it committed and when, against the published checkpoint.

    Give `committed` to the log as (part of) its wake and the object itself as its gate. `found` at
    the start tells it what others left unsigned; without it, it knows only what it committed.
    """

    def __init__(
        self,
        storage: Storage,
        bound_ms: int = BOUND_MS,
        clock_ms: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._storage = storage
        self._bound_ms = bound_ms
        self._clock = clock_ms
        self._marks: deque[tuple[int, int]] = deque()
        self._looked = -_LOOK_EVERY_MS

    def committed(self, size: int) -> None:
        """The log has `size` entries now; kept at most five times a second."""
        now = self._clock()
        if not self._marks or now - self._marks[-1][1] >= _MARK_EVERY_MS:
            self._marks.append((size, now))

    def found(self, size: int, oldest_unsigned_age_ms: int) -> None:
        """At the start the log has `size` entries, the oldest without a signature so
        old already.
        """
        self._marks.append((size, self._clock() - max(0, oldest_unsigned_age_ms)))

    def __call__(self) -> DomainError | None:
        """`log.unsigned_tail` (with how long, in facts) once the oldest mark is too
        old, or None.
        """
        now = self._clock()
        if not self._marks or now - self._marks[0][1] < _LOOK_EVERY_MS:
            return None
        if now - self._looked >= _LOOK_EVERY_MS:
            self._looked = now
            signed = published_size(self._storage)
            while self._marks and self._marks[0][0] <= signed:
                self._marks.popleft()
        if not self._marks or now - self._marks[0][1] <= self._bound_ms:
            return None
        waited = (now - self._marks[0][1]) // 1000
        detail = f"entries have waited {waited} s for a signature; nothing more is accepted"
        return DomainError("log.unsigned_tail", detail, {"waited_s": waited})


def published_size(storage: Storage) -> int:
    """Entries covered by the published checkpoint, unverified: for bounds, not for proofs."""
    lines = (storage.read(CHECKPOINT) or b"").split(b"\n", 2)
    return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0
