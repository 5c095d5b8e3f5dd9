"""When nodes said that something happened, by their boot clocks, and when it is held to have."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from domain import runtime, volume
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "attested_instant",
        (),
        "from_position, to_position, node, subject, what, boottime_us, held_us, decided_us",
    ),
)


def _said(what: str) -> Apply:
    """What happened at `<what>_us`, in the fact that says so."""
    held: Callable[[Any], int] = attrgetter(f"{what}_us")

    def apply(b: Batch, e: Entry, f: Any) -> None:
        tail = (
            f"{text(f.attested.node)}\t{e.stream}\t{what}\t{f.boottime_us}\t{held(f)}\t"
            f"{f.decided_us}"
        )
        b["attested_instant"].add(str(e.position), tail)

    return apply


APPLY: Final[dict[type, Apply]] = {
    runtime.Usable: _said("usable"),
    runtime.Degraded: _said("degraded"),
    runtime.Stopped: _said("stopped"),
    runtime.Failed: _said("failed"),
    volume.Formatted: _said("formatted"),
    volume.Grown: _said("grown"),
    volume.Wiped: _said("wiped"),
}
