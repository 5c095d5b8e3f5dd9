"""Leases of nodes that run prepaid runtimes, as ingest takes them: pure decisions."""

import pytest

from api.fleet import commands, leases
from api.fleet.leases import Timing
from api.fleet.words import Renewing
from contracts import fleet
from contracts.fleet import Said, StartRuntime
from domain import node, runtime
from domain.errors import DomainError
from domain.instants import LEASE_US, Leasing, hold_end
from domain.wallet_facts import EXHAUSTED, HoldPlaced
from evidence.append import Append
from tests.unit.test_agent_ingest_words import KEY, NODE, ONE, T0, WORDS, Log, S, said, serving

WALLET = "wallet-01936f00-0000-7000-8000-000000000000"
HOLD = HoldPlaced(ONE, 5, T0 + S, hold_end(T0 + S + LEASE_US), T0 + S, 9, 5)
LEASE: Said = {"runtimes": [ONE]}


def prepaid(*, started: bool = True) -> Log:
    """As `serving`, with the hold that its admission places."""
    log = serving(started=False)
    log.add(WALLET, HOLD)
    if started:
        log.add(ONE, runtime.Starting(4, T0 + 300 * S), runtime.Usable(5, T0 + 9 * S, T0, WORDS))
    return log


def test_a_lease_on_which_a_hold_rests_is_the_admission_writers() -> None:
    """It alone extends holds. What is told to stop rests on none: then the lease is as any other."""
    log = prepaid()
    asked = said(log, fleet.LEASE_RENEWED, LEASE, stream=NODE)
    assert isinstance(asked, Renewing)
    assert (asked.wanted.node, asked.wanted.runtimes, asked.actor) == (NODE, (ONE,), NODE)
    assert isinstance(said(serving(), fleet.LEASE_RENEWED, LEASE, stream=NODE), Append)
    log.add(ONE, runtime.Stopping("asked", T0 + 400 * S))
    assert isinstance(said(log, fleet.LEASE_RENEWED, LEASE, stream=NODE), Append)
    assert log.node.exhausted() == ()


def test_what_cannot_be_paid_is_named_until_it_has_ended() -> None:
    """In every receipt that renews its node's lease, repeats included."""
    log = prepaid()
    log.add(ONE, runtime.Stopping(EXHAUSTED, T0 + 400 * S))
    assert log.node.exhausted() == (ONE,)
    log.add(ONE, runtime.Stopped(9, T0 + 401 * S, T0 + 402 * S, WORDS))
    assert log.node.exhausted() == ()


def test_a_late_start_gets_no_more_than_the_first_hold_covers() -> None:
    """The hold is counted from the allocation, so the first lease of a prepaid runtime is too."""
    log = prepaid(started=False)
    log.add(ONE, runtime.Starting(4, T0 + 300 * S))
    live = log.node.live[ONE]
    order = commands.order_of(KEY, log.node, live, T0 + 300 * S)
    assert order is not None
    assert isinstance(order.order, StartRuntime)
    end = order.order.lease_boottime_us - 100 * S + T0  # boot time 100 s is T0
    assert end == T0 + S + fleet.LEASE_US
    assert hold_end(end) == HOLD.until_us


def test_what_was_granted_under_other_settings_stays_what_the_log_says() -> None:
    """A lease is as long as its fact; a first one as its hold lets it be, whatever leases last now."""
    for now in (Leasing(300 * S), Leasing(stop_us=90 * S)):
        log = prepaid(started=False)
        log.state.leasing = now
        log.add(WALLET, HOLD)
        assert log.node.live[ONE].granted_us + now.grace_us == HOLD.until_us
        log.add(
            NODE, node.LeaseRenewed((ONE,), 120 * S, T0 + 20 * S, T0 + 20 * S + LEASE_US, WORDS)
        )
        assert log.node.lease_us == LEASE_US
        asked = said(log, fleet.LEASE_RENEWED, LEASE, stream=NODE)
        assert isinstance(asked, Renewing)


def test_a_lease_lasts_as_long_as_is_set_and_is_sure_after_its_grace() -> None:
    """Of the decider, and of what is declared lost: nothing ends before the setting's time."""
    short = Leasing(300 * S, 50, 10 * S)
    log = serving()
    log.state.leasing = short
    renewed = said(log, fleet.LEASE_RENEWED, LEASE, stream=NODE)
    assert isinstance(renewed, Append)
    [fact] = renewed.writes[0].facts
    assert isinstance(fact, node.LeaseRenewed)
    assert fact.until_us == fact.renewed_us + 300 * S
    log.add(NODE, fact)
    end = log.node.lease_end_us() + short.grace_us
    timing = leases.timing_of(short)
    assert leases.overdue(log.node, end, timing) == []
    [lost] = leases.overdue(log.node, end + 1, timing)
    assert lost.runtime == ONE
    with pytest.raises(DomainError, match="may still run"):
        leases.overdue(log.node, end + 1, Timing(grace_us=0))
