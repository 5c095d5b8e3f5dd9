"""Two sets of books, written apart from one page, on histories nobody chose: HOUSE.md rule 12."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import apportionment, node_facts, rating, runtime, sealing
from domain.price_facts import ShapedEntry, Tier
from domain.pricebook import EntryPublished
from gpuaas_verify.books import Books
from tests.property.books_history import History, stream

UNIT = 1_234_567  # us: boundaries that divide nothing evenly
MODELS = ("T4", "G2")
PRICED = (*MODELS, "local")
BOOKS = ("spring", "autumn")
REGIONS = ("-", "eu-de-1", "-", "us-va-1")
TABLES = ("rated_interval", "transfer")


def graduated(widths: list[tuple[int, int]]) -> tuple[Tier, ...]:
    """Tiers of these widths and prices, and one without end."""
    tiers, floor = [], 0
    for width, pico in widths:
        floor += 1 + width
        tiers.append(Tier(floor, pico))
    return (*tiers, Tier(None, 10**9 + 7))


@dataclass
class World:
    """A history under construction, with the platform's books beside it."""

    history: History
    platform: rating.Books = field(default_factory=rating.Books)
    fed: int = 0
    rows: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in TABLES})
    sealed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    seals: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(TABLES))
    batches: list[tuple[str, int, int]] = field(default_factory=list)
    now: int = 0
    accounts: list[str] = field(default_factory=list)
    periods: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    next_close: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    closed: list[tuple[str, str, int]] = field(default_factory=list)
    invoiced: list[tuple[str, str, int]] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    open_at: dict[str, int | None] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)  # milli-GPU or MiB; of unmetered volumes: 0
    due: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # size x us
    metered: bool = False
    numbers: int = 0
    editions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    projects: dict[str, str] = field(default_factory=dict)
    used: list[tuple[str, int, int, int]] = field(default_factory=list)  # of what, when, how much

    def catch_up(self) -> None:
        """The platform's books have seen every fact."""
        for position in range(self.fed, len(self.history.facts)):
            stream_id, _, fact = self.history.facts[position]
            rated, moved = self.platform.apply(position, stream_id, fact)
            self.rows["rated_interval"] += rated
            self.rows["transfer"] += moved
        self.fed = len(self.history.facts)

    def move(self, project: int, department: int, account: int) -> None:
        """A project goes to a department, and what begins in it to an account."""
        name = stream("project", project)
        self.history.move(name, department, self.accounts[account], self.now)

    def seal(self) -> None:
        """Every row not sealed yet, in one batch."""
        self.catch_up()
        through, cause = self.fed - 1, f"cmd:{self.fed:064x}"
        for name, kind, seal in (
            ("rated_interval", "rating", sealing.IntervalsSealed),
            ("transfer", "ledger", sealing.TransfersSealed),
        ):
            first = self.sealed[name]
            new = self.rows[name][first:]
            if not new:
                continue
            total = sum(
                row.sign * row.quantity if name == "rated_interval" else row.amount_pico
                for row in new
            )
            fact = seal(name, first, len(new), "", self.seals[name], through, total)
            self.seals[name] = self.history.add(stream(kind, 1), fact, cause)
            self.sealed[name] += len(new)
            self.batches.append((name, first, len(new)))

    def price(self, whose: int, model: int, ahead: int, pico: int, divisor: int) -> None:
        """An entry of an account or the default; one effective before now prices nothing."""
        owner = "default" if whose == 0 else self.accounts[whose - 1]
        effective = max(0, self.now + ahead * UNIT)
        region = REGIONS[pico % 4]
        if (owner, PRICED[model], region, effective) not in self.known():
            self.history.price(
                pico, effective, model=PRICED[model], whose=owner, published=self.now,
                divisor=divisor, region=region,
            )  # fmt: skip

    def known(self) -> set[tuple[str, str, str, int]]:
        """What of the list, or of any book, has an entry since when."""
        return {
            (fact.account, fact.model, fact.region, fact.effective_from_us)
            for _, _, fact in self.history.facts
            if isinstance(fact, EntryPublished | ShapedEntry)
        }

    def stand(self, node: int, region: int) -> None:
        """A node is said to be in a region, whatever runs and lies there."""
        fact = node_facts.RegionSet(REGIONS[region], self.now)
        self.history.add(self.nodes[node], fact)

    def shape(
        self,
        whose: int,
        model: int,
        ahead: int,
        tiers: list[tuple[int, int]],
        free: int,
        least: int,
    ) -> None:
        """An entry of tiers on the list, of an account or the default."""
        owner = "default" if whose == 0 else self.accounts[whose - 1]
        effective = max(0, self.now + ahead * UNIT)
        region = REGIONS[len(tiers)]
        if (owner, PRICED[model], region, effective) not in self.known():
            self.history.shaped(
                graduated(tiers), effective, free=free, minimum=least, model=PRICED[model],
                whose=owner, published=self.now, divisor=7, region=region,
            )  # fmt: skip

    def book(self, name: int, entries: list[tuple[int, int, int, int]]) -> None:
        """A book's next edition; its entries are effective at any time."""
        book = BOOKS[name]
        edition = self.editions[book] + 1
        seen = set()
        for whose, model, effective, pico in entries:
            key = (whose, model, effective)
            if key not in seen:
                seen.add(key)
                self.history.shaped(
                    graduated([(pico, pico)] * (pico % 3)), effective * UNIT,
                    free=pico % 2 * 10**9, model=PRICED[model],
                    whose="default" if whose == 0 else self.accounts[whose - 1],
                    named=(book, edition), published=self.now, divisor=1 + pico % 5,
                    region=REGIONS[pico % 4],
                )  # fmt: skip
        if seen:
            self.history.book(book, edition, len(seen))
            self.editions[book] = edition

    def rerate(self, account: int, name: int, edition: int, start: int, length: int) -> None:
        """An account's use in a range is priced by an edition of a book, or by the list again."""
        book = ("-", *BOOKS)[name]
        which = 0 if book == "-" else 1 + edition % max(self.editions[book], 1)
        if which <= self.editions[book]:
            begin = start * UNIT
            self.history.rerate(self.accounts[account], book, which, begin, begin + length * UNIT)

    def commit(self, account: int, model: int, ahead: int, quantity: int, pico: int) -> None:
        """An account commits itself for some time to come."""
        begin = self.now + ahead * UNIT
        self.history.commitment(
            self.accounts[account], begin, begin + 300 * UNIT, quantity, pico,
            model=PRICED[model], divisor=3, decided=self.now, region=REGIONS[quantity % 4],
        )  # fmt: skip

    def start(self, account: int, node: int, milli: int, project: int) -> None:
        """A runtime, requested and allocated."""
        self.numbers += 1
        one = self.history.start(
            self.numbers, self.accounts[account], self.nodes[node], self.now, milli=milli,
            project=project, model=MODELS[node % 2],
        )  # fmt: skip
        self.open_at[one], self.size[one] = None, milli
        self.projects[one] = stream("project", project)

    def job(self, account: int, node: int, milli: int, project: int) -> None:
        """A runtime that is usable at once."""
        self.start(account, node, milli, project)
        one = stream("runtime", self.numbers)
        self.history.say(runtime.Usable, one, self.now)
        self._billed(one, self.now, opens=True)

    def say(self, what: Any, index: int, late: int) -> None:
        """A word of the runtime's node, about `late` units ago, logged now."""
        alive = sorted(self.history.live)
        if not alive:
            return
        one = alive[index % len(alive)]
        live = self.history.live[one]
        at = max(0, self.now - late * UNIT)
        instant = max(live.previous, min(max(at, live.previous), self.now))
        self.history.say(what, one, at, decided=self.now)
        self._billed(one, instant, opens=what is runtime.Usable)

    def lose(self, index: int) -> None:
        """The node of the runtime is gone."""
        alive = sorted(self.history.live)
        if alive:
            one = alive[index % len(alive)]
            live = self.history.live[one]
            end = live.previous if live.lease is None else max(live.lease, live.previous)
            self.history.lose(one, self.now)
            self._billed(one, end, opens=False)

    def _billed(self, one: str, instant: int, *, opens: bool) -> None:
        start = self.open_at[one]
        if opens:
            self.open_at[one] = instant if start is None else start
        elif start is not None:
            self.due[one] += self.size[one] * (instant - start)
            self.used.append((one, start, instant, self.size[one]))
            self.open_at[one] = None

    def meter(self, odd: int) -> None:
        """The meter of storage is registered; an odd one, of another name, unit or source, is not it."""
        right = ("storage.capacity", "MiB-us", "lifecycle")
        wrong = ("storage.local", "GiB-h", "readings")
        self.history.metered(*[wrong[n] if odd == n else right[n] for n in range(3)])
        self.metered |= odd > 2

    def volume(self, account: int, node: int, size: int, project: int) -> None:
        """A volume, created, metered if the meter was registered before."""
        self.numbers += 1
        one = self.history.volume(
            self.numbers, self.accounts[account], self.nodes[node], self.now, size=size,
            project=project,
        )  # fmt: skip
        self.open_at[one], self.size[one] = None, size if self.metered else 0
        self.projects[one] = stream("project", project)

    def store(self, account: int, node: int, size: int, project: int) -> None:
        """A volume that its node has made."""
        self.volume(account, node, size, project)
        self._format(stream("volume", self.numbers), self.now)

    def _format(self, one: str, at: int) -> None:
        self.history.formatted(one, at, decided=self.now)
        self._billed(one, self.history.kept[one].previous, opens=True)

    def format(self, index: int, late: int) -> None:
        """One that is not made yet is made, about `late` units ago."""
        bare = sorted(one for one, kept in self.history.kept.items() if not kept.made)
        if bare:
            self._format(bare[index % len(bare)], max(0, self.now - late * UNIT))

    def _made(self, index: int) -> str | None:
        made = sorted(one for one, kept in self.history.kept.items() if kept.made)
        return made[index % len(made)] if made else None

    def grow(self, index: int, late: int) -> None:
        """A made volume has grown, about `late` units ago."""
        one = self._made(index)
        if one is None:
            return
        kept = self.history.kept[one]
        more = 1 + index * 37
        self.history.grown(one, kept.size + more, max(0, self.now - late * UNIT), self.now)
        self._billed(one, kept.previous, opens=False)
        self.size[one] += more if self.size[one] else 0
        self._billed(one, kept.previous, opens=True)

    def wipe(self, index: int, late: int) -> None:
        """A volume is wiped, made or not, about `late` units ago."""
        stored = sorted(self.history.kept)
        if stored:
            one = stored[index % len(stored)]
            at = max(0, self.now - late * UNIT)
            self._billed(one, self.history.kept[one].instant(at, self.now), opens=False)
            self.history.wiped(one, at, self.now)

    def give_up(self, index: int) -> None:
        """The node of a volume is gone, and with it the volume, whatever a close has charged."""
        stored = sorted(self.history.kept)
        if stored:
            one = stored[index % len(stored)]
            kept = self.history.kept[one]
            self._billed(one, max(kept.previous, self.history.seen[kept.node]), opens=False)
            self.history.volume_lost(one, self.now)

    def overdue(self, index: int, what: int, late: int) -> None:
        """A period closes over a made volume, which then turns out to have grown or gone before."""
        if self._made(index) is None:
            return
        self._close_all()
        if what:
            self.grow(index, late)
        else:
            self.wipe(sorted(self.history.kept).index(str(self._made(index))), late)

    def _close_all(self) -> None:
        for account, owner in enumerate(self.accounts):
            end = self.periods[owner][self.next_close[owner]][2]
            if end < 10**6 * UNIT:
                self.now = max(self.now, end)
                self.close(account)

    def lease(self, node: int) -> None:
        """A renewal that names what is allocated on the node."""
        node_id = self.nodes[node]
        named = [one for one, live in self.history.live.items() if live.node == node_id]
        self.history.lease(node_id, named, self.now)

    def close(self, account: int) -> None:
        """The account's next period, once it is over; never its last."""
        owner = self.accounts[account]
        index = self.next_close[owner]
        period, start, end = self.periods[owner][index]
        if index < len(self.periods[owner]) - 1 and end <= self.now:
            position = self.history.close(owner, period, start, end)
            self.next_close[owner] += 1
            self.closed.append((owner, period, position))

    def belated(self, index: int, what: int, late: int) -> None:
        """A period closes over an open runtime, which then turns out to have ended before."""
        usable = sorted(one for one in self.history.live if self.open_at[one] is not None)
        if not usable:
            return
        one = usable[index % len(usable)]
        self._close_all()
        at = max(0, self.now - late * UNIT)
        if what == 0:
            self.lease(self.nodes.index(self.history.live[one].node))
            self.now += UNIT
        self.say(
            (runtime.Degraded, runtime.Stopped, runtime.Failed)[what],
            sorted(self.history.live).index(one), (self.now - at) // UNIT,
        )  # fmt: skip

    def invoice(self) -> None:
        """The oldest closed period without an invoice."""
        if not self.closed:
            return
        owner, period, position = self.closed.pop(0)
        self.catch_up()
        self.numbers += 1
        draft = self.platform.invoice_of(period)
        data = rating.invoice_file(draft, f"INV-{self.numbers}")
        totals = (draft.total_pico, draft.total_minor, len(draft.lines))
        self.history.invoice(
            self.numbers, owner, period, position, data, totals,
            sequence=1 + sum(1 for a, p, _ in self.invoiced if a == owner),
        )  # fmt: skip
        self.invoiced.append((owner, period, position))


