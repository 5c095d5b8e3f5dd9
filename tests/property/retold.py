"""What a house has logged of money, told anew: in another order, more than once, without something.

A log position is the identity of a price, so each fact keeps its own whatever its turn; a fact that
is put in has that of the one before it.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import msgspec

from domain import account, period, project, rating, runtime, volume
from domain.reading import Reading
from tests.museum.house import Tenant
from tests.property.rating_orders import (
    LineKey,
    Said,
    closes_last,
    doubled,
    interleaved,
    line_totals,
    split,
)
from tests.unit.test_verify_books_usage import Told

type Digest = tuple[dict[LineKey, tuple[int, int]], dict[str, int]]


def digest(told: Told, said: Iterable[Said], payer: str) -> Digest:
    """Charge lines that are not nothing, and balances, of the account."""
    at = {id(fact): position for position, (_, _, fact) in enumerate(told.facts)}
    books, rated, position = rating.Books(), list[rating.RatedInterval](), 0
    for name, fact in said:
        position = at.get(id(fact), position)
        if position in told.rows and told.facts[position][2] is fact:
            found = [msgspec.convert(row, Reading) for row in told.rows[position]]
            rated += books.read(position, found)[0]
        else:
            rated += books.apply(position, name, fact)[0]
    balances = {name: one.pico for name, one in books.balances(payer).items() if one.pico}
    return line_totals(rated), balances


def of_postpaid(told: Told, us: Tenant) -> list[Said]:
    """What charges of that account rest on: nothing of other accounts, wallets and invoices."""
    others = {
        name
        for name, _, fact in told.facts
        if isinstance(fact, runtime.Requested | volume.Created | period.Opened)
        and fact.account != us.account
    }
    others |= {name for name, _, fact in told.facts if isinstance(fact, account.Opened)}
    kinds = ("wallet-", "invoice-", "files-", "seller-")
    return [
        (name, fact)
        for name, _, fact in told.facts
        if name not in others - {us.account}
        and not name.startswith(kinds)
        and not isinstance(fact, account.Invoiced)
    ]


def require_one(told: Told, us: Tenant, seed: int) -> None:
    """Invariants 6, 7, 10 and 12: whatever the order of words and closes, however often each word
    comes, an interval cut, its project never moved: the same lines, amounts and balances.
    """
    said = of_postpaid(told, us)
    once, chance = digest(told, said, us.account), Random(seed)
    others: Sequence[list[Said]] = (
        closes_last(said),
        split(said),
        doubled(said, chance),
        interleaved(split(said), chance),
        closes_last(doubled(interleaved(said, chance), chance)),
        [one for one in said if not isinstance(one[1], project.Moved)],
    )
    for other in others:
        assert digest(told, other, us.account) == once


def still(told: Told) -> dict[str, Any]:
    """Every balance of every account, had no project ever moved."""
    books = rating.Books()
    payers = []
    for position, (name, _, fact) in enumerate(told.facts):
        if isinstance(fact, account.Opened):
            payers.append(name)
        if position in told.rows:
            books.read(position, [msgspec.convert(row, Reading) for row in told.rows[position]])
        elif not isinstance(fact, project.Moved):
            books.apply(position, name, fact)
    return {name: picos(books, name) for name in payers}


def picos(books: rating.Books, payer: str) -> dict[str, int]:
    return {name: one.pico for name, one in books.balances(payer).items()}
