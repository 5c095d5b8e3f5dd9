"""Arbitrary valid facts, and a log written without the log's own code."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg
from hypothesis import strategies as st
from msgspec import Struct, inspect

from domain.facts import TAGS, encode_fact
from domain.words import Private
from projections.calls import CallRow
from projections.journal import IntervalRow, TransferRow
from projections.readings import ReadingRow

SEALS: dict[str, tuple[str, type[Struct]]] = {
    "IntervalsSealed": ("rated_interval", IntervalRow),
    "TransfersSealed": ("transfer", TransferRow),
    "ReadingsSealed": ("reading", ReadingRow),
    "CallsSealed": ("call", CallRow),
}
BIG = 10**38 - 1
integers = st.one_of(st.integers(0, 5), st.integers(-BIG, BIG), st.sampled_from([BIG, -BIG, 2**63]))
words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=12
) | st.sampled_from(["\\N", "\\", "\\t", "a\u00a0b", "x" * 9000, "é\U0001f600"])


def uuid(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


def ids(kind: str) -> st.SearchStrategy[str]:
    return st.integers(1, 3).map(lambda n: f"{kind}-{uuid(n)}")


ID_FIELDS = {
    "runtime", "allocation", "node", "project", "department", "organization", "account", "period",
    "invoice", "resource", "booked", "scope", "cost_centre",
}  # fmt: skip


def values(name: str, kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Anything the type allows and an entry may carry."""
    match kind:
        case inspect.IntType():
            return integers
        case inspect.StrType() if name in ID_FIELDS:
            return ids(name)
        case inspect.StrType():
            return words
        case inspect.BoolType():
            return st.booleans()
        case inspect.VarTupleType(item_type=item):
            return st.lists(values(name.rstrip("s"), item), max_size=3).map(tuple)
        case inspect.StructType(cls=cls) if cls is Private:
            return st.integers(0, 3).map(lambda n: Private(hashlib.sha256(b"%d" % n).hexdigest()))
        case inspect.StructType(cls=cls):
            return facts_of(cls)
        case inspect.UnionType(types=types):
            return st.one_of([values(name, t) for t in types if not _unset(t)])
        case inspect.NoneType():
            return st.none()
    raise AssertionError(kind)


def _unset(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.CustomType) or "Unset" in type(kind).__name__


def facts_of(cls: type[Struct]) -> st.SearchStrategy[Any]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return st.builds(cls, **{f.name: values(f.name, f.type) for f in info.fields})


def stream_kind(tag: str) -> str:
    area = tag.split(".")[1]
    others = {
        "evidence": "files", "price": "pricebook", "access": "organization",
        "credit_note": "invoice",
    }  # fmt: skip
    return others.get(area, area)


def bounded_rows(cls: type[Struct]) -> st.SearchStrategy[Any]:
    """Rows as the rater writes them: places in the log and counts fit 64 bits."""
    small = st.integers(0, 2**40)
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    fields = {}
    for f in info.fields:
        if f.name in {"row", "cause", "price", "debit_seq", "credit_seq"}:
            fields[f.name] = small
        elif f.name == "sign":
            fields[f.name] = st.sampled_from([1, -1])
        elif f.name in {"meter", "debit", "credit", "salt"}:
            fields[f.name] = st.sampled_from(["gpu.time", "unbilled", "a\\b"])
        else:
            fields[f.name] = values(f.name, f.type)
    made = st.builds(cls, **fields)
    # Nothing is moved from an account to itself.
    return made.filter(lambda row: getattr(row, "debit", "") != getattr(row, "credit", None))


class Told(Struct, frozen=True):
    """One fact for one stream, and the rows it seals."""

    stream: str
    tag: str
    fact: Any
    rows: tuple[Any, ...] = ()


@st.composite
def told(draw: st.DrawFn) -> Told:
    tag = draw(st.sampled_from(sorted(TAGS)))
    cls = TAGS[tag]
    stream = draw(ids(stream_kind(tag)))
    rows: tuple[Any, ...] = ()
    if cls.__name__ in SEALS:
        rows = tuple(draw(st.lists(bounded_rows(SEALS[cls.__name__][1]), min_size=1, max_size=4)))
    return Told(stream, tag, draw(facts_of(cls)), rows)


class RawLog:
    """Appends straight into the log's tables: valid entries but for the chain."""

    def __init__(self, owner: psycopg.Connection) -> None:
        self.owner = owner
        self.position = 0
        self.versions: dict[str, int] = {}
        self.next_row = {"rated_interval": 0, "transfer": 0, "reading": 0, "call": 0}

    def append(self, facts: Iterable[Told]) -> None:
        entries: list[tuple[int, int, int, str, bytes]] = []
        rows: list[tuple[str, int, bytes]] = []
        for each in facts:
            fact = each.fact
            if type(fact).__name__ in SEALS:
                fact = self._seal(each, rows)
            entries.append(self._entry(each.stream, each.tag, fact))
        with self.owner.transaction(), self.owner.cursor() as cursor:
            with cursor.copy(
                "COPY log.entry (position, version, span, stream, entry) FROM STDIN"
            ) as copy:
                for entry in entries:
                    copy.write_row(entry)
            with cursor.copy(
                "COPY log.bulk_row (bulk_table, row_number, row_bytes) FROM STDIN"
            ) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute("UPDATE log.head SET next_position = %s", (self.position,))

    def _seal(self, each: Told, rows: list[tuple[str, int, bytes]]) -> Struct:
        table = SEALS[type(each.fact).__name__][0]
        first = self.next_row[table]
        for number, row in enumerate(each.rows, first):
            raw = msgspec.json.encode(msgspec.structs.replace(row, row=number))
            rows.append((table, number, raw))
        self.next_row[table] = first + len(each.rows)
        sealed: Struct = msgspec.structs.replace(
            each.fact, table=table, first_row=first, count=len(each.rows)
        )
        return sealed

    def _entry(self, stream: str, tag: str, fact: Struct) -> tuple[int, int, int, str, bytes]:
        version = self.versions[stream] = self.versions.get(stream, 0) + 1
        position = self.position
        self.position += 1
        head = {
            "position": position, "prev": "0" * 64, "at_us": 1_700_000_000_000_000 + position,
            "salt": "0" * 32, "stream": stream, "version": version, "tag": tag,
            "org": f"organization-{uuid(1)}", "actor": f"user-{uuid(1)}",
            "cause": f"cmd:{position:064x}",
        }  # fmt: skip
        raw = msgspec.json.encode(head)[:-1] + b',"fact":' + encode_fact(fact) + b"}"
        return position, version, 1, stream, raw
