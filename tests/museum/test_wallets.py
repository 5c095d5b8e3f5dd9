"""Credit that was spent twice, or below nothing."""

from domain import launch, runtime
from domain.errors import DomainError
from tests.museum.house import MINUTE, SECOND, USD
from tests.wallet_world import PrepaidHouse


def test_lago_5825_wallets_that_went_below_zero() -> None:
    """Usage that came while an invoice was made was drawn from a wallet whose balance had been read
    before, so prepaid wallets went negative. Here what runs is held for before it runs: two
    launches in one batch cannot have the same credit, a lost append gives it back, and usage that
    is heard of long after credit ran out is billed up to the end of its hold and no further.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, USD // 4)  # one first lease of 632 s costs 0.1755, two do not fit
    first = launch.admit(house.state, house.wish(us))
    refusal = ""
    try:
        launch.admit(house.state, house.wish(us))
    except DomainError as error:
        refusal = error.code
    assert refusal == "wallet.insufficient"
    house.state.undo(first)  # its append lost: the credit is there again
    name = house.begin(us)
    at = 0
    while not isinstance(house.state.runtimes[name].state, runtime.Ending):
        at += 2 * MINUTE
        house.lease(machine, at)
    # Its node is cut off and says only tomorrow that it ran for an hour more.
    house.report(runtime.ReportStopped, name, at + 60 * MINUTE, at + 1440 * MINUTE)
    house.settle(at + 1440 * MINUTE + SECOND)
    held = 4 * MINUTE + 600 * SECOND + 31_600_000  # its last lease that was paid, and its end
    assert house.charged(name)[0] == 1000 * held
    assert house.wallet(us).balance_pico == USD // 4 - house.charged(name)[1] > 0
    house.judged()
    balances = house.books.balances(us.account)
    assert balances["hold"].pico == 0
    assert balances["wallet"].pico == -house.wallet(us).balance_pico
