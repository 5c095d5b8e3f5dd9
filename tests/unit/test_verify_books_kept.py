"""Facts of prepaid volumes and of what no hold covers that contradict the books: refused by name."""

from functools import cache
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from contracts.usage import Reporter
from domain import account, price_facts, volume, wallet, wallet_facts
from domain.funding import settle
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, USD
from tests.property.books_history import stream
from tests.property.books_judged import Said, judge, refused
from tests.unit.test_verify_books_usage import (
    ACCOUNT,
    KEY,
    SOURCE,
    Told,
    reading,
    rows_of,
    said,
    world,
)
from tests.unit.test_verify_books_wallets import Change
from tests.wallet_world import PrepaidHouse, wallet_stream

MIB = volume.MIB
W = wallet_facts


@cache
def told() -> tuple[tuple[Said, ...], str, dict[str, str]]:
    """A volume that is held, grown, renewed, told of, locked, unlocked and wiped; its wallet."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    house.meter_storage(USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 200 * USD)
    name = house.store(us)
    house.volume_says(volume.ReportFormatted, name, 0, "ext4_loop", 1024 * MIB)
    house.grow(us, name, 2048, HOUR)
    house.volume_says(volume.ReportGrown, name, 2 * HOUR, 2048)
    for hour in range(2, 6 * 24, 6):
        house.keep_volumes(hour * HOUR)
        house.settle(hour * HOUR)
    house.grant(us, 200 * USD, at=7 * DAY)
    house.keep_volumes(7 * DAY)
    house.does_to(name, volume.Wipe(7 * DAY))
    house.volume_says(volume.ReportWiped, name, 8 * DAY, "zero", 2048 * MIB, 1)
    house.settle(8 * DAY)
    house.judged()
    kinds = {type(fact).__name__ for _, _, fact in house.history.facts}
    assert kinds >= {
        "VolumeHeld", "VolumeRenewed", "VolumeCaptured", "VolumeReleased", "LockNoticed", "Locked",
        "Unlocked", "Wiped",
    }  # fmt: skip
    return tuple(house.history.facts), us.account, dict(house.history.orgs)


def at(kind: type[Struct], number: int = 0) -> int:
    """The position of the fact of that kind, counted from 0."""
    return [n for n, (_, _, fact) in enumerate(told()[0]) if isinstance(fact, kind)][number]


def test_the_whole_life_of_a_prepaid_volume_is_believed() -> None:
    """Else every refusal below would prove nothing."""
    facts, _, orgs = told()
    judge(list(facts), orgs)


def test_what_is_made_while_it_is_locked_costs_nothing_before_it_is_unlocked() -> None:
    """Its node said so late: its time counts from the unlocking on."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.meter_storage(USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 72 * USD)
    name = house.store(us)
    house.keep_volumes(3 * DAY)
    house.settle(3 * DAY)
    house.volume_says(volume.ReportFormatted, name, HOUR, "ext4_loop", 1024 * MIB, told=4 * DAY)
    house.grant(us, 72 * USD, at=5 * DAY)
    house.keep_volumes(5 * DAY)
    house.does_to(name, volume.Wipe(6 * DAY))
    house.volume_says(volume.ReportWiped, name, 6 * DAY, "zero", 1024 * MIB, 1)
    house.settle(6 * DAY)
    assert house.pieces(name) == [(1, 5 * DAY, 6 * DAY)]
    judge(list(house.history.facts), dict(house.history.orgs))


CASES: list[tuple[type[Struct], int, Change, str, str]] = [
    (W.VolumeHeld, 0, lambda f: replace(f, volume=stream("volume", 9)), "books.hold", "volume"),
    (W.VolumeHeld, 0, lambda f: replace(f, until_us=f.from_us), "books.hold", "until_us"),
    (W.VolumeHeld, 0, lambda f: replace(f, amount_pico=-1), "books.hold", "until_us"),
    (W.VolumeHeld, 0, lambda f: replace(f, amount_pico=1), "books.wallet", "held_pico"),
    (W.VolumeRenewed, 0, lambda f: replace(f, amount_pico=-1), "books.hold", "holds"),
    (W.VolumeRenewed, 0, lambda f: replace(f, volume=stream("volume", 9)), "books.hold", "volume"),
    (W.VolumeRenewed, 0, lambda f: replace(f, amount_pico=USD), "books.wallet", "held_pico"),
    (W.VolumeCaptured, 0, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.VolumeCaptured, 0, lambda f: replace(f, volume=stream("volume", 9)), "books.hold", "volume"),
    (W.VolumeReleased, 0, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.VolumeReleased, 0, lambda f: replace(f, volume=stream("volume", 9)), "books.hold", "volume"),
    (volume.Locked, 0, lambda f: replace(f, locked_us=f.locked_us - 1), "books.volume", "locked_us"),
    (volume.Locked, 0, lambda f: replace(f, locked_us=f.locked_us + 1), "books.volume", "locked_us"),
    (volume.Locked, 0, lambda f: replace(f, wipe_us=f.locked_us - 1), "books.volume", "wipe_us"),
    (volume.Locked, 0, lambda f: replace(f, decided_us=f.locked_us - 1), "books.volume", "decided_us"),
    (volume.Unlocked, 0, lambda f: replace(f, unlocked_us=HOUR), "books.volume", "unlocked_us"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "change", "code", "field"), CASES)
