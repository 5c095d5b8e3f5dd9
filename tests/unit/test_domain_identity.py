import pytest

from domain import identity as i
from domain import node as n
from domain.decider import fold
from domain.stock import Stock
from domain.words import Gpu, Share
from tests.unit.domain_world import NAME, decided, enrolled, refused, word

PRINT, OTHER = "f" * 64, "e" * 64
MACHINE = i.Hardware("uuid-1", "serial-1", "machine-1")
SERVING = (*enrolled("T4", 2), i.HardwareStated("uuid-1", "serial-1", "machine-1", PRINT, 0))
REVOKED = (*SERVING, i.Revoked("operator", 5))
INVITED_AGAIN = (*REVOKED, i.Reinvited("token-2", 100, 6))
HELD = n.Allocated("allocation-1", "runtime-1", "organization-1", (Share(0, 1),), 1, 1)
GPUS = (Gpu(0, "GPU-0"), Gpu(1, "GPU-1"))
REINVITE = i.Reinvite("token-2", 100, "", 6)
CERTIFIED = i.Certified("U1", "p1", "c1", 10, 100)


def enrol(key: str = "11", proof: str = "token-2", *, fingerprint: str = PRINT) -> n.Enrol:
    return n.Enrol(proof, key, "T4", True, GPUS, "serial", 7, MACHINE, fingerprint)


def certify(public: str = "p1", replaces: str = "", at_us: int = 10) -> i.Certify:
    return i.Certify("U1", public, "c" + public[1:], replaces, at_us, at_us + 90)


