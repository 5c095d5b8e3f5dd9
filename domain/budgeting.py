"""Budgets that are spent and say `stop`: what runs below them is told to, the newest first."""

from typing import Final

from domain import budget, quota, runtime
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.launch import step

_STOPS: Final = frozenset({budget.STOP})


def due_stops(state: AdmissionState, now_us: int) -> list[str]:
    """Runtimes that are to be told now and were not yet, the newest first: as `lending` has them,
    by the instant of their quota's decision, then by id.
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
    return [name for _, name in sorted(found, reverse=True)]


def stop(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The runtime told to stop, as long as its budget says so; `()` if nothing is to do."""
    held = state.runtimes.get(stream)
    if held is None:
        return ()
    told = state.budgets.get(budget.budget_stream(held.org))
    tree = state.quotas.get(quota.quota_stream(held.org), quota.DECIDER.initial)
    committed = tree.live.get(stream)
    if told is None or committed is None or not _overspent(state, told, committed, now_us):
        return ()
    return step(state, stream, runtime.Stop(budget.EXHAUSTED, now_us))


def _stops(one: budget.Budget, now_us: int) -> bool:
    return one.set.mode == budget.STOP and one.exhausted(now_us) is not None


def _overspent(
    state: AdmissionState, told: budget.State, committed: quota.Committed, now_us: int
) -> bool:
    held = state.runtimes[committed.runtime]
    scopes = (committed.project, committed.department, held.org)
    return budget.barring(told, scopes, held.account, now_us, _STOPS) is not None
