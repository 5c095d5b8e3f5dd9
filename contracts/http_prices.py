"""The front door's prices of more than one number, books of them, commitments, re-ratings."""

from typing import Annotated

from msgspec import Meta

from contracts.http import (
    Amount,
    Currency,
    Given,
    Instant,
    Money,
    Positive,
    PriceAccount,
    Taken,
    Word,
)

type Count = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,24})$")]
type BookName = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[A-Za-z0-9_.:-]+$")]


class TierNew(Taken, frozen=True, kw_only=True):
    """Units above the tier before, up to `up_to` (null: without end); counted after free ones."""

    up_to: Count | None = None
    price: Amount


class TieredNew(Taken, frozen=True, kw_only=True):
    """An entry of tiers. Prices are per `divisor` units of the meter, `free` and `up_to` in units.

    `minimum`: what a charge line that pays anything costs at least.
    """

    account: PriceAccount = "default"
    meter: Word = "gpu.time"
    model: Word
    region: Word = "-"
    state: Word = "usable"
    currency: Currency
    divisor: Positive = 3_600_000_000_000
    free: Count = "0"
    tiers: Annotated[list[TierNew], Meta(min_length=1, max_length=100)]
    minimum: Amount = "0.000000000000"
    effective_from: Instant


class BookNew(Taken, frozen=True):
    """The next edition of a book, whole or not at all."""

    entries: Annotated[list[TieredNew], Meta(min_length=1, max_length=1000)]


class Tier(Given, frozen=True):
    up_to: str | None
    price: Money


class Tiered(Given, frozen=True):
    """`position` is the entry's identity. Of the list: book `-`, edition 0."""

    position: int
    book: str
    edition: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    divisor: str
    free: str
    tiers: list[Tier]
    minimum: Money
    effective_from: Instant
    published_at: Instant


class Book(Given, frozen=True):
    """The latest edition of a book, or the one asked for; `entries` in order of publication."""

    name: str
    edition: int
    published_at: Instant
    entries: list[Tiered]


class BookListed(Given, frozen=True):
    name: str
    edition: int
    entries: int
    published_at: Instant


class CommitmentNew(Taken, frozen=True, kw_only=True):
    """`quantity` of the meter's units in each period that begins in `[start, end)`."""

    meter: Word = "gpu.time"
    model: Word
    region: Word = "-"
    state: Word = "usable"
    quantity: Count
    price: Amount
    divisor: Positive = 3_600_000_000_000
    start: Instant
    end: Instant


class Commitment(Given, frozen=True):
    """`position` is what a charge for it names as its price entry."""

    position: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    quantity: str
    price: Money
    divisor: str
    start: Instant
    end: Instant


class RepricingNew(Taken, frozen=True):
    """The use in `[start, end)` by the book's latest edition; `-`: by the list again."""

    book: BookName
    start: Instant
    end: Instant


class Repricing(Given, frozen=True):
    """`position` null: it was decided before, last."""

    position: int | None
    account: str
    book: str
    edition: int
    start: Instant
    end: Instant


class PreviewNew(Taken, frozen=True):
    """What a period's use would cost by a book's latest edition; `-`: by the list."""

    period: Word
    book: BookName


class PreviewLine(Given, frozen=True):
    project: str
    sku: str
    price: int
    quantity: str
    amount: Money


class Preview(Given, frozen=True):
    """Nothing is posted. `exact` is the sum of the lines, `charged` what the use has cost so far.

    Use that is read, and what is prepaid, keeps its price.
    """

    account: str
    period: str
    book: str
    edition: int
    total: Money
    exact: Money
    charged: Money
    lines: list[PreviewLine]
