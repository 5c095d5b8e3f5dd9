"""Which entries a credit note rests on beside its invoice's: evidence/invoice-proof.md."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.reader import decode_entry, open_entry
from gpuaas_verify.proof_notes import NUMBERED, ORDERED
from projections.asof import fetch
from projections.taxes_read import CreditNote


class _Issued(Struct, frozen=True):
    credit_note: str
    position: int
    seal: int


# It and those of the same invoice before it, each with the first seal of its file.
_ISSUED: Final = """
SELECT c.credit_note, c.from_position AS position,
  (SELECT min(s.from_position) FROM views.sealed_file s
    WHERE hashtextextended(s.name, 0) = hashtextextended(c.file, 0) AND s.name = c.file) AS seal
FROM views.credit_note c WHERE c.invoice = %(invoice)s AND c.from_position <= %(position)s
"""
# What its seller appended with it: a few entries behind it.
_NUMBERED: Final = """
SELECT e.position, e.entry FROM log.entry e
WHERE e.position > %(position)s AND e.position < %(position)s + 16 AND e.stream = %(seller)s
ORDER BY e.position
"""
_STREAM: Final = """
SELECT e.position, e.entry FROM log.entry e
WHERE e.stream = %(invoice)s AND e.position < %(position)s
"""


def credited(conn: psycopg.Connection[Any], note: CreditNote) -> Iterator[int]:
    """Positions: ordered, issued, numbered and sealed. Raises: DomainError storage.missing."""
    asked = {"invoice": note.invoice, "position": note.from_position}
    issued = fetch(conn, _Issued, _ISSUED, asked)
    names = {one.credit_note for one in issued}
    for one in issued:
        yield one.position
        yield one.seal
        yield _number_of(conn, note.seller, one)
    for position, entry in conn.execute(_STREAM, asked, binary=True):
        if open_entry(entry).tag == ORDERED:
            fact: Any = decode_entry(entry).fact
            if fact.credit_note in names:
                yield position


def _number_of(conn: psycopg.Connection[Any], seller: str, issued: _Issued) -> int:
    asked = {"seller": seller, "position": issued.position}
    for position, entry in conn.execute(_NUMBERED, asked, binary=True):
        if open_entry(entry).tag == NUMBERED:
            fact: Any = decode_entry(entry).fact
            if fact.credit_note == issued.credit_note:
                return int(position)
    raise DomainError("storage.missing", f"no number of {issued.credit_note} is with it")
