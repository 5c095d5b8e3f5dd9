"""Questions about sellers, tax and credit notes; all accept a position."""

from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one
from projections.reach import Of


class Party(Struct, frozen=True):
    """What people call a seller or a buyer (contracts/facts.md); the text behind `party`."""

    name: str = ""
    street: str = ""
    city: str = ""
    postcode: str = ""
    vat_id: str = ""


class Seller(Struct, frozen=True):
    """`words`: of its party, None once erased."""

    seller: str
    from_position: int
    country: str
    prefix: str
    terms_days: int
    registered_us: int
    words: str | None


class Rate(Struct, frozen=True):
    """`effective_from_us`: the first instant of the calendar when it holds since ever."""

    from_position: int
    seller: str
    treatment: str
    country: str
    meter: str
    category: str
    rate_bp: int
    reason: str
    effective_from_us: int


class Buyer(Struct, frozen=True):
    account: str
    from_position: int
    seller: str
    country: str
    treatment: str
    decided_us: int
    words: str | None


class InvoiceTax(Struct, frozen=True):
    """`credited_minor`: what credit notes have taken of its total."""

    invoice: str
    seller: str
    net_minor: int
    tax_minor: int
    credited_minor: int


class CreditNote(Struct, frozen=True):
    credit_note: str
    from_position: int
    invoice: str
    organization: str
    account: str
    seller: str
    number: str
    why: str
    currency: str
    minor_digits: int
    net_minor: int
    tax_minor: int
    total_minor: int
    file: str
    sha256: str
    issued_us: int


class _Words(Struct, frozen=True):
    words: str


_SELLERS: Final = """
SELECT t.seller, t.from_position, t.country, t.prefix, t.terms_days, t.registered_us,
  w.words
FROM views.seller t
LEFT JOIN log.private_value w ON w.digest = decode(t.party, 'hex')
  AND sha256(w.salt || convert_to(w.words, 'UTF8')) = w.digest
WHERE [t] AND (%(seller)s::text IS NULL OR t.seller = %(seller)s)
ORDER BY t.from_position
"""
_RATES: Final = """
SELECT t.from_position, t.seller, t.treatment, t.country, t.meter, t.category, t.rate_bp, t.reason,
  t.effective_from_us
FROM views.tax_rate t WHERE [t] AND t.seller = %(seller)s
ORDER BY t.treatment, t.country, t.meter, t.effective_from_us
"""
_BUYER: Final = """
SELECT t.account, t.from_position, t.seller, t.country, t.treatment, t.decided_us, w.words
FROM views.account_tax t
LEFT JOIN log.private_value w ON w.digest = decode(t.party, 'hex')
  AND sha256(w.salt || convert_to(w.words, 'UTF8')) = w.digest
WHERE [t] AND t.account = %(account)s
"""
_INVOICE: Final = """
SELECT t.invoice, t.seller, t.net_minor, t.tax_minor,
  coalesce((SELECT sum(c.total_minor) FROM views.credit_note c WHERE c.invoice = t.invoice
    AND [c]), 0) AS credited_minor
FROM views.invoice_tax t WHERE [t] AND t.invoice = %(invoice)s
"""
_CREDITS: Final = """
SELECT c.credit_note, c.from_position, c.invoice, c.organization, c.account, c.seller, c.number,
  c.why, i.currency, i.minor_digits, c.net_minor, c.tax_minor, c.total_minor, c.file, c.sha256,
  c.issued_us
FROM views.credit_note c JOIN views.invoice i ON i.invoice = c.invoice AND [i]
WHERE [c]
"""
_ONE: Final = " AND (c.credit_note = %(credit_note)s OR c.number = %(credit_note)s) LIMIT 1"
_PAGE: Final = """
  AND (%(organization)s::text IS NULL OR c.organization = %(organization)s)
  AND [reach c.organization]
  AND (%(account)s::text IS NULL OR c.account = %(account)s)
  AND (%(invoice)s::text IS NULL OR c.invoice = %(invoice)s)
  AND (%(before)s::bigint IS NULL OR c.from_position < %(before)s)
ORDER BY c.from_position DESC LIMIT %(limit)s
"""
_WORDS: Final = """
SELECT w.words FROM log.private_value w WHERE w.digest = decode(%(digest)s, 'hex')
  AND sha256(w.salt || convert_to(w.words, 'UTF8')) = w.digest
"""


def party_of(words: str | None) -> Party | None:
    """The party that the words say, None once they are erased."""
    return None if words is None else msgspec.json.decode(words, type=Party)


def party(conn: psycopg.Connection[Any], digest: str) -> Party | None:
    """What the digest of a sealed file says, None once erased."""
    found = fetch_one(conn, _Words, _WORDS, {"digest": digest})
    return None if found is None else party_of(found.words)


def sellers(
    conn: psycopg.Connection[Any], seller: str | None = None, as_of: int | None = None
) -> list[Seller]:
    """Oldest first."""
    return fetch(conn, Seller, _SELLERS, {"seller": seller}, as_of)


def rates(conn: psycopg.Connection[Any], seller: str, as_of: int | None = None) -> list[Rate]:
    """By treatment, country, meter and instant."""
    return fetch(conn, Rate, _RATES, {"seller": seller}, as_of)


def buyer(conn: psycopg.Connection[Any], account: str, as_of: int | None = None) -> Buyer | None:
    """As what the account is invoiced; None without a seller."""
    return fetch_one(conn, Buyer, _BUYER, {"account": account}, as_of)


def invoice_tax(
    conn: psycopg.Connection[Any], invoice: str, as_of: int | None = None
) -> InvoiceTax | None:
    """None of an invoice without a seller."""
    return fetch_one(conn, InvoiceTax, _INVOICE, {"invoice": invoice}, as_of)


def credit_note(
    conn: psycopg.Connection[Any], credit_note_id: str, as_of: int | None = None
) -> CreditNote | None:
    """By its id or its number."""
    return fetch_one(conn, CreditNote, _CREDITS + _ONE, {"credit_note": credit_note_id}, as_of)


def credit_notes(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    account: str | None = None,
    invoice: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[CreditNote]:
    """Newest first, those before position `before`, the cursor."""
    asked = {
        "organization": organization, "account": account, "invoice": invoice, "before": before,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, CreditNote, _CREDITS + _PAGE, asked, as_of)
