"""Which price entry applies when, and where an interval is cut (rating.md sections 1 and 4)."""

from bisect import bisect_right, insort
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.meter import GPU_TIME, STORAGE
from domain.pricebook import EntryPublished

LOCAL: Final = "local"  # the one model of storage: on the node itself
REGION: Final = "-"
USABLE: Final = "usable"
EXISTING: Final = "existing"
DEFAULT: Final = "default"
NEVER: Final = 1 << 126  # later than any instant


class Price(Struct, frozen=True, gc=False):
    """A published entry; its identity is its log position."""

    position: int
    effective_from_us: int
    price_pico: int
    divisor: int


# (meter, model, region, state, currency)
type Scope = tuple[str, str, str, str, str]


def gpu_scope(model: str, currency: str) -> Scope:
    """What prices the usable time of one model (rating.md section 1)."""
    return (GPU_TIME, model, REGION, USABLE, currency)


def storage_scope(currency: str) -> Scope:
    """What prices the existence of a volume (rating.md section 1)."""
    return (STORAGE, LOCAL, REGION, EXISTING, currency)


class Tariff:
    """All published entries, found by account and instant. Owned by one fold, not shared."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str, str, str, str, int]] = set()
        self._by_scope: dict[tuple[str, Scope], list[Price]] = {}

    def publish(self, position: int, entry: EntryPublished) -> None:
        """Remember the entry. One effective before its publication holds its key, prices nothing.

        Raises:
            DomainError: `price.duplicate`, `price.invalid`.
        """
        key = (
            *(entry.account, entry.meter, entry.model, entry.region, entry.state),
            entry.effective_from_us,
        )
        if key in self._keys:
            raise DomainError("price.duplicate", f"two entries share the key {key}")
        if entry.divisor <= 0 or entry.price_pico < 0:
            raise DomainError("price.invalid", "a price is >= 0 and its divisor > 0")
        self._keys.add(key)
        if entry.effective_from_us < entry.published_us:
            return
        scope = (entry.meter, entry.model, entry.region, entry.state, entry.currency)
        price = Price(position, entry.effective_from_us, entry.price_pico, entry.divisor)
        prices = self._by_scope.setdefault((entry.account, scope), [])
        insort(prices, price, key=_effective)

    def at(self, account: str, scope: Scope, instant: int) -> tuple[Price | None, int]:
        """The applicable entry, or None, and the next instant at which that may change.

        An account's own entry, once effective, hides every default one for good.
        """
        until = NEVER
        own = self._by_scope.get((account, scope))
        if own is not None:
            index = bisect_right(own, instant, key=_effective)
            if index < len(own):
                until = own[index].effective_from_us
            if index:
                return own[index - 1], until
        common = self._by_scope.get((DEFAULT, scope))
        if common is None:
            return None, until
        index = bisect_right(common, instant, key=_effective)
        if index < len(common):
            until = min(until, common[index].effective_from_us)
        return (common[index - 1] if index else None), until


def _effective(price: Price) -> int:
    return price.effective_from_us


def round_half_even(numerator: int, divisor: int) -> int:
    """The integer nearest to numerator / divisor, ties to even; divisor > 0."""
    quotient, rest = divmod(numerator, divisor)
    twice = 2 * rest
    if twice > divisor or (twice == divisor and quotient & 1):
        return quotient + 1
    return quotient
