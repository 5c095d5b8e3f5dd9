"""Months of one account's use under prices that change behind it, told to the platform's books."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from random import Random

from msgspec import Struct

from domain import account, node_facts, period, price_facts, runtime
from domain.price_facts import Tier
from domain.rating import Books, RatedInterval, Transfer, invoice_file
from tests.money_oracle import Entry, Key, Oracle, Use, plain
from tests.unit.domain_world import NAME, enrolled, word

MONTH = 1_000_003  # us
MODELS = ("T4", "A10")
REGIONS = ("-", "eu-1", "-")
A = word()
type LineKey = tuple[str, int, str]


@dataclass
class Months:
    """`count` months; every random choice by the seed."""

    count: int
    random: Random
    books: Books = field(default_factory=Books)
    said: list[tuple[str, Struct]] = field(default_factory=list)
    rated: list[RatedInterval] = field(default_factory=list)
    moved: list[Transfer] = field(default_factory=list)
    closed: int = 0
    frozen: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    editions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[str, int] = field(default_factory=dict)  # since when
    uses: dict[str, Use] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bounds = [(n * MONTH, (n + 1) * MONTH) for n in range(self.count + 1)]
        self.oracle = Oracle("account-1", bounds)
        self.say("account-1", account.Opened("organization-1", "USD", 2, "UTC", "x", 0))
        for region in sorted(set(REGIONS)):
            self.say(f"node-{region}", enrolled("T4", 8)[1])
            self.say(f"node-{region}", node_facts.RegionSet(region, 0))
        for number, (start, end) in enumerate(bounds, 1):
            opened = period.Opened("account-1", number, start, end, "UTC", "x", 0)
            self.say(f"period-{number}", opened)
        for model in MODELS:
            self.entry(model, 0, tiers=((None, 7 * 10**11),), divisor=3000)

    def say(self, stream: str, fact: Struct) -> int:
        """The position of the fact."""
        position = len(self.said)
        rated, moved = self.books.apply(position, stream, fact)
        self.said.append((stream, fact))
        self.rated += rated
        self.moved += moved
        return position

    def entry(
        self, model: str, effective: int, *, tiers: tuple[tuple[int | None, int], ...],
        divisor: int = 7, free: int = 0, minimum: int = 0, book: tuple[str, int] = ("-", 0),
        of: str = "default", published: int = 0, region: str = "-",
    ) -> None:  # fmt: skip
        """An entry, on either side."""
        fact = price_facts.ShapedEntry(
            *(*book, of, "gpu.time", model, region, "usable", "USD", effective, published),
            *(divisor, free, tuple(Tier(*tier) for tier in tiers), minimum),
        )
        position = self.say("pricebook-1", fact)
        prices = book[0] != "-" or effective >= published
        self.oracle.entries.append(
            Entry(
                *(position, of, model, effective, divisor, tiers, free, minimum, book, prices),
                region,
            )
        )

    def shape(
        self, model: str, effective: int, book: tuple[str, int], of: str, region: str = ""
    ) -> None:
        """An entry of some tiers, perhaps free units, perhaps a minimum, perhaps of a region."""
        random, floor = self.random, 0
        tiers: list[tuple[int | None, int]] = []
        for _ in range(random.randrange(3)):
            floor += random.randrange(1, 10**9)
            tiers.append((floor, random.randrange(10**6)))
        tiers.append((None, random.randrange(10**6)))
        self.entry(
            model, effective, tiers=tuple(tiers), divisor=random.choice((1, 7, 1000)), book=book,
            of=of, free=random.choice((0, 0, 10**8)), minimum=random.choice((0, 0, 10**9)),
            region=region or random.choice(REGIONS),
        )  # fmt: skip

    def listed(self) -> None:
        """Some entries of the list, known before anything is used."""
        for model in MODELS:
            for of in ("default", "account-1"):
                if self.random.random() < 0.6:
                    self.shape(model, self.random.randrange(1, self.count * MONTH), ("-", 0), of)

    def book(self, name: str) -> None:
        """The next edition of a book."""
        edition = self.editions[name] + 1
        for model in MODELS:
            since, region = (
                self.random.randrange(self.count * MONTH),
                "-" if name == "winter" else "",
            )
            self.shape(model, since, (name, edition), "default", region)
        self.say("pricebook-1", price_facts.BookPublished(name, edition, len(MODELS), 0))
        self.editions[name] = edition

    def commit(self, model: str, start: int) -> None:
        """For all periods that begin from then on, for some of them."""
        until = start + self.random.randrange(1, 5) * MONTH
        quantity, pico = self.random.randrange(1, 10**10), self.random.randrange(10**6)
        region = self.random.choice(REGIONS)
        made = price_facts.CommitmentMade(
            *("account-1", "gpu.time", model, region, "usable", "USD", start, until),
            *(quantity, pico, 9, start),
        )
        position = self.say("pricebook-1", made)
        self.oracle.commitments.append((position, (model, region), start, until, quantity, pico, 9))

    def rerate(self, name: str, start: int, end: int, edition: int | None = None) -> int:
        """Another book for a range; how many rows that made."""
        edition = (0 if name == "-" else self.editions[name]) if edition is None else edition
        before = len(self.rated)
        decided = price_facts.Rerated("account-1", name, edition, start, end, 0)
        self.say("pricebook-1", decided)
        self.oracle.reratings.append((start, end, (name, edition)))
        return len(self.rated) - before

    def start(self, at: int) -> None:
        """A runtime, usable from then on, in some region."""
        region = self.random.choice(REGIONS)
        name, model = f"runtime-{len(self.uses)}", self.random.choice(MODELS)
        milli = self.random.choice((1, 250, 1000, 8000))
        fields = ("project-1", "department-1", "account-1", NAME, 1, milli, ())
        self.say(name, runtime.Requested(*fields, at))
        self.say(name, runtime.Allocated("a-1", f"node-{region}", model, (), 1, at))
        self.say(name, runtime.Usable(at, at, at, A))
        self.open[name] = at
        self.uses[name] = Use(name, model, at, ((at, at, milli),), region)

    def stop(self, name: str, at: int) -> None:
        """It ends, maybe before what closes have charged."""
        since, use = self.open.pop(name), self.uses[name]
        at = max(at, since)
        self.say(name, runtime.Stopped(at, at, at, A))
        self.uses[name] = replace(use, spans=((since, at, use.spans[0][2]),))

    def close(self) -> None:
        """The next month, over whatever runs; then nothing of it moves any more."""
        start, end = self.oracle.periods[self.closed]
        self.closed += 1
        closed = period.Closed("account-1", start, end, end)
        self.say(f"period-{self.closed}", closed)
        self.frozen[self.closed] = self.stand(self.closed)

    def stand(self, number: int) -> tuple[bytes, bytes]:
        """The bytes of the month's invoice, and of the rows booked in it."""
        name = f"period-{number}"
        rows = [row for row in self.rated if row.booked == name]
        return invoice_file(self.books.invoice_of(name), "N-1"), repr(rows).encode()

    def counted(self) -> dict[Key, tuple[int, int]]:
        """The platform's lines in the end."""
        last = {
            (row.resource, row.price, int(row.period.split("-")[1]) - 1): (
                row.line_quantity,
                row.line_amount_pico,
            )
            for row in self.rated
        }
        return {key: pair for key, pair in last.items() if pair != (0, 0)}

    def paid(self) -> int:
        """What all charges come to, by their transfers."""
        return sum(
            row.amount_pico if row.debit == "unbilled" else -row.amount_pico
            for row in self.moved
            if row.kind == "charge"
        )

    def shaped(self) -> int:
        """How many lines the oracle prices by more than one number."""
        entries = {one.position: one for one in self.oracle.entries}
        return sum(1 for _, price, _ in self.counted() if price in entries
                   and not plain(entries[price]))  # fmt: skip


