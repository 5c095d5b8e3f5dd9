"""What follows from a node's words about its devices."""

import pytest
from msgspec.structs import replace

from domain import device as d
from domain import node as n
from domain import node_facts as f
from domain import upkeep as u
from domain.decider import fold
from tests.unit.domain_world import decided, enrolled, refused, word

NODE: tuple[n.Event, ...] = (*enrolled("T4", 2), n.Anchored("b1", 5, 1000, word()))
MINUTE = d.RETRY_US


def report(*devices: int, state: str = "suspect", xid: int = 48, at: int = 9) -> d.DeviceReported:
    cause = "xid" if xid else "gpu.lost"
    return d.DeviceReported(devices, "GPU-0", state, cause, xid, None, 7, at, word())


def trial(*devices: int, passed: bool = True, at: int = 20, boot: str = "b1") -> d.DeviceTested:
    cause = "" if passed else "needs.reset"
    return d.DeviceTested(devices, 5, passed, "nvml_read", cause, 3, 7, at, word(boot=boot))


def described(**changes: object) -> d.DeviceDescribed:
    said = d.DeviceDescribed(
        (0,), "GPU-0", "Tesla T4", 15_843_721_216, "1", "570", "0" * 64, 7, 9, word()
    )
    return replace(said, **changes)


def probed(moved: int, us: int = 100_000, device: int = 0) -> d.DeviceProbed:
    return d.DeviceProbed((device,), f"GPU-{device}", "cuda_copy", moved, us, 7, 9, word())


T4_100_MS = 320 * 10**8  # bytes that a T4 may move in 100 ms
SLOW = f.Quarantined((0,), "differs.bandwidth", 9)
SICK = f.Quarantined((0,), "health.xid.48", 9)
ASKED = d.DeviceTestRequested((0,), 12)

