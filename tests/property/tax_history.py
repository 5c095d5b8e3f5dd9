"""A history of a seller's facts; what platform and auditor are fed of tax (rating.md section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from domain import account, invoice, rating, runtime, sealing, seller
from domain.crediting import Left, Part, credit_file, credit_file_name
from domain.period import FIRST_US
from domain.seller import RateSet
from domain.taxed import taxed_file
from domain.words import Private
from tests.property.books_history import HOUR_US, History, stream

SELLER = stream("seller", 1)
PARTY, OTHER_PARTY = Private("a" * 64), Private("b" * 64)
STANDARD, REVERSE, EXEMPT = "standard", "reverse_charge", "exempt"
type Rate = tuple[str, str, str, str, int, str, int]
RATES: tuple[Rate, ...] = (
    (STANDARD, "DE", "*", "S", 1900, "", FIRST_US),
    (STANDARD, "DE", "storage.capacity", "S", 700, "", FIRST_US),
    (REVERSE, "FR", "*", "AE", 0, "VATEX-EU-AE", FIRST_US),
    (EXEMPT, "DE", "*", "E", 0, "VATEX-EU-132", FIRST_US),
)
MONTH = 100 * HOUR_US


@dataclass
class TaxWorld:
    """A seller and one account, its periods a hundred hours long, with the platform's books."""

    currency: str = "EUR"
    digits: int = 2
    prefix: str = "ACME"  # of what it says from now on; its seller is registered with ACME
    history: History = field(default_factory=History)
    books: rating.Books = field(default_factory=rating.Books)
    fed: int = 0
    invoices: int = 0
    notes: int = 0
    runtimes: int = 0
    periods: list[str] = field(default_factory=list)
    moved: list[rating.Transfer] = field(default_factory=list)
    drafts: dict[str, Left] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner = self.history.account(1, self.currency, self.digits)
        for number in range(3):
            start = number * MONTH
            one = self.history.period(self.owner, number + 1, number + 1, start, start + MONTH)
            self.periods.append(one)
        self.history.metered()
        self.history.price(10**12, 0, currency=self.currency)
        self.history.price(7_777, 0, model="local", divisor=3_600_000_000, currency=self.currency)
        self.node = self.history.node(1, "T4", simulated=False)
        self.history.add(SELLER, seller.Registered(PARTY, "DE", "ACME", 14, 0))
        for rate in RATES:
            self.rate(*rate)

    def rate(self, *rate: Any) -> None:
        """A rate is set: every field but when."""
        fields = dict(zip(RateSet.__struct_fields__, (*rate, 0), strict=True))
        self.history.add(SELLER, RateSet(**fields))

    def taxed(self, treatment: str = STANDARD, country: str = "DE") -> int:
        fact = account.Taxed(SELLER, OTHER_PARTY, country, treatment, 0)
        return self.history.add(self.owner, fact)

    def use(self, start: int, end: int, *, milli: int = 1000, project: int = 1) -> None:
        """A runtime that runs so long."""
        self.runtimes += 1
        one = self.history.start(
            self.runtimes, self.owner, self.node, start, milli=milli, project=project
        )
        self.history.say(runtime.Usable, one, start)
        self.history.say(runtime.Stopped, one, end)

    def overcharge(self) -> None:
        """The first period closes over a runtime that had ended two hours before; its invoice."""
        self.runtimes += 1
        one = self.history.start(self.runtimes, self.owner, self.node, MONTH - 3 * HOUR_US)
        self.history.say(runtime.Usable, one, MONTH - 3 * HOUR_US)
        self.invoice()
        self.history.say(runtime.Stopped, one, MONTH - 2 * HOUR_US, MONTH + HOUR_US)

    def store(self, start: int, end: int, *, size: int = 64) -> None:
        """A volume that stands so long."""
        self.runtimes += 1
        one = self.history.volume(self.runtimes, self.owner, self.node, start, size=size)
        self.history.formatted(one, start)
        self.history.wiped(one, end)

    def catch_up(self) -> list[rating.Transfer]:
        """All that the platform has posted."""
        for position in range(self.fed, len(self.history.facts)):
            stream_id, _, fact = self.history.facts[position]
            self.moved += self.books.apply(position, stream_id, fact)[1]
        self.fed = len(self.history.facts)
        return self.moved

    def invoice(self, number: int = 0) -> str:
        """The period with that number is closed and invoiced; the invoice's stream."""
        period, start = self.periods[number], number * MONTH
        closed = self.history.close(self.owner, period, start, start + MONTH)
        self.catch_up()
        draft = self.books.taxed_invoice_of(period)
        assert draft is not None
        self.invoices += 1
        stream_id = stream("invoice", self.invoices)
        said = seller.invoice_number(self.prefix, self.invoices)
        data = taxed_file(draft, said)
        command = invoice.FinalizeTaxed(said, draft, sha256(data).hexdigest(), closed, 0)
        cause = f"cmd:{len(self.history.facts):064x}"
        for fact in invoice.decide(command, invoice.Missing()):
            self.history.add(stream_id, fact, cause)
        self.history.add(SELLER, seller.Invoiced(stream_id, self.invoices), cause)
        self._file(f"invoice-{said.lower()}.json", data, cause)
        self.drafts[stream_id] = Left(stream_id, said, draft)
        return stream_id

    def credit(self, stream_id: str, parts: Sequence[tuple[int, int]] = ()) -> int:
        """A credit note of these parts, or of all that is left; the position of its fact."""
        taken = tuple(Part(*part) for part in parts)
        draft = self.drafts[stream_id].take(taken, "correction")
        self.notes += 1
        note, said = (
            stream("credit_note", self.notes),
            seller.credit_number(self.prefix, self.notes),
        )
        data = credit_file(draft, said)
        self.history.add(stream_id, invoice.CreditOrdered(note, taken, "correction", 0))
        cause = f"cmd:{len(self.history.facts):064x}"
        fact = invoice.Credited(
            note, said, self.owner, SELLER, taken, "correction", draft.net_minor,
            draft.tax_minor, draft.total_minor, credit_file_name(said),
            sha256(data).hexdigest(), 0,
        )  # fmt: skip
        position = self.history.add(stream_id, fact, cause)
        self.history.add(SELLER, seller.Credited(note, self.notes), cause)
        self._file(credit_file_name(said), data, cause)
        return position

    def pay(self, stream_id: str, minor: int, due: int) -> int:
        """So much came in; so much is due then."""
        return self.history.add(stream_id, invoice.Paid(minor, due, PARTY, 0, 0))

    def _file(self, name: str, data: bytes, cause: str) -> None:
        sealed = sealing.FileSealed(name, sha256(data).hexdigest(), len(data), 0, None)
        self.history.add(stream("files", 1), sealed, cause)
