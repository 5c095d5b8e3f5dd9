"""How long a replay has worked, over all sessions in its folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from evidence.storage import replace

FILE: Final = "elapsed_us"
_SPACING_US: Final = 500_000


class Elapsed:
    """One session that counts on from the sessions before it; `began` as `clock` gives it, ns.

    A kill loses what was not kept yet: less than a second of work, or one batch if that takes
    longer. The time between two sessions does not count.
    """

    def __init__(
        self, folder: Path, began: int, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._path = folder / FILE
        self._before = int(self._path.read_text()) if self._path.exists() else 0
        self._began = began
        self._clock = clock
        self._kept = self._before

    def micros(self) -> int:
        """Microseconds of work up to now."""
        return self._before + (self._clock() - self._began) // 1000

    def keep(self) -> None:
        """Remembered for the next session; cheap enough to be called at every batch."""
        micros = self.micros()
        if micros - self._kept >= _SPACING_US:
            self._kept = micros
            replace(self._path, b"%d\n" % micros)
