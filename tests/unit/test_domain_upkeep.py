import pytest
from msgspec.structs import replace

from domain import node as n
from domain import node_facts as f
from domain import upkeep as u
from domain.canary import CanaryLooked
from domain.decider import fold
from domain.words import Share
from tests.unit.domain_world import decided, enrolled, refused, word

SIMULATED: tuple[n.Event, ...] = (*enrolled("T4", 2), n.Anchored("b1", 5, 1000, word()))
REAL: tuple[n.Event, ...] = (
    *enrolled("T4", 2, simulated=False),
    n.Anchored("b1", 5, 1000, word()),
)
RELEASED = n.Released("allocation-1", "runtime-1", 30)
DRAIN = u.Drain("operator", "fan", 9)
DRAINING = f.DrainStarted("operator", "fan", 9)
PLEASE = f.SanitizeRequested((0,), "emptied", 30)


def taken(number: int, *shares: tuple[int, int], org: str = "organization-1") -> n.Allocated:
    devices = tuple(Share(*share) for share in shares)
    return n.Allocated(f"allocation-{number}", f"runtime-{number}", org, devices, number, 20)


def take(number: int, *shares: tuple[int, int], org: str = "organization-1") -> n.Allocate:
    devices = tuple(Share(*share) for share in shares)
    return n.Allocate(f"allocation-{number}", f"runtime-{number}", org, devices, 20)


def report(*devices: int, covered: int = 16, left: int = 0, boot: str = "b1") -> u.ReportSanitized:
    said = (devices, "fill", covered, 7, "570.1", None, left)
    return u.ReportSanitized(*said, 99, word(boot=boot), 40)


def receipt(*devices: int, covered: int = 16, left: int = 0) -> f.Sanitized:
    return f.Sanitized(devices, "fill", covered, 7, "570.1", None, left, 99, 40, word())


def canary(*devices: int, planted: int = 9, looked: int = 9, found: int = 0) -> CanaryLooked:
    return CanaryLooked(devices, 5, "cuda_marker", planted, looked, found, 7, 99, 40, word())


def looked(*devices: int, **places: int) -> u.ReportCanary:
    return u.ReportCanary(canary(*devices, **places))


FOUND = f.Quarantined((0, 1), "canary.found", 40)
ILL = f.Quarantined((0,), "health.xid.48", 9)
HELD = (*SIMULATED, taken(1, (0, 1000)))
USED = (*REAL, taken(1, (0, 1000)), RELEASED, PLEASE)
LEFT = f.Quarantined((0,), "sanitize.left", 40)
SICK = f.Quarantined((1,), "xid", 9)

