"""Admissions that gave too much, promised what was not there, or never took back."""

import pytest

from domain import grant, launch, lending, organization, quota, runtime
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.museum.house import HOUR, MINUTE, USD, House
from tests.property.books_history import stream


def test_kueue_804_two_in_one_cycle_both_see_room() -> None:
    """Two workloads decided in one scheduling cycle did not know of each other, were both found to fit,
    and the cohort was over-admitted. Here the second of a batch is decided on what the first took,
    before either is in the log; one whose append was lost gives its room back.
    """
    house = House()
    us = house.tenant(0)
    projects = [us.project, *(house.add_project(n, us.organization, us.account) for n in (5, 6))]
    house.price("T4", USD)
    house.machine(1, "T4", gpus=8)
    limit = quota.SetLimit(us.organization, "*", 3000, 0)
    house.emitted(launch.set_limit(house.state, us.organization, limit))
    house.begin(us, devices=1, project=projects[0])
    # one batch: 2 of the 2 that are left for the second project, then 2 for the third
    first = launch.admit(house.state, house.wish(us, devices=2, project=projects[1]))
    with pytest.raises(DomainError) as caught:
        launch.admit(house.state, house.wish(us, devices=2, project=projects[2]))
    assert caught.value.code == "quota.exceeded"
    assert caught.value.facts == {
        "scope": "organization", "model": "*", "limit_milli": 3000, "used_milli": 3000,
        "wanted_milli": 2000, "fits_milli": 0,
    }  # fmt: skip
    house.state.undo(first)  # its append lost: the next one has the room
    second = launch.admit(house.state, house.wish(us, devices=2, project=projects[2]))
    house.emitted(second)
    house.judged()
    # a log in which both stand is refused by the auditor
    over = quota.Committed(stream("runtime", 99), stream("department", 5), projects[1], "T4", 1, 0)
    house.history.add(quota.quota_stream(us.organization), over)
    with Books(None) as auditor, pytest.raises(Invalid, match=r"books\.quota"):
        house.history.feed(auditor)


def cohort(house: House, org: str, each: int, whole: int, *departments: int) -> None:
    """Departments of an organization that each are guaranteed so much, and lend all of it."""
    command = lending.SetShare(org, "", "T4", whole, 0, whole, 0)
    house.emitted(launch.set_limit(house.state, org, command))
    for number in departments:
        share = lending.SetShare(stream("department", number), org, "T4", each, each, whole, 0)
        house.emitted(launch.set_limit(house.state, org, share))


def test_kueue_5289_several_borrow_the_same() -> None:
    """Two teams of 2 shared what they did not use, 4 in all. One ran 4, 2 of them borrowed; the other
    asked for 4 and was admitted: the cohort gave 8. Here the second is refused, and what is its own
    comes back by a claim: the newest borrower stops, and only then does the other start.
    """
    house = House()
    us = house.tenant(0)
    ours, theirs = (house.add_project(n, us.organization, us.account) for n in (5, 6))
    house.price("T4", USD)
    house.machine(1, "T4", gpus=8)
    cohort(house, us.organization, 2000, 4000, 5, 6)
    older = house.begin(us, devices=2, project=ours, at=1)
    newer = house.begin(us, devices=2, project=ours, at=2)
    for devices, code in ((4, "quota.exceeded"), (2, "quota.lent")):
        with pytest.raises(DomainError) as caught:
            launch.admit(house.state, house.wish(us, devices=devices, project=theirs, at=3))
        assert (caught.value.code, caught.value.facts["used_milli"]) == (code, 4000)
    claim = lending.Claim(stream("department", 6), "T4", 2000, 3, HOUR, 3)
    [decided] = house.emitted(launch.set_limit(house.state, us.organization, claim))
    named = decided.facts[-1]
    assert isinstance(named, lending.ReclaimDecided)
    assert named.runtimes == (newer,)
    house.emitted(launch.reclaim(house.state, newer, 3))
    assert launch.reclaim(house.state, older, 3) == ()
    with pytest.raises(DomainError, match=r"quota\.lent"):
        house.start(us, devices=2, project=theirs, at=4)
    house.report(runtime.ReportStopped, newer, 5)
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        house.start(us, devices=1, project=ours, at=6)
    house.start(us, devices=2, project=theirs, at=6)
    house.judged()