def lived(seed: int, count: int) -> Months:
    """Months with late ends, voided and re-priced use, closes, and commitments."""
    world = Months(count, Random(seed))
    random = world.random
    world.listed()
    world.book("spring")
    for month in range(count):
        begin = month * MONTH
        for _ in range(random.randrange(1, 5)):
            world.start(begin + random.randrange(MONTH))
        if random.random() < 0.3:
            world.commit(random.choice(MODELS), begin + MONTH)
        if random.random() < 0.3:
            world.book(random.choice(("spring", "autumn")))
        world.close()
        for name in list(world.open):
            if random.random() < 0.7:  # late: before the close, months before, or void
                void = random.random() < 0.2
                world.stop(name, 0 if void else random.randint(world.open[name], begin + MONTH))
        if random.random() < 0.6:
            book = random.choice([name for name, n in world.editions.items() if n] + ["-"])
            start = random.randrange(begin + MONTH)
            world.rerate(book, start, start + random.randrange(1, 2 * MONTH))
    return world


def judge(world: Months) -> None:
    """Net = recomputed from scratch, to the pico; what was closed is byte for byte what it was."""
    for name in list(world.open):
        world.stop(name, world.count * MONTH + 17)
    due = world.oracle.lines(list(world.uses.values()), world.closed)
    assert world.counted() == due
    assert world.paid() == sum(amount for _, amount in due.values())
    for number, stood in world.frozen.items():
        assert world.stand(number) == stood


def there_and_back(world: Months) -> None:
    """A book for all time: twice is once, and what stood before it comes to what it came to."""
    before, balances = world.paid(), dict(world.books.balances("account-1"))
    world.book("winter")
    decisions = list(world.oracle.reratings)
    assert world.rerate("winter", 0, world.count * MONTH) > 0
    assert world.paid() != before
    assert world.rerate("winter", 0, world.count * MONTH) == 0
    judge(world)
    # Back: the list for all time, then every decision there was, in its order.
    world.rerate("-", 0, world.count * MONTH)
    for start, end, (name, edition) in decisions:
        world.rerate(name, start, end, edition)
    judge(world)
    assert world.paid() == before
    assert {n: b.pico for n, b in world.books.balances("account-1").items()} == {
        n: b.pico for n, b in balances.items()
    }


def repriced(seed: int) -> int:
    """How many charge lines an account of two years has; it is as it should be."""
    world = lived(seed, 24)
    judge(world)
    there_and_back(world)
    return len(world.counted())
