"""What is reserved and idle against a second reckoning, in fractions and from the facts alone.

Written from contracts/rating.md section 15; both sets of books must come to it, whatever the order in
which launches, ends, closes and prices come.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import pytest

from domain import quota, reservation
from domain.errors import DomainError
from domain.pricebook import EntryPublished
from tests.museum.house import HOUR, MINUTE, USD
from tests.property.books_history import stream
from tests.unit.test_verify_books_idle import Hotel

KINDS = ("reserve", "draw", "draw", "draw", "stop", "stop", "end", "price", "close")
LATER = (0, 0, 1, 7 * MINUTE, HOUR, 3 * HOUR, 300 * HOUR)
LATE = (0, 1, HOUR)
CODES = {"quota", "capacity", "price", "reservation", "runtime"}


def pieces(hotel: Hotel, name: str, now: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, milli) of what was idle of it, by the instants of its quota; open ones to `now`."""
    facts = [fact for _, _, fact in hotel.history.facts]
    [made] = [fact for fact in hotel.facts(name) if isinstance(fact, reservation.Made)]
    drawing = {
        fact.runtime for fact in facts if isinstance(fact, quota.Drawn) if fact.reservation == name
    }
    used: dict[str, int] = {}
    at, over = made.decided_us, False
    for fact in facts[facts.index(made) :]:
        before, since = sum(used.values()), at
        if isinstance(fact, quota.Committed) and fact.runtime in drawing:
            used[fact.runtime] = fact.gpu_milli
        elif isinstance(fact, quota.Released) and fact.runtime in drawing:
            used.pop(fact.runtime)
        elif isinstance(fact, quota.Unreserved) and fact.reservation == name:
            over = True
        else:
            continue
        at = max(at, min(fact.decided_us, made.until_us))
        yield since, at, made.devices * 1000 - before
        if over:
            return
    yield at, max(at, min(now, made.until_us)), made.devices * 1000 - sum(used.values())


def due(hotel: Hotel, name: str, now: int) -> int:
    """What all of it comes to, each price and period rounded once."""
    entries = [
        (fact.effective_from_us, at, fact)
        for at, (_, _, fact) in enumerate(hotel.history.facts)
        if isinstance(fact, EntryPublished) and fact.state == "reserved"
    ]
    periods = [(one.start_us, one.end_us) for one in hotel.opened(hotel.us)]
    edges = {edge for one in periods for edge in one} | {one[0] for one in entries}
    lines: dict[tuple[int, int], int] = defaultdict(int)
    for start, end, milli in pieces(hotel, name, now):
        for a, b in pairwise(sorted({start, end, *(one for one in edges if start < one < end)})):
            known = [one for one in entries if one[0] <= a]
            if known:
                [of] = [number for number, one in enumerate(periods) if one[0] <= a < one[1]]
                lines[max(known)[1], of] += milli * (b - a)
    prices = {at: Fraction(entry.price_pico, entry.divisor) for _, at, entry in entries}
    return sum(round(quantity * prices[price]) for (price, _), quantity in lines.items())


@pytest.mark.parametrize("seed", range(8))
def test_what_is_idle_is_charged_once_and_at_its_price(seed: int) -> None:
    """Reservations of up to eight devices, drawn and given back in any order, by clocks that differ,
    over months that close and prices that change.
    """
    chance, hotel = random.Random(seed), Hotel(idle=None if seed % 4 == 3 else USD // 3)
    now, made, closed = 0, list[str](), 0
    running: list[str] = []
    for _ in range(40):
        now += chance.choice(LATER)
        while hotel.opened(hotel.us)[-1].start_us <= now:
            hotel.next_period(hotel.us)
        number, late = chance.randint(1, 8), chance.choice(LATE)
        name = chance.choice(made[-2:]) if made else ""
        what = chance.choice(KINDS) if made else "reserve"
        try:
            if what == "reserve":
                name = stream("reservation", len(made) + 1)
                made.append(hotel.reserve(number, now + 100 * HOUR * number, at=now, name=name))
            elif what == "draw":
                at = max(0, now - late)
                running.append(hotel.draw(at, devices=1 + number // 6, name=name))
            elif what == "stop" and running:
                hotel.stop(running.pop(number % len(running)), now, now + late)
            elif what == "end":
                hotel.ends(now, "given back", name=name)
            elif what == "price":
                hotel.idle_price(number * USD // 7 + 1, since=now + late)
            elif what == "close" and hotel.opened(hotel.us)[closed].end_us <= now:
                closed += 1
                hotel.close(hotel.us, closed, now)
        except DomainError as error:
            if error.code.partition(".")[0] not in CODES:
                raise
    hotel.agreed()
    for name in made:
        hotel.ends(now + 100 * HOUR, name=name)
    hotel.agreed()
    for name in made:
        assert hotel.charged(name)[1] == due(hotel, name, now + 100 * HOUR)
