"""The invariants of MONEY.md section 7 in one world: everything that moves money, in any order.

What wallets do (`test_wallets.py`: grants, holds, leases, late and repeated words, clocks that drift
by ten minutes, appends that lose, crashes of the writer), and beside it a postpaid account, books and
re-ratings, readings out of order and twice, invoices with their tax, credit notes and payments
(`sold_rules.py`), projects that move below limits (`tree_rules.py`), and crashes of whoever rates; at
the end all of it is told anew in other orders (`retold.py`). `make chaos` asks more of it (`python
-m tests.chaos invariants`); which test shows which invariant, under which faults: tests/README.md.
"""

from collections import defaultdict
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from contracts import usage
from contracts.signing import public_hex
from contracts.usage import Reporter
from domain import meter, pricebook, project, rating, source
from domain.decider import fold
from domain.ledger import Balance
from domain.price_facts import Tier
from domain.reading import Mark, Reading, repeated
from domain.statement import InvoiceDraft
from tests.museum.house import DAY, GPU_HOUR, HOUR, USD
from tests.property.books_history import stream
from tests.property.rating_orders import line_totals
from tests.property.retold import picos, require_one, still
from tests.property.sold_rules import Sold
from tests.unit.test_verify_books_usage import KEY, Told, rows_of
from tests.wallet_world import PrepaidHouse

_TOKENS = "tokens"
_NAMES = ("spring", "autumn")
type Row = rating.RatedInterval


class ReadingHouse(PrepaidHouse):
    """As a `PrepaidHouse`, with readings."""

    def __init__(self) -> None:
        super().__init__()
        self.history = self.told = Told()

    def seal(self, batch: usage.Batch, skip: int) -> None:
        """The batch's new readings, and what they are charged."""
        position = self.told.seal(rows_of(batch)[skip:])
        self._rated(self.books, self.rows, position)

    def refolded(self) -> tuple[rating.Books, dict[str, list[Any]]]:
        """What a process that begins now makes of the log."""
        books, rows = rating.Books(), {table: list[Any]() for table in self.rows}
        for position in range(len(self.told.facts)):
            self._rated(books, rows, position)
        return books, rows

    def _rated(self, books: rating.Books, rows: dict[str, list[Any]], position: int) -> None:
        name, _, fact = self.told.facts[position]
        if position in self.told.rows:
            said = [msgspec.convert(row, Reading) for row in self.told.rows[position]]
            found = books.read(position, said)
        else:
            found = books.apply(position, name, fact)
        rows["rated_interval"] += found[0]
        rows["transfer"] += found[1]


