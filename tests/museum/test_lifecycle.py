"""Lives that were billed wrong: machines that never worked, ends nobody saw, silence taken for death."""

import pytest

from domain import launch, node, runtime, upkeep
from domain.errors import DomainError
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD, House, Tenant

HOLD_US = 600 * SECOND + 1_600_000 + 30 * SECOND  # lease + 0.1 % of it and 1 s of drift + stop


def one_gpu(*, simulated: bool = True) -> tuple[House, Tenant, str]:
    """A house with one tenant and a node of one T4 at 1 USD an hour."""
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    return house, us, house.machine(1, "T4", gpus=1, simulated=simulated)


def refused(house: House, of: Tenant, at: int) -> str:
    """Why a launch of one device is refused now."""
    with pytest.raises(DomainError) as caught:
        house.start(of, at=at)
    return caught.value.code


def not_lost(house: House, name: str, now: int) -> bool:
    """Whether the runtime may still run, so that nobody declares it lost."""
    with pytest.raises(DomainError) as caught:
        house.lose(name, now)
    return caught.value.code == "runtime.lease_not_over"


def test_parameter_golf_821_charged_for_pods_that_never_booted() -> None:
    """8.65 USD were charged for five pods of eight H100, none of which ever booted: billing began while
    they were provisioned. Here what was never usable is no line on no invoice; what boots is charged
    from the instant at which it answers.
    """
    house = House()
    us = house.tenant(0)
    house.price("H100", 2_690_000_000_000)  # 21.52 USD an hour for eight
    house.machine(1, "H100")
    at = HOUR
    for number, waited in enumerate(
        (15 * MINUTE, 15 * MINUTE, 15 * MINUTE, 120 * SECOND, 180 * SECOND)
    ):
        pod = house.start(us, devices=8, model="H100", at=at)
        if number:
            house.does(pod, runtime.Start(number, at))
        at += waited
        house.does(pod, runtime.Stop("user", at))
        if number == 0:
            house.does(pod, runtime.Cancel("user", at))
        elif number == 1:
            house.report(runtime.ReportFailed, pod, at)
        else:
            house.report(runtime.ReportStopped, pod, at)
        assert house.charged(pod) == (0, 0)
    assert house.judged().rows == {"rated_interval": [], "transfer": []}
    sixth = house.start(us, devices=8, model="H100", at=at)
    house.report(runtime.ReportUsable, sixth, at + 3 * MINUTE)
    house.report(runtime.ReportStopped, sixth, at + 9 * MINUTE)
    january = house.month(us, 1, 31 * DAY)
    house.judged()
    # 8 GPUs x 6 min = 0.8 GPU-h at 2.69 USD = 2.152 USD
    assert house.charged(sixth) == (8 * 6 * MINUTE * 1000, 2_152_000_000_000)
    assert (len(january.lines), january.total_minor) == (1, 215)


def test_gpustack_6279_the_pod_is_gone_and_the_meter_runs() -> None:
    """A pod was deleted while nothing watched it; the instance stayed Ready and its usage grew, 0.19 h
    and on. Here time counts as far as the node has said `usable`: at the next renewal that does not
    name the runtime its hold begins to run out, and it is billed to the last that did.
    """
    house, us, name = one_gpu()
    start = HOUR
    one = house.begin(us, at=start)
    house.renew(name, (one,), start + 2 * MINUTE)
    for minute in range(4, 14, 2):  # deleted after three minutes: it is named no more
        house.renew(name, (), start + minute * MINUTE)
    over = start + 2 * MINUTE + HOLD_US
    assert not_lost(house, one, over - 1)
    house.lose(one, over)
    house.month(us, 1, 31 * DAY)
    house.judged()
    # 2 min at 1 USD an hour = 1/30 USD
    assert house.charged(one) == (2 * MINUTE * 1000, 33_333_333_333)


