"""The whole of an answer, in bounds: none is waited for without an end, nor kept without one."""

from collections.abc import Callable
from typing import Final

import httpx
from msgspec import Struct

from gpuaas_client.errors import Unreachable

# Far above any page or text of the API: what is more has no end, or is one that unpacks to it.
MOST_BYTES: Final = 64 << 20


class Whole(Struct, frozen=True):
    """An answer that has arrived."""

    status: int
    headers: httpx.Headers
    body: bytes


class Reading:
    """Takes in the body of one answer; `most` None for any size, `within_s` from its making on.

    A timeout of the library's is for each byte: a body that drips would never end by it.
    """

    def __init__(
        self,
        given: httpx.Response,
        most: int | None,
        within_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._given = given
        self._most = most
        self._ends = clock() + within_s
        self._clock = clock
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> None:
        """Raises: Unreachable answer.endless; httpx.ReadTimeout."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._most is not None and self._size > self._most:
            raise endless()
        if self._clock() > self._ends:
            raise httpx.ReadTimeout("the answer came too slowly", request=self._given.request)

    def done(self) -> Whole:
        return Whole(self._given.status_code, self._given.headers, b"".join(self._pieces))


def endless() -> Unreachable:
    """What was being said is longer than anything that the API says."""
    why = f"an answer of more than {MOST_BYTES >> 20} MiB"
    return Unreachable(
        "answer.endless", why, "Check GPUAAS_URL: the API says nothing of that size."
    )
