"""Of a prepaid account's many renewals a few give what all of them do: evidence/invoice-proof.md section 2."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import pricebook, runtime
from domain.decider import fold
from domain.errors import DomainError
from domain.price_facts import Rerated, Tier
from gpuaas_verify.entry import Entry
from gpuaas_verify.proof_books import Derivation
from gpuaas_verify.proof_notes import Notes
from gpuaas_verify.proof_readings import Readings
from gpuaas_verify.proof_streams import Streams
from tests.museum.house import GPU_HOUR, HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import stream
from tests.wallet_world import PrepaidHouse

BOOK = stream("pricebook", 1)
STEPS = st.tuples(
    st.sampled_from(
        ["lease", "lease", "lease", "price", "mine", "degrade", "usable", "stop", "begin", "rerate"]
    ),
    st.integers(1, 4),
    st.integers(0, 12),
)


def lived(steps: list[tuple[str, int, int]]) -> tuple[PrepaidHouse, Tenant, Any]:
    """A tenant's month, closed and invoiced."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 1000 * USD)
    tiers = (Tier(None, USD // 2),)
    entry = pricebook.Shaped(
        "default", "gpu.time", "T4", "-", "usable", "USD", 0, GPU_HOUR, 0, tiers, 0
    )
    book = pricebook.PublishBook("b", (entry,), 0)
    house.append((BOOK, "-", pricebook.decide(book, fold(pricebook.DECIDER, house.facts(BOOK)))))
    names = [house.begin(us), house.begin(us, 500)]
    now = 0
    for what, minutes, number in steps:
        now += minutes * MINUTE
        one = names[number % len(names)]
        with suppress(
            DomainError, AssertionError, AttributeError
        ):  # what is over is not so any more
            if what == "lease":
                house.lease(machine, now)
            elif what in ("price", "mine"):
                whose = us.account if what == "mine" else "default"
                house.price(
                    "T4", USD * (1 + number % 3), since=now + number * MINUTE, whose=whose, now=now
                )
            elif what == "rerate":
                edition = ("b", 1) if number % 2 else ("-", 0)
                decided = Rerated(us.account, *edition, now - number * MINUTE, now + HOUR, now)
                house.append((BOOK, "-", [decided]))
            elif what == "begin":
                names.append(house.begin(us, at=now))
            elif one in house.state.runtimes:
                kinds: dict[str, Any] = {
                    "degrade": runtime.ReportDegraded, "usable": runtime.ReportUsable,
                    "stop": runtime.ReportStopped,
                }  # fmt: skip
                house.report(kinds[what], one, now, now + number * SECOND)
        house.settle(now)
    end = house.opened(us)[0].end_us
    return house, us, house.month(us, 1, end)


def entry_of(house: PrepaidHouse, position: int) -> Entry:
    said = house.history.entry(position)
    return Entry(**{"prev": "", "at_us": position, "salt": "", "actor": "system-test", **said})


def shown(house: PrepaidHouse, us: Tenant, resources: set[str], closed: int) -> Iterator[int]:
    """The positions that the page names, found by looking at every fact."""
    told: list[tuple[int, str, str, Any]] = [
        (n, name, type(fact).__name__, fact)
        for n, (name, _, fact) in enumerate(house.history.facts)
    ]
    rows = [row for row in house.rows["rated_interval"] if row.resource in resources]
    prices = {row.price for row in rows}
    times = [(row.start_us, row.end_us) for row in rows if row.start_us < row.end_us]
    moved = [
        (n, fact) for n, _, kind, fact in told
        if kind == "Rerated" and n < closed
        and any(start < fact.until_us and fact.from_us < end for start, end in times)
    ]  # fmt: skip
    books = {n for n, _, kind, _ in told if kind == "BookPublished"} if any(
        fact.book != "-" for _, fact in moved
    ) else set()  # fmt: skip
    periods = [(n, kind) for n, _, kind, _ in told if n <= closed and kind in {"Opened", "Closed"}]
    assert periods
    if moved:
        prices |= {n for n, _, kind, _ in told if kind == "EntryPublished" and n < closed}
    changes = sorted({*prices, *(n for n, _ in moved), *books, closed})
    terms = [n for n, name, kind, _ in told if name == us.account and kind == "TermsSet"]
    yield from (*prices, *(n for n, _ in moved), *books, *terms)
    for n, name, kind, fact in told:
        own = name in {us.account, us.project, stream("node", 1)}
        if own and kind in {"Opened", "Created", "Enrolled", "Anchored"}:
            yield n
        if (
            name.startswith("period-")
            and fact.account == us.account
            and kind == "Opened"
            and fact.sequence == 1
        ):
            yield n
        if n == closed or (name in resources and n <= closed) or kind == "FileSealed":
            yield n
        if kind == "HoldPlaced" and fact.runtime in resources:
            yield n
    for one in resources:
        life = [n for n, name, _, _ in told if name == one]
        edges = [-1, *sorted({*life, *changes}), len(told)]
        of = [
            n for n, _, kind, fact in told
            if kind == "HoldsRenewed" and n < closed and one in {held.runtime for held in fact.holds}
        ]  # fmt: skip
        for start, end in pairwise(edges):
            yield from [n for n in of if start < n < end][-1:]


@settings(max_examples=20, deadline=None)
@given(st.lists(STEPS, min_size=4, max_size=24))
def test_a_few_renewals_give_what_all_of_them_do(steps: list[tuple[str, int, int]]) -> None:
    """Prices, ends, re-ratings and renewals in any order: the same lines from the entries that a proof holds, each of
    them needed.
    """
    house, us, draft = lived(steps)
    house.judged()
    [at] = [
        n
        for n, (_, _, fact) in enumerate(house.history.facts)
        if type(fact).__name__ == "Finalized"
    ] or [-1]
    if at < 0:
        return
    invoice = entry_of(house, at)
    resources = {
        row.resource for row in house.rows["rated_interval"] if row.booked == invoice.fact["period"]
    }
    streams = Streams(invoice, "gpuaas-invoice/1", Notes(invoice, None), Readings({}), None)
    with Derivation(invoice, Readings({}), set()) as books:
        for position in sorted({*shown(house, us, resources, invoice.fact["closed"])}):
            entry = entry_of(house, position)
            if streams.admit(entry):
                books.feed(entry)
        books.head(invoice, "gpuaas-invoice/1")
        streams.finish(books.charged(None), books.prices(None), books.periods)
        lines = [(*line.key, line.quantity, line.amount_pico) for line in books.lines()]
    assert lines == [
        (one.project, one.sku, one.price, one.service_period, one.quantity, one.amount_pico)
        for one in draft.lines
    ]
