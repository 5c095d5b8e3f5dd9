"""Budgets where they are obeyed: launches, volumes and stops in the admission, and its reads."""

import pytest
from msgspec.structs import replace

from api.admission.deciding import decide
from api.admission.due import due
from api.admission.wire import GrowAsk, LaunchAsk, OverspentAsk, VolumeAsk
from domain import budget, budgeting, project, runtime, storage
from domain import launch as launching
from domain.errors import DomainError
from domain.explain import explain
from domain.volume_facts import Formatted
from tests.unit.domain_world import ACCOUNT, DEPARTMENT, NAME, ORG, PROJECT, World, launch, word

BUDGETS = budget.budget_stream(ORG)
UNTIL = 100


def put(mode: str = budget.REFUSE, *, scope: str = PROJECT, amount: int = 10) -> budget.BudgetSet:
    return budget.BudgetSet(scope, ACCOUNT, "USD", amount, mode, 0)


def spent(*, scope: str = PROJECT, pico: int = 10) -> list[budget.Reached]:
    place = (scope, "period-1", UNTIL)
    return [budget.Reached(*place, percent, pico, 1) for percent in budget.PERCENTS]


def world(*facts: budget.Event) -> World:
    made = World([("T4", 8)], organizations=2)
    made.say(BUDGETS, *facts)
    return made


def volume(number: int, at: int = 5) -> storage.NewVolume:
    return storage.NewVolume(f"volume-{number}", ORG, PROJECT, NAME, 64, at)


def stored(made: World) -> None:
    """Its first volume, formatted."""
    storage.create(made.state, volume(1))
    made.say("volume-1", Formatted(1, "ext4_loop", 64 << 20, 1, 5, 5, word()))


@pytest.mark.parametrize("scope", [PROJECT, DEPARTMENT, ORG])
@pytest.mark.parametrize("mode", sorted(budget.HARD))
def test_what_is_spent_lets_nothing_new_begin(scope: str, mode: str) -> None:
    """Not a launch, nor one that is only explained, nor a volume or more of one; the refusal says
    whose budget, of how much, what was spent and until when.
    """
    made = world()
    stored(made)
    made.say(BUDGETS, put(mode, scope=scope), *spent(scope=scope))
    grow = storage.GrowVolume("volume-1", ORG, 128, 5)
    for attempt in (
        lambda: launching.admit(made.state, launch(1)),
        lambda: explain(made.state, launch(1)),
        lambda: storage.create(made.state, volume(2)),
        lambda: storage.grow(made.state, grow),
    ):
        with pytest.raises(DomainError) as caught:
            attempt()
        assert caught.value.code == "budget.exhausted"
        assert caught.value.facts == {
            "scope": scope, "currency": "USD", "amount_pico": 10, "spent_pico": 10,
            "until_us": UNTIL,
        }  # fmt: skip
    assert launching.admit(made.state, launch(2, org=2)), "another organization's launch"


def test_what_lets_launches_in_again() -> None:
    """A raise, another mode, the clearing, the next period; an amount that is still spent does
    not, and what is paid by another account never was refused.
    """
    for fact in (put(amount=11), put(budget.SOFT), budget.Cleared(PROJECT, 2)):
        assert launching.admit(world(put(), *spent(), fact).state, launch(1))
    assert launching.admit(world(put(), *spent()).state, launch(1, now_us=UNTIL))
    assert launching.admit(world(replace(put(), account="account-9"), *spent()).state, launch(1))
    for facts in ((put(amount=9),), (put(budget.STOP),)):
        with pytest.raises(DomainError):
            launching.admit(world(put(), *spent(), *facts).state, launch(1))


def test_a_stop_is_told_the_newest_first_and_only_below() -> None:
    """Of the scope's own account and projects; told once, and not after the budget was raised."""
    made = world()
    created = project.Created(ORG, "department-9", ACCOUNT, NAME, 0)
    made.say("project-9", created)
    for number, where in ((1, PROJECT), (2, "project-9"), (3, PROJECT)):
        launching.admit(made.state, replace(launch(number, now_us=number), project=where))
    launching.admit(made.state, launch(4, org=2, now_us=4))
    made.say(BUDGETS, put(budget.STOP, scope=DEPARTMENT), *spent(scope=DEPARTMENT))
    assert budgeting.due_stops(made.state, 5) == ["runtime-3", "runtime-1"]
    asks = [one for one in due(made.state, 5) if isinstance(one, OverspentAsk)]
    assert [one.runtime for one in asks] == ["runtime-3", "runtime-1"]
    [emit], append = decide(made.state, asks[0])
    assert emit.facts == (runtime.Stopping("budget.exhausted", 5),)
    assert append.reads == ((BUDGETS, made.state.version(BUDGETS)),)
    with pytest.raises(DomainError, match=r"admission\.nothing"):
        decide(made.state, asks[0])
    assert budgeting.due_stops(made.state, 5) == ["runtime-1"]
    assert not budgeting.due_stops(made.state, UNTIL)
    made.say(BUDGETS, put(budget.STOP, scope=DEPARTMENT, amount=11))
    assert not budgeting.due_stops(made.state, 5)
    assert budgeting.stop(made.state, "runtime-1", 5) == ()
    assert budgeting.stop(made.state, "runtime-9", 5) == ()


def test_what_begins_loses_to_a_budget_that_is_spent_meanwhile() -> None:
    """Its append reads the organization's budgets, there or not yet."""
    made = world()
    assert (BUDGETS, 0) in decide(made.state, LaunchAsk(launch(1), "a", "c"))[1].reads
    assert (BUDGETS, 0) in decide(made.state, VolumeAsk(volume(2), "a", "c"))[1].reads
    stored(made)
    made.say(BUDGETS, put())
    assert (BUDGETS, 1) in decide(made.state, LaunchAsk(launch(2), "a", "c"))[1].reads
    grow = GrowAsk(storage.GrowVolume("volume-1", ORG, 128, 5), "a", "c")
    assert (BUDGETS, 1) in decide(made.state, VolumeAsk(volume(3), "a", "c"))[1].reads
    assert (BUDGETS, 1) in decide(made.state, grow)[1].reads


def test_a_budget_keeps_its_account_until_it_is_cleared() -> None:
    """Whoever means another one clears it first; the same again says nothing."""
    state = budget.evolve(budget.DECIDER.initial, put())
    again = budget.Set(PROJECT, ACCOUNT, "USD", 10, budget.REFUSE, 7)
    assert budget.decide(again, state) == []
    with pytest.raises(DomainError, match=r"budget\.account_differs"):
        budget.decide(replace(again, account="account-2"), state)
    gone = budget.evolve(state, budget.Cleared(PROJECT, 1))
    assert budget.decide(replace(again, account="account-2"), gone)
    assert budget.decide(budget.Clear(PROJECT, 8), gone) == []
    assert budget.decide(budget.Observe(PROJECT, "period-1", UNTIL, 99, 99, 8), gone) == []


@pytest.mark.parametrize(("amount", "mode"), [(0, "soft"), (-1, "soft"), (10**38, "soft"), (1, "")])
def test_what_is_no_budget(amount: int, mode: str) -> None:
    """An amount above 0 that the books can hold, and a mode there is."""
    with pytest.raises(DomainError, match=r"budget\.invalid"):
        budget.decide(budget.Set(PROJECT, ACCOUNT, "USD", amount, mode, 0), budget.DECIDER.initial)
