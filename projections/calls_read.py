"""Questions to counted calls: one row, and what proves it."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from evidence.reader import decode_entry, read_entries, read_rows
from gpuaas_verify.merkle import inclusion_proof, leaf_hash, nodes_of
from projections.asof import fetch_one

_ROW: Final = """
SELECT c.number, c.from_position, c.organization, c.outcome FROM views.call c
WHERE c.number = %(number)s"""
_ANY: Final = """
SELECT c.number, c.from_position, c.organization, c.outcome FROM views.call c
WHERE c.from_position = %(position)s AND c.organization = %(organization)s LIMIT 1"""


class Sealed(Struct, frozen=True):
    """A row and the position of its seal."""

    number: int
    from_position: int
    organization: str
    outcome: str


class Proved(Struct, frozen=True):
    """The row as it is sealed, its place among the `count` rows of its seal, and its path."""

    row: bytes
    index: int
    count: int
    path: list[bytes]


def sealed(conn: psycopg.Connection[Any], number: int) -> Sealed | None:
    return fetch_one(conn, Sealed, _ROW, {"number": number})


def has_row(conn: psycopg.Connection[Any], position: int, organization: str) -> bool:
    """Whether the seal at the position binds a row of the organization."""
    asked = {"position": position, "organization": organization}
    return fetch_one(conn, Sealed, _ANY, asked) is not None


def proved(conn: psycopg.Connection[Any], of: Sealed) -> Proved:
    """By all rows of its seal: at most some tens of thousands."""
    [(_, raw, *_)] = read_entries(conn, of.from_position, 1)
    seal: Any = decode_entry(bytes(raw)).fact
    rows = [bytes(row) for _, row in read_rows(conn, seal.table, seal.first_row, seal.count)]
    index = of.number - seal.first_row
    path = inclusion_proof(index, len(rows), nodes_of([leaf_hash(row) for row in rows]))
    return Proved(rows[index], index, len(rows), path)
