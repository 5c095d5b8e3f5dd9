"""Billing months of a zone as two instants, computed once and stored (MONEY.md section 2)."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import DomainError

# ISO 4217 currencies whose minor unit is not a hundredth.
_DIGITS: Final[dict[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def minor_digits(currency: str) -> int:
    return _DIGITS.get(currency, 2)


def tzdata() -> str:
    """The version of the zone rules, which stands in every period."""
    return version("tzdata")


def zone_of(name: str) -> ZoneInfo:
    """Raises: DomainError account.zone_unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DomainError("account.zone_unknown", "no such IANA time zone") from error


def month_of(us: int, zone: ZoneInfo) -> tuple[int, int]:
    """`[start, end)` of the month that contains the instant, us UTC."""
    local = datetime.fromtimestamp(us / 1_000_000, tz=zone)
    first = datetime(local.year, local.month, 1, tzinfo=zone)
    later = (local.year + local.month // 12, local.month % 12 + 1)
    return _us(first), _us(datetime(*later, 1, tzinfo=zone))


def _us(moment: datetime) -> int:
    whole = moment.astimezone(UTC) - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * 1_000_000
