"""The end of an organization, carried out by the admission: stop, wipe, closed.

From its `closing_started` on it starts nothing new. At `stop_us` its runtimes are told to stop and
its reservations end, from `wipe_us` on its volumes are wiped; when it has none of them any more it
is closed. Until then it may be withdrawn: what was told stays told.
"""

from typing import Final

from domain import organization, reservation, runtime, volume
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import emitted, step
from domain.together import end_reservation

REASON: Final = "organization.closing"


def due(state: AdmissionState, now_us: int) -> list[tuple[str, str]]:
    """(organization, stream) of each thing to be told or ended by now, the organization itself
    when nothing is left of it.
    """
    found: list[tuple[str, str]] = []
    for org, standing in state.organizations.items():
        if not isinstance(standing, organization.Closing) or now_us < standing.stop_us:
            continue
        left = _left(state, org)
        told = [name for name in left if _to_tell(state, name, standing, now_us)]
        found += [(org, name) for name in told]
        if not left and now_us >= standing.wipe_us:
            found.append((org, org))
    return found


def carry_out(state: AdmissionState, org: str, stream: str, now_us: int) -> tuple[Emit, ...]:
    """What is due of this stream; `()` when nothing is."""
    standing = state.organizations.get(org)
    if not isinstance(standing, organization.Closing) or now_us < standing.stop_us:
        return ()
    if stream == org:
        if now_us < standing.wipe_us or _left(state, org):
            return ()
        facts = organization.decide(organization.Finish(now_us), standing)
        return emitted(state, org, (org, tuple(facts)))
    if not _to_tell(state, stream, standing, now_us):
        return ()
    if stream in state.runtimes:
        return step(state, stream, runtime.Stop(REASON, now_us))
    if stream in state.reservations:
        return end_reservation(state, stream, REASON, now_us)
    wipe = volume.decide(volume.Wipe(now_us), state.volumes[stream].state)
    return emitted(state, org, (stream, tuple(wipe)))


def _left(state: AdmissionState, org: str) -> list[str]:
    """Its runtimes, reservations and volumes that are not over."""
    mine = {name for name, one in state.projects.items() if one.organization == org}
    return [
        *(name for name, held in state.runtimes.items() if held.org == org),
        *(
            name
            for name, found in state.reservations.items()
            if isinstance(found, reservation.Standing) and found.made.project in mine
        ),
        *(name for name, stored in state.volumes.items() if stored.state.created.project in mine),
    ]


def _to_tell(state: AdmissionState, name: str, standing: organization.Closing, now_us: int) -> bool:
    if name in state.runtimes:
        return not isinstance(state.runtimes[name].state, runtime.Ending)
    if name in state.reservations:
        return isinstance(state.reservations[name], reservation.Standing)
    if now_us < standing.wipe_us or name not in state.volumes:
        return False
    try:
        return bool(volume.decide(volume.Wipe(now_us), state.volumes[name].state))
    except DomainError:
        return False  # a runtime has it, or an order is under way: later
