"""An invoice: a closed period's charges, fixed once and for ever.

(none) -Finalize | FinalizeTaxed-> Final -Issue-> Sent
Final | Sent -Credit-> the same, less what was credited
"""

from typing import assert_never

from msgspec import Struct, structs

from domain.crediting import CreditDraft, Part, credit_file_name
from domain.decider import Decider
from domain.errors import DomainError
from domain.statement import InvoiceDraft, file_name
from domain.taxed import TaxedDraft


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


class Credit(Struct, frozen=True):
    """`draft` was made of `parts` (none: all that is left) after every credit note of the state.

    In one append with `seller.credited`, whose sequence `number` shows, and `file_sealed`.
    """

    credit_note: str
    number: str
    draft: CreditDraft
    parts: tuple[Part, ...]
    sha256: str
    now_us: int


type Command = Finalize | FinalizeTaxed | Issue | Credit


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


type Event = Finalized | TaxedFinalized | Issued | Credited


class Missing(Struct, frozen=True):
    pass


class Final(Struct, frozen=True):
    finalized: Finalized | TaxedFinalized
    credits: tuple[Credited, ...] = ()


class Sent(Struct, frozen=True):
    finalized: Finalized | TaxedFinalized
    credits: tuple[Credited, ...] = ()


type State = Missing | Final | Sent


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `invoice.{exists,unknown,no_seller}`."""
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
        case Credit(), Final(TaxedFinalized() as done) | Sent(TaxedFinalized() as done):
            return [_credited(command, done)]
        case Credit(), Final() | Sent():
            raise DomainError("invoice.no_seller", "only a seller's invoice gets credit notes")
        case Issue() | Credit(), Missing():
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


def _credited(command: Credit, of: TaxedFinalized) -> Credited:
    draft = command.draft
    return Credited(
        *(command.credit_note, command.number, of.account, of.seller, command.parts, draft.why),
        *(draft.net_minor, draft.tax_minor, draft.total_minor, credit_file_name(command.number)),
        *(command.sha256, command.now_us),
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case Finalized() | TaxedFinalized():
            return Final(event)
        case Issued():
            assert isinstance(state, Final)
            return Sent(state.finalized, state.credits)
        case Credited():
            assert isinstance(state, Final | Sent)
            return structs.replace(state, credits=(*state.credits, event))
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
