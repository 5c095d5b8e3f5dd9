"""Speed of rating alone, in one core and without I/O: readings, runtimes, and what is priced again.

The collector looks as seldom as in a serving process: at its default it takes most of the time that
decoding takes, and so flatters what is compared with that.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from api.serve import calm_collector
from domain import account, meter, node, period, price_facts, pricebook, project, runtime
from domain.rating import Books, row_bytes
from domain.reading import Reading
from domain.words import Share
from tests.bench.bench_domain import Result, row
from tests.unit.domain_world import HOUR_US, NAME, word

READINGS, SEAL, RESOURCES = 200_000, 2_000, 200
RUNTIMES, CHUNK = 20_000, 500
ACCOUNTS, INTERVALS = 20, 50_000
FLOOR_S: Final = 120
MONTH = 10**15
HEAD = ("organization-1", "USD", 2, "UTC", "x", 0)


class _Row(Struct, frozen=True):
    """As it is stored (rating.md section 8)."""

    row: int
    salt: str
    source: str
    epoch: int
    sequence: int
    meter: str
    resource: str
    dimensions: str
    from_us: int
    to_us: int
    quantity: int
    chain: str
    sig: str


def metered() -> Books:
    """An account with 200 projects, and a price of tokens."""
    books = Books()
    entry = ("default", "app.tokens", "llm", "-", "read", "USD", 0, 0, 349 * 10**4, 1000)
    said: list[tuple[str, Struct]] = [
        ("account-1", account.Opened(*HEAD)),
        ("period-1", period.Opened("account-1", 1, 0, MONTH, "UTC", "x", 0)),
        ("meter-1", meter.ReadingsRegistered("app.tokens", "tokens", 1, "sum", ("model",), 0)),
        ("pricebook-1", pricebook.EntryPublished(*entry)),
    ]
    for number in range(RESOURCES):
        made = project.Created("organization-1", "department-1", "account-1", NAME, 0)
        said.append((f"project-{number}", made))
    for position, (stream, fact) in enumerate(said):
        books.apply(position, stream, fact)
    return books


def bench_readings(_server: object) -> list[Result]:
    """Sums of 200 projects, sealed 2,000 at a time: decoded by msgspec, and rated."""
    source = "source-00000000-0000-7000-8000-000000000001"
    raws = [
        msgspec.json.encode(
            _Row(
                *(n, "0" * 32, source, 1, n + 1, "app.tokens", f"project-{n % RESOURCES}"),
                *("model=llm", n * 1000, n * 1000 + 1000, n % 977, "", ""),
            )
        )
        for n in range(READINGS)
    ]
    decode, books = msgspec.json.Decoder(Reading).decode, metered()
    calm_collector()
    start = time.process_time()
    readings = [decode(raw) for raw in raws]
    decoding = time.process_time() - start
    start = time.process_time()
    for first in range(0, READINGS, SEAL):
        books.read(1_000 + first, readings[first : first + SEAL])
    rating = time.process_time() - start
    than = "decoding the same rows with msgspec"
    return [row("readings rated, one core", READINGS / rating, "1/s", than, READINGS / decoding)]


def bench_runtimes(_server: object) -> list[Result]:
    """Runtimes requested, allocated, usable, stopped, each charged once: their facts decoded by
    msgspec, and rated.
    """
    books, told, shares = metered(), word(), (Share(0, 333),)
    listed = ("default", "gpu.time", "T4", "-", "usable", "USD", 0, 0, 349 * 10**10, HOUR_US)
    books.apply(900, "pricebook-1", pricebook.EntryPublished(*listed))
    request = ("project-1", "department-1", "account-1", NAME, 1, 333, (), 0)
    kinds = (runtime.Requested, runtime.Allocated, runtime.Usable, runtime.Stopped)
    decoders = [msgspec.json.Decoder(kind).decode for kind in kinds]
    said: list[tuple[str, tuple[bytes, ...]]] = []
    for number in range(RUNTIMES):
        facts = (
            runtime.Requested(*request),
            runtime.Allocated("a-1", "node-1", "T4", shares, 1, 0),
            runtime.Usable(0, number, 0, told),
            runtime.Stopped(0, number + 777_777, 0, told),
        )
        said.append((f"runtime-{number}", tuple([msgspec.json.encode(fact) for fact in facts])))
    decoding = rating = 0.0
    calm_collector()
    for first in range(0, RUNTIMES, CHUNK):
        start = time.process_time()
        read = [
            (name, [decode(raw) for decode, raw in zip(decoders, raws, strict=True)])
            for name, raws in said[first : first + CHUNK]
        ]
        decoding += time.process_time() - start
        start = time.process_time()
        for number, (name, told_of) in enumerate(read, first):
            for at, fact in enumerate(told_of, 1_000 + 4 * number):
                books.apply(at, name, fact)
        rating += time.process_time() - start
    name, than = "runtimes rated, one core", "decoding the same four facts each with msgspec"
    return [row(name, RUNTIMES / rating, "1/s", than, RUNTIMES / decoding)]


def charged(books: Books, number: int, position: int) -> int:
    """An account of a closed month with 50,000 intervals charged; the position after it."""
    name, first, later = f"account-{number}", f"period-{number}-1", f"period-{number}-2"
    told = word()
    said: list[tuple[str, Struct]] = [
        (name, account.Opened(*HEAD)),
        (first, period.Opened(name, 1, 0, MONTH, "UTC", "x", 0)),
        (later, period.Opened(name, 2, MONTH, 2 * MONTH, "UTC", "x", 0)),
    ]
    for at in range(INTERVALS):
        one = f"runtime-{number}-{at}"
        request = ("project-1", "department-1", name, NAME, 1, 333, (), 0)
        said += [
            (one, runtime.Requested(*request)),
            (one, runtime.Allocated("a-1", "node-1", "T4", (), 1, 0)),
            (one, runtime.Usable(0, at, 0, told)),
            (one, runtime.Stopped(0, at + 777_777, 0, told)),
        ]
    said.append((first, period.Closed(name, 0, MONTH, MONTH)))
    for stream, fact in said:
        books.apply(position, stream, fact)
        position += 1
    return position


def bench_rerating(_server: object) -> list[Result]:
    """10^6 intervals of 20 accounts moved to a cheaper book: every reversal and re-entry, every
    transfer, and the bytes of all of them as they would be sealed.
    """
    books = Books()
    list_price = ("default", "gpu.time", "T4", "-", "usable", "USD", 0, 0)
    books.apply(0, "node-1", node.Enrolled("0" * 64, "T4", True, (), "s", 0))
    books.apply(1, "pricebook-1", pricebook.EntryPublished(*list_price, 349 * 10**10, HOUR_US))
    tiers = (price_facts.Tier(None, 10**12),)
    entry = price_facts.ShapedEntry("cheap", 1, *list_price, HOUR_US, 0, tiers, 0)
    books.apply(2, "pricebook-1", entry)
    books.apply(3, "pricebook-1", price_facts.BookPublished("cheap", 1, 1, 0))
    position, spent, made = 4, 0.0, 0
    for number in range(ACCOUNTS):
        position = charged(books, number, position)
    for number in range(ACCOUNTS):
        decided = price_facts.ReratingDecided(f"account-{number}", "cheap", 1, 0, MONTH, 0)
        start = time.process_time()
        rated, moved = books.apply(position + number, "pricebook-1", decided)
        made += sum(len(row_bytes(one, at, "0" * 32)) > 0 for at, one in enumerate(rated))
        made += sum(len(row_bytes(one, at, "0" * 32)) > 0 for at, one in enumerate(moved))
        spent += time.process_time() - start
    assert made == 4 * ACCOUNTS * INTERVALS, "two rows and two transfers an interval"
    return [row("10^6 intervals re-rated, one core", spent, "s", "at most, s", FLOOR_S)]


BENCHES: list[Callable[[object], list[Result]]] = [
    bench_readings, bench_runtimes, bench_rerating,
]  # fmt: skip