STATED = i.HardwareStated("uuid-1", "serial-1", "machine-1", PRINT, 7)
ANEW = n.Enrolled("11", "T4", True, GPUS, "serial", 7)
TABLE: list[tuple[str, tuple[n.Event, ...], n.Command, list[n.Event] | str]] = [
    ("revoke", SERVING, i.Revoke("operator", 5), [i.Revoked("operator", 5)]),
    ("revoke again", REVOKED, i.Revoke("operator", 9), []),
    ("revoke the unknown", (), i.Revoke("operator", 5), "node.unknown"),
    ("revoke an invitation", SERVING[:1], i.Revoke("operator", 5), [i.Revoked("operator", 5)]),
    ("enrol by a revoked invitation", (SERVING[0], i.Revoked("operator", 5)), enrol("00", "token"), "node.token_refused"),
    ("invite anew before it enrolled", SERVING[:1], REINVITE, [i.Reinvited("token-2", 100, 6)]),
    ("the first token, replaced", (SERVING[0], i.Reinvited("token-2", 100, 6)), enrol("00", "token"), "node.token_refused"),
    ("invite anew what still counts", SERVING, REINVITE, "node.not_revoked"),
    ("invite anew what is doubled", (*SERVING, i.Doubled("lease.nonce", 5)), REINVITE, "node.not_revoked"),
    ("invite the revoked", REVOKED, REINVITE, [i.Reinvited("token-2", 100, 6)]),
    ("invite the revoked again", INVITED_AGAIN, REINVITE, []),
    ("enrol anew", INVITED_AGAIN, enrol(), [ANEW, STATED]),
    ("enrol anew, repeated", (*INVITED_AGAIN, ANEW, STATED), enrol(), []),
    ("enrol anew with the old key", INVITED_AGAIN, enrol("00"), "node.revoked"),
    ("enrol anew with the old token", INVITED_AGAIN, enrol(proof="token"), "node.token_refused"),
    ("enrol anew too late", (*REVOKED, i.Reinvited("token-2", 7, 6)), enrol(), "node.token_expired"),
    ("a stolen token, used before", SERVING, enrol("11", "token"), "node.token_used"),
    ("a stolen token, used anew", (*INVITED_AGAIN, ANEW), enrol("22"), "node.token_used"),
    ("enrol anew while it holds", (*SERVING, HELD, i.Revoked("operator", 5), i.Reinvited("token-2", 100, 6)), enrol(), "node.still_held"),
    ("double", SERVING, i.ReportDouble("lease.nonce", 5), [i.Doubled("lease.nonce", 5)]),
    ("double again", (*SERVING, i.Doubled("lease.nonce", 5)), i.ReportDouble("event.seq_reused", 6), []),
    ("double the revoked", REVOKED, i.ReportDouble("lease.nonce", 6), []),
    ("revoke the doubled", (*SERVING, i.Doubled("lease.nonce", 5)), i.Revoke("operator", 6), [i.Revoked("operator", 6)]),
    ("certify", SERVING, certify(), [CERTIFIED]),
    ("certify again: a lost reply", (*SERVING, CERTIFIED), certify(at_us=20), []),
    ("renew", (*SERVING, CERTIFIED), certify("p2", "c1", 70), [i.Certified("U1", "p2", "c2", 70, 160)]),
    ("renew, repeated", (*SERVING, CERTIFIED, i.Certified("U1", "p2", "c2", 70, 160)), certify("p2", "c1", 71), []),
    ("renew what was replaced", (*SERVING, CERTIFIED, i.Certified("U1", "p2", "c2", 70, 160)), certify("p3", "c1", 72), "node.certificate_stale"),
    ("renew without the old one", (*SERVING, CERTIFIED), certify("p2", "", 70), "node.certificate_stale"),
    ("certify the revoked", REVOKED, certify(), "node.revoked"),
    ("certify the doubled", (*SERVING, i.Doubled("lease.nonce", 5)), certify(), "node.doubled"),
    ("anchor the revoked", REVOKED, n.AnchorBoot("b1", 5, word(), 9), "node.revoked"),
    ("lease for the revoked", REVOKED, n.RenewLease((), 5, word(), 9), "node.revoked"),
    ("lease for the doubled", (*SERVING, i.Doubled("lease.nonce", 5)), n.RenewLease((), 5, word(), 9), "node.doubled"),
    ("another machine than expected", (*INVITED_AGAIN, i.HardwareExpected(OTHER, 6)), enrol(), "node.fingerprint_differs"),
    ("the machine expected", (*INVITED_AGAIN, i.HardwareExpected(PRINT, 6)), enrol(), [ANEW, STATED]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[n.Event, ...], when: n.Command, then: list[n.Event] | str
) -> None:
    """Each command on each identity has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(n.DECIDER, given, when) == then
    else:
        assert decided(n.DECIDER, given, when) == then


def test_another_machine_under_the_same_node_is_shown() -> None:
    """A changed fingerprint at re-enrolment is a fact for each field that differs."""
    given = (*REVOKED[:2], i.HardwareStated("uuid-0", "serial-1", "machine-0", OTHER, 0))
    given = (*given, i.Revoked("operator", 5), i.Reinvited("token-2", 100, 6))
    assert decided(n.DECIDER, given, enrol())[2:] == [
        i.HardwareDiffers("product", "uuid-0", "uuid-1", 7),
        i.HardwareDiffers("machine", "machine-0", "machine-1", 7),
        i.HardwareDiffers("fingerprint", OTHER, PRINT, 7),
    ]


def test_an_invitation_may_name_the_machine() -> None:
    """The operator's expectation is a fact beside the invitation, and it holds."""
    invite = n.Invite(NAME, "T4", "token-2", 100, 0, OTHER)
    facts = decided(n.DECIDER, (), invite)
    assert facts[1:] == [i.HardwareExpected(OTHER, 0)]
    assert refused(n.DECIDER, facts, enrol()) == "node.fingerprint_differs"


def test_epochs_and_instants_outlive_an_identity() -> None:
    """The fencing counter and the last renewal go on; anchor, leases and certificate do not."""
    released = n.Released("allocation-1", "runtime-1", 3)
    renewed = n.LeaseRenewed(("runtime-1",), 5, 1000, 2000, word())
    given = (*SERVING, n.Anchored("b1", 5, 1000, word()), HELD, CERTIFIED, renewed, released)
    state = fold(n.DECIDER, (*given, *INVITED_AGAIN[len(SERVING) :], ANEW))
    assert isinstance(state, n.Serving)
    assert (state.epoch, state.renewed_us, state.anchor.boot) == (1, 1000, "")
    assert state.identity == i.Identity(hardware=MACHINE, fingerprint=PRINT)


def test_a_barred_node_is_offered_to_nobody_until_it_enrols_anew() -> None:
    """Placement and its index agree, also when the machine comes back with other GPUs."""
    take = n.Allocate("allocation-1", "runtime-1", "organization-1", (Share(0, 1),), 20)
    assert refused(n.DECIDER, REVOKED, take) == "node.not_placeable"
    stock = Stock()
    most = []
    for facts in (SERVING, REVOKED, INVITED_AGAIN):
        state = fold(n.DECIDER, facts)
        assert isinstance(state, n.Serving)
        stock.update("node-1", state)
        most.append(stock.room("T4", "").most_devices)
    bigger = fold(
        n.DECIDER, (*INVITED_AGAIN, n.Enrolled("11", "T4", True, (*GPUS, Gpu(2, "x")), "s", 7))
    )
    assert isinstance(bigger, n.Serving)
    stock.update("node-1", bigger)
    assert [*most, stock.room("T4", "").most_devices] == [2, 0, 0, 3]
