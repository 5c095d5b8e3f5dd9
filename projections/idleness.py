"""Runtimes that nobody uses, by their nodes' words, and how long each may be idle."""

from typing import Final

from domain import runtime
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, nullable

SHAPES: Final = (
    Shape(
        "runtime_idle",
        ("runtime",),
        "runtime, from_position, to_position, version, idle_us, decided_us",
    ),
    Shape(
        "runtime_idle_limit",
        ("runtime",),
        "runtime, from_position, to_position, version, stop_after_us",
    ),
)

type _Onward = (
    runtime.Usable | runtime.Degraded | runtime.Stopping | runtime.Stopped | runtime.Failed
    | runtime.Lost
)  # fmt: skip


def _limited(b: Batch, e: Entry, f: runtime.IdleLimited) -> None:
    head, tail = f"{e.stream}\t{e.position}", f"{e.version}\t{f.stop_after_us}"
    b["runtime_idle_limit"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _idle(b: Batch, e: Entry, f: runtime.Idle) -> None:
    _said(b, e, f.idle_us, f.decided_us)


def _busy(b: Batch, e: Entry, f: runtime.Busy) -> None:
    # A row, not the end of one: the runtime's version is the newest of what is shown of it.
    _said(b, e, None, f.decided_us)


def _said(b: Batch, e: Entry, idle_us: int | None, decided_us: int) -> None:
    head, tail = f"{e.stream}\t{e.position}", f"{e.version}\t{nullable(idle_us)}\t{decided_us}"
    b["runtime_idle"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _over(b: Batch, e: Entry, _: _Onward) -> None:
    b["runtime_idle"].close(e.stream, e.position)


APPLY: Final[dict[type, Apply]] = {
    runtime.IdleLimited: _limited,
    runtime.Idle: _idle,
    runtime.Busy: _busy,
    runtime.Usable: _over,
    runtime.Degraded: _over,
    runtime.Stopping: _over,
    runtime.Stopped: _over,
    runtime.Failed: _over,
    runtime.Lost: _over,
}
