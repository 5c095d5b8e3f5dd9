"""What a price book may say beside a linear entry: tiers, books, commitments, re-ratings.

contracts/rating.md section 10.
"""

from typing import Final

from msgspec import Struct

LIST: Final = "-"  # the book of entries that price by themselves; its edition is 0


class Tier(Struct, frozen=True, forbid_unknown_fields=True):
    """Units above the tier before, up to `up_to` (null: without end), cost `price_pico` each
    divisor.
    """

    up_to: int | None
    price_pico: int


class ShapedEntry(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.entry_published.v2"
):
    """`free` units cost nothing, those above it by tiers; a line that pays, at least the minimum.

    Of the list (`book` `-`, `edition` 0) or of one edition of a named book, which prices what a
    re-rating says.
    """

    book: str
    edition: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    published_us: int
    divisor: int
    free: int
    tiers: tuple[Tier, ...]
    minimum_pico: int


class BookPublished(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.book_published.v1"
):
    """The edition is whole: it has as many `entries`, all before this fact."""

    book: str
    edition: int
    entries: int
    published_us: int


class CommitmentMade(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.commitment_made.v1"
):
    """`quantity` in each period that begins in `[from_us, until_us)`, paid whether used or not."""

    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    from_us: int
    until_us: int
    quantity: int
    price_pico: int
    divisor: int
    decided_us: int


class ReratingDecided(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.rerating_decided.v1"
):
    """The account's use in `[from_us, until_us)` is priced by the edition from now on, what is
    charged already included; by the list again for `-`.
    """

    account: str
    book: str
    edition: int
    from_us: int
    until_us: int
    decided_us: int


class Rerated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.rerating_decided.v2"
):
    """Likewise; what was read moves too, and what is prepaid where that makes it no dearer."""

    account: str
    book: str
    edition: int
    from_us: int
    until_us: int
    decided_us: int


type Decided = ReratingDecided | Rerated
type PriceFact = ShapedEntry | BookPublished | CommitmentMade | Decided
