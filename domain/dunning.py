"""Accounts whose invoices were not paid for so long that what they run is told to stop."""

from domain import credit, quota, runtime
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.launch import step


def due_stops(state: AdmissionState) -> list[str]:
    """Runtimes that are to be told and were not yet."""
    payers = {name for name, one in state.purses.credit.items() if one.stops is not None}
    if not payers:
        return []
    return [
        name
        for tree in state.quotas.values()
        for name, committed in tree.live.items()
        if state.projects[committed.project].account in payers and name in state.runtimes
        if not isinstance(state.runtimes[name].state, runtime.Ending)
    ]


def stop(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The runtime told to stop, as long as its account says so; `()` if nothing is to do."""
    payer = payer_of(state, stream)
    standing = state.purses.credit.get(payer, credit.Credit())
    if standing.stops is None:
        return ()
    return step(state, stream, runtime.Stop(credit.OVERDUE, now_us))


def payer_of(state: AdmissionState, stream: str) -> str:
    """The account of a runtime that runs; empty for one that does not."""
    held = state.runtimes.get(stream)
    if held is None:
        return ""
    tree = state.quotas.get(quota.quota_stream(held.org), quota.DECIDER.initial)
    committed = tree.live.get(stream)
    return "" if committed is None else state.projects[committed.project].account
