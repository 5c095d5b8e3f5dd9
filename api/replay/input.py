"""The files of a replay, checked whole before anything is written; the first fault by its line."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.pricebook import PRICE_LIMIT
from domain.words import MILLI
from projections import months

NODE_COLUMNS: Final = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS: Final = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos", "pod_phase",
    "creation_time", "deletion_time", "scheduled_time",
)  # fmt: skip
PRICE_COLUMNS: Final = ("model", "effective_from_s", "pico_usd_per_gpu_hour", "note")
_WHOLE: Final = re.compile(r"0|[1-9][0-9]*").fullmatch
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_NUMBERED: Final = re.compile(r"([0-9]+)$").search
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
MOST_SECONDS: Final = 10**10  # some 300 years: what a calendar can still hold
MOST_GPUS: Final = 64
SECOND_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NodeRow(Struct, frozen=True):
    sn: str
    gpus: int
    model: str


class Task(Struct, frozen=True):
    """One GPU task that ran: `row` of the pods file (0-based), seconds of the trace."""

    row: int
    name: str
    number: int
    gpus: int
    milli_each: int
    models: tuple[str, ...]
    qos: str
    start_s: int
    end_s: int


class PriceRow(Struct, frozen=True):
    model: str
    from_s: int
    pico: int


class Trace(Struct, frozen=True):
    """All of the input. `digest` names it: same files, start and zone, same digest."""

    nodes: tuple[NodeRow, ...]
    tasks: tuple[Task, ...]
    prices: tuple[PriceRow, ...]
    skipped: int
    start_us: int
    zone: str
    digest: bytes


def _fault(path: Path, line: int, detail: str) -> DomainError:
    return DomainError("replay.input", f"{path.name} line {line}: {detail}", {"line": line})


def read_trace(nodes: Path, pods: Path, prices: Path, start: str, zone: str) -> Trace:
    """The checked input.

    Raises:
        DomainError: `replay.input`, naming file and line (or the argument) of the first fault.
    """
    start_us = instant(start)
    _require_zone(zone)
    priced = _prices(prices)
    machines = _nodes(nodes, {row.model for row in priced})
    tasks, skipped = _tasks(pods, {row.model for row in priced})
    _require_priced(prices, priced, machines, tasks)
    _require_calendar(start, start_us, zone, max((task.end_s for task in tasks), default=0))
    digest = hashlib.sha256(b"gpuaas-replay/1\n")
    for path in (nodes, pods, prices):
        digest.update(hashlib.sha256(_bytes(path)).digest())
    digest.update(f"\n{start_us}\n{zone}\n".encode())
    return Trace(machines, tasks, priced, skipped, start_us, zone, digest.digest())


def instant(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 instant. Raises: DomainError replay.input."""
    detail = f"--start is no RFC 3339 instant with a zone: {text!r}"
    if not _RFC3339(text):
        raise DomainError("replay.input", detail)
    try:
        delta = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise DomainError("replay.input", detail) from error
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds


def _require_zone(zone: str) -> None:
    try:
        months.zone(zone)
    except DomainError as error:
        raise DomainError("replay.input", f"--zone is no IANA time zone: {zone!r}") from error


def _require_calendar(start: str, start_us: int, zone: str, last_s: int) -> None:
    """Every billing month of the trace, and those around it, are months of the calendar."""
    detail = f"--start: the trace must lie between the years 1970 and 9999: {start!r}"
    if start_us < 0:
        raise DomainError("replay.input", detail)
    try:
        months.month_after(month_starts(start_us, start_us + last_s * SECOND_US, zone)[-1], zone)
    except DomainError as error:
        raise DomainError("replay.input", detail) from error


