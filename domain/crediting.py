"""What is left of an invoice, and credit notes that take from it (rating.md section 11)."""

from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError
from domain.statement import PICO_DIGITS
from domain.taxed import Buyer, Rate, Seller, TaxedDraft, step_minor, tax_minor

MOST_PARTS: Final = 500  # so that the fact stays an entry; a void names none


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """So much of the invoice's line with this index, from 0, without its tax."""

    line: int
    minor: int


class CreditLine(Struct, frozen=True):
    """`amount_pico` is what its revenue loses; `line` is the index on the invoice."""

    line: int
    project: str
    sku: str
    price: int
    service_period: str
    category: str
    rate_bp: int
    reason: str
    amount_pico: int
    amount_minor: int


class CreditTax(Struct, frozen=True):
    category: str
    rate_bp: int
    reason: str
    base_minor: int
    tax_minor: int


class CreditDraft(Struct, frozen=True):
    """All of a credit note but its number; `rounding_pico` = net_minor in pico - total_pico."""

    organization: str
    account: str
    seller: Seller
    buyer: Buyer
    invoice: str
    invoice_number: str
    period: str
    currency: str
    minor_digits: int
    simulated: bool
    why: str
    lines: tuple[CreditLine, ...]
    taxes: tuple[CreditTax, ...]
    total_pico: int
    rounding_pico: int
    net_minor: int
    tax_minor: int
    total_minor: int


_File: Final = msgspec.defstruct(
    "_File",
    [
        ("format", str),
        ("number", str),
        *((field.name, field.type) for field in msgspec.structs.fields(CreditDraft)),
    ],
    frozen=True,
)


class Left:
    """What no credit note has taken of one invoice yet; `take` takes."""

    def __init__(self, invoice: str, number: str, draft: TaxedDraft) -> None:
        self._invoice = invoice
        self._number = number
        self._draft = draft
        self._minor = [line.shown_minor for line in draft.lines]
        self._pico = [line.amount_pico for line in draft.lines]
        self._base: dict[Rate, int] = {}  # credited so far

    def copy(self) -> "Left":
        """Another one that is taken from apart."""
        other = Left(self._invoice, self._number, self._draft)
        other._minor, other._pico = [*self._minor], [*self._pico]
        other._base = {**self._base}
        return other

    def take(self, parts: tuple[Part, ...], why: str) -> CreditDraft:
        """The credit note of these parts, in order of lines; of all that is left if there are none.

        What a line has lost as a whole is its exact amount, to the pico; the tax of a rate is the
        difference of the tax of all that was credited of it.

        Raises: DomainError `credit.{too_many,unknown_line,exceeds,nothing_left}`; nothing is taken.
        """
        taken = self._asked(parts) if parts else self._rest()
        lines = tuple(self._line(index, minor) for index, minor in taken)
        if not lines:
            raise DomainError("credit.nothing_left", "credit notes have taken all of it")
        for line in lines:
            self._minor[line.line] -= line.amount_minor
            self._pico[line.line] -= line.amount_pico
        taxes = self._taxes(lines)
        net, tax = sum(one.base_minor for one in taxes), sum(one.tax_minor for one in taxes)
        of, pico = self._draft, sum(line.amount_pico for line in lines)
        rounding = net * 10 ** (PICO_DIGITS - of.minor_digits) - pico
        return CreditDraft(
            organization=of.organization,
            account=of.account,
            seller=of.seller,
            buyer=of.buyer,
            invoice=self._invoice,
            invoice_number=self._number,
            period=of.period,
            currency=of.currency,
            minor_digits=of.minor_digits,
            simulated=of.simulated,
            why=why,
            lines=lines,
            taxes=taxes,
            total_pico=pico,
            rounding_pico=rounding,
            net_minor=net,
            tax_minor=tax,
            total_minor=net + tax,
        )

    def _rest(self) -> list[tuple[int, int]]:
        # A line that shows 0 may be worth something; one that shows something is.
        return [(index, self._minor[index]) for index, pico in enumerate(self._pico) if pico]

    def _asked(self, parts: tuple[Part, ...]) -> list[tuple[int, int]]:
        lines = [part.line for part in parts]
        if len(parts) > MOST_PARTS or lines != sorted(set(lines)):
            raise DomainError("credit.too_many", f"at most {MOST_PARTS} lines, each once, in order")
        step = step_minor(self._draft.minor_digits)
        for part in parts:
            if not 0 <= part.line < len(self._minor):
                facts: dict[str, int | str] = {"line": part.line}
                raise DomainError("credit.unknown_line", "the invoice has no such line", facts)
            left = self._minor[part.line]
            fits = 0 < part.minor <= left or left <= part.minor < 0
            if not fits or part.minor % step:
                facts = {"line": part.line, "left_minor": left, "step_minor": step}
                raise DomainError("credit.exceeds", "not as much is left of that line", facts)
        return [(part.line, part.minor) for part in parts]

    def _line(self, index: int, minor: int) -> CreditLine:
        of, digits = self._draft.lines[index], self._draft.minor_digits
        whole = minor == self._minor[index]
        pico = self._pico[index] if whole else minor * 10 ** (PICO_DIGITS - digits)
        return CreditLine(
            *(index, of.project, of.sku, of.price, of.service_period),
            *(of.category, of.rate_bp, of.reason, pico, minor),
        )

    def _taxes(self, lines: tuple[CreditLine, ...]) -> tuple[CreditTax, ...]:
        bases: dict[Rate, int] = {}
        for line in lines:
            rate = Rate(line.category, line.rate_bp, line.reason)
            bases[rate] = bases.get(rate, 0) + line.amount_minor
        digits, taxes = self._draft.minor_digits, []
        for rate, base in sorted(bases.items()):
            before = self._base.get(rate, 0)
            after = self._base[rate] = before + base
            tax = tax_minor(after, rate.rate_bp, digits) - tax_minor(before, rate.rate_bp, digits)
            taxes.append(CreditTax(rate.category, rate.rate_bp, rate.reason, base, tax))
        return tuple(taxes)


def credit_file_name(number: str) -> str:
    return f"creditnote-{number.lower()}.json"


def credit_file(draft: CreditDraft, number: str) -> bytes:
    """The canonical JSON that `evidence.file_sealed` binds under `credit_file_name(number)`."""
    fields = msgspec.structs.astuple(draft)
    return msgspec.json.encode(_File("gpuaas-credit-note/1", number, *fields))
