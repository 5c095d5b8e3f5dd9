"""Instants, money and cursors at the edge: exact both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.edge import instant, money, parse_instant, pico_of, whole
from api.paging import after, cursor, page_size
from api.refusals import problem_bytes, status_of
from api.viewing import sliced
from contracts.http import Given
from contracts.http_money import MoneyNew
from domain.errors import DomainError


@given(st.integers(0, 250_000_000_000_000_000))
def test_instants_return(us: int) -> None:
    """RFC 3339 text and microseconds are each other's inverse."""
    assert parse_instant(instant(us)) == us


@pytest.mark.parametrize(
    "text",
    ["2025-01-01", "2025-01-01T00:00:00", "2025-01-01T00:00:00+01:00", "2025-02-30T00:00:00Z", "x"],
)
def test_other_instants_are_refused(text: str) -> None:
    """Only UTC with a Z, and only days that exist."""
    with pytest.raises(DomainError, match=r"request\.invalid"):
        parse_instant(text)


@given(st.integers(-(10**37), 10**37))
def test_money_returns(pico: int) -> None:
    """Every pico-unit survives the edge, the sign of small negative amounts included."""
    said = money(pico, "USD")
    assert pico_of(MoneyNew(amount=said.amount, currency=said.currency)) == pico


@given(st.integers(0, 2**60))
def test_cursors_return(key: int) -> None:
    """A cursor names exactly where the next page starts."""
    assert after(cursor(key)) == key


@pytest.mark.parametrize("text", ["", "x", "!!", "é", "WyJhIl0=", "WzEuNV0="])
def test_foreign_cursors_are_refused(text: str) -> None:
    """Nothing but what we gave is a cursor."""
    with pytest.raises(DomainError, match=r"request\.invalid"):
        after(text)
    for limit in (0, -1, 501):
        with pytest.raises(DomainError, match=r"request\.invalid"):
            page_size(limit)


def test_statuses_and_retry_after() -> None:
    """A refusal's status follows from its code alone; what will pass says when to come again."""
    assert status_of("quota.exceeded") == 409
    assert status_of("project.unknown") == 404
    assert status_of("auth.missing") == 401
    status, _, headers = problem_bytes(DomainError("log.unavailable", "x"), "c")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "Retry-After" not in problem_bytes(DomainError("quota.exceeded", "x"), "c")[2]


@pytest.mark.parametrize(
    "text", ["", "+1", "-1", " 1", "1 ", "00", "01", "1e2", "1_0", "\u0661", "1\n", "9" * 19]
)
def test_a_whole_number_is_written_one_way(text: str) -> None:
    """No sign, no space, no leading zero, no other script, nothing that no log position reaches."""
    assert whole(text) is None
    assert [whole("0"), whole("10"), whole("9" * 18)] == [0, 10, 10**18 - 1]


class Book(Given, frozen=True):
    name: str
    edition: int


def test_a_list_goes_on_where_its_last_one_stood() -> None:
    """Behind the place of the last one shown, gone or not: editions are numbers, so 9 is before 10;
    a cursor of another list is refused, and one of a list that is empty by now ends it.
    """
    key = ("name", "edition")
    books = [Book(name=name, edition=edition) for name in "ab" for edition in (8, 9, 10, 11)]
    for size in range(1, 9):
        cursor = sliced(books, key, (None, size)).next
        rest = sliced(books, key, (cursor, 100)).items if cursor else []
        assert rest == books[size:]
        left = [*books[: size - 1], *books[size:]]
        assert not cursor or sliced(left, key, (cursor, 100)).items == rest
    assert sliced([], key, (sliced(books, key, (None, 1)).next, 1)).items == []
    for other in (("name",), ("edition", "name")):
        with pytest.raises(DomainError, match=r"request\.invalid"):
            sliced(books, key, (sliced(books, other, (None, 1)).next, 1))