small = st.integers(0, 40)
WEIGHED = {
    "price": 2, "belated": 4, "start": 2, "job": 8, "usable": 3, "degraded": 3, "stopped": 4, "failed": 1,
    "lose": 3, "lease": 3, "close": 7, "invoice": 3, "seal": 2,
    "move": 4, "stand": 4, "shape": 2, "book": 2, "rerate": 4, "commit": 1,
    "meter": 1, "volume": 1, "store": 5, "format": 1, "grow": 3, "wipe": 3, "overdue": 4, "give_up": 2,
}  # fmt: skip
ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "price": (
        st.integers(0, 2), st.integers(0, 2), st.integers(-5, 80), st.integers(0, 10**13),
        st.sampled_from([1, 7, 1000, 3_600_000_000_000]),
    ),
    "move": (st.integers(1, 3), st.integers(1, 3), st.integers(0, 1)),
    "stand": (st.integers(0, 2), st.integers(0, 3)),
    "shape": (
        st.integers(0, 2), st.integers(0, 2), st.integers(-5, 80),
        st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**9)), max_size=3),
        st.sampled_from([0, 1, 10**10]), st.sampled_from([0, 10**15]),
    ),
    "book": (
        st.integers(0, 1),
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 60), st.integers(0, 10**9)),
            max_size=4,
        ),
    ),
    "rerate": (
        st.integers(0, 1), st.integers(0, 2), st.integers(0, 3), st.integers(0, 300),
        st.integers(1, 500),
    ),
    "commit": (
        st.integers(0, 1), st.integers(0, 2), st.integers(0, 20), st.integers(1, 10**11),
        st.integers(0, 10**9),
    ),
    "start": (st.integers(0, 1), st.integers(0, 2), st.integers(1, 8000), st.integers(1, 3)),
    "job": (st.integers(0, 1), st.integers(0, 2), st.integers(1, 8000), st.integers(1, 3)),
    **dict.fromkeys(("usable",), (small, st.integers(0, 5))),
    **dict.fromkeys(("degraded", "stopped", "failed"), (small, st.sampled_from((0, 3, 60, 150)))),
    "belated": (small, st.integers(0, 2), st.integers(0, 60)),
    "lose": (small,),
    "give_up": (small,),
    "lease": (st.integers(0, 2),),
    "meter": (st.integers(0, 5),),
    **dict.fromkeys(
        ("volume", "store"),
        (st.integers(0, 1), st.integers(0, 2), st.integers(1, 1 << 24), st.integers(1, 3)),
    ),
    **dict.fromkeys(("format", "grow", "wipe"), (small, st.sampled_from((0, 3, 60, 150)))),
    "overdue": (small, st.integers(0, 2), st.integers(0, 60)),
    "close": (st.integers(0, 1),),
}  # fmt: skip
# Each operation comes with the time that passes before it: a history of ticks alone finds nothing.
OPERATIONS = st.sampled_from([name for name, n in WEIGHED.items() for _ in range(n)]).flatmap(
    lambda name: st.tuples(st.just(name), st.integers(0, 40), *ARGUMENTS.get(name, ()))
)
WORDS = {
    "usable": runtime.Usable, "degraded": runtime.Degraded, "stopped": runtime.Stopped,
    "failed": runtime.Failed,
}  # fmt: skip


