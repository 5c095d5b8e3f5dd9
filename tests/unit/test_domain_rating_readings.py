"""What readings cost, by hand: each aggregation, cut at prices, periods and moves, and priced anew."""

from typing import Any

import pytest
from msgspec.structs import replace

from domain import account, period, pricebook, project, runtime, source
from domain.errors import DomainError
from domain.meter import ReadingsRegistered
from domain.prepayment import Settlement
from domain.price_facts import BookPublished, Rerated, ReratingDecided, ShapedEntry, Tier
from domain.rating import Books
from domain.reading import Reading
from domain.wallet_facts import CreditGranted, UsageRecovered
from tests.unit.domain_world import NAME
from tests.unit.test_domain_money import Told

READ = ("default", "tok", "m", "-", "read", "USD")
BOOK = ShapedEntry("b", 1, *READ, 0, 0, 1, 0, (Tier(None, 7),), 0)


class Meter(Told):
    """Readings of one meter of `aggregation`, 3 pico a unit from 0 on and 5 from 50 on."""

    def __init__(self, aggregation: str, books: Books | None = None) -> None:
        super().__init__(books)
        of = ("tok", "token", 1, aggregation, ("model",), 0)
        self.say("meter-1", ReadingsRegistered(*of))
        for since, pico in ((0, 3), (50, 5)):
            self.say("pricebook-1", pricebook.EntryPublished(*READ, since, 0, pico, 1))

    def read(self, *said: tuple[int, int, int], model: str = "m", what: str = "tok") -> list[Any]:
        """(sign, from, to, quantity, what the line then costs) of each row that these cause."""
        rows, _ = self.books.read(
            self.position,
            [
                Reading("s", 1, n, what, "runtime-1", f"model={model}", start, end, much, "", "")
                for n, (start, end, much) in enumerate(said, 1)
            ],
        )
        self.position += 1
        return [(r.sign, r.start_us, r.end_us, r.quantity, r.line_amount_pico) for r in rows]


def test_readings_of_what_nobody_registered_or_priced_are_refused() -> None:
    """By the meter's name, or by the resource and the instant."""
    for what, model, code, detail in (
        ("other", "m", "rating.no_meter", "no meter other of readings"),
        ("tok", "x", "rating.no_price", "nothing prices runtime-1 at 5"),
    ):
        for aggregation in ("sum", "max", "time-weighted"):
            with pytest.raises(DomainError) as refused:
                Meter(aggregation).read((5, 6, 7), model=model, what=what)
            assert (refused.value.code, refused.value.detail) == (code, detail)


def test_sums_of_one_line_are_one_row_from_the_first_to_the_last() -> None:
    """An instant stands as the microsecond that begins there; a price change begins another row."""
    told = Meter("sum")
    assert told.read((30, 40, 1), (20, 20, 2), (49, 49, 4)) == [(1, 20, 50, 7, 21)]
    assert told.read((49, 60, 1), (50, 50, 2), (49, 55, 1), (70, 80, 0)) == [
        (1, 49, 60, 2, 27),
        (1, 50, 80, 2, 10),
    ]
    assert told.read((10, 11, 0)) == []
    assert told.read((45, 46, 1), (10, 12, 1), (99, 99, 1), (100, 100, 1)) == [
        (1, 10, 46, 2, 33),
        (1, 99, 100, 1, 15),
        (1, 100, 101, 1, 5),
    ]


def test_the_most_and_the_last_of_a_period_stand_for_it() -> None:
    """What they replace is taken back over the time of what replaces it; what counts no more moves
    nothing.
    """
    told = Meter("max")
    assert told.read((10, 20, 4), (30, 40, 4), (5, 6, 3)) == [(1, 10, 20, 4, 12)]
    assert told.read((9, 12, 4)) == []
    assert told.read((20, 30, 6)) == [(1, 20, 30, 2, 18)]
    assert told.read((60, 70, 7)) == [(-1, 60, 70, 6, 0), (1, 60, 70, 7, 35)]
    told = Meter("last")
    assert told.read((10, 20, 4)) == [(1, 10, 20, 4, 12)]
    assert told.read((12, 19, 9)) == []
    assert told.read((60, 61, 2)) == [(-1, 60, 61, 4, 0), (1, 60, 61, 2, 10)]
    assert told.read((100, 100, 2)) == [(1, 100, 101, 2, 10)]


