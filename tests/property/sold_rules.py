"""Rules of invoices with tax: credit notes that take from them, money that comes and goes back.

Whatever is credited, however often it is asked for, nobody is owed more than the invoice, line by
line; what is due is what the ledger says; and nothing is left of an invoice that is credited whole.
"""

from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from domain import account, invoice, period, sealing, seller
from domain.crediting import Left, Part, credit_file, credit_file_name
from domain.decider import fold
from domain.errors import DomainError
from domain.statement import InvoiceDraft, file_name
from domain.taxed import TaxedDraft, taxed_file
from domain.words import Private
from projections.months import derived_id, period_id
from tests.museum.house import NAME, USD, Tenant
from tests.property.books_history import stream
from tests.property.tree_rules import Tree

SELLER = stream("seller", 1)
MINOR = USD // 100
STANDARD = ("standard", "DE")
MONEY = (invoice.Pay, invoice.ReturnPayment, invoice.Refund)


class Sold(Tree):
    """The postpaid account may be a seller's buyer."""

    taxed = False
    sold: TaxedDraft | None = None

    @rule(tokens=st.booleans())
    def tax(self, tokens: bool) -> None:
        """From now on a seller invoices the account; tokens may have a rate of their own."""
        if self.taxed or self.owing.account in self.closed:
            return
        self.taxed, self.notes = True, 0
        self.credited: dict[int, int] = defaultdict(int)
        self.seller_does(seller.Register(NAME, "DE", "ACME", 14, 0))
        self.seller_does(seller.SetRate(*STANDARD, "*", "S", 1900, "", None, 0))
        if tokens:
            self.seller_does(seller.SetRate(*STANDARD, "tokens", "S", 700, "", None, 0))
        us = self.owing
        asked = account.SetTax(SELLER, NAME, STANDARD[1], STANDARD[0], self.now)
        facts = account.decide(asked, fold(account.DECIDER, self.house.facts(us.account)))
        self.house.append((us.account, us.organization, facts))

    def refusal(self, act: Callable[[], object]) -> str:
        """Its code; empty when it was done."""
        try:
            act()
        except DomainError as error:
            return error.code
        return ""

    def seller_does(self, command: seller.Command) -> None:
        facts = seller.decide(command, fold(seller.DECIDER, self.house.facts(SELLER)))
        self.house.append((SELLER, "-", facts))

    def invoiced(self, us: Tenant) -> InvoiceDraft:
        """The closed first period of the account invoiced, by its seller if it has one."""
        house, name = self.house, period_id(us.account, 1)
        plain = house.books.invoice_of(name)
        if us is not self.owing or not self.taxed or not plain.lines:
            return house.bill(us, 1, self.now)
        draft = house.books.taxed_invoice_of(name)
        assert draft is not None
        self.bill_name, number = derived_id("invoice", name), seller.invoice_number("ACME", 1)
        data = taxed_file(draft, number)
        digest = sha256(data).hexdigest()
        [closed] = [
            at
            for at, (where, _, fact) in enumerate(house.history.facts)
            if where == name and isinstance(fact, period.Closed)
        ]
        command = invoice.FinalizeTaxed(number, draft, digest, closed, self.now)
        sealed = sealing.FileSealed(file_name(number), digest, len(data), closed, None)
        selling = fold(seller.DECIDER, house.facts(SELLER))
        house.append(
            (self.bill_name, us.organization, invoice.decide(command, invoice.Missing())),
            (SELLER, "-", seller.decide(seller.NumberInvoice(self.bill_name), selling)),
            (derived_id("files", name), "-", (sealed,)),
        )
        self.sold, self.left = draft, Left(self.bill_name, number, draft)
        return plain

    @rule(parts=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=3))
    def credit(self, parts: list[tuple[int, int]]) -> None:
        """So many cents of some lines, or all that is left; carried out, and asked for again."""
        if self.sold is None:
            return
        many = len(self.sold.lines)
        asked = {line % many: minor for line, minor in parts}
        taken = tuple(Part(line, minor) for line, minor in sorted(asked.items()))
        if refused := self.refusal(lambda: self.carry_out(taken)):
            assert refused in {"credit.exceeds", "credit.nothing_left"}
            shown = [line.shown_minor for line in self.sold.lines]
            left = [shown[at] - self.credited[at] for at in range(many)]
            assert any(part.minor > left[part.line] for part in taken) or not any(left)

    def carry_out(self, parts: tuple[Part, ...]) -> None:
        """The order, then the note. Raises: DomainError `credit.*`."""
        house, us, why = self.house, self.owing, "outage"
        note = stream("credit_note", self.notes + 1)
        order = invoice.OrderCredit(note, self.left, parts, why, self.now)
        self.invoice_does(order)
        self.notes += 1
        draft = self.left.take(parts, why)
        for line in draft.lines:
            self.credited[line.line] += line.amount_minor
        number = seller.credit_number("ACME", self.notes)
        data = credit_file(draft, number)
        digest = sha256(data).hexdigest()
        command = invoice.Credit(note, number, draft, digest, self.now)
        state = fold(invoice.DECIDER, house.facts(self.bill_name))
        selling = fold(seller.DECIDER, house.facts(SELLER))
        sealed = sealing.FileSealed(credit_file_name(number), digest, len(data), 0, None)
        house.append(
            (self.bill_name, us.organization, invoice.decide(command, state)),
            (SELLER, "-", seller.decide(seller.NumberCredit(note), selling)),
            (derived_id("files", note), "-", (sealed,)),
        )
        again = fold(invoice.DECIDER, house.facts(self.bill_name))
        assert invoice.decide(command, again) == []

    def invoice_does(self, command: invoice.Command) -> None:
        state = fold(invoice.DECIDER, self.house.facts(self.bill_name))
        facts = invoice.decide(command, state)
        self.house.append((self.bill_name, self.owing.organization, facts))

    @rule(what=st.sampled_from(MONEY), minor=st.integers(1, 200), late=st.integers(-600, 600))
    def money(
        self, what: type[invoice.Pay | invoice.ReturnPayment | invoice.Refund], minor: int,
        late: int,
    ) -> None:  # fmt: skip
        """Paid, taken back, or refunded, as a bank's clock says when."""
        if self.sold is not None:
            at = max(0, self.now + late * 1_000_000)
            command = what(minor, Private("0" * 64), at, self.now)
            refused = self.refusal(lambda: self.invoice_does(command))
            codes = {"invoice.overpaid", "invoice.not_paid", "invoice.not_overpaid"}
            assert not refused or refused in codes

    def due_minor(self) -> int:
        """By the facts of the invoice, added up."""
        due = 0
        for fact in self.house.facts(self.bill_name):
            match fact:
                case invoice.TaxedFinalized():
                    due += fact.total_minor
                case invoice.Credited():
                    due -= fact.total_minor
                case invoice.Paid():
                    due -= fact.amount_minor
                case invoice.PaymentReturned() | invoice.Refunded():
                    due += fact.amount_minor
                case _:
                    pass
        return due

    @invariant()
    def what_is_due_is_what_the_ledger_says(self) -> None:
        """Nothing above any line is credited."""
        if self.sold is None:
            return
        receivable = self.house.books.balances(self.owing.account).get("receivable")
        assert (receivable.pico if receivable else 0) == self.due_minor() * MINOR
        for at, line in enumerate(self.sold.lines):
            assert 0 <= self.credited[at] <= max(0, line.shown_minor)

    def voided(self) -> None:
        """Once all of it is credited, nothing of the invoice is left but what was paid."""
        if self.sold is None:
            return
        assert self.refusal(lambda: self.carry_out(())) in {"", "credit.nothing_left"}
        balances = self.house.books.balances(self.owing.account)
        paid = balances["cash"].pico if "cash" in balances else 0
        for name, one in balances.items():
            left = -paid if name == "receivable" else 0
            assert one.pico == left or name.startswith(("revenue:", "cash", "unbilled"))
