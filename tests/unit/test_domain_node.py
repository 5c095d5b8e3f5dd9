import pytest

from domain import node as n
from domain.decider import fold
from domain.instants import LEASE_US
from domain.words import Gpu, Share
from tests.unit.domain_world import NAME, decided, enrolled, refused, word

INVITE = n.Invite(NAME, "T4", "token", 10, 0)
INVITED = n.Invited(NAME, "T4", "token", 10, 0)
GPUS = (Gpu(0, "GPU-0"), Gpu(1, "GPU-1"))
SERVING = enrolled("T4", 2)
ANCHORED = (*SERVING, n.Anchored("b1", 5, 1000, word()))


def enrol(
    proof: str = "token",
    model: str = "T4",
    gpus: tuple[Gpu, ...] = GPUS,
    now_us: int = 0,
    key: str = "00",
) -> n.Enrol:
    return n.Enrol(proof, key, model, simulated=True, gpus=gpus, serial="serial", now_us=now_us)


def take(number: int, *shares: tuple[int, int], org: str = "organization-1") -> n.Allocate:
    devices = tuple(Share(*share) for share in shares)
    return n.Allocate(f"allocation-{number}", f"runtime-{number}", org, devices, 20)


def taken(number: int, *shares: tuple[int, int], org: str = "organization-1") -> n.Allocated:
    devices = tuple(Share(*share) for share in shares)
    return n.Allocated(f"allocation-{number}", f"runtime-{number}", org, devices, number, 20)