def test_a_fact_that_contradicts_the_books_is_refused(
    kind: type[Struct], number: int, change: Change, code: str, field: str
) -> None:
    """One field of one fact at a time."""
    facts, _, orgs = told()
    changed, place = list(facts), at(kind, number)
    where, cause, fact = changed[place]
    changed[place] = (where, cause, change(fact))
    assert refused(changed, orgs) == (code, field)


def without(kind: type[Struct]) -> list[Said]:
    place = at(kind)
    return [one for n, one in enumerate(told()[0]) if n != place]


def test_a_metered_volume_of_a_prepaid_account_has_its_hold_in_its_append() -> None:
    """When it is created and when it is unlocked; and no volume of others has one."""
    facts, _, orgs = told()
    assert refused(without(W.VolumeHeld), orgs) == ("books.hold", "cause")
    assert refused(list(facts[: at(W.VolumeHeld, 1)]), orgs) == ("books.hold", "cause")
    assert refused(without(account.TermsSet), orgs) == ("books.hold", "volume")
    place = at(W.VolumeHeld)
    assert refused([*facts[: place + 1], facts[place]], orgs) == ("books.hold", "volume")


def test_a_lock_is_of_what_is_held_for_and_once() -> None:
    """Nobody's, twice, or of a volume that stands: refused; so is the unlocking of one that is not
    locked, and a renewal of one that is.
    """
    facts, _, orgs = told()
    lock, unlock = at(volume.Locked), at(volume.Unlocked)
    assert refused([*facts[: lock + 1], facts[lock]], orgs) == ("books.volume", "stream")
    assert refused([*facts[:lock], facts[unlock]], orgs) == ("books.volume", "unlocked_us")
    renewed: Any = facts[at(W.VolumeRenewed)][2]
    where, cause, _ = facts[at(W.VolumeRenewed)]
    late = (where, cause, replace(renewed, until_us=90 * DAY))
    assert refused([*facts[: lock + 1], late], orgs) == ("books.hold", "volume")
    over = at(volume.Wiped)
    assert refused([*facts[: over + 1], late], orgs) == ("books.hold", "volume")
    free = [
        (where, cause, fact)
        for where, cause, fact in facts[: at(volume.Formatted) + 1]
        if not isinstance(fact, account.TermsSet | W.VolumeHeld)
    ]
    assert refused([*free, facts[lock]], orgs) == ("books.volume", "stream")


def test_a_hold_is_resolved_before_the_next_one() -> None:
    """An unlocking while what was held before is not released is refused."""
    facts, _, orgs = told()
    kept = without(W.VolumeReleased)
    place = next(n for n, one in enumerate(kept) if isinstance(one[2], volume.Unlocked))
    where, cause, held = facts[at(W.VolumeHeld, 1)]
    early = [*kept[: place + 1], (where, cause, held)]
    assert refused(early, orgs) == ("books.hold", "volume")


def test_nothing_is_released_before_the_end_or_with_charges_open() -> None:
    """Of a volume that stands, and of one whose last charge is not met."""
    facts, _, orgs = told()
    release = facts[at(W.VolumeReleased)]
    lock = at(volume.Locked)
    assert refused([*facts[:lock], release], orgs) == ("books.hold", "volume")
    assert refused([*facts[: lock + 1], release], orgs) == ("books.hold", "volume")


def test_nothing_is_attached_to_a_locked_volume() -> None:
    """Whoever has a runtime there."""
    facts, _, orgs = told()
    lock = at(volume.Locked)
    where = facts[lock][0]
    attach = volume.Attached(stream("runtime", 1), stream("allocation", 1), 1, "/d", 5 * DAY)
    cut = [*facts[: lock + 1], (where, "cmd:" + "1" * 64, attach)]
    assert refused(cut, orgs) == ("books.volume", "allocation")
    with pytest.raises(Invalid, match="locked"):
        judge(cut, orgs)


def recovered() -> tuple[Told, int]:
    """A prepaid account with 10 pico that was read to have used for 6; where that is taken."""
    one = world()
    one.add(ACCOUNT, account.TermsSet("prepaid", 0, 0))
    where = wallet_stream(ACCOUNT)
    one.add(where, W.CreditGranted(stream("grant", 1), "paid", 10, 0, "r", 0, 10, 0))
    one.seal(said(reading(4)))
    return one, one.add(where, W.UsageRecovered(6, 0, 4, 0))


