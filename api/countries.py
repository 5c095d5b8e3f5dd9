"""Countries by ISO 3166-1 alpha-2, as the pinned tzdata lists them."""

from functools import cache
from importlib import resources

from domain.errors import DomainError


@cache
def _codes() -> frozenset[str]:
    text = resources.files("tzdata.zoneinfo").joinpath("iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in text.splitlines() if line and not line.startswith("#"))


def require_country(code: str) -> None:
    """Raises DomainError `country.unknown`."""
    if code not in _codes():
        raise DomainError("country.unknown", f"{code} is no country of ISO 3166-1")


def require_vat_id(vat_id: str) -> None:
    """It begins with its country (EN 16931, BR-CO-9). Raises DomainError `country.unknown`."""
    if vat_id[:2] not in _codes() | {"EL", "XI"}:  # Greece and Northern Ireland, as VAT has them
        raise DomainError("country.unknown", f"{vat_id[:2]} of the VAT id is no country")
