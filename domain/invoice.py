"""An invoice: a closed period's charges, fixed once and for ever.

(none) -Finalize | FinalizeTaxed-> Final -Issue-> Sent
Final | Sent -Pay-> the same, with so much paid -ReturnPayment | Refund-> with less
Final | Sent -OrderCredit-> the same, with a credit note ordered -Credit-> with it issued
"""

from typing import assert_never

from msgspec import Struct, structs

from domain.crediting import CreditDraft, Left, Part, credit_file_name
from domain.decider import Decider
from domain.errors import DomainError
from domain.statement import InvoiceDraft, file_name
from domain.taxed import TaxedDraft
from domain.words import Private


class Finalize(Struct, frozen=True):
    """`draft` was taken after the position `closed`; `sha256` is of `invoice_file(draft, number)`.

    In one append with `account.invoiced`, whose sequence `number` shows, and `file_sealed`.
    """

    number: str
    draft: InvoiceDraft
    sha256: str
    closed: int
    now_us: int


class FinalizeTaxed(Struct, frozen=True):
    """Likewise of an account with a seller, whose `seller.invoiced` has the sequence."""

    number: str
    draft: TaxedDraft
    sha256: str
    closed: int
    now_us: int


class Issue(Struct, frozen=True):
    now_us: int


class OrderCredit(Struct, frozen=True):
    """`left` is what every order of the state has left; `parts` none: all of it."""

    credit_note: str
    left: Left
    parts: tuple[Part, ...]
    why: str
    now_us: int


class Credit(Struct, frozen=True):
    """The order, carried out: `draft` was made of its parts after all credit notes issued so far.

    In one append with `seller.credited`, whose sequence `number` shows, and `file_sealed`.
    """

    credit_note: str
    number: str
    draft: CreditDraft
    sha256: str
    now_us: int


class Pay(Struct, frozen=True):
    """Money that arrived for it; `reference`: what the bank called it."""

    amount_minor: int
    reference: Private
    paid_us: int
    now_us: int


class ReturnPayment(Struct, frozen=True):
    """The payer's bank took so much of what was paid back; it is due again."""

    amount_minor: int
    reference: Private
    returned_us: int
    now_us: int


class Refund(Struct, frozen=True):
    """Given back to the payer: what was paid beyond what credit notes have left to pay."""

    amount_minor: int
    reference: Private
    refunded_us: int
    now_us: int


type Command = (
    Finalize | FinalizeTaxed | Issue | OrderCredit | Credit | Pay | ReturnPayment | Refund
)


