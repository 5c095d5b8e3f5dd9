"""Which facts of a prepaid account an invoice rests on: evidence/invoice-proof.md section 2.

One pass over the wallet's stream, from the first of the resources on. In memory: each resource's
entries and the renewals that are kept.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.wallet_facts import held_for
from evidence.reader import decode_entry, open_entry
from gpuaas_verify.proof_holds import PLACED_HOLDS, PREPAID, RENEWED_HOLDS, TERMS

PAGE: Final = 2_000
# What may have been held at where a re-rating makes no unit dearer: every price of the list that
# is of what is held for.
LISTED: Final = """
SELECT l.from_position AS position FROM views.price l JOIN (
  SELECT DISTINCT v.meter, v.model, v.state, v.currency FROM views.rated_interval u
  JOIN views.price v ON v.from_position = u.price AND v.kind = 'entry'
  WHERE u.resource = ANY (%(held)s) AND u.cause <= %(closed)s) k
    ON (l.meter, l.model, l.state, l.currency) = (k.meter, k.model, k.state, k.currency)
WHERE l.kind = 'entry' AND l.named = '-' AND l.account IN (%(account)s, 'default')
  AND l.from_position < %(closed)s
"""
_STREAM: Final = """
SELECT e.version, e.position, e.entry FROM log.entry e
WHERE e.stream = %(stream)s AND e.version > %(version)s
  AND e.position > %(after)s AND e.position < %(before)s
ORDER BY e.version LIMIT %(limit)s
"""


class _Terms(Struct, frozen=True):
    position: int
    terms: str


def terms_of(
    conn: psycopg.Connection[Any], account: str, placed: Collection[int], before: int
) -> list[int]:
    """Positions of the terms that stood when something was placed, from the first prepaid on."""
    said = []
    for position, entry in _entries(conn, account, 0, before):
        if open_entry(entry).tag == TERMS:
            fact: Any = decode_entry(entry).fact
            said.append(_Terms(position, fact.terms))
    positions = [one.position for one in said]
    stood = sorted({place for at in placed if (place := bisect_left(positions, at))})
    found = [said[place - 1] for place in stood]
    first = next((n for n, one in enumerate(found) if one.terms == PREPAID), len(found))
    return [one.position for one in found[first:]]


def holds_of(
    conn: psycopg.Connection[Any],
    account: str,
    lives: dict[str, list[int]],
    changes: Sequence[int],
    closed: int,
) -> Iterator[tuple[int, str]]:
    """Positions of what placed the resources' holds, and of each the last renewal between any two
    changes; beside the first the resource's name.

    `lives`: of each resource the positions of its stream, ascending. `changes`: those of closes, of
    the price book and of the quota, ascending. What is later than `closed` counts for nothing.
    """
    if not lives:
        return
    first = min(positions[0] for positions in lives.values())
    wallet = account.replace("account-", "wallet-", 1)
    last: dict[tuple[str, int, int], int] = {}
    for position, entry in _entries(conn, wallet, first, closed):
        tag = open_entry(entry).tag
        if tag not in PLACED_HOLDS and tag not in RENEWED_HOLDS:
            continue
        fact: Any = decode_entry(entry).fact
        for name in held_by(tag, fact):
            if name not in lives:
                continue
            if tag in PLACED_HOLDS:
                yield position, name
            else:
                own = bisect_left(lives[name], position)
                last[name, own, bisect_left(changes, position)] = position
    yield from ((position, "") for position in set(last.values()))


def held_by(tag: str, fact: Any) -> list[str]:
    """The runtimes, the volume or the reservation that it is of."""
    if tag == RENEWED_HOLDS[0]:
        return [one.runtime for one in fact.holds]
    return [held_for(fact)]


def _entries(
    conn: psycopg.Connection[Any], stream: str, after: int, before: int
) -> Iterator[tuple[int, bytes]]:
    asked = {"stream": stream, "version": 0, "after": after, "before": before, "limit": PAGE}
    while page := conn.execute(_STREAM, asked, binary=True).fetchall():
        for version, position, entry in page:
            asked["version"] = version
            yield position, entry
