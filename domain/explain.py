"""Why here, why not there: every node's answer to a launch, from the admission's own state."""

from msgspec import Struct

from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.launch import Launch
from domain.node_state import Serving
from domain.placing import affordable, barred, choose, fitting, project_of
from domain.stock import Kind, kind_of
from domain.words import MILLI

CHOSEN = "chosen"
FITS = "fits"


class Verdict(Struct, frozen=True):
    """`why`: chosen, fits (another was better), or what says no; `facts` are its numbers."""

    node: str
    model: str
    why: str
    facts: dict[str, int | str]


def explain(state: AdmissionState, launch: Launch) -> tuple[Verdict, ...]:
    """One verdict a node, in order of enrolment; `chosen` is where `admit` would place it now.

    Raises: DomainError what refuses the launch before any node is looked at.
    """
    project = project_of(state, launch.organization, launch.project, launch.now_us)
    affordable(state, project, launch.project, launch.now_us)
    try:
        chosen = choose(state, launch, project)[1].node
    except DomainError as error:
        if error.code.startswith(("reservation.", "launch.")):
            raise
        chosen = ""
    bars: dict[Kind, DomainError | None] = {}
    found = []
    for name, serving in state.stock.states.items():
        kind = kind_of(serving)
        if kind not in bars:
            bars[kind] = barred(state, launch, project, kind)
        why, facts = _verdict(serving, launch, bars[kind])
        why = CHOSEN if name == chosen else why
        found.append(Verdict(name, kind[0], why, facts))
    return tuple(found)


def _verdict(
    serving: Serving, launch: Launch, bar: DomainError | None
) -> tuple[str, dict[str, int | str]]:
    upkeep = serving.upkeep
    if upkeep.retired:
        return "retired", {}
    if launch.models and serving.enrolled.model not in launch.models:
        return "model", {"model": serving.enrolled.model}
    if launch.region not in {"", serving.claims.region}:
        return "region", {"region": serving.claims.region}
    if serving.identity.barred:
        return "barred", {"identity": serving.identity.barred}
    if serving.unreachable:
        return "unreachable", {}
    if upkeep.cordoned:
        return "cordoned", {}
    if upkeep.drains:
        owner, reason = upkeep.drains[0]
        state = "drained" if upkeep.drained else "draining"
        return state, {"owner": owner, "reason": reason}
    if not fitting(serving, launch):
        return _short(serving, launch)
    if bar is not None:
        return bar.code, bar.facts
    return FITS, {}


def _short(serving: Serving, launch: Launch) -> tuple[str, dict[str, int | str]]:
    """Too few devices, and what keeps those that are empty from being counted.

    The first reason of this order that keeps any: quarantine, a reservation, a receipt owed.
    """
    empty = [index for index, free in enumerate(serving.free) if free >= launch.shape.each]
    mine = {"", launch.organization}
    ill = [index for index in empty if serving.upkeep.quarantined[index]]
    claimed = [index for index in empty if serving.claims.reserved[index] != launch.reservation]
    kept = [
        index
        for index in empty
        if serving.free[index] == MILLI and serving.owners[index] not in mine
    ]
    facts: dict[str, int | str] = {
        "wanted_devices": launch.devices,
        "wanted_milli": launch.gpu_milli,
        "quarantined": len(ill),
        "reserved": len(claimed),
        "awaiting_receipt": len(kept),
    }
    if ill:
        return "quarantined", {**facts, "reason": serving.upkeep.quarantined[ill[0]]}
    if claimed:
        return "reserved", facts
    return ("awaiting_receipt" if kept else "too_few_free"), facts
