"""Questions about prices: editions, commitments, re-ratings."""

from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain import price_facts, pricebook
from domain.tariff import Tariff
from projections import billing_read
from projections.asof import fetch


class Edition(Struct, frozen=True):
    from_position: int
    name: str
    edition: int
    entries: int
    published_us: int


class Commitment(Struct, frozen=True):
    from_position: int
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


class Rerating(Struct, frozen=True):
    from_position: int
    account: str
    book: str
    edition: int
    from_us: int
    until_us: int
    decided_us: int


_EDITIONS: Final = """
SELECT t.from_position, t.name, t.edition, t.entries, t.published_us FROM views.price_book t
WHERE [t] AND (%(name)s::text IS NULL OR t.name = %(name)s) ORDER BY t.from_position
"""
_ENTRIES: Final = """
SELECT t.from_position, t.book, t.account, t.meter, t.model, t.region, t.state, t.currency,
  t.effective_from_us, t.published_us, t.price_pico, t.divisor,
  t.named, t.edition, t.free, t.tiers, t.minimum_pico
FROM views.price t
WHERE [t] AND t.kind = 'entry' AND t.named = %(name)s AND t.edition = %(edition)s
ORDER BY t.from_position
"""
_COMMITMENTS: Final = """
SELECT t.from_position, t.account, t.meter, t.model, t.region, t.state, t.currency, t.from_us,
  t.until_us, t.quantity, t.price_pico, t.divisor, t.decided_us
FROM views.commitment t WHERE [t] AND t.account = %(account)s ORDER BY t.from_position
"""
_RERATINGS: Final = """
SELECT t.from_position, t.account, t.book, t.edition, t.from_us, t.until_us, t.decided_us
FROM views.rerating t WHERE [t] AND t.account = %(account)s ORDER BY t.from_position
"""


def editions(
    conn: psycopg.Connection[Any], name: str | None = None, as_of: int | None = None
) -> list[Edition]:
    """Whole editions in order of publication, of one book or of all."""
    return fetch(conn, Edition, _EDITIONS, {"name": name}, as_of)


def entries(
    conn: psycopg.Connection[Any], name: str, edition: int, as_of: int | None = None
) -> list[billing_read.Price]:
    """The entries of an edition in order."""
    asked = {"name": name, "edition": edition}
    return fetch(conn, billing_read.Price, _ENTRIES, asked, as_of)


def commitments(
    conn: psycopg.Connection[Any], account: str, as_of: int | None = None
) -> list[Commitment]:
    """What the account has committed itself to, oldest first."""
    return fetch(conn, Commitment, _COMMITMENTS, {"account": account}, as_of)


def reratings(
    conn: psycopg.Connection[Any], account: str, as_of: int | None = None
) -> list[Rerating]:
    """By which books the account's use was decided to be priced, oldest first."""
    return fetch(conn, Rerating, _RERATINGS, {"account": account}, as_of)


def tariff(
    conn: psycopg.Connection[Any], account: str, book: str, edition: int, as_of: int | None
) -> Tariff:
    """What applies to the account when all its use is priced by the edition; `-`: by the list."""
    found = Tariff()
    for one in billing_read.prices(conn, account, as_of):
        if one.named == price_facts.LIST:
            found.publish(one.from_position, _fact(one, price_facts.LIST, 0))
    of_book = [] if book == price_facts.LIST else entries(conn, book, edition, as_of)
    for one in of_book:
        found.publish(one.from_position, _fact(one, book, 1))
    if of_book:
        found.publish_book(price_facts.BookPublished(book, 1, len(of_book), 0))
        always = (-(10**18), 10**18)
        found.rerate(price_facts.ReratingDecided(account, book, 1, *always, 0))
    for made in commitments(conn, account, as_of):
        fields = msgspec.structs.astuple(made)[1:]
        found.commit(made.from_position, price_facts.CommitmentMade(*fields))
    return found


def _fact(
    one: billing_read.Price, book: str, edition: int
) -> pricebook.EntryPublished | price_facts.ShapedEntry:
    key = (one.account, one.meter, one.model, one.region, one.state, one.currency)
    when = (one.effective_from_us, one.published_us)
    if not one.tiers:
        return pricebook.EntryPublished(*key, *when, one.price_pico, one.divisor)
    tiers = msgspec.json.decode(one.tiers, type=tuple[price_facts.Tier, ...])
    return price_facts.ShapedEntry(
        *(book, edition, *key, *when, one.divisor, one.free), tiers, one.minimum_pico
    )
