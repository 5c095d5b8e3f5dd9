"""A billing account: one currency, one zone, and the contiguous numbering of its invoices.

(none) -Open-> Billing -NumberInvoice | SetTax | SetTerms, and those of `credit`-> Billing
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain import credit
from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Open(Struct, frozen=True):
    """`minor_digits`: ISO 4217; `zone`: an IANA name the caller has found in `tzdata`."""

    organization: str
    currency: str
    minor_digits: int
    zone: str
    tzdata: str
    now_us: int


class NumberInvoice(Struct, frozen=True):
    """Give this invoice the account's next number; in one append with its `finalized`."""

    invoice: str


class SetTax(Struct, frozen=True):
    """From now on this seller invoices it, as a buyer so treated in that country.

    `party` is what people call the buyer (contracts/rating.md section 11).
    """

    seller: str
    party: Private
    country: str
    treatment: str
    now_us: int


class SetTerms(Struct, frozen=True):
    """How what is launched from now on is paid for; what was launched before keeps its terms.

    `credit_limit_pico`: of postpaid accounts; 0 = none.
    """

    terms: str
    credit_limit_pico: int
    now_us: int


type Command = Open | NumberInvoice | SetTax | SetTerms | credit.Command


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.opened.v1"):
    organization: str
    currency: str
    minor_digits: int
    zone: str
    tzdata: str
    opened_us: int


class Invoiced(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.invoiced.v1"):
    invoice: str
    sequence: int


class Taxed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.taxed.v1"):
    seller: str
    party: Private
    country: str
    treatment: str
    decided_us: int


class TermsSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.terms_set.v1"):
    terms: str
    credit_limit_pico: int
    decided_us: int


type Event = Opened | Invoiced | Taxed | TermsSet | credit.Event


class Missing(Struct, frozen=True):
    pass


class Billing(Struct, frozen=True):
    """`sequence` invoices were numbered; `last_invoice` has that number (`""` before any).

    Without `terms` it is postpaid, without a limit.
    """

    opened: Opened
    sequence: int = 0
    last_invoice: str = ""
    taxed: Taxed | None = None
    terms: TermsSet | None = None
    standing: credit.Credit = credit.Credit()


type State = Missing | Billing

MOST_DIGITS = 4  # no ISO 4217 currency has more
PREPAID: Final = "prepaid"
POSTPAID: Final = "postpaid"


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `account.exists`, `account.unknown`, `account.currency_invalid`,
    `account.terms_invalid`, and those of `credit.decide`.
    """
    match command, state:
        case Open(), Missing():
            return [_opened(command)]
        case Open(), Billing(opened) if opened == _opened(command):
            return []
        case Open(), _:
            raise DomainError("account.exists", "this stream has another account already")
        case NumberInvoice(), Missing():
            raise DomainError("account.unknown", "no such billing account")
        case NumberInvoice(invoice), Billing(last_invoice=last) if invoice == last:
            return []
        case NumberInvoice(invoice), Billing():
            return [Invoiced(invoice, state.sequence + 1)]
        case SetTax(), Missing():
            raise DomainError("account.unknown", "no such billing account")
        case SetTax(), Billing():
            return [
                Taxed(
                    *(command.seller, command.party, command.country, command.treatment),
                    command.now_us,
                )
            ]
        case SetTerms(), Billing(terms=before):
            return _terms(command, before)
        case (
            (
                credit.Suspend()
                | credit.Resume()
                | credit.SetCredit()
                | credit.Observe()
                | credit.Dun()
            ),
            Billing(),
        ):
            return list(credit.decide(command, state.standing))
        case _:
            raise DomainError("account.unknown", "no such billing account")


def _terms(command: SetTerms, before: TermsSet | None) -> list[Event]:
    if command.terms not in {PREPAID, POSTPAID} or command.credit_limit_pico:
        raise DomainError("account.terms_invalid", "`prepaid` or `postpaid`, without a limit")
    now = (POSTPAID, 0) if before is None else (before.terms, before.credit_limit_pico)
    if now == (command.terms, command.credit_limit_pico):
        return []
    return [TermsSet(command.terms, command.credit_limit_pico, command.now_us)]


def _opened(command: Open) -> Opened:
    code = command.currency
    known = len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
    if not known or not 0 <= command.minor_digits <= MOST_DIGITS:
        raise DomainError("account.currency_invalid", "three capital letters and 0..4 digits")
    return Opened(
        *(command.organization, code, command.minor_digits),
        *(command.zone, command.tzdata, command.now_us),
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case Opened():
            return Billing(event)
        case Invoiced():
            assert isinstance(state, Billing)
            return replace(state, sequence=event.sequence, last_invoice=event.invoice)
        case Taxed():
            assert isinstance(state, Billing)
            return replace(state, taxed=event)
        case TermsSet():
            assert isinstance(state, Billing)
            return replace(state, terms=event)
        case _:
            assert isinstance(state, Billing)
            return replace(state, standing=credit.evolve(state.standing, event))


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
