"""What will fit soon, from what is stopping, being wiped, or reserved until a known instant.

Nothing is promised: a launch is admitted by what is free then. What nobody can say is left out:
when a running runtime will be stopped, a drained or silent node comes back, an invited one enrols.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from domain import reservation, runtime
from domain.admission import AdmissionState
from domain.node_state import Serving, placeable
from domain.stock import Coming, kind_of, whole
from domain.words import MILLI

STOPPING: Final = "runtimes.stopping"
WIPING: Final = "devices.wiped"
RESERVED: Final = "reservation.ends"
_LATE: Final = 2  # what takes so many times longer than usual is no usual case: nothing is known
_LEAST: Final = 4  # of the usual time, the part that something under way takes at least


class Observed(Struct, frozen=True):
    """Medians of the last such transitions, us; None: none was seen."""

    stop_us: int | None
    wipe_us: int | None


class Soon(Struct, frozen=True):
    """So many whole devices of one node at that instant, and because of what."""

    devices: int
    at_us: int
    because: tuple[str, ...]


def coming(state: AdmissionState, model: str, organization: str) -> tuple[Coming, ...]:
    """By node of the model, what will be whole and the organization's to have."""
    found = []
    for name, serving in state.stock.states.items():
        if kind_of(serving)[0] == model and placeable(serving):
            reserved = _reserved(state, serving)
            one = Coming(
                node=name,
                free=len(whole(serving, organization)),
                stopping=_stopping(state, serving, organization),
                wiping=_wiping(serving, organization),
                reserved=reserved,
            )
            if one.stopping or one.wiping or reserved:
                found.append(one)
    return tuple(found)


def _usable(serving: Serving, index: int) -> bool:
    return not (serving.upkeep.quarantined[index] or serving.claims.reserved[index])


def _stopping(
    state: AdmissionState, serving: Serving, organization: str
) -> tuple[tuple[int, int, bool], ...]:
    """(since when, how many devices it leaves empty, whether they are wiped for this caller)."""
    found = []
    for name in serving.held.keys() & state.stopping:
        ending, mine = state.runtimes[name].state, serving.held[name]
        assert isinstance(ending, runtime.Ending), "what is stopping"
        empty = [
            share.index
            for share in mine.devices
            if _usable(serving, share.index) and serving.free[share.index] + share.milli == MILLI
        ]
        wiped = serving.upkeep.strict and mine.organization != organization
        if empty:
            found.append((ending.previous_us, len(empty), wiped))
    return tuple(sorted(found))


def _wiping(serving: Serving, organization: str) -> int:
    """Empty devices that wait for a receipt: whoever had them may have them at once."""
    return sum(
        free == MILLI and _usable(serving, index) and owner not in {"", organization}
        for index, (free, owner) in enumerate(zip(serving.free, serving.owners, strict=True))
    )


def _reserved(state: AdmissionState, serving: Serving) -> tuple[tuple[int, int], ...]:
    """(until when, how many empty devices) of reservations that stand."""
    until: dict[int, int] = {}
    for index, name in enumerate(serving.claims.reserved):
        stands = state.reservations.get(name)
        empty = serving.free[index] == MILLI and not serving.upkeep.quarantined[index]
        if isinstance(stands, reservation.Standing) and empty:
            at = stands.made.until_us
            until[at] = until.get(at, 0) + 1
    return tuple(sorted(until.items()))


def soon(
    nodes: Iterable[Coming], most_now: int, observed: Observed, now_us: int
) -> tuple[Soon, ...]:
    """In order of time: each instant at which a node has more whole devices than any before."""
    events = sorted(
        (at_us, node.node, devices, because, node.free)
        for node in nodes
        for at_us, devices, because in _events(node, observed, now_us)
    )
    sums: dict[str, int] = {}
    reasons: dict[str, set[str]] = {}
    found: list[Soon] = []
    most = most_now
    for at_us, name, devices, because, free in events:
        sums[name] = sums.get(name, free) + devices
        reasons.setdefault(name, set()).add(because)
        if sums[name] > most:
            most = sums[name]
            found.append(Soon(most, at_us, tuple(sorted(reasons[name]))))
    return tuple(found)


def _events(node: Coming, observed: Observed, now_us: int) -> Iterable[tuple[int, int, str]]:
    stop_us, wipe_us = observed.stop_us, observed.wipe_us
    for since_us, devices, wiped in node.stopping:
        if stop_us is None or now_us - since_us > _LATE * stop_us or (wiped and wipe_us is None):
            continue
        at_us = max(since_us + stop_us, now_us + stop_us // _LEAST)
        yield at_us + (wipe_us or 0) * wiped, devices, STOPPING
    if node.wiping and wipe_us is not None:
        yield now_us + wipe_us, node.wiping, WIPING
    for until_us, devices in node.reserved:
        yield max(until_us, now_us), devices, RESERVED
