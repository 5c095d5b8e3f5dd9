"""Instants and money as the edge writes them: RFC 3339 UTC and twelve decimal places."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from contracts.http import Money
from contracts.http_money import MoneyNew
from domain.errors import DomainError

PICO: Final = 10**12
_MINUTE_US: Final = 60_000_000
_MINUTES: Final = 10_000  # of the calendar, remembered
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - writes no offset, as the edge wants it
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?Z"
)


def now_us() -> int:
    """The control plane's clock, us UTC; read here and nowhere deeper."""
    return time.time_ns() // 1000


def whole(text: str) -> int | None:
    """The number that `text` is, written as we write it: ASCII digits, no sign, no leading zero.

    At most 18 digits, so it fits wherever the log keeps a number. None for any other text.
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def instant(us: int) -> str:
    """`2025-01-01T00:00:00.000000Z`. Raises: DomainError request.invalid outside years 1..9999."""
    minute, rest = divmod(us, _MINUTE_US)
    second, part = divmod(rest, 1_000_000)
    try:
        return f"{_minute(minute)}:{second:02d}.{part:06d}Z"
    except OverflowError as error:
        raise DomainError("request.invalid", f"{us} us is no calendar instant") from error


@lru_cache(_MINUTES)
def _minute(number: int) -> str:
    """Since the epoch. Raises: OverflowError."""
    return (_PLAIN_EPOCH + timedelta(minutes=number)).isoformat(timespec="minutes")


def maybe_instant(us: int | None) -> str | None:
    return None if us is None else instant(us)


def parse_instant(text: str) -> int:
    """Microseconds since the epoch. Raises: DomainError request.invalid."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise DomainError(
            "request.invalid", "an instant is RFC 3339 in UTC, as 2026-05-01T10:00:00Z"
        )
    try:
        moment = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise DomainError("request.invalid", "no such day or time") from error
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * 1_000_000 + int((found[2] or "").ljust(6, "0"))


def money(amount_pico: int, currency: str) -> Money:
    """The exact amount, never rounded."""
    whole, part = divmod(abs(amount_pico), PICO)
    sign = "-" if amount_pico < 0 else ""
    return Money(amount=f"{sign}{whole}.{part:012d}", currency=currency)


def pico_of(amount: MoneyNew) -> int:
    """The amount in pico-units; the struct's pattern has already refused anything else."""
    whole, part = amount.amount.split(".")
    pico = abs(int(whole)) * PICO + int(part)
    return -pico if whole.startswith("-") else pico
