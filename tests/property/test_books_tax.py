"""Invoices with tax and their credit notes: two sets of books agree, and nothing is left of a void."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import DomainError
from tests.property.tax_history import TaxWorld
from tests.unit.test_verify_books_tax import CURRENCIES, agreed


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(sorted(CURRENCIES)),
    st.lists(st.tuples(st.integers(1, 10**10), st.integers(1, 3)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 300)), max_size=8),
)
def test_both_books_agree_whatever_is_credited(
    currency: str, uses: list[tuple[int, int]], parts: list[tuple[int, int]]
) -> None:
    """The sum of credit notes is at most the invoice, line by line; in full it is exactly that."""
    world = TaxWorld(currency, CURRENCIES[currency])
    world.taxed()
    for length, project in uses:
        world.use(0, length, project=project)
    world.store(0, uses[0][0], size=1 << 14)
    first = world.invoice()
    before = agreed(world)["receivable"] if world.books.balances(world.owner) else 0
    for part in parts:
        with suppress(DomainError):
            world.credit(first, [part])
    assert 0 <= agreed(world).get("receivable", 0) <= max(before, 0)
    with suppress(DomainError):
        world.credit(first)
    assert set(agreed(world).values()) <= {0}
