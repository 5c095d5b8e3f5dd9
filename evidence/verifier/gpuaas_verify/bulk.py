"""Bulk rows and the seals that bind them (EVIDENCE.md section 5, contracts/rating.md sections 4, 5
and 7).
"""

import re
from collections.abc import Iterator
from math import prod
from typing import Any, Final, NamedTuple

from gpuaas_verify import strict
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import Leaves, leaf_hash

_SALT = re.compile(r"[0-9a-f]{32}")


class Table(NamedTuple):
    """One table of rows: the tag of its seals, their sum field, the factors of a row's share of it,
    its fields.
    """

    seal: str
    sum_field: str
    factors: tuple[str, ...]
    fields: dict[str, tuple[type, ...]]

    def summand(self, row: dict[str, Any]) -> int:
        return prod(row[name] for name in self.factors)


def _fields(order: str) -> dict[str, tuple[type, ...]]:
    """Fields in order: `$` marks text, `?` an int or null, the rest are ints."""
    kinds: dict[str, tuple[type, ...]] = {"$": (str,), "?": (int, type(None))}
    return {name.rstrip("$?"): kinds.get(name[-1], (int,)) for name in order.split()}


TABLES: Final[dict[str, Table]] = {
    "rated_interval": Table(
        "gpuaas.rating.batch_sealed.v1",
        "quantity_sum",
        ("sign", "quantity"),
        _fields(
            "row salt$ cause resource$ meter$ price period$ booked$ start_us end_us sign quantity"
            " line_quantity line_amount_pico"
        ),
    ),
    "transfer": Table(
        "gpuaas.ledger.batch_sealed.v1",
        "amount_sum_pico",
        ("amount_pico",),
        _fields(
            "row salt$ id$ cause kind$ account$ debit$ credit$ currency$ amount_pico resource$"
            " meter$ price? period$ booked$ debit_seq debit_balance_pico credit_seq"
            " credit_balance_pico"
        ),
    ),
    "reading": Table(
        "gpuaas.usage.batch_sealed.v1",
        "quantity_sum",
        ("quantity",),
        _fields(
            "row salt$ source$ epoch sequence meter$ resource$ dimensions$ from_us to_us quantity"
            " chain$ sig$"
        ),
    ),
    "call": Table(
        "gpuaas.access.batch_sealed.v1",
        "calls_sum",
        ("calls",),
        _fields(
            "row salt$ org$ principal$ credential$ action$ outcome$ reason$ policies$ calls"
            " first_us last_us"
        ),
    ),
}
SEALS: Final = frozenset(table.seal for table in TABLES.values())


_INT = r"(?:0|-?[1-9][0-9]{0,37})"
_TEXT = r'"[ !#-\[\]-~]*"'
_FORMS = {(int,): _INT, (str,): _TEXT, (int, type(None)): f"(?:null|{_INT})"}


def _form(table: Table) -> re.Pattern[str]:
    """The canonical bytes of a plain row as a regular language, what the seal counts captured."""

    def value(name: str, accepted: tuple[type, ...]) -> str:
        if name == "salt":
            return f'"{_SALT.pattern}"'
        captured = name in {"row", *table.factors}
        return f"({_FORMS[accepted]})" if captured else _FORMS[accepted]

    fields = (f'"{name}":{value(name, kinds)}' for name, kinds in table.fields.items())
    return re.compile(rf"\{{{','.join(fields)}\}}")


_ROWS = {name: _form(table) for name, table in TABLES.items()}


def scan_row(raw: bytes, table: str) -> tuple[int, int] | None:
    """(number, share of the seal's sum) of a row that its bytes alone show to be right; None where
    decoding must.

    For rows no longer than they may be, as those out of a framed member are.
    """
    found = _ROWS[table].fullmatch(raw.decode("ascii", "replace"))
    if found is None:
        return None
    number, *factors = map(int, found.groups())
    return number, prod(factors)


def member_name(table: str, first_row: int) -> str:
    return f"bulk/{table}/{first_row}"