def built(lengths: list[int], operations: list[tuple[Any, ...]]) -> World:
    """The world after the operations; each that cannot be is left out."""
    world = World(History())
    history = world.history
    for number in (1, 2):
        account = history.account(number)
        world.accounts.append(account)
        start = 0
        world.periods[account] = []
        for sequence, length in enumerate([*lengths, 10**6], 1):
            end = start + (length + number) * UNIT
            period = history.period(account, 100 * number + sequence, sequence, start, end)
            world.periods[account].append((period, start, end))
            start = end
    for number, model in enumerate(PRICED, 1):
        history.price(10**12 * number + 1, 0, model=model)
    if len(lengths) % 3:
        world.meter(3)
    world.nodes = [
        history.node(number, MODELS[number % 2], simulated=number == 1) for number in range(3)
    ]
    for name, tick, *rest in operations:
        world.now += tick * UNIT
        if name in WORDS:
            world.say(WORDS[name], *rest)
        else:
            getattr(world, name)(*rest)
    world.catch_up()
    return world


LENGTHS = st.lists(st.integers(20, 120), min_size=1, max_size=6)


@settings(max_examples=120, deadline=None)
@given(LENGTHS, st.lists(OPERATIONS, min_size=25, max_size=90))
def test_platform_and_auditor_derive_the_same_books(
    lengths: list[int], operations: list[tuple[Any, ...]]
) -> None:
    """Every row, balance, invoice and seal, whatever happened: invariants 1, 3 and 9 of MONEY.md."""
    world = built(lengths, operations)
    stored = {
        name: [json.loads(rating.row_bytes(row, n, "00" * 16)) for n, row in enumerate(rows)]
        for name, rows in world.rows.items()
    }
    with Books(None) as auditor:
        world.history.feed(auditor)
        for name, first, count in world.batches:
            auditor.compare(name, first, stored[name][first : first + count])
        for name in TABLES:
            rest = [{"row": row["row"], "salt": "00" * 16, **row} for row in
                    auditor.expected_rows(name)]  # fmt: skip
            assert rest == stored[name][world.sealed[name] :]
            assert [list(row) for row in rest] == [
                list(r) for r in stored[name][world.sealed[name] :]
            ]
        for account in world.accounts:
            assert auditor.balances(account) == {
                name: (balance.seq, balance.pico)
                for name, balance in world.platform.balances(account).items()
            }
        report = auditor.finish()
        assert report.invoices == len(world.invoiced)