def month_starts(start_us: int, end_us: int, zone: str) -> list[int]:
    """Starts of the local months that cover [start, end], and the one after the last; us UTC."""
    starts = [*months.month_of(start_us, zone)]
    while starts[-1] <= end_us:
        starts.append(months.month_after(starts[-1], zone))
    return starts


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror or error}"
        raise DomainError("replay.input", detail) from error


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row by column name); the header must be exactly the columns."""
    try:
        text = _bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _fault(path, line, "not UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != columns:
            raise _fault(path, 1, f"the columns must be {','.join(columns)}")
        for fields in reader:
            if len(fields) != len(columns):
                detail = f"{len(fields)} fields, not {len(columns)}"
                raise _fault(path, reader.line_num, detail)
            yield reader.line_num, dict(zip(columns, fields, strict=True))
    except csv.Error as error:
        raise _fault(path, reader.line_num, str(error)) from error


def _whole(path: Path, line: int, row: dict[str, str], column: str, most: int) -> int:
    text = row[column]
    if text.startswith("-") and _WHOLE(text[1:]):
        raise _fault(path, line, f"{column} is negative: {text}")
    if len(text) > 39 or not _WHOLE(text):
        raise _fault(path, line, f"{column} is no whole number: {text[:40]!r}")
    if int(text) > most:
        raise _fault(path, line, f"{column} is over {most}: {text}")
    return int(text)


def _name(path: Path, line: int, row: dict[str, str], column: str) -> str:
    if not _NAME(row[column]):
        raise _fault(path, line, f"{column} is no name: {row[column][:40]!r}")
    return row[column]


def _prices(path: Path) -> tuple[PriceRow, ...]:
    rows: list[PriceRow] = []
    known: set[tuple[str, int]] = set()
    for line, row in _rows(path, PRICE_COLUMNS):
        price = PriceRow(
            _name(path, line, row, "model"),
            _whole(path, line, row, "effective_from_s", MOST_SECONDS),
            _whole(path, line, row, "pico_usd_per_gpu_hour", PRICE_LIMIT),
        )
        if (price.model, price.from_s) in known:
            raise _fault(path, line, f"a second price of {price.model} from {price.from_s}")
        known.add((price.model, price.from_s))
        rows.append(price)
    return tuple(rows)


def _nodes(path: Path, models: set[str]) -> tuple[NodeRow, ...]:
    rows: dict[str, NodeRow] = {}
    for line, row in _rows(path, NODE_COLUMNS):
        sn, model = _name(path, line, row, "sn"), _name(path, line, row, "model")
        if sn in rows:
            raise _fault(path, line, f"a second node {sn}")
        if model not in models:
            raise _fault(path, line, f"unknown model {model}: it has no price")
        for column in ("cpu_milli", "memory_mib"):
            _whole(path, line, row, column, 10**12)
        gpus = _whole(path, line, row, "gpu", MOST_GPUS)
        if gpus == 0:
            raise _fault(path, line, "a node without GPUs")
        rows[sn] = NodeRow(sn, gpus, model)
    if not rows:
        raise _fault(path, 1, "no node")
    return tuple(rows.values())


def _tasks(path: Path, models: set[str]) -> tuple[tuple[Task, ...], int]:
    """The GPU tasks that were scheduled and deleted, and how many rows were none."""
    tasks: list[Task] = []
    names: set[str] = set()
    count = 0
    for line, row in _rows(path, POD_COLUMNS):
        task = _task(path, line, row, models, count)
        if row["name"] in names:
            raise _fault(path, line, f"a second task {row['name']}")
        names.add(row["name"])
        count += 1
        if task is not None:
            tasks.append(task)
    return tuple(tasks), count - len(tasks)


def _task(path: Path, line: int, row: dict[str, str], models: set[str], number: int) -> Task | None:
    name, qos = _name(path, line, row, "name"), _name(path, line, row, "qos")
    for column in ("cpu_milli", "memory_mib"):
        _whole(path, line, row, column, 10**12)
    gpus = _whole(path, line, row, "num_gpu", MOST_GPUS)
    milli = _whole(path, line, row, "gpu_milli", MILLI)
    accepted = tuple(row["gpu_spec"].split("|")) if row["gpu_spec"] else ()
    for model in accepted:
        if model not in models:
            raise _fault(path, line, f"unknown model {model[:40]!r}: it has no price")
    times = {
        column: _whole(path, line, row, column, MOST_SECONDS) if row[column] else None
        for column in ("creation_time", "scheduled_time", "deletion_time")
    }
    start, end = times["scheduled_time"], times["deletion_time"]
    if start is not None and end is not None and end < start:
        raise _fault(path, line, f"deleted at {end}, before it was scheduled at {start}")
    if gpus == 0 or start is None or end is None:
        return None
    if milli == 0 or (gpus > 1 and milli != MILLI):
        raise _fault(path, line, f"{gpus} GPUs of {milli} milli: several are whole, one has some")
    numbered = _NUMBERED(name)
    if numbered is None:
        raise _fault(path, line, f"the name {name} ends in no number")
    number_in_name = int(numbered[1])
    return Task(number, name, number_in_name, gpus, milli, accepted, qos, start, end)


def _require_priced(
    path: Path,
    prices: tuple[PriceRow, ...],
    nodes: tuple[NodeRow, ...],
    tasks: tuple[Task, ...],
) -> None:
    first = min((task.start_s for task in tasks), default=0)
    for model in sorted({node.model for node in nodes}):
        if min(price.from_s for price in prices if price.model == model) > first:
            detail = f"{path.name}: {model} has no price at second {first}, the first start"
            raise DomainError("replay.input", detail)
