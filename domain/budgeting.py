"""Budgets that are spent and say `stop`: what runs below them is told to, the newest first, and
what is reserved there and costs while idle is ended.
"""

from typing import Final

from domain import budget, holding, quota, reservation, runtime
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.launch import step
from domain.together import end_reservation

_STOPS: Final = frozenset({budget.STOP})


def due_stops(state: AdmissionState, now_us: int) -> list[str]:
    """Runtimes that are to be told now and were not yet, and reservations that cost, the newest
    first: as `lending` has them, by the instant of their quota's decision, then by id.
    """
    found: list[tuple[int, str]] = []
    for stream, told in state.budgets.items():
        spent = [one for one in told.of.values() if _stops(one, now_us)]
        tree = state.quotas.get("quota-" + stream.removeprefix("budget-"))
        if not spent or tree is None:
            continue
        found += [
            (committed.decided_us, name)
            for name, committed in tree.live.items()
            if name in state.runtimes and _overspent(state, told, committed, now_us)
            if not isinstance(state.runtimes[name].state, runtime.Ending)
        ]
        found += [
            (reserved.decided_us, name)
            for name, reserved in tree.reserved.items()
            if _costs(state, told, reserved, now_us)
        ]
    return [name for _, name in sorted(found, reverse=True)]


def stop(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The runtime told to stop, or the reservation ended, as long as its budget says so; `()` if
    nothing is to do.
    """
    if stream in state.reservations:
        org = state.projects[state.reservations[stream].made.project].organization
        of = state.quotas.get(quota.quota_stream(org), quota.DECIDER.initial).reserved.get(stream)
        told = state.budgets.get(budget.budget_stream(org))
        if told is None or of is None or not _costs(state, told, of, now_us):
            return ()
        return end_reservation(state, stream, budget.EXHAUSTED, now_us)
    held = state.runtimes.get(stream)
    if held is None:
        return ()
    told = state.budgets.get(budget.budget_stream(held.org))
    tree = state.quotas.get(quota.quota_stream(held.org), quota.DECIDER.initial)
    committed = tree.live.get(stream)
    if told is None or committed is None or not _overspent(state, told, committed, now_us):
        return ()
    return step(state, stream, runtime.Stop(budget.EXHAUSTED, now_us))


def _costs(state: AdmissionState, told: budget.State, of: quota.Reserved, now_us: int) -> bool:
    """Whether the reservation is below a budget that is spent, and costs while it is idle."""
    stands = state.reservations.get(of.reservation)
    if not isinstance(stands, reservation.Standing):
        return False
    project, made = state.projects[of.project], stands.made
    scopes = (of.project, of.department, project.organization)
    if budget.barring(told, scopes, project.account, now_us, _STOPS) is None:
        return False
    return holding.costs_idle(state, project, made.model, made.nodes, made.until_us)


def _stops(one: budget.Budget, now_us: int) -> bool:
    return one.set.mode == budget.STOP and one.exhausted(now_us) is not None


def _overspent(
    state: AdmissionState, told: budget.State, committed: quota.Committed, now_us: int
) -> bool:
    held = state.runtimes[committed.runtime]
    scopes = (committed.project, committed.department, held.org)
    return budget.barring(told, scopes, held.account, now_us, _STOPS) is not None