TABLE: list[tuple[str, tuple[n.Event, ...], n.Command, list[n.Event] | str]] = [
    ("drain the empty", SIMULATED, DRAIN, [DRAINING, f.Drained(9)]),
    ("drain what works", HELD, DRAIN, [DRAINING]),
    ("drain again", (*HELD, DRAINING), DRAIN, []),
    ("drain for another reason too", (*HELD, DRAINING), u.Drain("operator", "disk", 9), [f.DrainStarted("operator", "disk", 9)]),
    ("the last release ends the draining", (*HELD, DRAINING), n.Release("allocation-1", "runtime-1", 30), [RELEASED, f.Drained(30)]),
    ("one of two releases does not", (*HELD, taken(2, (1, 5)), DRAINING), n.Release("allocation-1", "runtime-1", 30), [RELEASED]),
    ("undrain", (*HELD, DRAINING), u.Undrain("operator", "fan", 9), [f.DrainEnded("operator", "fan", 9)]),
    ("undrain the open", HELD, u.Undrain("operator", "fan", 9), []),
    ("undrain for another reason", (*HELD, DRAINING), u.Undrain("operator", "disk", 9), "node.drain_foreign"),
    ("undrain another's", (*HELD, DRAINING), u.Undrain("system-health", "fan", 9), "node.drain_foreign"),
    ("place on the draining", (*SIMULATED, DRAINING), take(1, (0, 1)), "node.not_placeable"),
    ("place where one drain of two ended", (*SIMULATED, DRAINING, f.DrainStarted("system-health", "xid", 9), f.DrainEnded("operator", "fan", 9)), take(1, (0, 1)), "node.not_placeable"),
    ("place after the last drain", (*SIMULATED, DRAINING, f.Drained(9), f.DrainEnded("operator", "fan", 9)), take(1, (0, 1)), [taken(1, (0, 1))]),
    ("quarantine a device", SIMULATED, u.Quarantine((1,), "xid", 9), [SICK]),
    ("quarantine the node", SIMULATED, u.Quarantine((), "xid", 9), [f.Quarantined((0, 1), "xid", 9)]),
    ("quarantine the rest", (*SIMULATED, SICK), u.Quarantine((), "fire", 9), [f.Quarantined((0,), "fire", 9)]),
    ("quarantine again", (*SIMULATED, SICK), u.Quarantine((1,), "fire", 9), []),
    ("quarantine what is not there", SIMULATED, u.Quarantine((2,), "xid", 9), "node.device_unknown"),
    ("quarantine twice over", SIMULATED, u.Quarantine((1, 1), "xid", 9), "node.device_unknown"),
    ("place on the quarantined", (*SIMULATED, SICK), take(1, (1, 1)), "capacity.none_fits"),
    ("place beside it", (*SIMULATED, SICK), take(1, (0, 1)), [taken(1, (0, 1))]),
    ("what runs on the quarantined goes on", (*HELD, f.Quarantined((0,), "xid", 9)), n.RenewLease(("runtime-1",), 105, word(), 5000), [n.LeaseRenewed(("runtime-1",), 105, 1100, 600_001_100, word())]),
    ("return without a receipt where none is owed", (*SIMULATED, SICK), u.Return((), 9), [f.Returned((1,), 9)]),
    ("return without a receipt", (*REAL, SICK), u.Return((), 9), "node.receipt_missing"),
    ("return with one of before", (*REAL, receipt(1), SICK), u.Return((), 9), "node.receipt_missing"),
    ("return with a clean one", (*REAL, SICK, receipt(1)), u.Return((), 9), [f.Returned((1,), 9)]),
    ("return with an empty one", (*REAL, SICK, receipt(1, covered=0)), u.Return((), 9), "node.receipt_missing"),
    ("return while it is in use", (*REAL, taken(1, (1, 5)), SICK), u.Return((1,), 9), "node.receipt_missing"),
    ("return what is not in quarantine", REAL, u.Return((0,), 9), []),
    ("sanitize the empty", SIMULATED, u.RequestSanitizing((), "hand", 9), [f.SanitizeRequested((0, 1), "hand", 9)]),
    ("sanitize what is in use", HELD, u.RequestSanitizing((0,), "hand", 9), "node.not_empty"),
    ("a release asks for it", (*REAL, taken(1, (0, 1000))), n.Release("allocation-1", "runtime-1", 30), [RELEASED, PLEASE]),
    ("while others share it nobody does", (*REAL, taken(1, (0, 5)), taken(2, (0, 5))), n.Release("allocation-1", "runtime-1", 30), [RELEASED]),
    ("a clean receipt", USED, report(0), [receipt(0)]),
    ("a receipt of another boot", USED, report(0, boot="b2"), "node.not_anchored"),
    ("a receipt for nothing", USED, report(), "node.device_unknown"),
    ("a receipt for what is in use", (*REAL, taken(1, (0, 5))), report(0), "node.not_empty"),
    ("a receipt that names what was left", USED, report(0, left=1), [receipt(0, left=1), LEFT]),
    ("and again", (*USED, receipt(0, left=1), LEFT), report(0, left=1), [receipt(0, left=1)]),
    ("a canary that is gone", USED, looked(0), [canary(0)]),
    ("one that is there bars the node", USED, looked(0, found=1), [canary(0, found=1), FOUND]),
    ("the rest of it, and what health would give back", (*USED, ILL, f.Quarantined((1,), "smoke", 9)), looked(0, found=1), [canary(0, found=1), f.Quarantined((0,), "canary.found", 40)]),
    ("one that was not planted bars its device", USED, looked(0, planted=0, looked=0), [canary(0, planted=0, looked=0), f.Quarantined((0,), "canary.not_planted", 40)]),
    ("one nobody looked for", USED, looked(0, planted=100, looked=89), [canary(0, planted=100, looked=89), f.Quarantined((0,), "canary.not_looked", 40)]),
    ("looked at nine tenths", USED, looked(0, planted=100, looked=90), [canary(0, planted=100, looked=90)]),
    ("a canary of another boot", USED, u.ReportCanary(replace(canary(0), attested=word(boot="b2"))), "node.not_anchored"),
    ("a canary nowhere", USED, looked(), "node.device_unknown"),
    ("a canary where nothing is", USED, looked(2), "node.device_unknown"),
    ("a receipt beside a canary proves nothing", (*USED, canary(0, found=1), FOUND, receipt(0)), u.Return((0,), 50), "node.receipt_missing"),
    ("nor to a person's quarantine", (*USED, f.Quarantined((0,), "smoke", 9), receipt(0), canary(0, found=1)), u.Return((0,), 50), "node.receipt_missing"),
    ("the next one does", (*USED, canary(0, found=1), FOUND, receipt(0), canary(0), receipt(0)), u.Return((0,), 50), [f.Returned((0,), 50)]),
    ("it was of that device", (*USED, canary(0, found=1), FOUND, receipt(1)), u.Return((1,), 50), [f.Returned((1,), 50)]),
    ("where none is owed a person gives it back", (*SIMULATED, canary(0, found=1), FOUND), u.Return((0,), 50), [f.Returned((0,), 50)]),
    ("a person's quarantine outlasts health's", (*SIMULATED, ILL), u.Quarantine((0,), "smoke", 9), [f.Quarantined((0,), "smoke", 9)]),
    ("health's does not replace a person's", (*SIMULATED, f.Quarantined((0,), "smoke", 9)), u.Quarantine((0,), "health.xid.48", 9), []),
    ("the last tenant may come back", USED, take(3, (0, 1000)), [taken(3, (0, 1000))]),
    ("another may not", USED, take(3, (0, 1000), org="organization-2"), "capacity.none_fits"),
    ("another may after the receipt", (*USED, receipt(0)), take(3, (0, 1000), org="organization-2"), [taken(3, (0, 1000), org="organization-2")]),
    ("another may not after a bad one", (*USED, receipt(0, left=2)), take(3, (0, 1000), org="organization-2"), "capacity.none_fits"),
    ("a SIMULATED one owes none", (*SIMULATED, taken(1, (0, 9)), RELEASED), take(3, (0, 9), org="organization-2"), [taken(3, (0, 9), org="organization-2")]),
    ("but it may be made to", (*SIMULATED, f.SanitizationRequired(1), taken(1, (0, 9)), RELEASED), take(3, (0, 9), org="organization-2"), "capacity.none_fits"),
    ("require again", (*SIMULATED, f.SanitizationRequired(1)), u.RequireSanitizing(2), []),
    ("require of a real one", REAL, u.RequireSanitizing(2), []),
    ("retire the empty", SIMULATED, u.Retire("old", 9), [f.Retired("old", 9)]),
    ("retire what works", HELD, u.Retire("old", 9), "node.not_empty"),
    ("retire again", (*SIMULATED, f.Retired("old", 9)), u.Retire("old", 9), []),
    ("anything after that", (*SIMULATED, f.Retired("old", 9)), u.Uncordon(9), "node.retired"),
    ("place on the retired", (*SIMULATED, f.Retired("old", 9)), take(1, (0, 1)), "node.retired"),
    ("silence of the retired", (*SIMULATED, f.Retired("old", 9)), n.MarkUnreachable(9), []),
    ("drain the invited", enrolled("T4", 1)[:1], DRAIN, "node.not_possible"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[n.Event, ...], when: n.Command, then: list[n.Event] | str
) -> None:
    """Each verb in each state has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(n.DECIDER, given, when) == then
    else:
        assert [unstamped(event) for event in decided(n.DECIDER, given, when)] == [
            unstamped(event) for event in then
        ]


def unstamped(event: n.Event) -> n.Event:
    """Epochs are tested elsewhere."""
    if isinstance(event, n.Allocated):
        fields = (event.allocation, event.runtime, event.organization, event.devices)
        return n.Allocated(*fields, 0, event.decided_us)
    return event


def test_a_release_whose_append_was_refused_leaves_no_trace() -> None:
    """Taken back, the node is as it was: kept devices, drains and leases included."""
    given = (*REAL, taken(1, (0, 1000)), DRAINING)
    before = fold(n.DECIDER, given)
    assert isinstance(before, n.Serving)
    facts = n.decide(n.Release("allocation-1", "runtime-1", 30), before)
    assert [type(fact) for fact in facts] == [n.Released, f.SanitizeRequested, f.Drained]
    after = before
    for fact in facts:
        changed = n.evolve(after, fact)
        assert isinstance(changed, n.Serving)
        after = changed
    again = n.readopt(n.not_drained(after), before.held["runtime-1"], None, before.kept)
    assert again == before