def test_a_level_counts_as_long_as_it_stands() -> None:
    """Cut at prices and periods; of no time it is nothing."""
    told = Meter("time-weighted")
    assert told.read((40, 110, 2)) == [
        (1, 40, 50, 20, 60),
        (1, 50, 100, 100, 500),
        (1, 100, 110, 20, 100),
    ]
    assert told.read((40, 40, 2)) == []


def test_what_is_read_is_cut_where_its_project_moved() -> None:
    """What the last reading replaces is taken back from whoever had the project then."""
    moved = project.Moved("department-2", "account-1", 30)
    told = Meter("sum")
    told.say("project-1", moved)
    assert told.read((20, 25, 1), (29, 40, 1), (30, 31, 1), (20, 20, 1)) == [
        (1, 20, 40, 3, 9),
        (1, 30, 31, 1, 12),
    ]
    told = Meter("time-weighted")
    told.say("project-1", moved)
    assert told.read((20, 32, 1)) == [(1, 20, 30, 10, 30), (1, 30, 32, 2, 36)]
    told = Meter("last")
    told.say("project-1", moved)
    assert told.read((20, 25, 4)) == [(1, 20, 25, 4, 12)]
    assert told.read((40, 44, 3)) == [(-1, 20, 21, 4, 0), (1, 40, 44, 3, 9)]
    assert told.read((41, 45, 5)) == [(1, 41, 45, 2, 15)]
    told.say("pricebook-1", BOOK)
    told.say("pricebook-1", BookPublished("b", 1, 1, 0))
    assert told.say("pricebook-1", Rerated("account-1", "b", 1, 30, 42, 0)) != []
    assert told.read((43, 46, 6)) == [(-1, 43, 46, 5, 0), (1, 43, 46, 6, 18)]


def test_what_is_read_is_priced_anew_where_it_counts() -> None:
    """Of sums what begins in the range, of a level its time there, of the last what stands; once."""
    level = [(1, 10, 50, 100, 300)], [(-1, 20, 40, 50, 150), (1, 20, 40, 50, 350)]
    stands = [(1, 10, 41, 4, 12)]
    for aggregation, until, first, then in (
        ("sum", 40, [(1, 10, 41, 7, 21)], [(-1, 20, 31, 2, 15), (1, 20, 31, 2, 14)]),
        ("time-weighted", 40, *level),
        ("last", 40, stands, []),
        ("last", 41, stands, [(-1, 40, 41, 4, 0), (1, 40, 41, 4, 28)]),
        ("max", 41, stands, [(-1, 40, 41, 4, 0), (1, 40, 41, 4, 28)]),
    ):
        told = Meter(aggregation)
        levels, counts = ((10, 30, 1), (30, 50, 4)), ((10, 30, 1), (20, 31, 2), (40, 41, 4))
        assert told.read(*(levels if aggregation == "time-weighted" else counts)) == first
        told.say("pricebook-1", BOOK)
        told.say("pricebook-1", BookPublished("b", 1, 1, 0))
        decided = Rerated("account-1", "b", 1, 20, until, 0)
        found, _ = told.books.apply(told.position, "pricebook-1", decided)
        told.position += 1
        assert [
            (r.sign, r.start_us, r.end_us, r.quantity, r.line_amount_pico) for r in found
        ] == then
        assert told.books.apply(told.position, "pricebook-1", decided) == ([], [])


def test_what_was_read_is_asked_for_once_more_where_nobody_keeps_it() -> None:
    """By the position of its seal, only where the range touches it."""
    asked = list[int]()

    def reread(position: int) -> list[Reading]:
        asked.append(position)
        return [Reading("s", 1, 1, "tok", "runtime-1", "model=m", 10, 11, 2, "", "")]

    told = Meter("sum", Books(reread))
    first = told.position
    assert told.read((10, 11, 2)) == [(1, 10, 11, 2, 6)]
    assert told.read((60, 61, 2)) == [(1, 60, 61, 2, 10)]
    told.say("pricebook-1", BOOK)
    told.say("pricebook-1", BookPublished("b", 1, 1, 0))
    for start, end, rows in ((0, 10, 0), (11, 60, 0), (0, 11, 2)):
        decided = Rerated("account-1", "b", 1, start, end, 0)
        found, _ = told.books.apply(told.position, "pricebook-1", decided)
        told.position += 1
        assert len(found) == rows
    assert asked == [first]


