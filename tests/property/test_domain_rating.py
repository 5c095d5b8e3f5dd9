"""Rating against an oracle that looks at every microsecond by itself (MONEY.md section 7)."""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from domain import account, invoice, meter, period, pricebook, runtime, volume
from domain.rating import Books, RatedInterval, Transfer
from tests.property.rating_orders import (
    A,
    LineKey,
    Said,
    closes_last,
    digest,
    doubled,
    fold_all,
    interleaved,
    line_totals,
    split,
    without_invoices,
)
from tests.unit.domain_world import NAME, enrolled

END = 100  # the horizon, us: short enough to count one by one
MODELS = ("T4", "A10")
LOCAL = "local"  # the model of volumes
type InvoiceLine = tuple[str, str, int, str]  # project, SKU, price, service period


def add(to: list[int], pair: Sequence[int]) -> None:
    to[0] += pair[0]
    to[1] += pair[1]


def kept(sums: dict[InvoiceLine, list[int]]) -> dict[InvoiceLine, list[int]]:
    """Lines of quantity 0 and amount 0 vanish."""
    return {key: pair for key, pair in sums.items() if pair != [0, 0]}


class Rating(RuleBasedStateMachine):
    """Runtimes and volumes come and go, periods close early or late, invoices follow."""

    @initialize(
        cuts=st.lists(st.integers(1, END - 1), min_size=1, max_size=5, unique=True).map(sorted),
        entries=st.lists(
            st.tuples(
                st.sampled_from(["default", "account-1"]),
                st.sampled_from((*MODELS, LOCAL)),
                st.integers(1, END),
                st.booleans(),
                st.integers(0, 10**13),
                st.sampled_from([1, 3, 1000, 999_983]),
            ),
            max_size=8,
            unique_by=lambda entry: entry[:3],
        ),
        digits=st.sampled_from([0, 2, 11, 12]),
    )
    def begin(
        self,
        cuts: list[int],
        entries: list[tuple[str, str, int, bool, int, int]],
        digits: int,
    ) -> None:
        self.said: list[Said] = []
        self.books = Books()
        self.rated: list[RatedInterval] = []
        self.moved: list[Transfer] = []
        self.unit = 10 ** (12 - digits)
        # model -> (priority, effective, position, pico, divisor)
        self.prices: dict[str, list[tuple[bool, int, int, int, int]]] = {
            m: [] for m in (*MODELS, LOCAL)
        }
        self.models: dict[str, str] = {}  # of every runtime and volume
        self.sizes: dict[str, list[int]] = {}  # in each microsecond
        self.runtimes: set[str] = set()
        self.volumes: set[str] = set()  # not wiped, of those that are made
        self.stored = 0
        self.projects: dict[str, str] = {}
        self.open: dict[str, tuple[int, int]] = {}  # from, charged up to
        self.last: dict[str, int] = {}
        self.billable: dict[str, set[int]] = defaultdict(set)
        self.closed = 0
        self.frozen: dict[str, object] = {}
        self.invoiced: dict[str, int] = {}
        self.say("account-1", account.Opened("organization-1", "USD", digits, "UTC", "x", 0))
        self.say("node-1", enrolled("T4", 8)[1])
        bounds = [0, *cuts, END]
        self.periods = list(pairwise(bounds))
        for number, (start, stop) in enumerate(self.periods, 1):
            opened = period.Opened("account-1", number, start, stop, "UTC", "x", 0)
            self.say(f"period-{number}", opened)
        for model in (*MODELS, LOCAL):
            self.publish("default", model, 0, 7 * 10**11, 3000, valid=True)
        self.say("early-volume", self.created("project-0", 9))
        self.say("meter-1", meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", 0))
        for of, model, since, valid, pico, divisor in entries:
            self.publish(of, model, since, pico, divisor, valid=valid)
        self.say("early-volume", volume.Formatted(0, "x", 1, 0, 0, 0, A))

    def publish(
        self, of: str, model: str, since: int, pico: int, divisor: int, *, valid: bool
    ) -> None:
        if valid:
            self.prices[model].append((of != "default", since, len(self.said), pico, divisor))
        fields = (of, "gpu.time", model, "-", "usable", "USD")
        if model == LOCAL:
            fields = (of, "storage.capacity", model, "-", "existing", "USD")
        published = since if valid else since + 1
        self.say("pricebook-1", pricebook.EntryPublished(*fields, since, published, pico, divisor))

    def say(self, stream: str, fact: Struct) -> None:
        rows, transfers = self.books.apply(len(self.said), stream, fact)
        self.said.append((stream, fact))
        self.rated += rows
        self.moved += transfers

    @rule(model=st.sampled_from(MODELS), milli=st.sampled_from([1, 333, 1000, 8000]))
    def request(self, model: str, milli: int) -> None:
        name, project = f"runtime-{len(self.runtimes)}", f"project-{len(self.runtimes) % 2}"
        self.runtimes.add(name)
        self.models[name], self.sizes[name] = model, [milli] * END
        self.projects[name] = project
        self.last[name] = 0
        fields = (project, "department-1", "account-1", NAME, 1, milli, ())
        self.say(name, runtime.Requested(*fields, 0))
        self.say(name, runtime.Allocated("allocation-1", "node-1", model, (), 1, 0))

    @precondition(lambda self: self.runtimes - set(self.open))
    @rule(data=st.data())
    def usable(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.runtimes - set(self.open))))
        at = data.draw(st.integers(self.last[name], END))
        self.say(name, runtime.Usable(at, at, at, A))
        self.open[name] = (at, at)
        self.last[name] = at

    def created(self, project: str, size: int) -> volume.Created:
        return volume.Created(project, "department-1", "account-1", "node-1", NAME, size, 0)

    @rule(size=st.sampled_from([1, 333, 16_384]), at=st.integers(0, END))
    def store(self, size: int, at: int) -> None:
        """A volume that its node has made."""
        name, project = f"volume-{self.stored}", f"project-{self.stored % 2}"
        self.stored += 1
        self.volumes.add(name)
        self.models[name], self.sizes[name] = LOCAL, [size] * END
        self.projects[name] = project
        self.say(name, self.created(project, size))
        self.say(name, volume.Formatted(0, "x", 1, at, at, at, A))
        self.open[name] = (at, at)

    @precondition(lambda self: self.volumes)
    @rule(data=st.data(), more=st.integers(0, 1000), again=st.booleans())
    def grow_or_wipe(self, data: st.DataObject, more: int, again: bool) -> None:
        """It grows, or, by nothing, is wiped: perhaps before what periods have taken of it."""
        name = data.draw(st.sampled_from(sorted(self.volumes)))
        start, _ = self.open.pop(name)
        at = data.draw(st.integers(start, END))
        self.billable[name] |= set(range(start, at))
        size = self.sizes[name][-1] + more
        fact: Struct = volume.Grown(0, size, at, at, at, A)
        if more:
            self.sizes[name][at:] = [size] * (END - at)
            self.open[name] = (at, at)
        else:
            self.volumes.remove(name)
            fact = volume.Wiped(0, "x", 1, 1, at, at, at, A)
        for _ in range(1 + again):
            self.say(name, fact)

    @precondition(lambda self: self.runtimes & set(self.open))
    @rule(data=st.data(), kind=st.integers(0, 3), again=st.booleans())
    def finish(self, data: st.DataObject, kind: int, again: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.runtimes & set(self.open))))
        start, _ = self.open.pop(name)
        at = data.draw(st.integers(start, END))
        facts = (
            runtime.Stopped(at, at, at, A),
            runtime.Degraded(at, at, at, A),
            runtime.Failed("oom", at, at, at, A),
            runtime.Lost(at, at),
        )
        for _ in range(1 + again):  # said twice, it changes nothing
            self.say(name, facts[kind])
        self.billable[name] |= set(range(start, at))
        self.last[name] = at

    @precondition(lambda self: self.closed < len(self.periods) - 1)
    @rule()
    def close(self) -> None:
        start, end = self.periods[self.closed]
        self.closed += 1
        name = f"period-{self.closed}"
        self.say(name, period.Closed("account-1", start, end, end))
        for runtime_id, (since, done) in self.open.items():
            self.open[runtime_id] = (since, max(done, end))
        self.frozen[name] = self.books.invoice_of(name)

    @precondition(lambda self: len(self.invoiced) < self.closed)
    @rule()
    def invoice(self) -> None:
        number = len(self.invoiced) + 1
        draft = self.books.invoice_of(f"period-{number}")
        command = invoice.Finalize(f"N-{number}", draft, "00", len(self.said), 0)
        [final] = invoice.decide(command, invoice.Missing())
        self.say(f"invoice-{number}", final)
        self.invoiced[f"period-{number}"] = draft.total_minor

    @rule()
    def crash(self) -> None:
        """Invariant 16: another process folds the log, has the same rows, and goes on from there."""
        books, rated, moved = fold_all(self.said)
        assert (rated, moved) == (self.rated, self.moved)
        self.books = books

    def due(self) -> dict[str, set[int]]:
        """Billable microseconds so far: told ones, and what closed periods took of open ones."""
        due = {name: set(instants) for name, instants in self.billable.items()}
        for name, (start, done) in self.open.items():
            due.setdefault(name, set()).update(range(start, done))
        return due

    @invariant()
    def every_charged_microsecond_is_one_of_the_lifecycle_once(self) -> None:
        """Invariants 4 and 5: union of lifecycle intervals = charged time, no overlap."""
        count: dict[tuple[str, int], int] = defaultdict(int)
        for row in self.rated:
            assert row.start_us < row.end_us
            size, rest = divmod(row.quantity, row.end_us - row.start_us)
            assert not rest
            for instant in range(row.start_us, row.end_us):
                count[row.resource, instant] += row.sign * size
        charged = {key: size for key, size in count.items() if size}
        due = self.due().items()
        assert charged == {(name, at): self.sizes[name][at] for name, ats in due for at in ats}

    def counted(self) -> dict[LineKey, tuple[int, int]]:
        """Every charge line as the oracle counts it, microsecond by microsecond."""
        quantity: dict[tuple[str, tuple[bool, int, int, int, int], str], int] = defaultdict(int)
        for name, instants in self.due().items():
            model, sizes = self.models[name], self.sizes[name]
            for at in instants:
                price = max(p for p in self.prices[model] if p[1] <= at)
                [number] = [n for n, (a, b) in enumerate(self.periods, 1) if a <= at < b]
                quantity[name, price, f"period-{number}"] += sizes[at]
        return {
            (name, price[2], of): (total, round(Fraction(total * price[3], price[4])))
            for (name, price, of), total in quantity.items()
        }

    @invariant()
    def charge_lines_are_those_of_the_oracle(self) -> None:
        """Invariant 1: the derived set = the set counted microsecond by microsecond."""
        assert line_totals(self.rated) == self.counted()

    @invariant()
    def invoice_lines_are_the_sums_of_their_project(self) -> None:
        """Invariant 9: over all invoices each (project, SKU, price, service period) has the
        oracle's sum; in each invoice it has that of the rows and transfers booked there.
        """
        due: dict[InvoiceLine, list[int]] = defaultdict(lambda: [0, 0])
        for (name, price, of), total in self.counted().items():
            add(due[self.line_of(name, price, of)], total)
        stated: dict[InvoiceLine, list[int]] = defaultdict(lambda: [0, 0])
        for number in range(1, len(self.periods) + 1):
            draft = self.books.invoice_of(f"period-{number}")
            lines = {
                (line.project, line.sku, line.price, line.service_period): line
                for line in draft.lines
            }
            assert list(lines) == sorted(lines)
            assert len(lines) == len(draft.lines)
            booked = self.booked_in(f"period-{number}")
            assert {key: [line.quantity, line.amount_pico] for key, line in lines.items()} == booked
            for key, pair in booked.items():
                add(stated[key], pair)
        assert kept(stated) == kept(due)

    def line_of(self, name: str, price: int, of: str) -> InvoiceLine:
        """The invoice line that a charge line of the runtime is summed into."""
        model = self.models[name]
        meter_name = "storage.capacity" if model == LOCAL else "gpu.time"
        return (self.projects[name], f"{meter_name}:{model}", price, of)

    def booked_in(self, booked: str) -> dict[InvoiceLine, list[int]]:
        """Quantity and amount of every row and transfer booked in one period, by invoice line."""
        sums: dict[InvoiceLine, list[int]] = defaultdict(lambda: [0, 0])
        for interval in self.rated:
            if interval.booked == booked:
                key = self.line_of(interval.resource, interval.price, interval.period)
                add(sums[key], (interval.sign * interval.quantity, 0))
        for row in self.moved:
            if (row.kind, row.booked) == ("charge", booked):
                assert row.price is not None
                sign = 1 if row.debit == "unbilled" else -1
                key = self.line_of(row.resource, row.price, row.period)
                add(sums[key], (0, sign * row.amount_pico))
        return kept(sums)

    @invariant()
    def transfers_follow_from_the_lines_and_balance(self) -> None:
        """Invariant 9: charges = amounts of the lines; every balance is the sum of its rows."""
        balances: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        charged: dict[LineKey, int] = defaultdict(int)
        for row in self.moved:
            for name, amount, seq, balance in (
                (row.debit, row.amount_pico, row.debit_seq, row.debit_balance_pico),
                (row.credit, -row.amount_pico, row.credit_seq, row.credit_balance_pico),
            ):
                balances[name][0] += 1
                balances[name][1] += amount
                assert balances[name] == [seq, balance]
            if row.kind == "charge":
                assert row.price is not None
                sign = 1 if row.debit == "unbilled" else -1
                charged[row.resource, row.price, row.period] += sign * row.amount_pico
        assert len({row.id for row in self.moved}) == len(self.moved)
        lines = {key: amount for key, (_, amount) in line_totals(self.rated).items() if amount}
        assert {key: amount for key, amount in charged.items() if amount} == lines
        assert {n: [b.seq, b.pico] for n, b in self.books.balances("account-1").items()} == balances
        assert balances["receivable"][1] == sum(self.invoiced.values()) * self.unit

    @invariant()
    def closed_periods_never_change(self) -> None:
        """Invariant 15: what comes later is booked in an open period."""
        for name, draft in self.frozen.items():
            assert self.books.invoice_of(name) == draft

    @invariant()
    def invoices_are_their_lines_to_half_a_minor_unit(self) -> None:
        """Invariant 13: only the total is rounded; shown lines add up to it."""
        total = 0
        for number in range(1, len(self.periods) + 1):
            draft = self.books.invoice_of(f"period-{number}")
            exact = sum(line.amount_pico for line in draft.lines)
            assert draft.total_pico == exact
            assert 2 * abs(draft.total_minor * self.unit - exact) <= self.unit
            assert draft.rounding_pico == draft.total_minor * self.unit - exact
            assert sum(line.shown_minor for line in draft.lines) == draft.total_minor
            for line in draft.lines:
                assert 0 <= line.amount_pico - (line.shown_minor - 1) * self.unit < 2 * self.unit
            total += exact
        assert total == sum(amount for _, amount in line_totals(self.rated).values())

    def teardown(self) -> None:
        """Invariants 6, 7 and 12: told in any order, any number of times, closed late or in time, an
        interval split: the same lines, amounts and balances.
        """
        if not hasattr(self, "said"):
            return
        told = without_invoices(self.said)
        # Late or in time it comes to the same once every open interval has ended.
        ended = told + [
            (name, volume.Wiped(0, "x", 1, 1, END, END, END, A))
            if name in self.volumes
            else (name, runtime.Stopped(END, END, END, A))
            for name in self.open
        ]
        for history in (told, ended):
            once = digest(history)
            for seed in range(3):
                assert digest(doubled(history, Random(seed))) == once
            assert digest(split(history)) == once
        expected = digest(ended)
        for seed in range(4):
            random = Random(seed)
            assert digest(doubled(interleaved(ended, random), random)) == expected
        assert digest(closes_last(ended)) == expected


Rating.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRating = Rating.TestCase
