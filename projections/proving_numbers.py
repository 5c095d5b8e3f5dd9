"""Which entries say how an invoice came to its number: evidence/invoice-proof.md section 2."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from evidence.reader import decode_entry, open_entry
from gpuaas_verify.proof_numbers import TAGS
from projections.billing_read import Invoice

# All that its account counted, and what its append counted: a few entries behind it.
_COUNTED: Final = """
SELECT e.position, e.entry FROM log.entry e
WHERE e.stream = %(account)s AND e.position < %(invoiced)s + 16 ORDER BY e.position
"""
# What its seller appended with it.
_NUMBERED: Final = """
SELECT e.position, e.entry FROM log.entry e
WHERE e.position > %(invoiced)s AND e.position < %(invoiced)s + 16 AND e.stream = %(seller)s
ORDER BY e.position
"""


def numbers_of(conn: psycopg.Connection[Any], invoice: Invoice) -> Iterator[int]:
    """Their positions: of its account's whole count, or of its seller's the one."""
    asked = {"account": invoice.account, "invoiced": invoice.from_position}
    query = _COUNTED if invoice.seller is None else _NUMBERED
    for position, entry in conn.execute(query, {**asked, "seller": invoice.seller}, binary=True):
        if open_entry(entry).tag in TAGS:
            fact: Any = decode_entry(entry).fact
            own = fact.invoice == invoice.invoice
            if own or position < invoice.from_position:
                yield int(position)
