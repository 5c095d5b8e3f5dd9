"""Prepaid volumes: held for days ahead, told of, locked, wiped at a date; never billed beyond."""

import pytest
from msgspec.structs import replace

from domain import launch, locking, runtime, storage, volume
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.instants import KEEPING, Keeping
from domain.placing import Mount
from domain.wallet_facts import (
    LevelReached,
    VolumeCaptured,
    VolumeHeld,
    VolumeReleased,
    VolumeRenewed,
)
from tests.museum.house import DAY, HOUR, MINUTE, USD, Tenant
from tests.wallet_world import PrepaidHouse, wallet_stream

AHEAD = 72 * USD  # three days of a GiB at 1 USD an hour
MIB = volume.MIB


def stored(credit: int = 100 * USD) -> tuple[PrepaidHouse, Tenant, str]:
    """A prepaid tenant with that credit and a volume of a GiB, made at once."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    house.meter_storage(USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, credit)
    name = house.store(us)
    house.volume_says(volume.ReportFormatted, name, 0, "ext4_loop", 1024 * MIB)
    return house, us, name


def charged(house: PrepaidHouse, name: str) -> int:
    return house.charged(name)[1]


def test_a_volume_is_held_for_three_days_with_its_creation_or_refused() -> None:
    """In one append; without the credit for it nothing is created, and what is missing is said."""
    house, us, name = stored()
    [held] = [one for one in house.facts(wallet_stream(us.account)) if isinstance(one, VolumeHeld)]
    assert (held.volume, held.amount_pico, held.until_us) == (name, AHEAD, KEEPING.hold_us)
    [created] = [
        cause for at, cause, fact in house.history.facts if isinstance(fact, volume.Created)
    ]
    assert [cause for _, cause, fact in house.history.facts if fact is held] == [created]
    with pytest.raises(DomainError, match=r"wallet\.insufficient") as refused:
        house.store(us)
    assert refused.value.facts == {"available_pico": 28 * USD, "needed_pico": AHEAD}
    house.judged()


def test_what_is_not_metered_is_not_held_for() -> None:
    """A prepaid account's volume costs nothing where nothing is metered."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.machine(1, "T4")
    house.prepay(us)
    house.store(us)
    assert house.facts(wallet_stream(us.account)) == []
    house.judged()


def test_the_hold_is_renewed_daily_and_pays_what_is_charged() -> None:
    """Renewed when two days of it are left; a month's end captures; its wipe releases the rest."""
    house, us, name = stored(1000 * USD)
    assert house.keep_volumes(DAY - 1) == []
    assert house.keep_volumes(DAY) == [name]
    renewed = house.facts(wallet_stream(us.account))[-1]
    assert isinstance(renewed, VolumeRenewed)
    assert (renewed.amount_pico, renewed.until_us) == (96 * USD, 4 * DAY)
    assert house.keep_volumes(DAY) == []
    for day in range(2, 32):
        house.keep_volumes(day * DAY)
    house.close(us, 1, 31 * DAY + HOUR)
    house.settle(31 * DAY + HOUR)
    assert charged(house, name) == 31 * 24 * USD
    assert house.wallet(us).balance_pico == (1000 - 31 * 24) * USD
    house.does_to(name, volume.Wipe(31 * DAY + HOUR))
    house.volume_says(volume.ReportWiped, name, 31 * DAY + 2 * HOUR, "zero", 1024 * MIB, 1)
    house.settle(31 * DAY + 2 * HOUR)
    assert charged(house, name) == (31 * 24 + 2) * USD
    assert house.wallet(us).held_pico == 0
    assert house.wallet(us).balance_pico == (1000 - 31 * 24 - 2) * USD
    balances = house.judged().books.balances(us.account)
    assert balances["receivable"].pico == -charged(house, name)
    assert balances["hold"].pico == 0


def test_growth_takes_more_of_the_credit_or_is_refused() -> None:
    """At once, for all that is held; a refusal changes nothing."""
    house, us, name = stored(150 * USD)
    with pytest.raises(DomainError, match=r"wallet\.insufficient"):
        house.grow(us, name, 3 * 1024, HOUR)
    assert house.state.volumes[name].state.asked is None
    house.grow(us, name, 2 * 1024, HOUR)
    assert house.wallet(us).held_pico == 2 * AHEAD
    house.volume_says(volume.ReportGrown, name, 2 * HOUR, 2 * 1024)
    house.settle(2 * HOUR)
    assert charged(house, name) == 2 * USD
    house.does_to(name, volume.Wipe(3 * HOUR))
    house.volume_says(volume.ReportWiped, name, 3 * HOUR, "zero", 2048 * MIB, 1)
    house.settle(3 * HOUR)
    assert charged(house, name) == 4 * USD
    assert (house.wallet(us).balance_pico, house.wallet(us).held_pico) == (146 * USD, 0)
    house.judged()