def test_what_is_read_after_a_re_rating_follows_from_it() -> None:
    """An instant stands as its microsecond; what a later reading replaces goes back at its new price."""
    for aggregation, then in (
        ("sum", [(1, 45, 46, 1, 3)]),
        ("last", [(-1, 45, 46, 4, 0), (1, 45, 46, 1, 3)]),
    ):
        told = Meter(aggregation)
        assert told.read((20, 20, 4)) == [(1, 20, 21, 4, 12)]
        told.say("pricebook-1", BOOK)
        told.say("pricebook-1", BookPublished("b", 1, 1, 0))
        decided = Rerated("account-1", "b", 1, 20, 21, 0)
        found, _ = told.books.apply(told.position, "pricebook-1", decided)
        told.position += 1
        assert [(r.sign, r.start_us, r.end_us, r.line_amount_pico) for r in found] == [
            (-1, 20, 21, 0),
            (1, 20, 21, 28),
        ]
        assert told.read((45, 45, 1)) == then


def test_a_source_reports_to_the_account_its_project_had_when_it_was_registered() -> None:
    """What is read of a project by a source of before its move; by one of after; by one of a project
    that nobody created, and of a runtime, whoever has it.
    """
    told = Meter("sum")
    opened = account.Opened("organization-1", "USD", 12, "UTC", "x", 0)
    told.say("account-2", opened)
    told.say("period-3", period.Opened("account-2", 1, 0, 100, "UTC", "x", 0))
    told.say("project-6", project.Created("organization-1", "d", "account-1", NAME, 0))
    for source_id, of in (("source-1", "project-6"), ("source-3", "project-9")):
        told.say(source_id, source.Registered("organization-1", of, "k", ("tok",), 0))
    told.say("project-6", project.Moved("d", "account-2", 0))
    told.say("source-2", source.Registered("organization-1", "project-6", "k", ("tok",), 0))
    for where, by, pays in (
        ("project-6", "source-1", "account-1"),
        ("project-6", "source-2", "account-2"),
        ("project-6", "source-3", "account-2"),
        ("runtime-1", "source-2", "account-1"),
        ("runtime-1", "source-3", "account-1"),
    ):
        one = Reading(by, 1, 1, "tok", where, "model=m", 5, 5, 7, "", "")
        rows, [moved] = told.books.read(told.position, [one])
        told.position += 1
        assert (moved.account, moved.amount_pico, len(rows)) == (pays, 21, 1)


def test_a_re_rating_moves_what_stands_for_its_own_account_only() -> None:
    """And nothing that was sealed before a decision of earlier releases."""
    told = Meter("last")
    told.say("account-2", account.Opened("organization-1", "USD", 12, "UTC", "x", 0))
    told.say("period-3", period.Opened("account-2", 1, 0, 100, "UTC", "x", 0))
    told.say("runtime-2", runtime.Requested("project-2", "d", "account-2", NAME, 1, 7, (), 0))
    said = [Reading("s", 1, n, "tok", f"runtime-{n}", "model=m", 5, 5, 7, "", "") for n in (1, 2)]
    assert len(told.books.read(told.position, said)[0]) == 2
    told.position += 1
    told.say("pricebook-1", BOOK)
    told.say("pricebook-1", BookPublished("b", 1, 1, 0))
    moved = []
    for decided in (
        Rerated("account-2", "b", 1, 0, 10, 0),
        ReratingDecided("account-1", "b", 1, 0, 10, 0),
        Rerated("account-1", "b", 1, 0, 11, 0),
    ):
        rows, _ = told.books.apply(told.position, "pricebook-1", decided)
        told.position += 1
        moved.append([row.resource for row in rows])
    assert moved == [["runtime-2", "runtime-2"], [], []]


def test_what_is_read_of_a_prepaid_account_is_to_be_met_from_its_wallet() -> None:
    """As far as it has credit that nothing is held of; in all, whatever was met before."""
    told = Meter("sum")
    told.say("account-1", account.TermsSet("prepaid", 0, 0))
    told.read((5, 6, 7))
    assert told.books.prepayments.settlements() == []
    told.say("wallet-1", CreditGranted("grant-1", "paid", 50, 0, "r", 0, 50, 0))
    owed = Settlement("wallet-1", "usage", 21, 0, over=False)
    assert told.books.prepayments.settlements() == [owed]
    told.say("wallet-1", UsageRecovered(21, 0, 29, 0))
    assert told.books.prepayments.settlements() == []
    told.read((6, 7, 1))
    assert told.books.prepayments.settlements() == [replace(owed, charged_pico=24)]
