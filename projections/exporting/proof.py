"""What an export rests on: the log up to a signed size. Written into every export."""

from typing import Final

from msgspec import Struct

PICO_DIGITS: Final = 12


class Proof(Struct, frozen=True):
    """Entries `[0, size)` of the log `origin`; `root`: their RFC 6962 root, lowercase hex."""

    origin: str
    size: int
    root: str

    @property
    def as_of(self) -> int:
        """The last position that counts."""
        return self.size - 1


def decimal(pico: int) -> str:
    """Exactly, with twelve places: `-0.000000000001`."""
    sign = "-" if pico < 0 else ""
    whole, part = divmod(abs(pico), 10**PICO_DIGITS)
    return f"{sign}{whole}.{part:0{PICO_DIGITS}d}"
