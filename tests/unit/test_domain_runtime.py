import pytest

from domain import runtime as r
from domain.instants import Anchor, billable_instant, hold_end, lost_instant
from domain.words import Share
from tests.unit.domain_world import ANCHOR, NAME, decided, refused, word

REQUEST = r.Request("project-1", "department-1", "account-1", NAME, 1, 500, (), 1)
REQUESTED = r.Requested("project-1", "department-1", "account-1", NAME, 1, 500, (), 1)
ALLOCATE = r.Allocate("allocation-1", "node-1", "T4", (Share(0, 500),), 1, 10)
ALLOCATED = r.Allocated("allocation-1", "node-1", "T4", (Share(0, 500),), 1, 10)
PLACED: tuple[r.Event, ...] = (REQUESTED, ALLOCATED)
BOOTING = (*PLACED, r.Starting(7, 11))
USABLE = r.Usable(20, 20, 30, word())
RUNNING = (*BOOTING, USABLE)
IMPAIRED = (*RUNNING, r.Degraded(25, 25, 30, word()))
ENDING_UNSTARTED = (*PLACED, r.Stopping("user", 40))
ENDING = (*RUNNING, r.Stopping("user", 40))
STOPPED = (*RUNNING, r.Stopped(50, 50, 60, word()))
LOST = (*RUNNING, r.Lost(20, 99))
CONFIGURE = r.Configure("image:1", "sha256:00", 500, 2**20, 64, 1, 3)
CONFIGURED = r.Configured("image:1", "sha256:00", 500, 2**20, 64, 1, 3)
ROUTE = r.ReportRouted("10.1.0.2", 22, "ssh-ed25519 AAAA", 60, ANCHOR, word(), 100)
ROUTED = r.Routed(60, "10.1.0.2", 22, "ssh-ed25519 AAAA", 100, word())
SAY_IDLE = r.ReportIdle(5, 60, ANCHOR, word(), 100)
SAY_BUSY = r.ReportBusy(60, ANCHOR, word(), 100)
IDLE = r.Idle(5, 60, 100, word())
BUSY = r.Busy(60, 100, word())
FAILED = (*BOOTING, r.Failed("oom", 12, 12, 13, word()))
CANCELLED = (*PLACED, r.Cancelled("user", 12))

SAY_USABLE = r.ReportUsable(60, ANCHOR, word(), 100)
SAY_DEGRADED = r.ReportDegraded(60, ANCHOR, word(), 100)
SAY_STOPPED = r.ReportStopped(60, ANCHOR, word(), 100)
SAY_FAILED = r.ReportFailed("oom", 60, ANCHOR, word(), 100)
STOP = r.Stop("user", 100)
CANCEL = r.Cancel("user", 100)
LOSE = r.DeclareLost(55, 0, 100)
START = r.Start(7, 100)

