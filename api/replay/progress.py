"""How far a replay is, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Final, Self

WIDTH: Final = 40
_LINES: Final = 10  # where nobody watches, one line per tenth
_SPACING_NS: Final = 100_000_000


def say(text: str) -> None:
    """One line of what happens next."""
    print(f"  {text} ...", file=sys.stderr, flush=True)


class Bar:
    """Progress from 0 to `total`; a context, so that the terminal's line ends whatever happens."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._terminal = sys.stderr.isatty()
        self._said = 0
        self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._terminal:
            print(file=sys.stderr, flush=True)

    def at(self, done: int) -> None:
        """`done` of the total; cheap enough to be called at every batch."""
        if self._terminal:
            now = time.monotonic_ns()
            if now - self._drawn >= _SPACING_NS or done == self._total:
                self._drawn = now
                filled = WIDTH * done // self._total
                bar = "#" * filled + "-" * (WIDTH - filled)
                text = f"\r  replay [{bar}] {done}/{self._total}"
                print(text, end="", file=sys.stderr, flush=True)
        elif done * _LINES // self._total > self._said:
            self._said = done * _LINES // self._total
            print(f"  replay {done}/{self._total}", file=sys.stderr, flush=True)
