"""Tables as files, row by row: CSV (RFC 4180) and Parquet; what was written is handed out at once.

An amount is an integer of pico-units here and a decimal of twelve places there: decimal128(38,12).
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from domain.errors import DomainError
from projections.exporting.proof import PICO_DIGITS, decimal

_MOST: Final = 10**38

type Kind = Literal["text", "amount", "second", "whole", "big", "flag"]


class Column[R](Struct, frozen=True):
    """`value` of a row, None for null. `amount`: pico; `second`: since the Unix epoch, UTC.

    `whole` fits 64 bits, `big` |n| < 10^38. `same`: for all rows that are written at once.
    """

    name: str
    kind: Kind
    value: Callable[[R], Any]
    same: bool = False


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
        return _csv(zip(*(_texts(one, rows) for one in self._columns), strict=True))

    def tail(self) -> bytes:
        return b""


def _texts[R](column: Column[R], rows: Sequence[R]) -> list[str]:
    value, written = column.value, _WRITTEN[column.kind]
    if column.same:
        found = value(rows[0])
        return ["" if found is None else written(found)] * len(rows)
    return ["" if (found := value(row)) is None else written(found) for row in rows]


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


class Parquet[R]:
    """One row group for each call of `rows`; zstd.

    Raises: DomainError export.no_parquet where pyarrow is not installed.
    """

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            detail = "this server has no pyarrow: install gpuaas[parquet]"
            raise DomainError("export.no_parquet", detail) from error
        self._pa = pa
        kinds = {
            "text": pa.string(),
            "amount": pa.decimal128(38, PICO_DIGITS),
            "second": pa.timestamp("us", tz="UTC"),
            "whole": pa.int64(),
            "big": pa.decimal128(38, 0),
            "flag": pa.bool_(),
        }
        self._columns = columns
        self._schema = pa.schema([(one.name, kinds[one.kind]) for one in columns])
        self._out = _Sink()
        self._writer = parquet.ParquetWriter(self._out, self._schema, compression="zstd")

    def head(self) -> bytes:
        return self._taken()

    def rows(self, rows: Sequence[R]) -> bytes:
        if rows:
            arrays = [self._array(one, rows) for one in self._columns]
            batch = self._pa.record_batch(arrays, schema=self._schema)
            self._writer.write_batch(batch, row_group_size=len(rows))
        return self._taken()

    def _array(self, column: Column[R], rows: Sequence[R]) -> Any:
        pa, kind = self._pa, self._schema.field(column.name).type
        found = [column.value(row) for row in (rows[:1] if column.same else rows)]
        if column.kind in {"amount", "big"}:
            array = self._decimals(found, kind)
        elif column.kind == "second":
            array = pa.array([None if one is None else one * 1_000_000 for one in found], kind)
        else:
            array = pa.array(found, kind)
        return pa.repeat(array[0], len(rows)) if column.same else array

    def _decimals(self, found: Sequence[int | None], kind: Any) -> Any:
        """From the integers themselves: 16 bytes each, little-endian, two's complement.

        Raises: ValueError |n| >= 10^38.
        """
        pa = self._pa
        if any(one is not None and not -_MOST < one < _MOST for one in found):
            raise ValueError("an amount has 38 digits at most: decimal128's precision")
        there = pa.array([one is not None for one in found], pa.bool_())
        data = b"".join((one or 0).to_bytes(16, "little", signed=True) for one in found)
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