def exhausted() -> tuple[PrepaidHouse, Tenant, str]:
    """As `stored`, with credit for one day more than the first hold, until nothing is left."""
    house, us, name = stored(AHEAD + 24 * USD)
    for hour in range(1, 5 * 24):
        house.keep_volumes(hour * HOUR)
        house.settle(hour * HOUR)
    return house, us, name


def test_at_zero_notice_then_locked_then_a_dated_wipe_each_a_fact() -> None:
    """Told two days ahead, with the balance's level; locked when the hold ends, charged to there;
    wiped from the date on by the way that leaves a receipt, and not before.
    """
    house, us, name = exhausted()
    facts = house.facts(name)
    [notice] = [one for one in facts if isinstance(one, volume.LockNoticed)]
    assert notice == volume.LockNoticed(4 * DAY, 11 * DAY, 2 * DAY)
    [locked] = [one for one in facts if isinstance(one, volume.Locked)]
    assert locked == volume.Locked(4 * DAY, 11 * DAY, 4 * DAY)
    levels = [
        one.percent
        for one in house.facts(wallet_stream(us.account))
        if isinstance(one, LevelReached)
    ]
    assert levels == [50, 80, 100]
    assert charged(house, name) == 96 * USD
    assert (house.wallet(us).balance_pico, house.wallet(us).held_pico) == (0, 0)
    assert isinstance(house.facts(wallet_stream(us.account))[-1], VolumeReleased)
    assert house.keep_volumes(11 * DAY - 1) == []
    assert house.keep_volumes(11 * DAY) == [name]
    assert isinstance(house.facts(name)[-1], volume.WipeRequested)
    assert house.keep_volumes(12 * DAY) == []
    house.volume_says(volume.ReportWiped, name, 12 * DAY, "zero", 1024 * MIB, 1)
    house.settle(12 * DAY)
    house.keep_volumes(13 * DAY)
    assert charged(house, name) == 96 * USD
    house.judged()


def test_who_could_not_be_told_before_is_told_with_the_lock() -> None:
    """Nobody decided anything for days: the notice comes late, and comes."""
    house, _, name = stored(AHEAD + 2 * USD)
    assert house.keep_volumes(5 * DAY) == [name]
    notice, locked = house.facts(name)[-2:]
    assert notice == volume.LockNoticed(3 * DAY, 12 * DAY, 5 * DAY)
    assert locked == volume.Locked(3 * DAY, 12 * DAY, 5 * DAY)
    house.judged()


def test_nobody_has_a_locked_volume() -> None:
    """No launch with it, no growth, no snapshot; the runtime that had it is told to stop."""
    house, us, name = stored(AHEAD + 2 * USD)
    wanted = replace(house.wish(us, at=MINUTE), volumes=(Mount(name, "/data"),))
    house.emitted(launch.admit(house.state, wanted))
    house.keep_volumes(3 * DAY)
    assert house.state.volumes[name].state.locked is not None
    last = house.facts(wanted.runtime)[-1]
    assert isinstance(last, runtime.Stopping)
    assert last.reason == "wallet.exhausted"
    assert house.keep_volumes(10 * DAY) == [], "what has it has not ended"
    house.does(wanted.runtime, runtime.Cancel("x", 10 * DAY))
    house.grant(us, USD, at=10 * DAY)
    again = replace(house.wish(us, at=10 * DAY), volumes=(Mount(name, "/data"),))
    for refused in (
        lambda: launch.admit(house.state, again),
        lambda: house.grow(us, name, 2048, 10 * DAY),
        lambda: house.does_to(name, volume.Snapshot("snapshot-1", 10 * DAY)),
    ):
        with pytest.raises(DomainError, match=r"volume\.locked"):
            refused()
    assert house.keep_volumes(10 * DAY) == [name]
    house.judged()


