"""A credit note on what was prepaid: back to the bucket and the expiry that it came from, in both sets of books."""

import json
from hashlib import sha256

import pytest
from msgspec.structs import replace

from domain import account, invoice, price_facts, rating, runtime, sealing, seller
from domain.crediting import Left, Part, credit_file, credit_file_name
from domain.seller import RateSet
from domain.taxed import TaxedDraft, TaxedLine, taxed_file
from domain.wallet_facts import ChargeRecovered
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from projections.months import derived_id, period_id
from tests.museum.house import DAY, HOUR, MINUTE, SECOND, USD
from tests.property.books_history import stream
from tests.property.tax_history import OTHER_PARTY, PARTY, RATES, SELLER
from tests.wallet_world import PrepaidHouse, wallet_stream

PROMO = 20 * DAY  # when the promotional credit is over


class Shop(PrepaidHouse):
    """A prepaid tenant with a seller: 10 cents of promotional credit before paid one."""

    def __init__(self, promo: int = PROMO, terms: str = account.PREPAID) -> None:
        super().__init__()
        self.us = self.tenant(0)
        self.price("T4", USD)
        self.node = self.machine(1, "T4")
        self.prepay(self.us, terms)
        self.promo = self.grant(self.us, USD // 10, bucket="promo", expires=promo)
        self.paid = self.grant(self.us, 10 * USD)
        self.append((SELLER, "-", [seller.Registered(PARTY, "DE", "ACME", 14, 0)]))
        for rate in RATES:
            self.append((SELLER, "-", [RateSet(*rate, 0)]))
        taxed = account.Taxed(SELLER, OTHER_PARTY, "DE", "standard", 0)
        self.append((self.us.account, self.us.organization, [taxed]))
        self.left: Left | None = None
        self.lines: tuple[TaxedLine, ...] = ()
        self.bill_id = ""

    def runs(self, minutes: int, at: int = 0, *, ends: bool = True) -> str:
        """A runtime, leased as long as it runs."""
        one = self.begin(self.us, at=at)
        for step in range(2, minutes, 2):
            self.lease(self.node, at + step * MINUTE)
        end = at + minutes * MINUTE
        if ends:
            self.report(runtime.ReportStopped, one, end)
            self.settle(end + SECOND)
        return one

    def invoiced(self, number: int = 1) -> TaxedDraft:
        """The period closed, everything met, invoiced."""
        name, end = period_id(self.us.account, number), self.opened(self.us)[number - 1].end_us
        self.next_period(self.us)
        self.close(self.us, number, end)
        closed = len(self.history.facts) - 1
        self.settle(end + SECOND)
        draft = self.books.taxed_invoice_of(name)
        assert draft is not None
        self.bill_id, said = derived_id("invoice", name), seller.invoice_number("ACME", number)
        data = taxed_file(draft, said)
        digest = sha256(data).hexdigest()
        command = invoice.FinalizeTaxed(said, draft, digest, closed, 0)
        self.append(
            (self.bill_id, self.us.organization, invoice.decide(command, invoice.Missing())),
            (SELLER, "-", [seller.Invoiced(self.bill_id, number)]),
            (derived_id("files", name), "-", [
                sealing.FileSealed(f"invoice-{said.lower()}.json", digest, len(data), 0, None),
            ]),
        )  # fmt: skip
        self.left, self.lines = Left(self.bill_id, said, draft), draft.lines
        return draft

    def credit(self, number: int, *parts: tuple[int, int]) -> None:
        """A credit note of so much of those lines, or of all that is left."""
        assert self.left is not None
        taken = tuple(Part(*one) for one in parts)
        draft = self.left.take(taken, "goodwill")
        note, said = stream("credit_note", number), seller.credit_number("ACME", number)
        data = credit_file(draft, said)
        order = invoice.CreditOrdered(note, taken, "goodwill", 0)
        self.append((self.bill_id, self.us.organization, [order]))
        fact = invoice.Credited(
            *(note, said, self.us.account, SELLER, taken, "goodwill"),
            *(draft.net_minor, draft.tax_minor, draft.total_minor, credit_file_name(said)),
            *(sha256(data).hexdigest(), 0),
        )
        self.append(
            (self.bill_id, self.us.organization, [fact]),
            (SELLER, "-", [seller.Credited(note, number)]),
            (derived_id("files", self.bill_id, note), "-", [
                sealing.FileSealed(
                    credit_file_name(said), sha256(data).hexdigest(), len(data), 0, None
                ),
            ]),
        )  # fmt: skip

    def lots(self) -> tuple[int, int]:
        """What is left of promotional and of paid credit."""
        lots = self.wallet(self.us).lots
        return lots[self.promo].left_pico, lots[self.paid].left_pico

    def receivable(self) -> int:
        return self.books.balances(self.us.account)["receivable"].pico

    def agreed(self) -> None:
        """The auditor derives every row and balance the same."""
        with Books(None) as auditor:
            self.history.feed(auditor)
            for table, mine in self.rows.items():
                stored = [json.loads(rating.row_bytes(row, n, "")) for n, row in enumerate(mine)]
                for row in stored:
                    del row["salt"]
                assert list(auditor.expected_rows(table)) == stored
            found = {
                name: (n.seq, n.pico) for name, n in self.books.balances(self.us.account).items()
            }
            assert auditor.balances(self.us.account) == found
            auditor.finish()


def test_what_was_spent_last_comes_back_first_each_part_to_its_own_lot() -> None:
    """30 min at 1 USD an hour: 10 cents promotional, 40 paid. 45 cents back: all of the paid and 5 of
    the promotional credit; then the rest. Receivable is the tax that no wallet met, less what came back.
    """
    shop = Shop()
    shop.runs(30)
    assert shop.lots() == (0, 10 * USD - 40 * USD // 100)
    shop.invoiced()
    tax = shop.receivable()
    assert tax == 10 * 10**10  # 19 % of 50 cents, half-even
    shop.credit(1, (0, 45))
    assert shop.settle(40 * DAY) == 1
    assert shop.lots() == (5 * USD // 100, 10 * USD)
    assert shop.settle(40 * DAY) == 0
    shop.credit(2)
    shop.settle(40 * DAY)
    assert shop.lots() == (10 * USD // 100, 10 * USD)
    assert shop.receivable() == 0
    shop.agreed()


def test_what_comes_back_to_a_lot_that_is_over_is_over_at_once() -> None:
    """With the expiry it had: it is breakage, not credit to be used."""
    shop = Shop()
    shop.runs(30)
    shop.invoiced()
    shop.credit(1)
    shop.settle(40 * DAY)
    assert shop.lots() == (10 * USD // 100, 10 * USD)
    assert shop.wallet(shop.us).available_pico(40 * DAY) == 10 * USD
    shop.expire(40 * DAY + HOUR)
    assert shop.lots() == (0, 10 * USD)
    assert shop.books.balances(shop.us.account)["breakage"].pico == -10 * USD // 100
    assert shop.books.balances(shop.us.account)["wallet"].pico == -10 * USD
    shop.agreed()


def test_resources_of_one_line_are_given_back_in_order() -> None:
    """Two runtimes of 6 min, one line of 20 cents: 15 back are all of the first's and half of the second's."""
    shop = Shop()
    first, second = sorted((shop.runs(6), shop.runs(6, HOUR)))
    shop.invoiced()
    shop.credit(1, (0, 15))
    assert [one.runtime for one in shop.books.prepayments.settlements()] == [first, second]
    shop.settle(40 * DAY)
    assert shop.lots() == (10 * USD // 100, 10 * USD - 5 * USD // 100)
    shop.credit(2)
    shop.settle(40 * DAY)
    assert shop.lots()[1] == 10 * USD
    shop.agreed()


def test_what_is_credited_of_one_project_comes_back_for_that_only() -> None:
    """6 min in each of two: 5 of the second's 10 cents back."""
    shop = Shop()
    shop.runs(6)
    project = shop.add_project(9, shop.us.organization, shop.us.account)
    other = shop.begin(shop.us, at=HOUR, project=project)
    for step in (2, 4):
        shop.lease(shop.node, HOUR + step * MINUTE)
    shop.report(runtime.ReportStopped, other, HOUR + 6 * MINUTE)
    shop.settle(HOUR + 6 * MINUTE + SECOND)
    assert sum(shop.lots()) == 10 * USD - 10 * USD // 100
    draft = shop.invoiced()
    [line] = [n for n, one in enumerate(draft.lines) if one.project == project]
    shop.credit(1, (line, 5))
    assert [one.runtime for one in shop.books.prepayments.settlements()] == [other]
    shop.settle(40 * DAY)
    assert sum(shop.lots()) == 10 * USD - 5 * USD // 100
    shop.agreed()


def test_a_runtime_in_two_intervals_has_one_line() -> None:
    """Degraded after 6 min, usable again for 6 more: all 20 cents come back, and no more."""
    shop = Shop()
    one = shop.runs(6, ends=False)
    shop.report(runtime.ReportDegraded, one, 6 * MINUTE)
    shop.settle(6 * MINUTE + SECOND)
    shop.report(runtime.ReportUsable, one, 6 * MINUTE + 2 * SECOND)
    for step in (7, 9, 11):
        shop.lease(shop.node, step * MINUTE)
    shop.report(runtime.ReportStopped, one, 12 * MINUTE + 2 * SECOND)
    shop.settle(13 * MINUTE)
    assert sum(shop.lots()) == 10 * USD - 10 * USD // 100
    shop.invoiced()
    shop.credit(1)
    shop.settle(40 * DAY)
    assert shop.lots() == (10 * USD // 100, 10 * USD)
    shop.agreed()


def test_a_runtime_that_still_runs_has_it_in_its_hold() -> None:
    """What its period was credited comes back at once, to what it holds, and goes on from there."""
    shop = Shop()
    end = shop.opened(shop.us)[0].end_us
    one = shop.runs(20, end - 10 * MINUTE, ends=False)
    shop.invoiced()
    shop.credit(1)
    shop.settle(end + 11 * MINUTE)
    shop.report(runtime.ReportStopped, one, end + 10 * MINUTE)
    shop.settle(end + 12 * MINUTE)
    spent = 10 * USD + USD // 10 - sum(shop.lots())
    assert spent == 10 * USD // 60 + (1 if 10 * USD % 60 > 30 else 0)
    shop.agreed()


def test_what_nobody_prepaid_stays_receivable() -> None:
    """A postpaid account's wallet is not touched by its credit notes."""
    shop = Shop(terms=account.POSTPAID)
    shop.runs(30)
    shop.invoiced()
    before = shop.lots()
    shop.credit(1)
    assert shop.settle(40 * DAY) == 0
    assert shop.lots() == before
    assert shop.receivable() == 0
    shop.agreed()


def test_more_than_was_credited_does_not_come_back() -> None:
    """The auditor refuses a pico more, and names the fact."""
    shop = Shop()
    shop.runs(30)
    shop.invoiced()
    shop.credit(1, (0, 45))
    shop.settle(40 * DAY)
    where, cause, last = shop.history.facts[-1]
    assert isinstance(last, ChargeRecovered)
    assert (where, last.recovered_pico) == (wallet_stream(shop.us.account), -45 * 10**10)
    more = replace(last, recovered_pico=last.recovered_pico - 1, balance_pico=last.balance_pico + 1)
    shop.history.facts[-1] = (where, cause, more)
    with Books(None) as auditor, pytest.raises(Invalid) as caught:
        shop.history.feed(auditor)
    assert (caught.value.code, caught.value.field) == ("books.hold", "recovered_pico")


def test_a_commitment_that_a_wallet_met_comes_back_too() -> None:
    """Without a hold: 2 USD at the close, met by the wallet, credited, given back; the use stays."""
    shop = Shop()
    said = ("gpu.time", "T4", "-", "usable", "USD")
    commit = price_facts.CommitmentMade(shop.us.account, *said, 0, DAY, 1, 2 * USD, 1, 0)
    shop.append((stream("pricebook", 1), "-", [commit]))
    shop.runs(6, HOUR)
    shop.invoiced()
    shop.settle(80 * DAY)
    met = sum(shop.lots())
    lines = {line.project: index for index, line in enumerate(shop.lines)}
    shop.credit(1, (lines["-"], 150))
    assert shop.settle(80 * DAY) == 1
    assert sum(shop.lots()) == met + 3 * USD // 2
    shop.credit(2)
    shop.settle(80 * DAY)
    assert sum(shop.lots()) == 10 * USD + USD // 10
    shop.agreed()
