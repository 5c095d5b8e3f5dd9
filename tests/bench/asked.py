"""What each bench was asked to reach: a floor, and a goal beyond it. Source: issues 2 to 5."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct


class Asked(Struct, frozen=True):
    """Of rows whose name begins with `name`: their ratio to the baseline, or the value itself, at
    least or at most so much.
    """

    name: str
    of: Literal["ratio", "value"]
    bound: Literal["at least", "at most"]
    floor: float
    goal: float

    def verdict(self, row: Mapping[str, Any]) -> str:
        """`goal`, `floor`: reached no more than that; `MISSED`."""
        sign = 1 if self.bound == "at least" else -1
        found = sign * row[self.of]
        if found >= sign * self.goal:
            return "goal"
        return "floor" if found >= sign * self.floor else "MISSED"


_RATIOS: Final = (
    ("one-event commands, 256 callers", 20, 35),
    ("admissions, one writer, 256 callers", 20, 60),
    ("batch ingest, 1,000 events per append", 0.6, 0.9),
    ("commands with chain, integrator, signer", 0.8, 0.92),
    ("offline verification", 0.4, 0.7),
    ("rebuild of all views", 0.3, 0.7),
    ("HTTP launches, durable", 0.15, 0.35),
    ("authorized GET of one runtime", 0.3, 0.6),
    ("readings ingested, deduplicated, sealed", 0.3, 0.8),
    ("readings rated, one core", 0.3, 0.8),
    ("runtimes rated, one core", 0.3, 0.8),
    ("transfers on one hot account", 10, 18),
    ("admissions with quota and hold, 16 clients", 5, 12),
)
_MOST: Final = (
    ("commit to signed checkpoint, p99", 500, 250),
    ("the whole trace replayed", 90, 15),
    ("beat of a returning node until it counts, p99", 5, 1),
    ("lease asked until granted, p99", 5, 1),
    ("reconnect storm after kill -9 of NATS", 60, 15),
    ("1,000 followers of", 1_000, 250),
    ("followers while authority changes", 1_000, 250),
    ("terminal echo added latency p99", 50, 15),
    ("authorization decision p99", 500, 250),
    ("1,000,000 charge lines to FOCUS Parquet", 20, 8),
    ("10^6 intervals re-rated, one core", 120, 60),
    ("invoice of 10,000 lines verified offline", 10, 3),
)
ASKED: Final = (
    *(Asked(name, "ratio", "at least", *bounds) for name, *bounds in _RATIOS),
    *(Asked(name, "value", "at most", *bounds) for name, *bounds in _MOST),
    Asked("list of 10^6 runtimes", "ratio", "at most", 1.5, 1.1),
    Asked("launch to usable with sshd answering", "ratio", "at most", 3, 1.5),
)


def asked_of(name: str) -> Asked | None:
    """What was asked of the row, if anything."""
    return next((one for one in ASKED if name.startswith(one.name)), None)


def judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with `floor`, `goal`, what they bound and the `verdict`, where something was asked."""
    asked = asked_of(row["name"])
    if asked is None:
        return dict(row)
    bounds = {"floor": asked.floor, "goal": asked.goal, "bounds": f"{asked.of} {asked.bound}"}
    return {**row, **bounds, "verdict": asked.verdict(row)}


def beside(before: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What was found before of anything else, in its place, and the rows."""
    found = {one["name"] for one in rows}
    return [*(one for one in before if one["name"] not in found), *rows]