def judged(one: Told) -> dict[str, tuple[int, int]]:
    with Books(None) as books:
        one.feed(books)
        found = books.balances(ACCOUNT)
        for table in ("rated_interval", "transfer"):
            list(books.expected_rows(table))
        books.finish()
        return found


def test_what_is_read_is_met_from_the_wallet() -> None:
    """What was charged, and no more: it comes out of the wallet and stands in `receivable`."""
    one, _ = recovered()
    assert {name: pico for name, (_, pico) in judged(one).items()} == {
        "cash": 10, "wallet": -4, "unbilled": 6, "revenue:tok:m": -6, "receivable": -6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("got", "balance", "code", "field"),
    [
        (7, 3, "books.hold", "recovered_pico"),
        (0, 10, "books.hold", "recovered_pico"),
        (-1, 11, "books.hold", "recovered_pico"),
        (6, 5, "books.wallet", "balance_pico"),
    ],
)
def test_no_more_is_taken_than_is_owed(got: int, balance: int, code: str, field: str) -> None:
    """Nor nothing, nor given back what was not taken."""
    one, place = recovered()
    where, cause, _ = one.facts[place]
    one.facts[place] = (where, cause, W.UsageRecovered(got, 0, balance, 0))
    with pytest.raises(Invalid) as caught:
        judged(one)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_an_account_that_pays_afterwards_owes_its_wallet_nothing() -> None:
    """What is read while it is not prepaid is billed."""
    one, place = recovered()
    terms = next(
        n for n, (_, _, fact) in enumerate(one.facts) if isinstance(fact, account.TermsSet)
    )
    where, cause, _ = one.facts[terms]
    one.facts[terms] = (where, cause, account.TermsSet("postpaid", 0, 0))
    with pytest.raises(Invalid) as caught:
        judged(one)
    assert (caught.value.code, caught.value.field) == ("books.hold", "recovered_pico")
    assert place


def test_what_is_taken_back_of_a_reading_goes_back_to_the_wallet() -> None:
    """Of a meter whose last reading counts: one that was read later, of less."""
    one = world("last")
    one.add(ACCOUNT, account.TermsSet("prepaid", 0, 0))
    where = wallet_stream(ACCOUNT)
    one.add(where, W.CreditGranted(stream("grant", 1), "paid", 10, 0, "r", 0, 10, 0))
    reporter = Reporter(KEY, SOURCE, 1)
    one.seal(rows_of(reporter.batch((reading(4),))))
    one.add(where, W.UsageRecovered(6, 0, 4, 0))
    one.seal(rows_of(reporter.batch((reading(2, 1, 1),))))
    back = one.add(where, W.UsageRecovered(-3, 0, 7, 0))
    assert judged(one)["receivable"][1] == -3
    one.facts[back] = (where, one.facts[back][1], W.UsageRecovered(-4, 0, 8, 0))
    with pytest.raises(Invalid):
        judged(one)


def committed() -> tuple[PrepaidHouse, Any]:
    """A prepaid account that has committed itself to 31 USD in its first month, with 20."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    house.prepay(us)
    house.grant(us, 20 * USD)
    end = house.opened(us)[0].end_us
    made = price_facts.CommitmentMade(
        us.account, "gpu.time", "T4", "-", "usable", "USD", 0, end, 31 * GPU_HOUR, USD, GPU_HOUR, 0
    )
    house.append((stream("pricebook", 1), "-", [made]))
    house.close(us, 1, end + MINUTE)
    return house, us


def test_a_commitment_is_met_from_the_wallet_as_far_as_it_goes_and_from_the_next_credit() -> None:
    """Asked again, nothing more is taken; what is not there stays owed, and comes first then."""
    house, us = committed()
    assert house.settle(32 * DAY) == 1
    assert house.wallet(us).balance_pico == 0
    assert house.settle(32 * DAY) == 0
    house.grant(us, 30 * USD, at=33 * DAY)
    [due] = house.books.prepayments.settlements()
    command = wallet.Settle(due.runtime, due.charged_pico, 0, False, 33 * DAY)
    undone = settle(house.state, due.wallet, command)
    house.state.undo(undone)
    assert house.settle(33 * DAY) == 1
    assert house.wallet(us).balance_pico == 19 * USD
    assert house.books.balances(us.account)["receivable"].pico == -31 * USD
    draft = house.bill(us, 1, 34 * DAY)
    assert draft.total_pico == 31 * USD
    assert house.books.balances(us.account)["receivable"].pico == 0
    house.judged()
    judge(list(house.history.facts), dict(house.history.orgs))