class Finalized(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.finalized.v1"):
    number: str
    account: str
    period: str
    currency: str
    minor_digits: int
    total_pico: int
    total_minor: int
    line_count: int
    file: str
    sha256: str
    closed: int
    finalized_us: int


class TaxedFinalized(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.finalized.v2"
):
    number: str
    account: str
    seller: str
    period: str
    currency: str
    minor_digits: int
    total_pico: int
    net_minor: int
    tax_minor: int
    total_minor: int
    line_count: int
    file: str
    sha256: str
    closed: int
    finalized_us: int


class Issued(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.issued.v1"):
    issued_us: int


class CreditOrdered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.credit_note.ordered.v1"
):
    credit_note: str
    parts: tuple[Part, ...]
    why: str
    decided_us: int


class Credited(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.credit_note.issued.v1"):
    credit_note: str
    number: str
    account: str
    seller: str
    parts: tuple[Part, ...]
    why: str
    net_minor: int
    tax_minor: int
    total_minor: int
    file: str
    sha256: str
    issued_us: int


class Paid(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.paid.v1"):
    amount_minor: int
    due_minor: int
    reference: Private
    paid_us: int
    decided_us: int


class PaymentReturned(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.payment_returned.v1"
):
    amount_minor: int
    due_minor: int
    reference: Private
    returned_us: int
    decided_us: int


class Refunded(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.refunded.v1"):
    amount_minor: int
    due_minor: int
    reference: Private
    refunded_us: int
    decided_us: int


type Event = (
    Finalized | TaxedFinalized | Issued | CreditOrdered | Credited | Paid | PaymentReturned
    | Refunded
)  # fmt: skip


class Missing(Struct, frozen=True):
    pass


class Final(Struct, frozen=True):
    """`orders` of credit notes, in order; `issued`: their ids, as far as they are carried out.
    `met_minor`: what was paid and what credit notes took; `paid_minor`: what was paid of it.
    """

    finalized: Finalized | TaxedFinalized
    orders: tuple[CreditOrdered, ...] = ()
    issued: tuple[str, ...] = ()
    met_minor: int = 0
    paid_minor: int = 0


class Sent(Struct, frozen=True):
    finalized: Finalized | TaxedFinalized
    orders: tuple[CreditOrdered, ...] = ()
    issued: tuple[str, ...] = ()
    met_minor: int = 0
    paid_minor: int = 0


type State = Missing | Final | Sent


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `invoice.{exists,unknown,no_seller,overpaid,not_paid,not_overpaid}`,
    `credit.*`.
    """
    match command, state:
        case Finalize(), Missing():
            return [_finalized(command)]
        case FinalizeTaxed(), Missing():
            return [_taxed(command)]
        case ((Finalize() | FinalizeTaxed()), (Final(done) | Sent(done))):
            if (done.number, done.sha256) == (command.number, command.sha256):
                return []
            raise DomainError("invoice.exists", "a final invoice never changes")
        case Issue(), Final():
            return [Issued(command.now_us)]
        case Issue(), Sent():
            return []
        case OrderCredit(), Final(TaxedFinalized()) | Sent(TaxedFinalized()):
            command.left.copy().take(command.parts, command.why)
            name, parts, why = command.credit_note, command.parts, command.why
            return [CreditOrdered(name, parts, why, command.now_us)]
        case Credit(), (Final(TaxedFinalized()) | Sent(TaxedFinalized())):
            return _credited(command, state)
        case ((OrderCredit() | Credit()), (Final() | Sent())):
            raise DomainError("invoice.no_seller", "only a seller's invoice gets credit notes")
        case Pay(), Final() | Sent():
            return [_paid(command, state)]
        case ReturnPayment(), Final() | Sent():
            return [_returned(command, state)]
        case Refund(), Final() | Sent():
            return [_refunded(command, state)]
        case (
            (Issue() | OrderCredit() | Credit() | Pay() | ReturnPayment() | Refund()),
            Missing(),
        ):
            raise DomainError("invoice.unknown", "no such invoice")
        case _:
            raise DomainError("invoice.not_possible", "no such step")


def _finalized(command: Finalize) -> Finalized:
    draft = command.draft
    return Finalized(
        *(command.number, draft.account, draft.period, draft.currency, draft.minor_digits),
        *(draft.total_pico, draft.total_minor, len(draft.lines), file_name(command.number)),
        *(command.sha256, command.closed, command.now_us),
    )


def _taxed(command: FinalizeTaxed) -> TaxedFinalized:
    draft = command.draft
    return TaxedFinalized(
        *(command.number, draft.account, draft.seller.seller, draft.period, draft.currency),
        *(draft.minor_digits, draft.total_pico, draft.net_minor, draft.tax_minor),
        *(draft.total_minor, len(draft.lines), file_name(command.number), command.sha256),
        *(command.closed, command.now_us),
    )


def _credited(command: Credit, state: Final | Sent) -> list[Event]:
    of, draft, note = state.finalized, command.draft, command.credit_note
    assert isinstance(of, TaxedFinalized)
    order = next((one for one in state.orders if one.credit_note == note), None)
    if order is None:
        raise DomainError("credit.unknown", "nobody ordered this credit note")
    if note in state.issued:
        return []
    return [
        Credited(
            *(note, command.number, of.account, of.seller, order.parts, order.why),
            *(draft.net_minor, draft.tax_minor, draft.total_minor),
            *(credit_file_name(command.number), command.sha256, command.now_us),
        )
    ]


def _paid(command: Pay, state: Final | Sent) -> Paid:
    due = due_minor(state)
    if not 0 < command.amount_minor <= due:
        facts: dict[str, int | str] = {"due_minor": due}
        raise DomainError("invoice.overpaid", "not as much of it is due", facts)
    left = due - command.amount_minor
    return Paid(command.amount_minor, left, command.reference, command.paid_us, command.now_us)


def due_minor(state: Final | Sent) -> int:
    """What is still to be paid; below 0: to be given back."""
    return state.finalized.total_minor - state.met_minor


def _returned(command: ReturnPayment, state: Final | Sent) -> PaymentReturned:
    if not 0 < command.amount_minor <= state.paid_minor:
        facts: dict[str, int | str] = {"paid_minor": state.paid_minor}
        raise DomainError("invoice.not_paid", "not as much of it was paid", facts)
    due = due_minor(state) + command.amount_minor
    return PaymentReturned(
        command.amount_minor, due, command.reference, command.returned_us, command.now_us
    )


def _refunded(command: Refund, state: Final | Sent) -> Refunded:
    over = min(-due_minor(state), state.paid_minor)
    if not 0 < command.amount_minor <= over:
        facts: dict[str, int | str] = {"overpaid_minor": max(0, over)}
        raise DomainError("invoice.not_overpaid", "not as much was paid too much", facts)
    due = due_minor(state) + command.amount_minor
    return Refunded(
        command.amount_minor, due, command.reference, command.refunded_us, command.now_us
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case Finalized() | TaxedFinalized():
            return Final(event)
        case Issued():
            assert isinstance(state, Final)
            return Sent(*structs.astuple(state))
        case CreditOrdered():
            assert isinstance(state, Final | Sent)
            return structs.replace(state, orders=(*state.orders, event))
        case Credited():
            assert isinstance(state, Final | Sent)
            issued, met = (*state.issued, event.credit_note), state.met_minor + event.total_minor
            return structs.replace(state, issued=issued, met_minor=met)
        case Paid():
            assert isinstance(state, Final | Sent)
            return _moved(state, event.amount_minor)
        case PaymentReturned() | Refunded():
            assert isinstance(state, Final | Sent)
            return _moved(state, -event.amount_minor)
        case _:
            assert_never(event)


def _moved(state: Final | Sent, minor: int) -> Final | Sent:
    met, paid = state.met_minor + minor, state.paid_minor + minor
    return structs.replace(state, met_minor=met, paid_minor=paid)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