class Invariants(Sold):
    """Two prepaid accounts, one postpaid, two nodes, one app that reports."""

    house: ReadingHouse

    @initialize(credit=st.integers(0, 12), before=st.integers(1, 40))
    def begin(self, credit: int, before: int) -> None:
        """As for wallets, with the third account, its app's meter and two prices of tokens."""
        super().begin(credit, before)
        self.frozen: dict[str, tuple[InvoiceDraft, tuple[Row, ...]]] = {}
        self.said: list[tuple[int, int]] = []  # instant, tokens
        self.flying: list[usage.Batch] = []
        self.mark: Mark | None = None
        self.open_tokens()

    def built(self) -> ReadingHouse:
        """Where all of it happens."""
        return ReadingHouse()

    def open_tokens(self) -> None:
        """A tier inside, and a price that changes an hour before the period ends."""
        house, app = self.house, stream("source", 1)
        counted = meter.RegisterReadings(_TOKENS, "token", 1, "sum", ("model",), 0)
        house.append((stream("meter", 1), "-", meter.decide(counted, meter.Missing())))
        for since, pico in ((0, 7), (31 * DAY - HOUR, 11)):
            tiers = (Tier(50, pico), Tier(None, 2 * pico))
            of = ("default", _TOKENS, "m", "-", "read", "USD", since, 3, 5, tiers, 9)
            self.book_does(pricebook.PublishShaped(pricebook.Shaped(*of), 0))
        org, mine = self.owing.organization, self.owing.project
        asked = source.Register(org, mine, public_hex(KEY), (_TOKENS,), 0)
        house.append((app, org, source.decide(asked, source.Missing())))
        self.app = Reporter(KEY, app, 1)
        assert isinstance(house.facts(mine)[0], project.Created)

    def book_does(self, command: pricebook.Command) -> None:
        book = stream("pricebook", 1)
        state = fold(pricebook.DECIDER, self.house.facts(book))
        self.house.append((book, "-", pricebook.decide(command, state)))

    @rule(
        milli=st.sampled_from([250, 1000]), times=st.integers(0, 3), beside=st.booleans(),
        to=st.integers(0, 2),
    )  # fmt: skip
    def owe(self, milli: int, times: int, beside: bool, to: int) -> None:
        """The postpaid account launches, too, in either project, and uses it for a while, in which
        the project may move.
        """
        before, name = self.live(), self.mine(self.owing)[beside]
        refused = self.refusal(
            lambda: self.house.begin(self.owing, milli, at=self.now, project=name)
        )
        assert not refused or self.may_refuse(self.owing, milli, refused, name)
        assert len(self.live()) == len(before) + (not refused)
        for _ in range(times):
            self.now += 60_000_000
            self.lease(0, 1, lost=False)
            self.lease(1, 1, lost=False)
        if times:
            self.move(2 + beside, to, 0, lost=False)
            self.now += 60_000_000

    @rule(late=st.integers(0, 7200), counts=st.lists(st.integers(0, 99), min_size=1, max_size=3))
    def report(self, late: int, counts: list[int]) -> None:
        """Tokens of up to two hours ago, on their way."""
        at = self.now - late * 1_000_000
        of = (_TOKENS, self.owing.project, {"model": "m"}, at, at)
        self.flying.append(self.app.batch(tuple(usage.Reading(*of, one) for one in counts)))
        self.said += [(at, one) for one in counts]

    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, again: bool) -> None:
        """Any batch that is on its way, whatever came before; perhaps not for the last time."""
        if self.flying:
            batch = self.flying[data.draw(st.integers(0, len(self.flying) - 1))]
            if self.take(batch) and not again:
                self.flying.remove(batch)

    def land(self) -> None:
        """All batches that are on their way."""
        while self.flying:
            self.flying = [one for one in self.flying if not self.take(one)]

    def take(self, batch: usage.Batch) -> bool:
        """False: before its turn."""
        skips = list[int]()
        known = (self.mark, batch.epoch, batch.first, len(batch.readings))
        if self.refusal(lambda: skips.append(repeated(*known))) == "reading.gap":
            return False
        [skip] = skips
        if skip < len(batch.readings):
            self.house.seal(batch, skip)
            self.mark = Mark(batch.epoch, batch.last, bytes.fromhex(batch.chain))
        return True

    @rule(name=st.integers(0, 1), pico=st.integers(0, 3), since=st.integers(0, 90))
    def edition(self, name: int, pico: int, since: int) -> None:
        """A book's next edition: other prices from some minute of the last hour and a half on."""
        at = 31 * DAY - since * 60_000_000
        of = ("default", "gpu.time", "T4", "-", "usable", "USD", at, GPU_HOUR)
        tiers = (Tier(GPU_HOUR // 10, pico * USD), Tier(None, USD))
        entry = pricebook.Shaped(*of, 0, tiers if pico % 2 else tiers[1:], 0)
        self.book_does(pricebook.PublishBook(_NAMES[name], (entry,), self.now))

    @rule(name=st.integers(0, 2), start=st.integers(0, 90), length=st.integers(1, 120))
    def rerate(self, name: int, start: int, length: int) -> None:
        """Invariant 8: again by the same book, it is nothing."""
        book = ("-", *_NAMES)[name]
        from_us = 31 * DAY - start * 60_000_000
        span = (from_us, from_us + length * 60_000_000)
        asked = pricebook.Rerate(self.owing.account, "USD", book, *span, self.now)
        refused = self.refusal(lambda: self.book_does(asked))
        if refused:
            assert refused.startswith("price.")
            return
        rows = len(self.house.rows["rated_interval"])
        self.book_does(asked)
        assert len(self.house.rows["rated_interval"]) == rows

    @rule(name=st.integers(1, 2), start=st.integers(0, 90), length=st.integers(1, 120))
    def there_and_back(self, name: int, start: int, length: int) -> None:
        """Invariant 8: A -> B -> A is nothing."""
        self.rerate(0, start, length)
        lines = line_totals(self.house.rows["rated_interval"])
        owed = picos(self.house.books, self.owing.account)
        self.rerate(name, start, length)
        self.rerate(0, start, length)
        assert line_totals(self.house.rows["rated_interval"]) == lines
        assert picos(self.house.books, self.owing.account) == owed

    @rule(name=st.integers(0, 1), pico=st.integers(0, 3), minutes=st.integers(1, 60))
    def reprice(self, name: int, pico: int, minutes: int) -> None:
        """What the last while was used costs something else, and perhaps that again."""
        self.edition(name, pico, 90)
        start = (31 * DAY - self.now) // 60_000_000 + minutes
        self.rerate(name + 1, max(0, start), minutes * 2)

    @rule(tokens=st.booleans(), counts=st.lists(st.integers(0, 10**6), min_size=1, max_size=2))
    def sale(self, tokens: bool, counts: list[int]) -> None:
        """The month of a seller's buyer is over, of some use in both projects."""
        self.tax(tokens)
        self.owe(1000, 2, beside=True, to=1)
        self.report(0, counts)
        self.land()
        self.month_over(0, 2)

    @rule(minutes=st.integers(0, 30), which=st.integers(0, 2))
    def month_over(self, minutes: int, which: int) -> None:
        """Over whatever runs; an account is billed, the others may be later."""
        for machine in (0, 1):
            self.lease(machine, 1, lost=False)
        self.now = max(self.now, 31 * DAY + minutes * 60_000_000)
        self.bill(which)

    @rule(which=st.integers(0, 2))
    def bill(self, which: int) -> None:
        """A first period that is over is closed and invoiced."""
        us = (*self.us, self.owing)[which]
        first = self.house.opened(us)[0]
        if self.now < first.end_us or us.account in self.frozen:
            return
        if us.account not in self.closed:
            self.closed.add(us.account)
            self.house.close(us, 1, self.now)
        draft = self.invoiced(us)
        self.frozen[us.account] = (draft, self.booked(draft))

    def booked(self, draft: InvoiceDraft) -> tuple[Row, ...]:
        rows = self.house.rows["rated_interval"]
        return tuple(row for row in rows if row.booked == draft.period)

    @rule()
    def crash_of_the_rater(self) -> None:
        """Invariant 16: another one folds the log, and has the same rows; it goes on from there."""
        books, rows = self.house.refolded()
        assert rows == self.house.rows
        self.house.books = books

    @invariant()
    def closed_periods_never_change(self) -> None:
        """Invariants 15, 9 and 13: rows and invoice stand; it is its lines, to half a cent."""
        for draft, rows in getattr(self, "frozen", {}).values():
            assert self.house.books.invoice_of(draft.period) == draft
            assert self.booked(draft) == rows
            assert draft.total_pico == sum(line.amount_pico for line in draft.lines)
            assert 2 * abs(draft.total_minor * 10**10 - draft.total_pico) <= 10**10
            assert sum(line.shown_minor for line in draft.lines) == draft.total_minor

    def teardown(self) -> None:
        """Invariants 1, 2, 3 (`Purses`: the auditor derives every row), 4, 5, 6, 7, 10 and 12."""
        if not hasattr(self, "house"):
            return
        self.land()
        self.voided()
        super().teardown()
        self.attributed()
        require_one(self.house.told, self.owing, len(self.house.told.facts))
        assert still(self.house.told) == {
            us.account: picos(self.house.books, us.account) for us in self.tenants
        }
        rows = self.house.rows["rated_interval"]
        tokens = sum(row.sign * row.quantity for row in rows if row.meter == _TOKENS)
        assert tokens == sum(count for _, count in self.said)
        charged: dict[tuple[str, int], int] = defaultdict(int)
        for row in rows:
            if row.meter == "gpu.time" and row.end_us > row.start_us:
                size = row.sign * row.quantity // (row.end_us - row.start_us)
                charged[row.resource, row.start_us] += size
                charged[row.resource, row.end_us] -= size
        level: dict[str, int] = defaultdict(int)
        for name, at in sorted(charged):
            level[name] += charged[name, at]
            kept = self.house.state.reservations.get(name)
            most = 1000 * (1 if kept is None else kept.made.devices)
            assert 0 <= level[name] <= most, "no time is charged twice"
        assert not any(level.values())
        moved = self.house.rows["transfer"]
        for us in (*self.us, self.owing):
            balances = self.house.books.balances(us.account)
            assert sum(one.pico for one in balances.values()) == 0
            invoiced = self.frozen.get(us.account)
            if invoiced is not None and us is self.owing and self.sold is None:
                owed = balances.get("receivable", Balance(0, 0)).pico
                assert owed == invoiced[0].total_minor * 10**10
        assert len({row.id for row in moved}) == len(moved)


Invariants.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
test_invariants = Invariants.TestCase