TABLE: list[tuple[str, tuple[n.Event, ...], n.Command, list[n.Event] | str]] = [
    ("invite", (), INVITE, [INVITED]),
    ("invite again", (INVITED,), INVITE, []),
    ("invite the enrolled", SERVING, INVITE, "node.not_possible"),
    ("enrol", (INVITED,), enrol(), [n.Enrolled("00", "T4", True, GPUS, "serial", 0)]),
    ("enrol again", SERVING, enrol(), []),
    ("enrol uninvited", (), enrol(), "node.unknown"),
    ("enrol with another key", SERVING, enrol(key="11"), "node.token_used"),
    ("enrol by another token", (INVITED,), enrol("x"), "node.token_refused"),
    ("enrol too late", (INVITED,), enrol(now_us=10), "node.token_expired"),
    ("enrol as another model", (INVITED,), enrol(model="A10"), "node.model_differs"),
    ("one GPU twice", (INVITED,), enrol(gpus=(Gpu(0, "a"), Gpu(1, "a"))), "node.inventory_invalid"),
    ("indexes with a gap", (INVITED,), enrol(gpus=(Gpu(1, "a"),)), "node.inventory_invalid"),
    ("anchor", SERVING, n.AnchorBoot("b1", 5, word(), 9), [n.Anchored("b1", 5, 9, word())]),
    ("anchor again", ANCHORED, n.AnchorBoot("b1", 6, word(), 99), []),
    ("anchor the next boot", ANCHORED, n.AnchorBoot("b2", 1, word(), 9), [n.Anchored("b2", 1, 9, word())]),
    ("allocate", SERVING, take(1, (0, 600)), [taken(1, (0, 600))]),
    ("allocate again", (*SERVING, taken(1, (0, 600))), take(1, (0, 600)), []),
    ("share inside", (*SERVING, taken(1, (0, 600))), take(2, (0, 400)), [taken(2, (0, 400))]),
    ("over 1000 milli", (*SERVING, taken(1, (0, 600))), take(2, (0, 401)), "capacity.none_fits"),
    ("share across", (*SERVING, taken(1, (0, 600))), take(2, (0, 400), org="organization-2"), "capacity.none_fits"),
    ("no such device", SERVING, take(1, (2, 100)), "node.shares_invalid"),
    ("negative device", SERVING, take(1, (-1, 100)), "node.shares_invalid"),
    ("no share", SERVING, take(1), "node.shares_invalid"),
    ("empty share", SERVING, take(1, (0, 0)), "node.shares_invalid"),
    ("device twice", SERVING, take(1, (0, 100), (0, 100)), "node.shares_invalid"),
    ("cordoned", (*SERVING, n.Cordoned(1)), take(1, (0, 1)), "node.not_placeable"),
    ("unreachable", (*SERVING, n.Unreachable(1)), take(1, (0, 1)), "node.not_placeable"),
    ("uncordoned", (*SERVING, n.Cordoned(1), n.Uncordoned(2)), take(1, (0, 1)), [taken(1, (0, 1))]),
    ("reachable", (*SERVING, n.Unreachable(1), n.Reachable(2)), take(1, (0, 1)), [taken(1, (0, 1))]),
    ("release", (*SERVING, taken(1, (0, 1))), n.Release("allocation-1", "runtime-1", 30), [n.Released("allocation-1", "runtime-1", 30)]),
    ("release again", SERVING, n.Release("allocation-1", "runtime-1", 30), []),
    ("release another's", (*SERVING, taken(1, (0, 1))), n.Release("allocation-9", "runtime-1", 30), []),
    ("cordon again", (*SERVING, n.Cordoned(1)), n.Cordon(2), []),
    ("uncordon the open", SERVING, n.Uncordon(2), []),
    ("unreachable again", (*SERVING, n.Unreachable(1)), n.MarkUnreachable(2), []),
    ("reachable again", SERVING, n.MarkReachable(2), []),
    ("cordon the invited", (INVITED,), n.Cordon(2), "node.not_possible"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[n.Event, ...], when: n.Command, then: list[n.Event] | str
) -> None:
    """Each command in each state has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(n.DECIDER, given, when) == then
    else:
        assert [restamped(event) for event in decided(n.DECIDER, given, when)] == [
            restamped(event) for event in then
        ]


def restamped(event: n.Event) -> n.Event:
    """Epochs have a test of their own."""
    if isinstance(event, n.Allocated):
        fields = (event.allocation, event.runtime, event.organization, event.devices)
        return n.Allocated(*fields, 0, event.decided_us)
    return event


def test_epochs_count_up_and_are_never_given_twice() -> None:
    """An epoch is a fencing token: a later owner's is larger, a release gives none back."""
    given = (*SERVING, taken(1, (0, 1)), n.Released("allocation-1", "runtime-1", 30))
    [event] = decided(n.DECIDER, given, take(2, (0, 1)))
    assert isinstance(event, n.Allocated)
    assert event.epoch == 2


def test_a_lease_names_only_what_the_node_holds_and_counts_from_before_it_asked() -> None:
    """Renewed = the node's clock by its anchor, never later than the answer; until = + 600 s."""
    given = (*ANCHORED, taken(1, (0, 1)))
    ask = n.RenewLease(("runtime-1",), 105, word(), 5000)
    assert decided(n.DECIDER, given, ask) == [
        n.LeaseRenewed(("runtime-1",), 105, 1100, 1100 + LEASE_US, word())
    ]
    late = n.RenewLease(("runtime-1",), 10**9, word(), 5000)
    [event] = decided(n.DECIDER, given, late)
    assert isinstance(event, n.LeaseRenewed)
    assert event.renewed_us == 5000
    foreign = n.RenewLease(("runtime-2",), 105, word(), 5000)
    assert refused(n.DECIDER, given, foreign) == "node.lease_foreign"
    other_boot = n.RenewLease(("runtime-1",), 105, word(boot="b2"), 5000)
    assert refused(n.DECIDER, given, other_boot) == "node.not_anchored"


def test_a_device_is_anyones_again_once_it_is_empty() -> None:
    """The organization keeps a device until its last share is released."""
    given = (
        *(*SERVING, taken(1, (0, 300)), taken(2, (0, 300))),
        n.Released("allocation-1", "runtime-1", 30),
    )
    other = take(3, (0, 500), org="organization-2")
    assert refused(n.DECIDER, given, other) == "capacity.none_fits"
    empty = (*given, n.Released("allocation-2", "runtime-2", 31))
    assert decided(n.DECIDER, empty, other)


def test_release_forgets_the_lease_of_that_runtime_only() -> None:
    """A lease of one runtime says nothing of another."""
    renewed = n.LeaseRenewed(("runtime-1", "runtime-2"), 105, 1100, 1200, word())
    given = (
        *(*ANCHORED, taken(1, (0, 1)), taken(2, (0, 1)), renewed),
        n.Released("allocation-1", "runtime-1", 30),
    )
    state = fold(n.DECIDER, given)
    assert isinstance(state, n.Serving)
    assert set(state.leases) == {"runtime-2"}
