"""Accounts whose invoices were not paid for so long that what they run is told to stop, and what
they reserved is ended.
"""

from domain import credit, quota, reservation, runtime
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.launch import step
from domain.together import end_reservation


def due_stops(state: AdmissionState) -> list[str]:
    """Runtimes that are to be told and were not yet; reservations that stand."""
    payers = {name for name, one in state.purses.credit.items() if one.stops is not None}
    if not payers:
        return []
    running = [
        name
        for tree in state.quotas.values()
        for name, committed in tree.live.items()
        if state.projects[committed.project].account in payers and name in state.runtimes
        if not isinstance(state.runtimes[name].state, runtime.Ending)
    ]
    return running + [
        name
        for name, one in state.reservations.items()
        if isinstance(one, reservation.Standing) and payer_of(state, name) in payers
    ]


def stop(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The runtime told to stop, or the reservation ended, as long as its account says so; `()` if
    nothing is to do.
    """
    payer = payer_of(state, stream)
    standing = state.purses.credit.get(payer, credit.Credit())
    if standing.stops is None:
        return ()
    if stream in state.reservations:
        return end_reservation(state, stream, credit.OVERDUE, now_us)
    return step(state, stream, runtime.Stop(credit.OVERDUE, now_us))


def payer_of(state: AdmissionState, stream: str) -> str:
    """The account of a runtime that runs, or of a reservation; empty for one that does not run."""
    reserved = state.reservations.get(stream)
    if reserved is not None:
        return state.projects[reserved.made.project].account
    held = state.runtimes.get(stream)
    if held is None:
        return ""
    tree = state.quotas.get(quota.quota_stream(held.org), quota.DECIDER.initial)
    committed = tree.live.get(stream)
    return "" if committed is None else state.projects[committed.project].account