def test_kueue_5937_what_a_deleted_queue_had_was_lent_on() -> None:
    """A queue of the cohort was deleted, and the others were still admitted into what it had brought.
    Here a guarantee is part of what stands above it: taken back there only after it is taken back
    below, nothing more is borrowed from then on, and who is over the new limit only releases.
    """
    house = House()
    us = house.tenant(0)
    ours = house.add_project(5, us.organization, us.account)
    house.price("T4", USD)
    house.machine(1, "T4", gpus=8)
    cohort(house, us.organization, 2000, 4000, 5, 6)
    one = house.begin(us, devices=3, project=ours, at=1)
    less = lending.SetShare(us.organization, "", "T4", 2000, 0, 2000, 2)
    with pytest.raises(DomainError, match=r"quota\.guarantee_exceeded"):
        launch.set_limit(house.state, us.organization, less)
    gone = lending.SetShare(stream("department", 6), us.organization, "T4", 0, 0, 0, 2)
    for command in (gone, less):
        house.emitted(launch.set_limit(house.state, us.organization, command))
    with pytest.raises(DomainError) as caught:
        house.start(us, 1, project=ours, at=3)
    facts = caught.value.facts
    assert (facts["limit_milli"], facts["used_milli"], facts["fits_milli"]) == (2000, 3000, 0)
    house.report(runtime.ReportStopped, one, 4)
    house.start(us, devices=2, project=ours, at=5)
    house.judged()


@pytest.mark.parametrize("held", [(), (1,), (3, 2), (4, 4), (4, 3), (1, 1, 1, 1, 1, 1)])
def test_runpodctl_189_the_stock_says_yes_and_the_launch_says_no(held: tuple[int, ...]) -> None:
    """A GPU that the website offered, and gave, could not be had on the command line: no instances
    available. Here the stock is asked of the index that launches are placed by: as many as it says go, one more not.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    for number in (1, 2):
        house.machine(number, "T4", gpus=4)
    for devices in held:
        house.begin(us, devices=devices)
    [room] = launch.capacity(house.state, us.organization)
    with pytest.raises(DomainError) as caught:
        house.start(us, devices=room.most_devices + 1)
    assert (caught.value.code, caught.value.facts["most_devices"]) == (
        "capacity.none_fits",
        room.most_devices,
    )
    # nodes of four: what is left on the emptier one
    most = {(): 4, (1,): 4, (3, 2): 2, (4, 4): 0, (4, 3): 1, (1,) * 6: 2}[held]
    assert room.most_devices == most
    if most:
        house.start(us, devices=most)
    house.judged()


def test_airavata_custos_540_access_that_never_ended() -> None:
    """Whoever was added got access to the cluster; deactivating the membership or the allocation took
    none away. Here a revoked grant gives no certificate and no pass any more, and a suspended
    organization starts nothing until it is reactivated.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    one = house.begin(us)
    asked = grant.Grant(one, us.project, "user-1", grant.SSH, HOUR, 0)
    [given] = grant.decide(asked, grant.Missing())
    key = grant.IssueCertificate(1, "principal", "0" * 64, Private("0" * 64), 10 * MINUTE, MINUTE)
    standing = fold(grant.DECIDER, [given])
    assert len(grant.decide(key, standing)) == 1
    [revoked] = grant.decide(grant.Revoke("left", 2 * MINUTE), standing)
    over = fold(grant.DECIDER, [given, revoked])
    for command in (key, grant.IssuePass("principal", 8080, "", 3 * MINUTE)):
        with pytest.raises(DomainError, match=r"access\.revoked"):
            grant.decide(command, over)
    whole = fold(organization.DECIDER, house.facts(us.organization))
    expired = organization.decide(organization.Suspend("trial expired", HOUR), whole)
    house.append((us.organization, us.organization, expired))
    with pytest.raises(DomainError, match=r"organization\.suspended"):
        house.start(us, at=HOUR)
    held = fold(organization.DECIDER, house.facts(us.organization))
    paid = organization.decide(organization.Reactivate("paid", 2 * HOUR), held)
    house.append((us.organization, us.organization, paid))
    house.start(us, at=2 * HOUR)
    house.judged()