def test_credit_before_the_date_unlocks_it_and_the_time_between_costs_nothing() -> None:
    """Under a new hold of three days from then on; a second exhaustion locks it again."""
    house, us, name = exhausted()
    house.grant(us, AHEAD - 1, at=6 * DAY)
    assert house.keep_volumes(6 * DAY) == [], "not for three days"
    house.grant(us, 24 * USD + 1, at=6 * DAY)
    assert house.keep_volumes(6 * DAY) == [name]
    *_, unlocked = house.facts(name)
    assert unlocked == volume.Unlocked(6 * DAY)
    for hour in range(6 * 24 + 1, 12 * 24):
        house.keep_volumes(hour * HOUR)
        house.settle(hour * HOUR)
    locked = [one for one in house.facts(name) if isinstance(one, volume.Locked)]
    assert [one.locked_us for one in locked] == [4 * DAY, 10 * DAY]
    assert charged(house, name) == 2 * 96 * USD
    assert (house.wallet(us).balance_pico, house.wallet(us).held_pico) == (0, 0)
    assert [end for _, _, end in house.pieces(name)] == [4 * DAY, 10 * DAY]
    said = house.facts(wallet_stream(us.account))
    assert [one.amount_pico for one in said if isinstance(one, VolumeCaptured)] == [96 * USD] * 2
    house.judged()


def test_what_its_node_says_while_it_is_locked_opens_no_bill() -> None:
    """A growth that was ordered before, said late: its size counts from the unlocking on."""
    house, us, name = stored(2 * AHEAD)
    house.grow(us, name, 2048, HOUR)
    house.keep_volumes(3 * DAY)
    house.settle(3 * DAY)
    assert house.state.volumes[name].state.locked is not None
    house.volume_says(volume.ReportGrown, name, 2 * HOUR, 2048, told=4 * DAY)
    assert charged(house, name) == 72 * USD
    assert not house.books.open_resources
    house.grant(us, 1000 * USD, at=5 * DAY)
    assert house.keep_volumes(5 * DAY) == [name]
    house.does_to(name, volume.Wipe(6 * DAY))
    house.volume_says(volume.ReportWiped, name, 6 * DAY, "zero", 2048 * MIB, 1)
    house.settle(6 * DAY)
    assert charged(house, name) == (72 + 2 * 24) * USD
    house.judged()


def test_one_that_its_node_never_made_is_let_go_of() -> None:
    """Nothing is charged; its hold is not renewed, and it ends as any other that is not paid."""
    house, us, _ = stored(1000 * USD)
    name = house.store(us)
    house.does_to(name, volume.RefuseOrder(0, "volume.no_space", MINUTE))
    for day in range(1, 12):
        house.keep_volumes(day * DAY)
        house.settle(day * DAY)
    facts = house.facts(name)
    assert isinstance(facts[-1], volume.WipeRequested)
    assert charged(house, name) == 0
    assert name not in house.wallet(us).holds
    house.judged()


def test_a_writer_that_reads_the_log_again_has_the_same_to_do() -> None:
    """Killed at any time, the next one goes on; what lost its append was never decided."""
    house, us, name = stored(AHEAD + 24 * USD)
    for hour in range(1, 8 * 24, 6):
        fresh = AdmissionState()
        for where, _, fact in house.history.facts:
            fresh.apply(where, fresh.version(where) + 1, fact)
        assert locking.due(fresh, hour * HOUR) == locking.due(house.state, hour * HOUR)
        for one in locking.due(house.state, hour * HOUR):
            emits = locking.carry_out(house.state, one, hour * HOUR)
            house.state.undo(emits)
            assert locking.carry_out(fresh, one, hour * HOUR) == emits
        house.keep_volumes(hour * HOUR)
        house.settle(hour * HOUR)
        if hour == 5 * 24 + 1:
            house.grant(us, 200 * USD, at=hour * HOUR)
    assert isinstance(house.facts(name)[-1], volume.Unlocked)
    house.judged()


def test_days_are_a_setting() -> None:
    """Held for nine days, renewed daily; for one hour, every twenty minutes."""
    assert (KEEPING.hold_us, KEEPING.renew_us, KEEPING.wipe_us) == (3 * DAY, DAY, 7 * DAY)
    assert Keeping(9 * DAY).renew_us == DAY
    assert Keeping(HOUR).renew_us == 20 * MINUTE


def test_what_is_undone_leaves_no_hold() -> None:
    """A creation or a growth that lost its append."""
    house, us, name = stored(1000 * USD)
    before = (house.wallet(us).held_pico, dict(house.wallet(us).holds))
    ids = ("volume-9", us.organization, us.project, house.state.volumes[name].state.created.name)
    house.state.undo(storage.create(house.state, storage.NewVolume(*ids, 64, HOUR)))
    house.state.undo(
        storage.grow(house.state, storage.GrowVolume(name, us.organization, 2048, HOUR))
    )
    assert (house.wallet(us).held_pico, dict(house.wallet(us).holds)) == before
    assert locking.due(house.state, HOUR) == []