def parse_row(raw: bytes, table: str, number: int) -> dict[str, Any]:
    """The row these bytes are. Raises: Invalid `row.malformed`, `row.number` with table and row."""
    try:
        row = strict.decode(raw)
    except Invalid as error:
        raise Invalid("row.malformed", error.detail, table=table, row=number) from error
    fields = TABLES[table].fields
    if tuple(row) != tuple(fields):
        raise Invalid("row.malformed", "not the table's fields", table=table, row=number)
    for name, accepted in fields.items():
        if type(row[name]) not in accepted:
            detail = "a field has another type"
            raise Invalid("row.malformed", detail, table=table, row=number, field=name)
    if not _SALT.fullmatch(row["salt"]):
        raise Invalid("row.malformed", "not a salt", table=table, row=number, field="salt")
    if row["row"] != number:
        detail = f"row {row['row']} stands here"
        raise Invalid("row.number", detail, table=table, row=number, field="row")
    return row


def weigh_rows(items: Iterator[bytes], name: str, first: int, count: int) -> tuple[bytes, int]:
    """RFC 6962 root and sum of a run of rows, each of them found good.

    Raises: Invalid `row.*`, and `seal.count` when there are not `count` of them.
    """
    table = TABLES[name]
    leaves, total, number = Leaves(), 0, first
    for raw in items:
        if number == first + count:
            raise Invalid("seal.count", "more rows than sealed", table=name, row=number)
        seen = scan_row(raw, name)
        if seen is None or seen[0] != number:
            seen = (number, table.summand(parse_row(raw, name, number)))
        total += seen[1]
        leaves.append(leaf_hash(raw))
        number += 1
    if number != first + count:
        raise Invalid("seal.count", "rows are missing", table=name, row=number)
    return leaves.root(), total


def check_rows(items: Iterator[bytes], seal: Entry) -> int:
    """How many rows there are, when they are what the seal says.

    Raises: Invalid `row.*`, `seal.count`, `seal.root`, `seal.sum`, with the seal's position or the
    row.
    """
    fact = seal.fact
    name, first, count = fact["table"], fact["first_row"], fact["count"]
    root, total = weigh_rows(items, name, first, count)
    if root != bytes.fromhex(fact["root"]):
        raise _fail("seal.root", "the rows have another root", seal, "root", first)
    sum_field = TABLES[name].sum_field
    if total != fact[sum_field]:
        raise _fail("seal.sum", f"the sum is {total}", seal, sum_field, first)
    return count  # type: ignore[no-any-return]


def _fail(code: str, detail: str, seal: Entry, field: str, row: int | None = None) -> Invalid:
    table = seal.fact["table"] if row is not None else None
    return Invalid(code, detail, position=seal.position, table=table, row=row, field=field)


def _through(seal: Entry) -> int:
    # Readings are derived from nothing: theirs has no such field.
    through: int = seal.fact.get("through", seal.position - 1)
    return through


class SealChain:
    """The seals so far, per table: each continues the rows and names the seal before it."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Entry, int]] = {}

    def next_row(self, table: str) -> int:
        """How many rows of the table are sealed."""
        return self._last[table][1] if table in self._last else 0

    def apply(self, seal: Entry) -> None:
        """Nothing when the seal follows. Raises: Invalid `seal.*` with position and field."""
        fact = seal.fact
        table = TABLES.get(fact["table"])
        if table is None or table.seal != seal.tag:
            raise _fail("seal.table", "not a table this tag seals", seal, "table")
        if not seal.actor.startswith("system-"):
            raise _fail("seal.actor", "a seal is made by a system- actor", seal, "actor")
        before = self._last.get(fact["table"])
        last, next_row = before or (None, 0)
        if fact["first_row"] != next_row or fact["count"] < 1:
            raise _fail("seal.gap", f"the next row is {next_row}", seal, "first_row")
        if fact["prev_seal"] != (last.position if last else None):
            raise _fail("seal.prev", "not the position of the seal before", seal, "prev_seal")
        if last is not None and last.stream != seal.stream:
            raise _fail("seal.stream", "a table's seals are in one stream", seal, "stream")
        low = _through(last) if last else -1
        if not low < _through(seal) < seal.position:
            raise _fail("seal.through", "not after the last one's, not before", seal, "through")
        self._last[fact["table"]] = (seal, next_row + fact["count"])