TABLE: list[tuple[str, tuple[n.Event, ...], n.Command, list[n.Event] | str]] = [
    ("a report is a quarantine", NODE, d.Say(report(0)), [report(0), SICK]),
    ("of both at once", NODE, d.Say(report(0, 1, xid=0)), [report(0, 1, xid=0), f.Quarantined((0, 1), "health.gpu.lost", 9)]),
    ("the same again is no news", (*NODE, report(0), SICK), d.Say(report(0, at=11)), []),
    ("worse is news, the quarantine stands", (*NODE, report(0), SICK), d.Say(report(0, state="failed", xid=54)), [report(0, state="failed", xid=54)]),
    ("a person's quarantine stays a person's", (*NODE, f.Quarantined((0,), "operator", 8)), d.Say(report(0)), [report(0)]),
    ("of a device it has not", NODE, d.Say(report(2)), "node.device_unknown"),
    ("of one twice", NODE, d.Say(report(1, 0)), "node.device_unknown"),
    ("of none", NODE, d.Say(report()), "node.device_unknown"),
    ("under another boot", NODE, d.Say(trial(0, boot="b2")), "node.not_anchored"),
    ("before the anchor", NODE[:2], d.Say(report(0)), "node.not_anchored"),
    ("before enrolment", NODE[:1], d.Say(report(0)), "node.not_possible"),
    ("an XID moves nothing", NODE, d.Say(d.DeviceXid((0,), "GPU-0", 31, 7, 7, 9, word())), [d.DeviceXid((0,), "GPU-0", 31, 7, 7, 9, word())]),
    ("a test of the healthy", NODE, d.RequestTest((0,), 12), "device.not_suspect"),
    ("a test of the suspect", (*NODE, report(0), SICK), d.RequestTest((0,), 12), [ASKED]),
    ("asked already", (*NODE, report(0), SICK, ASKED), d.RequestTest((0,), 13), []),
    ("passed", (*NODE, report(0), SICK, ASKED), d.Say(trial(0)), [trial(0)]),
    ("after it, it is ill anew", (*NODE, report(0), SICK, ASKED, trial(0), f.Returned((0,), 21)), d.Say(report(0, at=30)), [report(0, at=30), f.Quarantined((0,), "health.xid.48", 30)]),
    ("what it was enrolled as", NODE, d.Say(described()), [described()]),
    ("another uuid", NODE, d.Say(described(uuid="GPU-9")), [described(uuid="GPU-9"), f.Quarantined((0,), "differs.uuid", 9)]),
    ("another product", NODE, d.Say(described(product="NVIDIA T400")), [described(product="NVIDIA T400"), f.Quarantined((0,), "differs.product", 9)]),
    ("less memory", NODE, d.Say(described(memory_bytes=8 << 30)), [described(memory_bytes=8 << 30), f.Quarantined((0,), "differs.memory", 9)]),
    ("half as fast as a T4", NODE, d.Say(probed(T4_100_MS // 2)), [probed(T4_100_MS // 2)]),
    ("less than that", NODE, d.Say(probed(T4_100_MS // 2 - 50_000)), [probed(T4_100_MS // 2 - 50_000), SLOW]),
    ("not measured", NODE, d.Say(probed(0)), [probed(0)]),
    ("slow while it is ill: a test gives it not back", (*NODE, report(0), SICK), d.Say(probed(1)), [probed(1), SLOW]),
    ("ill while it is slow", (*NODE, probed(1), SLOW), d.Say(report(0)), [report(0)]),
    ("slow again", (*NODE, probed(1), SLOW), d.Say(probed(1)), [probed(1)]),
    ("the retired says nothing", (*NODE, f.Retired("old", 9)), d.Say(report(0)), "node.retired"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[n.Event, ...], when: n.Command, then: list[n.Event] | str
) -> None:
    """Each word in each state has one answer; an ill or different device is barred with the word."""
    if isinstance(then, str):
        assert refused(n.DECIDER, given, when) == then
    else:
        assert decided(n.DECIDER, given, when) == then


def state_of(*events: n.Event) -> d.Devices:
    state = fold(n.DECIDER, (*NODE, *events))
    assert isinstance(state, n.Serving)
    return state.devices


def test_tests_are_few_and_in_a_box_of_time() -> None:
    """At once, then a minute after the first failure, two after the second; three times a boot, and
    within an hour of the report; a reboot is a new chance.
    """
    events: list[n.Event] = [report(0), SICK]
    asked_at = []
    now = 10
    while now < 2 * d.BOX_US:
        if d.due_test(state_of(*events), 0, now):
            asked_at.append(now - 10)
            events += [d.DeviceTestRequested((0,), now), trial(0, passed=False, at=now)]
        now += MINUTE // 2
    assert asked_at == [0, MINUTE, 3 * MINUTE]
    assert not d.due_test(state_of(*events), 0, now)
    reboot = n.Anchored("b2", 5, now, word(boot="b2"))
    assert d.due_test(state_of(*events, reboot), 0, now + 1)
    assert not d.due_test(state_of(*events, reboot), 0, now + d.BOX_US + 1)


def test_a_lost_answer_is_asked_for_again_after_a_reboot() -> None:
    """A request that no answer came to does not keep the device in quarantine for ever."""
    lost = (report(0), SICK, ASKED)
    assert not d.due_test(state_of(*lost), 0, 5 * MINUTE)
    assert d.due_test(state_of(*lost, n.Anchored("b2", 5, 100, word(boot="b2"))), 0, 5 * MINUTE)


def test_a_slice_is_described_by_its_profile() -> None:
    """Every word of the model must be in the product's name; an unknown model has any memory."""
    said = described(product="NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    assert d.differences(said, "H100 MIG 1g.10gb", ("GPU-0",)) == ()
    assert d.differences(said, "H100 MIG 2g.20gb", ("GPU-0",)) == ("product",)
    assert (
        d.differences(
            described(product="NVIDIA A100-SXM4-40GB", memory_bytes=40 << 30), "A100", ("GPU-0",)
        )
        == ()
    )


def test_a_quarantine_of_health_ends_no_runtime_and_bars_new_ones() -> None:
    """The device offers nothing from the report on, in the same append."""
    state = fold(n.DECIDER, NODE)
    for fact in n.decide(d.Say(report(0)), state):
        state = n.evolve(state, fact)
    assert isinstance(state, n.Serving)
    assert (state.offers(0), state.offers(1)) == (0, 1000)
    assert n.decide(u.Return((0,), 30), state) == [f.Returned((0,), 30)]
