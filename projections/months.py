"""Billing months of a zone as instants, and the ids that make a reaction's repeat harmless."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import Final
from zoneinfo import ZoneInfo

from domain.errors import DomainError

TZDATA: Final = version("tzdata")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@cache
def zone(name: str) -> ZoneInfo:
    """The zone from the pinned tzdata, never from the machine: a period says which it used.

    Raises:
        DomainError: `period.zone_unknown`.
    """
    parts = name.split("/")
    if not all(part and part[0].isalpha() and part.isascii() for part in parts):
        raise DomainError("period.zone_unknown", f"no IANA zone {name[:80]!r}")
    path = resources.files("tzdata.zoneinfo").joinpath(*parts)
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError) as error:
        raise DomainError("period.zone_unknown", f"no IANA zone {name[:80]!r}") from error


def month_after(instant_us: int, zone_name: str) -> int:
    """The first start of a local month later than the instant.

    Periods are `[start, next start)`, both from here, so every microsecond is in exactly one,
    whatever the zone does at midnight.

    Raises:
        DomainError: `period.zone_unknown`, `period.out_of_calendar`.
    """
    where = zone(zone_name)
    local = _local(instant_us, where)
    year, month = local.year, local.month
    while (start := _start(year, month, where)) <= instant_us:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return start


def month_of(instant_us: int, zone_name: str) -> tuple[int, int]:
    """The local month `[start, end)` that holds the instant."""
    where = zone(zone_name)
    end = month_after(instant_us, zone_name)
    local = _local(end - 1, where)
    return _start(local.year, local.month, where), end


def _local(instant_us: int, where: ZoneInfo) -> datetime:
    try:
        return (_EPOCH + instant_us * _MICROSECOND).astimezone(where)
    except OverflowError as error:
        raise _outside() from error


def _start(year: int, month: int, where: ZoneInfo) -> int:
    try:
        return (datetime(year, month, 1, tzinfo=where).astimezone(UTC) - _EPOCH) // _MICROSECOND
    except (OverflowError, ValueError) as error:
        raise _outside() from error


def _outside() -> DomainError:
    return DomainError("period.out_of_calendar", "a month outside the years 1 to 9999")


def derived_id(kind: str, source: str, number: int | str = 0) -> str:
    """A stream id that follows from another one: whoever derives it gets the same.

    Two reactions that do the same thing at once then meet in one stream, and one loses by its
    expected version; `number` (or a name) tells several of one kind apart. It keeps the time of the
    source's UUIDv7.
    """
    origin = source.split("-", 1)[1]
    digest = hashlib.sha256(f"gpuaas-derived/1\n{kind}\n{source}\n{number}\n".encode()).digest()
    value = int.from_bytes(digest[:10]) | int(origin.replace("-", "")[:12], 16) << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    h = f"{value:032x}"
    return f"{kind}-{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def period_id(account: str, sequence: int) -> str:
    """The stream of an account's period with that number: opened by anybody, it is opened once."""
    return derived_id("period", account, sequence)


def command_id(reaction: str, what: str) -> str:
    """The cause of a reaction's append: the same deed twice is appended once."""
    return "cmd:" + hashlib.sha256(f"gpuaas-reaction/1\n{reaction}\n{what}\n".encode()).hexdigest()