@settings(max_examples=80, deadline=None)
@given(LENGTHS, st.lists(OPERATIONS, min_size=25, max_size=90))
def test_billed_time_is_the_measure_of_the_lifecycle(
    lengths: list[int], operations: list[tuple[Any, ...]]
) -> None:
    """Invariant 4: an ended runtime is charged for its usable time to the microsecond, a wiped volume
    for its size in each of them; one from before the meter for nothing.
    """
    world = built(lengths, operations)
    charged: dict[str, int] = defaultdict(int)
    with Books(None) as auditor:
        world.history.feed(auditor)
        while auditor._seals["rated_interval"]:  # the rows are taken off below
            auditor._seals["rated_interval"].popleft()
        for row in auditor.expected_rows("rated_interval"):
            charged[row["resource"]] += row["sign"] * row["quantity"]
    for one, size in world.size.items():
        if one not in world.history.live and one not in world.history.kept:
            assert charged[one] == world.due[one]
        assert size or not charged[one]


@settings(max_examples=25, deadline=None)
@given(LENGTHS, st.lists(OPERATIONS, min_size=25, max_size=90))
def test_departments_add_up_to_their_organization(
    lengths: list[int], operations: list[tuple[Any, ...]]
) -> None:
    """Invariant 10, under any moves: what each department used is the measure of the time that its
    projects were there, counted here from the lifecycles alone; parts of each line add up to it.
    """
    world = built(lengths, operations)
    moves = world.history.places
    measured: dict[str, int] = defaultdict(int)
    gone = set(world.projects) - {*world.history.live, *world.history.kept}
    for one, start, end, size in world.used:
        if one not in gone:
            continue
        of = moves.get(world.projects[one], [(0, stream("department", 1), "")])
        ends = [at for at, _, _ in of[1:]] + [max(end, of[-1][0])]
        for index, (at, department, _) in enumerate(of):
            begin = start if index == 0 else max(start, at)
            measured[department] += size * max(0, min(end, ends[index]) - begin)
    charged: dict[str, int] = defaultdict(int)
    lines: dict[tuple[str, int, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    amounts: dict[tuple[str, int, str], int] = {}
    for row in world.rows["rated_interval"]:
        if row.resource.startswith("account-"):
            continue
        department, _ = world.history.place(world.projects[row.resource], "", row.start_us)
        if row.resource in gone:
            charged[department] += row.sign * row.quantity
        key = (row.resource, row.price, row.period)
        spans = [at for at, _, _ in moves.get(world.projects[row.resource], ())]
        lines[key][sum(at <= row.start_us for at in spans[1:])] += row.sign * row.quantity
        amounts[key] = row.line_amount_pico
    assert {k: n for k, n in measured.items() if n} == {k: n for k, n in charged.items() if n}
    for key, quantities in lines.items():
        parts = apportionment.shared(amounts[key], [quantities[n] for n in sorted(quantities)])
        assert sum(parts) == amounts[key]
