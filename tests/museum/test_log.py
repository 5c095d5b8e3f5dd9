"""Usage that was accepted and reached no invoice."""

import pytest

from domain import rating, runtime
from domain.errors import DomainError
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.museum.house import GPU_HOUR, HOUR, USD, House
from tests.property.books_history import History
from tests.unit.test_verify_books import check, sealed


def test_lago_637_accepted_and_never_counted() -> None:
    """Events were answered 200, stored, and never enriched or aggregated, silently, for want of some
    settings. Here what nothing could charge is refused before it runs; if it stands in the
    log nevertheless, both books stop and say so.
    """
    house = House()
    us = house.tenant(0)
    house.machine(1, "T4")
    with pytest.raises(DomainError, match=r"price\.none"):
        house.start(us)
    house.price("T4", USD)
    one = house.begin(us)
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.judged().charged(one) == (GPU_HOUR, USD)
    unpriced = History(orgs=house.history.orgs)
    unpriced.facts = [one for one in house.history.facts if not one[0].startswith("pricebook-")]
    with Books(None) as auditor, pytest.raises(Invalid, match=r"rating\.no_price"):
        unpriced.feed(auditor)
    platform = rating.Books()
    for position, (where, _, fact) in enumerate(unpriced.facts):
        if isinstance(fact, runtime.Stopped):
            with pytest.raises(DomainError, match=r"rating\.no_price"):
                platform.apply(position, where, fact)
            break
        platform.apply(position, where, fact)
    assert platform.balances(us.account) == {}


@pytest.mark.parametrize("table", ["rated_interval", "transfer"])
def test_lago_637_a_row_that_is_missing_is_missed(table: str) -> None:
    """The same, after rating: a row that the platform derived and did not store is named by the auditor
    by its number, as is one stored twice.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    for _ in range(3):
        one = house.begin(us)
        house.report(runtime.ReportStopped, one, HOUR)
    rows = sealed(house.history)
    assert check(house.history, rows).complete
    for spoiled in (rows[table][:-1], [*rows[table], rows[table][-1]]):
        with pytest.raises(Invalid, match=r"books\.row_(missing|extra)") as caught:
            check(house.history, {**rows, table: spoiled})
        assert caught.value.row == len(spoiled) - (len(spoiled) > 3)
