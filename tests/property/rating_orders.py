"""The same money facts told in other orders and more than once, and what they come to."""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from random import Random

from msgspec import Struct

from domain import invoice, node, period, runtime, volume
from domain.rating import Books, RatedInterval, Transfer
from tests.unit.domain_world import word

A = word()
WORDS = (
    *(runtime.Usable, runtime.Degraded, runtime.Stopped, runtime.Failed, runtime.Lost),
    *(volume.Formatted, volume.Wiped),  # a volume grows to a size once, or the log is refused
)
type Said = tuple[str, Struct]
type LineKey = tuple[str, int, str]


def fold_all(said: Iterable[Said]) -> tuple[Books, list[RatedInterval], list[Transfer]]:
    books, rated, moved = Books(), [], []
    for position, (stream, fact) in enumerate(said):
        rows, transfers = books.apply(position, stream, fact)
        rated += rows
        moved += transfers
    return books, rated, moved


def line_totals(rated: list[RatedInterval]) -> dict[LineKey, tuple[int, int]]:
    totals = {
        (row.resource, row.price, row.period): (row.line_quantity, row.line_amount_pico)
        for row in rated
    }
    return {key: total for key, total in totals.items() if total != (0, 0)}


def digest(said: Iterable[Said]) -> tuple[str, dict[str, int]]:
    """SHA-256 over the sorted set of charge lines with their amounts, and every ledger balance."""
    books, rated, _ = fold_all(said)
    lines = sorted((*key, *total) for key, total in line_totals(rated).items())
    balances = {name: one.pico for name, one in books.balances("account-1").items() if one.pico}
    return sha256(repr(lines).encode()).hexdigest(), balances


def without_invoices(said: list[Said]) -> list[Said]:
    return [each for each in said if not isinstance(each[1], invoice.Finalized)]


def interleaved(said: list[Said], random: Random) -> list[Said]:
    """Any order that keeps each stream's own: words of resources and closes of periods go anywhere.

    What was there before the first of them (accounts, periods, prices, nodes) stays first: prices
    that come later price nothing before them, so they are other inputs.
    """
    moving = [each for each in said if _moves(each)]
    streams: dict[str, list[Said]] = defaultdict(list)
    for each in moving:
        streams[each[0]].append(each)
    order = [stream for stream, _ in moving]
    random.shuffle(order)
    taken = {stream: iter(facts) for stream, facts in streams.items()}
    return [each for each in said if not _moves(each)] + [next(taken[name]) for name in order]


def _moves(each: Said) -> bool:
    return each[0].startswith(("runtime-", "volume-")) or isinstance(each[1], period.Closed)


def doubled(said: list[Said], random: Random) -> list[Said]:
    """Every word of a node comes up to three times, again at any later moment before the next one
    of its resource.
    """
    out: list[list[Said]] = [[each] for each in said]
    for at, (stream, fact) in enumerate(said):
        if not isinstance(fact, WORDS):
            continue
        following = (n for n in range(at + 1, len(said)) if said[n][0] == stream)
        until = next(following, len(said))
        for _ in range(random.randrange(3)):
            out[random.randrange(at, until)].append((stream, fact))
    return [each for group in out for each in group]


def closes_last(said: list[Said]) -> list[Said]:
    """As if every word had come before the closes: nothing to correct, the same lines."""
    closes = [each for each in said if isinstance(each[1], period.Closed)]
    return [each for each in said if each not in closes] + closes


def split(said: list[Said]) -> list[Said]:
    """Every stopped interval cut once more in its middle."""
    out: list[Said] = []
    since: dict[str, int] = {}
    for stream, fact in said:
        if isinstance(fact, runtime.Usable):
            since[stream] = fact.usable_us
        if isinstance(fact, runtime.Stopped) and stream in since:
            at = (since.pop(stream) + fact.stopped_us) // 2
            out.append((stream, runtime.Degraded(at, at, at, A)))
            out.append((stream, runtime.Usable(at, at, at, A)))
        elif not isinstance(fact, runtime.Usable | node.Enrolled) and stream in since:
            since.pop(stream)
        out.append((stream, fact))
    return out