def test_gpustack_6279_the_probe_sees_it_first() -> None:
    """The same pod, watched by its node: `degraded` ends the time at once, at the last good probe."""
    house, us, _ = one_gpu()
    one = house.begin(us)
    house.report(runtime.ReportDegraded, one, 3 * MINUTE, told=4 * MINUTE)
    house.report(runtime.ReportFailed, one, 12 * MINUTE)
    assert house.judged().charged(one) == (3 * MINUTE * 1000, USD // 20)


def test_skypilot_4443_an_accepted_termination_taken_for_the_end() -> None:
    """It was assumed that a successful termination request always deletes the instances, which could
    leave them running unknown. Here a stop that was asked for ends neither the time nor the holding
    of the device: the node's word does, and cancelling what was started is refused.
    """
    house, us, _ = one_gpu()
    one = house.start(us)
    house.does(one, runtime.Start(1, 0))
    house.report(runtime.ReportUsable, one, MINUTE)
    house.does(one, runtime.Stop("user", HOUR))
    assert house.charged(one) == (0, 0)
    assert refused(house, us, HOUR) == "capacity.none_fits"
    with pytest.raises(DomainError, match=r"runtime\.may_run"):
        house.does(one, runtime.Cancel("user", HOUR))
    house.report(runtime.ReportStopped, one, HOUR + MINUTE)
    house.start(us, at=HOUR + MINUTE)
    assert house.judged().charged(one) == (GPU_HOUR, USD)


def test_dstack_1551_marked_terminated_and_still_there() -> None:
    """The server lost its network, marked run and instance as ended, and the instance lived on and was
    billed. Here nothing is ended before its lease, drift and stop time are over, after which the
    node itself has stopped it; the tenant pays to the last renewal.
    """
    house, us, name = one_gpu()
    one = house.begin(us)
    house.renew(name, (one,), 10 * MINUTE)
    house.node_does(name, node.MarkUnreachable(11 * MINUTE))
    for now in (11 * MINUTE, 20 * MINUTE, 10 * MINUTE + HOLD_US - 1):
        assert not_lost(house, one, now)
    assert refused(house, us, 20 * MINUTE) == "capacity.none_fits"
    house.lose(one, 10 * MINUTE + HOLD_US)
    assert house.judged().charged(one) == (10 * MINUTE * 1000, 166_666_666_667)


def test_dstack_2531_an_unreachable_host_terminated_with_its_jobs() -> None:
    """After some time without connection instances were terminated along with the jobs on them. Here
    unreachable kills nothing: what runs goes on, in one piece of time, and the node is back with it.
    """
    house, us, name = one_gpu()
    one = house.begin(us)
    house.renew(name, (one,), 4 * MINUTE)
    house.node_does(name, node.MarkUnreachable(5 * MINUTE))
    assert not_lost(house, one, 13 * MINUTE)
    assert isinstance(house.state.runtimes[one].state, runtime.Running)
    house.renew(name, (one,), 13 * MINUTE)
    house.node_does(name, node.MarkReachable(13 * MINUTE))
    assert not_lost(house, one, 20 * MINUTE)
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.judged().pieces(one) == [(1, 0, HOUR)]
    assert house.charged(one) == (GPU_HOUR, USD)


@pytest.mark.parametrize("late", [4 * SECOND, 15 * SECOND, 8 * MINUTE])
def test_dstack_2346_three_seconds_are_a_dead_host(late: int) -> None:
    """A connection that took longer than three seconds made the host unreachable and failed its jobs.
    Here a lease of ten minutes is renewed every two: a renewal may come eight minutes late and kills
    nothing; it counts from when the node asked.
    """
    house, us, name = one_gpu()
    one = house.begin(us)
    for asked in (0, 2 * MINUTE, 4 * MINUTE):
        assert not_lost(house, one, asked + late)
        house.renew(name, (one,), asked, told=asked + late)
    lease = house.state.stock.states[name].leases[one]
    assert (lease.renewed_us, lease.until_us) == (4 * MINUTE, 14 * MINUTE)
    house.report(runtime.ReportStopped, one, HOUR, told=HOUR + late)
    assert house.judged().charged(one) == (GPU_HOUR, USD)


def test_dstack_2041_unreachable_for_ever() -> None:
    """After a minute without network an instance was unreachable and stayed so when the network was
    back; nothing but deleting it or its idle timeout helped. Here its devices are given again with the word that it is there.
    """
    house, us, name = one_gpu()
    house.node_does(name, node.MarkUnreachable(MINUTE))
    assert refused(house, us, MINUTE) == "capacity.none_fits"
    assert launch.capacity(house.state, us.organization)[0].most_devices == 0
    house.node_does(name, node.MarkReachable(2 * MINUTE))
    assert launch.capacity(house.state, us.organization)[0].most_devices == 1
    one = house.begin(us, at=2 * MINUTE)
    house.report(runtime.ReportStopped, one, 62 * MINUTE)
    assert house.judged().charged(one) == (GPU_HOUR, USD)


def test_determined_8856_an_agent_that_may_not_come_back() -> None:
    """An agent under load vanished from the master's list while its tasks ran on unseen, and when it
    came back it was refused. Here the same boot says who it is as often as it likes, nothing it holds
    is forgotten, and its tasks are charged through.
    """
    house, us, name = one_gpu()
    one = house.begin(us)
    house.renew(name, (one,), MINUTE)
    house.node_does(name, node.MarkUnreachable(3 * MINUTE))
    serving = house.state.stock.states[name]
    assert set(serving.held) == {one}
    enrolled = serving.enrolled
    again = node.Enrol(
        *("1" * 64, enrolled.key, "T4", True, enrolled.gpus, enrolled.serial, 5 * MINUTE)
    )
    assert house.node_does(name, again) == []
    said = house.history.attested(name, "gpuaas.node.anchored.v1", name, 5 * MINUTE)
    assert house.node_does(name, node.AnchorBoot(serving.anchor.boot, 5, said, 5 * MINUTE)) == []
    house.renew(name, (one,), 5 * MINUTE)
    [back] = house.node_does(name, node.MarkReachable(5 * MINUTE))
    assert isinstance(back, node.Reachable)
    assert house.state.stock.states[name].leases[one].until_us == 15 * MINUTE
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.judged().charged(one) == (GPU_HOUR, USD)


def test_nvidia_container_toolkit_48_the_gpu_is_gone_inside() -> None:
    """After a `systemctl daemon-reload` running containers had lost their GPUs, and ran on without.
    Here a runtime without its GPU is degraded from the last good probe on, and costs nothing until
    it is usable again.
    """
    house, us, _ = one_gpu()
    one = house.begin(us)
    house.report(runtime.ReportDegraded, one, 3 * HOUR, told=3 * HOUR + MINUTE)
    house.report(runtime.ReportUsable, one, 5 * HOUR)
    house.report(runtime.ReportStopped, one, 6 * HOUR)
    house.judged()
    assert house.pieces(one) == [(1, 0, 3 * HOUR), (1, 5 * HOUR, 6 * HOUR)]
    assert house.charged(one) == (4 * GPU_HOUR, 4 * USD)


def test_slurm_operator_3_undrained_what_somebody_had_drained() -> None:
    """A node drained for broken hardware was undrained by the operator at once, so that jobs went on
    failing on it. Here a drain ends with whoever made it; until then nothing is placed there, and
    what runs is neither killed nor charged otherwise.
    """
    house, us, name = one_gpu()
    house.machine(2, "A10", gpus=1)
    one = house.begin(us, 500)
    house.node_does(name, upkeep.Drain("thomas", "broken fan", MINUTE))
    for owner, reason in (("system-operator", "broken fan"), ("thomas", "other")):
        with pytest.raises(DomainError, match=r"node\.drain_foreign"):
            house.node_does(name, upkeep.Undrain(owner, reason, 2 * MINUTE))
    with pytest.raises(DomainError, match=r"capacity\.none_fits"):
        house.start(us, 500, at=2 * MINUTE)
    house.report(runtime.ReportStopped, one, HOUR)
    house.node_does(name, upkeep.Undrain("thomas", "broken fan", HOUR))
    house.start(us, 500, at=HOUR)
    assert house.judged().charged(one) == (GPU_HOUR // 2, USD // 2)
