"""Tables as files, row by row: CSV (RFC 4180) and Parquet; what was written is handed out at once.

An amount is an integer of pico-units here and a decimal of twelve places there: decimal128(38,12).
"""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from domain.errors import DomainError
from projections.exporting.proof import PICO_DIGITS, decimal

_MOST: Final = 10**38

type Kind = Literal["text", "amount", "second", "whole", "big", "flag"]


class Column[R](Struct, frozen=True):
    """`values` of rows, one each, None for null. `amount`: pico; `second`: since the Unix epoch,
    UTC.

    `whole` fits 64 bits, `big` |n| < 10^38. `per`, like `values`: rows of which this says the same
    have the same value, so it is asked for one of them; None: each row has its own.
    """

    name: str
    kind: Kind
    values: Callable[[Sequence[R]], Sequence[Any]]
    per: Callable[[Sequence[R]], Sequence[Hashable]] | None = None


def each[R](value: Callable[[R], Any]) -> Callable[[Sequence[R]], Sequence[Any]]:
    """`values` of a column, from each row by itself."""
    return lambda rows: list(map(value, rows))


def always(rows: Sequence[object]) -> Sequence[None]:
    """All rows that are written at once have the same value: a `per`."""
    return [None] * len(rows)


class Group[R](Struct):
    """Rows told apart by a `per`: one row of each group, the number of each row's group, and that
    as an array of pyarrow once it was asked for.
    """

    rows: list[R]
    of: list[int]
    array: Any = None


class Groups[R]:
    """Rows that are written at once, told apart once for each `per`."""

    def __init__(self, rows: Sequence[R]) -> None:
        self.rows = rows
        self._found: dict[Callable[[Sequence[R]], Sequence[Hashable]], Group[R]] = {}

    def by(self, per: Callable[[Sequence[R]], Sequence[Hashable]]) -> Group[R]:
        found = self._found.get(per)
        if found is None:
            numbers: dict[Hashable, int] = defaultdict(count().__next__)
            of = [numbers[one] for one in per(self.rows)]
            found = Group([self.rows[of.index(n)] for n in range(len(numbers))], of)
            self._found[per] = found
        return found


class Table[R](Protocol):
    """Bytes piece by piece: `head`, `rows` any number of times, `tail`. Constant memory."""

    def head(self) -> bytes: ...
    def rows(self, rows: Sequence[R]) -> bytes: ...
    def tail(self) -> bytes: ...


@lru_cache(4096)
def iso(second: int) -> str:
    """`2025-01-01T00:00:00Z`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_WRITTEN: Final[dict[Kind, Callable[[Any], str]]] = {
    "text": str, "amount": decimal, "second": iso, "whole": str,
    "big": str,
    "flag": lambda said: "true" if said else "false",
}  # fmt: skip


class Csv[R]:
    """Null is an empty field."""

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        self._columns = columns

    def head(self) -> bytes:
        return _csv([[one.name for one in self._columns]])

    def rows(self, rows: Sequence[R]) -> bytes:
        if not rows:
            return b""
        groups = Groups(rows)
        return _csv(zip(*(_texts(one, groups) for one in self._columns), strict=True))

    def tail(self) -> bytes:
        return b""


def _texts[R](column: Column[R], groups: Groups[R]) -> list[str]:
    written = _WRITTEN[column.kind]
    group = None if column.per is None else groups.by(column.per)
    values = column.values(groups.rows if group is None else group.rows)
    found = ["" if one is None else written(one) for one in values]
    return found if group is None else [found[n] for n in group.of]


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


class Parquet[R]:
    """One row group for each call of `rows`; zstd.

    Texts that rows have in common (`per`) are written once a row group, as a dictionary; those
    that each row has for itself without one. Raises: DomainError export.no_parquet where pyarrow
    is not installed.
    """

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            detail = "this server has no pyarrow: install gpuaas[parquet]"
            raise DomainError("export.no_parquet", detail) from error
        self._pa = pa
        shared = pa.dictionary(pa.int32(), pa.string())
        self._kinds = {
            "text": pa.string(),
            "amount": pa.decimal128(38, PICO_DIGITS),
            "second": pa.timestamp("us", tz="UTC"),
            "whole": pa.int64(),
            "big": pa.decimal128(38, 0),
            "flag": pa.bool_(),
        }
        self._columns = columns
        self._schema = pa.schema(
            [
                (one.name, shared if one.per and one.kind == "text" else self._kinds[one.kind])
                for one in columns
            ]
        )
        self._out = _Sink()
        # Without the schema of pyarrow: to who reads it a text is a text, however it was written.
        self._writer = parquet.ParquetWriter(
            self._out, self._schema, compression="zstd", store_schema=False,
            use_dictionary=[one.name for one in columns if one.per],
        )  # fmt: skip

    def head(self) -> bytes:
        return self._taken()

    def rows(self, rows: Sequence[R]) -> bytes:
        if rows:
            groups, done = Groups(rows), dict[tuple[Any, Kind], Any]()
            arrays = [self._array(one, groups, done) for one in self._columns]
            batch = self._pa.record_batch(arrays, schema=self._schema)
            self._writer.write_batch(batch, row_group_size=len(rows))
        return self._taken()

    def _array(
        self, column: Column[R], groups: Groups[R], done: dict[tuple[Any, Kind], Any]
    ) -> Any:
        """`done`: columns of these rows by what they say; several say the same."""
        said = (column.values, column.kind)
        if said not in done:
            if column.per is None:
                done[said] = self._values(column, groups.rows)
            else:
                done[said] = self._shared(column, groups.by(column.per))
        return done[said]

    def _shared(self, column: Column[R], group: Group[R]) -> Any:
        pa = self._pa
        if group.array is None:
            group.array = pa.array(group.of, pa.int32())
        found = self._values(column, group.rows)
        return (found.dictionary_encode() if column.kind == "text" else found).take(group.array)

    def _values(self, column: Column[R], rows: Sequence[R]) -> Any:
        pa, kind = self._pa, self._kinds[column.kind]
        found = column.values(rows)
        if column.kind in {"amount", "big"}:
            return self._decimals(found, kind)
        if column.kind == "second":
            found = [None if one is None else one * 1_000_000 for one in found]
        return pa.array(found, kind)

    def _decimals(self, found: Sequence[int | None], kind: Any) -> Any:
        """From the integers themselves: 16 bytes each, little-endian, two's complement.

        Raises: ValueError |n| >= 10^38.
        """
        pa = self._pa
        try:
            # What fits 64 bits is widened by pyarrow, and then read with the places it has here.
            narrow = pa.array(found, pa.int64()).cast(pa.decimal128(38, 0))
            return pa.Array.from_buffers(kind, len(found), narrow.buffers())
        except OverflowError:
            pass
        there = pa.array([one is not None for one in found], pa.bool_())
        whole = [one or 0 for one in found]
        if not -_MOST < min(whole) <= max(whole) < _MOST:
            raise ValueError("an amount has 38 digits at most: decimal128's precision")
        data = b"".join([one.to_bytes(16, "little", signed=True) for one in whole])
        return pa.Array.from_buffers(kind, len(found), [there.buffers()[1], pa.py_buffer(data)])

    def tail(self) -> bytes:
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        return self._out.taken()


class _Sink(io.RawIOBase):
    """A file that keeps what was written until it is taken; places go on counting."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
