"""Devices that were lost, or passed on as they were."""

import pytest

from domain import device, launch, node, node_facts, runtime, upkeep
from domain.errors import DomainError
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.museum.house import GPU_HOUR, HOUR, MINUTE, USD, House, Tenant


def one_gpu(*, simulated: bool = True) -> tuple[House, Tenant, Tenant, str]:
    """A house with two tenants and a node of one T4 at 1 USD an hour."""
    house = House()
    us, them = house.tenant(0), house.tenant(1)
    house.price("T4", USD)
    return house, us, them, house.machine(1, "T4", gpus=1, simulated=simulated)


def says(house: House, name: str, what: str, at: int, *fields: object) -> list[node.Event]:
    """A word of the node of its one device: `reported` or `tested`."""
    kind = {"reported": device.DeviceReported, "tested": device.DeviceTested}[what]
    said = house.history.attested(name, f"gpuaas.node.device_{what}.v1", name, at)
    return house.node_does(name, device.Say(kind((0,), *fields, at, at, said)))


def ill(house: House, name: str, at: int) -> list[node.Event]:
    """XID 48 on the device."""
    return says(house, name, "reported", at, "GPU-1-0", "suspect", "xid", 48, 0)


def probe(house: House, name: str, at: int, *, passed: bool) -> None:
    """A test asked for, and its answer."""
    house.node_does(name, device.RequestTest((0,), at))
    command = len(house.history.facts) - 1
    says(house, name, "tested", at, command, passed, "fill", "" if passed else "xid", 5)


def sanitized(house: House, name: str, at: int, *, left: int) -> list[node.Event]:
    """A receipt of the node for its one device, with so many processes left on it."""
    said = house.history.attested(name, "gpuaas.node.sanitized.v1", name, at)
    receipt = ((0,), "fill", 1 << 34, 5, "570.1", 0, left, at, said, at)
    return house.node_does(name, upkeep.ReportSanitized(*receipt))


def free(house: House, of: Tenant) -> int:
    """Whole devices that this tenant could have now."""
    return launch.capacity(house.state, of.organization)[0].most_devices


def test_k8s_device_plugin_234_one_xid_and_unhealthy_for_ever() -> None:
    """Any XID outside a short list made a GPU unhealthy, and nothing but a restart of the plugin ever
    made it healthy again. Here it is in quarantine at once, tested, and back; what ran on it ran on
    and was charged.
    """
    house, us, them, name = one_gpu()
    one = house.begin(us)
    assert [type(fact) for fact in ill(house, name, MINUTE)] == [
        device.DeviceReported,
        node_facts.Quarantined,
    ]
    house.report(runtime.ReportStopped, one, HOUR)
    assert free(house, them) == 0
    probe(house, name, HOUR + MINUTE, passed=True)
    house.node_does(name, upkeep.Return((), HOUR + 2 * MINUTE))
    assert free(house, them) == 1
    house.begin(them, at=HOUR + 2 * MINUTE)
    assert len(ill(house, name, 2 * HOUR)) == 2  # well again: the same XID is news again
    assert house.judged().charged(one) == (GPU_HOUR, USD)


def test_hami_2200_an_unhealthy_device_never_looked_at_again() -> None:
    """A device once marked Unhealthy had no way back, also when the error was over. Here a test that
    failed is asked for again after a pause, three times a boot, and anew after the next boot.
    """
    house, _, them, name = one_gpu()
    ill(house, name, 0)

    def due(at: int) -> bool:
        return device.due_test(house.state.stock.states[name].devices, 0, at)

    assert due(0)
    probe(house, name, 0, passed=False)
    assert [due(at) for at in (59_999_999, 60_000_000)] == [False, True]  # a minute's pause
    probe(house, name, MINUTE, passed=False)
    probe(house, name, 3 * MINUTE, passed=False)
    assert not due(30 * MINUTE)
    house.boot(name, 2, 40 * MINUTE)
    assert due(40 * MINUTE)
    house.node_does(name, device.RequestTest((0,), 40 * MINUTE))
    command = len(house.history.facts) - 1
    says(house, name, "tested", 41 * MINUTE, command, True, "fill", "", 5)
    house.node_does(name, upkeep.Return((), 41 * MINUTE))
    assert free(house, them) == 1
    house.judged()


def test_rocm_spur_661_memory_left_for_the_next_tenant() -> None:
    """Nothing scrubbed a GPU between jobs: whatever one tenant left in VRAM was there for the next.
    Here a device is its last tenant's until a clean receipt is in the log; a log that gives it to
    another one before is refused by the auditor.
    """
    house, us, them, name = one_gpu(simulated=False)
    one = house.begin(us)
    emits = house.report(runtime.ReportStopped, one, HOUR)
    kept = len(house.history.facts)
    asked = [fact for emit in emits for fact in emit.facts]
    assert node_facts.SanitizeRequested((0,), "emptied", HOUR) in asked
    assert (free(house, us), free(house, them)) == (1, 0)
    with pytest.raises(DomainError, match=r"capacity\.none_fits"):
        house.start(them, at=HOUR)
    sanitized(house, name, HOUR + MINUTE, left=1)
    assert (free(house, us), free(house, them)) == (0, 0)
    sanitized(house, name, HOUR + 2 * MINUTE, left=0)
    house.node_does(name, upkeep.Return((), HOUR + 3 * MINUTE))
    assert free(house, them) == 1
    house.start(them, at=HOUR + 3 * MINUTE)
    house.judged()
    given = next(
        (where, cause, fact)
        for where, cause, fact in house.history.facts[kept:]
        if isinstance(fact, node.Allocated)
    )
    del house.history.facts[kept:]
    house.history.facts.append(given)
    with Books(None) as auditor, pytest.raises(Invalid, match=r"books\.unsanitized"):
        house.history.feed(auditor)