TABLE: list[tuple[str, tuple[r.Event, ...], r.Command, list[r.Event] | str]] = [
    ("request", (), REQUEST, [REQUESTED]),
    ("request again", (REQUESTED,), REQUEST, []),
    ("allocate", (REQUESTED,), ALLOCATE, [ALLOCATED]),
    ("allocate again", PLACED, ALLOCATE, []),
    ("allocate before request", (), ALLOCATE, "runtime.not_possible"),
    ("start", PLACED, START, [r.Starting(7, 100)]),
    ("start again", BOOTING, START, []),
    ("start with another number", BOOTING, r.Start(8, 100), "runtime.not_possible"),
    ("usable at once", PLACED, SAY_USABLE, [r.Usable(60, 60, 100, word())]),
    ("usable after start", BOOTING, SAY_USABLE, [r.Usable(60, 60, 100, word())]),
    ("usable again", RUNNING, SAY_USABLE, []),
    ("usable after degraded", IMPAIRED, SAY_USABLE, [r.Usable(60, 60, 100, word())]),
    ("usable, told after stop", ENDING_UNSTARTED, SAY_USABLE, [r.Usable(60, 60, 100, word())]),
    ("usable after the end", STOPPED, SAY_USABLE, "runtime.ended"),
    ("usable before allocation", (REQUESTED,), SAY_USABLE, "runtime.not_possible"),
    ("degraded", RUNNING, SAY_DEGRADED, [r.Degraded(60, 60, 100, word())]),
    ("degraded while stopping", ENDING, SAY_DEGRADED, [r.Degraded(60, 60, 100, word())]),
    ("degraded again", IMPAIRED, SAY_DEGRADED, []),
    ("degraded before usable", BOOTING, SAY_DEGRADED, "runtime.not_possible"),
    ("stop running", RUNNING, STOP, [r.Stopping("user", 100)]),
    ("stop placed", PLACED, STOP, [r.Stopping("user", 100)]),
    ("stop again", ENDING, STOP, []),
    ("stop the stopped", STOPPED, STOP, []),
    ("stopped", ENDING, SAY_STOPPED, [r.Stopped(60, 60, 100, word())]),
    ("stopped of itself", RUNNING, SAY_STOPPED, [r.Stopped(60, 60, 100, word())]),
    ("stopped again", STOPPED, SAY_STOPPED, []),
    ("stopped after lost", LOST, SAY_STOPPED, "runtime.ended"),
    ("failed", BOOTING, SAY_FAILED, [r.Failed("oom", 60, 60, 100, word())]),
    ("failed again", FAILED, SAY_FAILED, []),
    ("cancel placed", PLACED, CANCEL, [r.Cancelled("user", 100)]),
    ("cancel stopping, not started", ENDING_UNSTARTED, CANCEL, [r.Cancelled("user", 100)]),
    ("cancel what may run", BOOTING, CANCEL, "runtime.may_run"),
    ("cancel what runs", RUNNING, CANCEL, "runtime.may_run"),
    ("cancel again", CANCELLED, CANCEL, []),
    ("cancel the stopped", STOPPED, CANCEL, "runtime.ended"),
    ("lost", RUNNING, LOSE, [r.Lost(55, 100)]),
    ("lost again", LOST, LOSE, []),
    ("lost without a lease", RUNNING, r.DeclareLost(None, 0, 100), [r.Lost(20, 100)]),
    ("lost with a stale lease", RUNNING, r.DeclareLost(5, 0, 100), [r.Lost(20, 100)]),
    ("configure placed", PLACED, CONFIGURE, [CONFIGURED]),
    ("configure what runs", RUNNING, CONFIGURE, "runtime.not_possible"),
    ("configure nothing", PLACED, r.Configure("i", "d", 1, 1, 0, 0, 3), "runtime.limits_invalid"),
    ("a route, booting", BOOTING, ROUTE, [ROUTED]),
    ("a route, running", RUNNING, ROUTE, [ROUTED]),
    ("a route changes no state", (*BOOTING, ROUTED), SAY_USABLE, [r.Usable(60, 60, 100, word())]),
    ("a route while ending", (*RUNNING, r.Stopping("user", 90)), ROUTE, []),
    ("a route of the ended", STOPPED, ROUTE, "runtime.ended"),
    ("limit idle", PLACED, r.LimitIdle(9, 3), [r.IdleLimited(9, 3)]),
    ("limit idle to nothing", PLACED, r.LimitIdle(0, 3), "runtime.limits_invalid"),
    ("limit idle, running", RUNNING, r.LimitIdle(9, 3), "runtime.not_possible"),
    ("idle", RUNNING, SAY_IDLE, [IDLE]),
    ("idle again", (*RUNNING, IDLE), SAY_IDLE, []),
    ("used, idle", (*RUNNING, IDLE), SAY_BUSY, [BUSY]),
    ("used, not idle", RUNNING, SAY_BUSY, []),
    ("idle after used", (*RUNNING, IDLE, BUSY), SAY_IDLE, [IDLE]),
    ("idle before usable", BOOTING, SAY_IDLE, "runtime.not_possible"),
    ("idle while degraded", IMPAIRED, SAY_IDLE, "runtime.not_possible"),
    ("idle, usable anew", (*RUNNING, IDLE, *IMPAIRED[-1:], USABLE), SAY_IDLE, [IDLE]),
    ("used while stopping", (*RUNNING, IDLE, *ENDING[-1:]), SAY_BUSY, []),
    ("idle after the end", STOPPED, SAY_IDLE, "runtime.ended"),
    ("stop the idle", (*RUNNING, IDLE), STOP, [r.Stopping("user", 100)]),
    ("stop the unknown", (), STOP, "runtime.not_possible"),
]


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[r.Event, ...], when: r.Command, then: list[r.Event] | str
) -> None:
    """Each command in each state has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(r.DECIDER, given, when) == then
    else:
        assert decided(r.DECIDER, given, when) == then


@pytest.mark.parametrize(
    ("devices", "gpu_milli"), [(0, 0), (0, 500), (1, 0), (1, 1001), (2, 1000), (3, 1000), (-1, -9)]
)
def test_shapes_that_cannot_be_placed_are_refused(devices: int, gpu_milli: int) -> None:
    """A part of one device or whole devices; nothing else is a shape."""
    command = r.Request("p", "d", "a", NAME, devices, gpu_milli, (), 1)
    assert refused(r.DECIDER, (), command) == "runtime.shape_invalid"


def test_a_node_speaks_for_its_own_runtimes_only() -> None:
    """Another node's signature, or another boot's clock, opens no billable time."""
    foreign = r.ReportUsable(60, ANCHOR, word("node-2"), 100)
    assert refused(r.DECIDER, BOOTING, foreign) == "runtime.foreign_node"
    other_boot = r.ReportUsable(60, ANCHOR, word(boot="b2"), 100)
    assert refused(r.DECIDER, BOOTING, other_boot) == "runtime.foreign_boot"
    for lie in (
        r.ReportIdle(5, 60, ANCHOR, word("node-2"), 100),
        r.ReportBusy(60, ANCHOR, word("node-2"), 100),
    ):
        assert refused(r.DECIDER, RUNNING, lie) == "runtime.foreign_node"


def test_lost_waits_until_nothing_can_run_under_the_lease() -> None:
    """A device goes to someone else only after lease deadline + drift bound + stop latency."""
    over = hold_end(1_000_000)
    early = r.DeclareLost(55, 1_000_000, over - 1)
    assert refused(r.DECIDER, RUNNING, early) == "runtime.lease_not_over"
    assert decided(r.DECIDER, RUNNING, r.DeclareLost(55, 1_000_000, over)) == [r.Lost(55, over)]


def test_instants_never_go_back() -> None:
    """A stop attested before the usable it follows costs 0, not less."""
    early = r.ReportStopped(5, ANCHOR, word(), 100)
    assert decided(r.DECIDER, RUNNING, early) == [r.Stopped(5, 20, 100, word())]


@pytest.mark.parametrize(
    ("boottime", "anchor", "previous", "decided_us", "expected"),
    [
        (150, Anchor("b", 100, 1000), 0, 5000, 1050),
        (50, Anchor("b", 100, 1000), 0, 5000, 950),
        (50, Anchor("b", 100, 1000), 990, 5000, 990),
        (9000, Anchor("b", 100, 1000), 0, 5000, 5000),
        (9000, Anchor("b", 100, 1000), 6000, 5000, 6000),
    ],
)
def test_billable_instant(
    boottime: int, anchor: Anchor, previous: int, decided_us: int, expected: int
) -> None:
    """Anchor + delta, clamped between the previous instant and the decision (facts.md)."""
    assert billable_instant(boottime, anchor, previous, decided_us) == expected


def test_lost_instant_is_the_later_of_renewal_and_previous() -> None:
    """Billing of a lost runtime ends at its last logged renewal (MONEY.md section 2)."""
    assert (lost_instant(None, 7), lost_instant(5, 7), lost_instant(9, 7)) == (7, 7, 9)
