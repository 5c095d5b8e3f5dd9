"""Readings as rows, and which of a batch are new (contracts/rating.md section 8). Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError
from domain.meter import MODEL, Counting
from domain.words import NOWHERE, is_region

QUANTITY_LIMIT: Final = 10**18
# Of a level times its time: with the most a unit may cost, 10^5 of them stay below 10^38.
WEIGHTED_LIMIT: Final = 10**24
WEIGHTED: Final = "time-weighted"
_MODEL: Final = f"{MODEL}="
_REGION: Final = "region="


class Reading(Struct, frozen=True, gc=False):
    """A `reading` row without `row` and `salt`; `dimensions` as `name=value,…` in order of names.

    `chain` and `sig` stand on the last reading of a batch, empty on the others.
    """

    source: str
    epoch: int
    sequence: int
    meter: str
    resource: str
    dimensions: str
    from_us: int
    to_us: int
    quantity: int
    chain: str
    sig: str

    @property
    def model(self) -> str:
        """The dimension that a price is found by."""
        return next(
            part[len(_MODEL) :] for part in self.dimensions.split(",") if part.startswith(_MODEL)
        )

    @property
    def region(self) -> str:
        """Where it says it is, by the dimension of that name; `-` without one."""
        if _REGION not in self.dimensions:
            return NOWHERE
        return named_region(dict(part.split("=", 1) for part in self.dimensions.split(",")))


class Mark(Struct, frozen=True, gc=False):
    """How far a source has come: the last reading sealed of its latest epoch, and its chain."""

    epoch: int
    sequence: int
    chain: bytes


def named_region(dimensions: dict[str, str]) -> str:
    """The region that the dimension of that name names; `-` where none does."""
    word = dimensions.get(_REGION[:-1], NOWHERE)
    return word if is_region(word) else NOWHERE


def row_of(dimensions: dict[str, str]) -> str:
    """The dimensions as a row has them."""
    if len(dimensions) == 1:
        [(name, value)] = dimensions.items()
        return f"{name}={value}"
    return ",".join(f"{name}={dimensions[name]}" for name in sorted(dimensions))


def repeated(mark: Mark | None, epoch: int, first: int, count: int) -> int:
    """How many at the front of readings `first`, … are not new; all of them in an earlier epoch.

    Raises:
        DomainError: `reading.gap` with the `expected` number.
    """
    if mark is not None and epoch < mark.epoch:
        return count
    sealed = mark.sequence if mark is not None and mark.epoch == epoch else 0
    if first > sealed + 1:
        facts: dict[str, int | str] = {"expected": sealed + 1, "epoch": epoch}
        raise DomainError("reading.gap", f"number {sealed + 1} is next", facts)
    return min(count, sealed + 1 - first)


def require_countable(
    counting: Counting, names: Iterable[str], span: tuple[int, int], quantity: int, now_us: int
) -> None:
    """Nothing when the meter counts such a reading; `span` is (from_us, to_us).

    Raises:
        DomainError: `reading.invalid`, `reading.in_future`.
    """
    from_us, to_us = span
    if counting.source != "readings":
        raise DomainError("reading.invalid", f"{counting.meter} is counted from lifecycles")
    if tuple(sorted(names)) != counting.dimensions:
        wanted = ", ".join(counting.dimensions)
        raise DomainError("reading.invalid", f"{counting.meter} has the dimensions {wanted}")
    weighted = counting.aggregation == WEIGHTED
    if to_us < from_us or (weighted and to_us == from_us):
        raise DomainError("reading.invalid", "it ends before it begins, or a level has no length")
    size = quantity * (to_us - from_us) if weighted else quantity
    if quantity < 0 or size > (WEIGHTED_LIMIT if weighted else QUANTITY_LIMIT):
        raise DomainError("reading.invalid", "sums of such quantities could leave 10^38")
    if to_us > now_us:
        facts: dict[str, int | str] = {"now_us": now_us}
        raise DomainError("reading.in_future", "what has not happened is not counted", facts)


def row_bytes(reading: Reading, number: int, salt: str) -> bytes:
    """The bulk row's canonical JSON: `row` and `salt` (32 hex digits) first, then the fields."""
    return b'{"row":%d,"salt":"%b",%b' % (number, salt.encode(), msgspec.json.encode(reading)[1:])
