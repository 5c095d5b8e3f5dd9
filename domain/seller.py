"""A seller: the legal entity whose invoices count without a gap, and its tax table.

    (none) -Register-> Selling -SetRate | NumberInvoice | NumberCredit-> Selling

A rate holds for buyers of one treatment in one country, of one meter or `*`, from its instant on.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.period import FIRST_US
from domain.words import ANY_METER, Private


class Register(Struct, frozen=True):
    """`prefix` begins every number; `party` is what people call it (contracts/rating.md 11)."""

    party: Private
    country: str
    prefix: str
    terms_days: int
    now_us: int


class SetRate(Struct, frozen=True):
    """`effective_from_us` None: since ever, as the first rate of a treatment and country is."""

    treatment: str
    country: str
    meter: str
    category: str
    rate_bp: int
    reason: str
    effective_from_us: int | None
    now_us: int


class NumberInvoice(Struct, frozen=True):
    """Give it the seller's next number; in one append with its `finalized`."""

    invoice: str


class NumberCredit(Struct, frozen=True):
    """Likewise of the credit notes, which count apart; in one append with its `issued`."""

    credit_note: str


type Command = Register | SetRate | NumberInvoice | NumberCredit


class Registered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.seller.registered.v1"
):
    party: Private
    country: str
    prefix: str
    terms_days: int
    registered_us: int


class RateSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.seller.rate_set.v1"):
    treatment: str
    country: str
    meter: str
    category: str
    rate_bp: int
    reason: str
    effective_from_us: int
    decided_us: int


class Invoiced(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.seller.invoiced.v1"):
    invoice: str
    sequence: int


class Credited(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.seller.credited.v1"):
    credit_note: str
    sequence: int


type Event = Registered | RateSet | Invoiced | Credited
type Key = tuple[str, str, str, int]  # treatment, country, meter, effective_from_us


class Missing(Struct, frozen=True):
    pass


class Selling(Struct, frozen=True):
    """So many invoices and credit notes were numbered; `last_…` has the last such number."""

    registered: Registered
    rates: dict[Key, RateSet]
    invoices: int = 0
    credits: int = 0
    last_invoice: str = ""
    last_credit: str = ""


type State = Missing | Selling

WHOLE_BP: Final = 10_000  # basis points: 1900 is 19 %
EXEMPT: Final = frozenset({"E", "AE", "O"})  # of UNCL5305: these say why
CATEGORIES: Final = frozenset({"S", "Z"}) | EXEMPT
FOREIGN_PREFIX: Final = "INV"  # how numbers of accounts without a seller begin


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `seller.{exists,unknown,prefix_taken}`,
    `tax.{rate_invalid,first_rate,mixed,rate_exists}`.
    """
    match command, state:
        case Register(), Missing():
            return [_registered(command)]
        case Register(), Selling(registered) if registered.prefix == command.prefix:
            raise DomainError("seller.exists", f"a seller numbers with {command.prefix} already")
        case Register(), Selling():
            raise DomainError("seller.exists", "this stream has another seller already")
        case _, Missing():
            raise DomainError("seller.unknown", "no such seller")
        case SetRate(), Selling():
            return _rate(command, state)
        case NumberInvoice(invoice), Selling():
            return [] if invoice == state.last_invoice else [Invoiced(invoice, state.invoices + 1)]
        case NumberCredit(note), Selling():
            return [] if note == state.last_credit else [Credited(note, state.credits + 1)]
        case _:
            raise DomainError("seller.not_possible", "no such step")


def _registered(command: Register) -> Registered:
    if command.prefix.startswith(FOREIGN_PREFIX):
        raise DomainError("seller.prefix_taken", f"{FOREIGN_PREFIX} is of accounts without seller")
    return Registered(
        *(command.party, command.country, command.prefix, command.terms_days, command.now_us)
    )


def _rate(command: SetRate, state: Selling) -> list[Event]:
    _require_possible(command)
    since = FIRST_US if command.effective_from_us is None else command.effective_from_us
    new = RateSet(
        *(command.treatment, command.country, command.meter, command.category, command.rate_bp),
        *(command.reason, since, command.now_us),
    )
    mine = [of for key, of in state.rates.items() if key[:2] == (new.treatment, new.country)]
    if not mine and (new.meter, since) != (ANY_METER, FIRST_US):
        detail = f"its first rate is of meter {ANY_METER}, since ever"
        raise DomainError("tax.first_rate", f"{new.treatment} in {new.country}: {detail}")
    before = state.rates.get(key_of(new))
    if before is not None:
        if (before.category, before.rate_bp, before.reason) == (
            *(new.category, new.rate_bp, new.reason),
        ):
            return []
        raise DomainError("tax.rate_exists", "another rate of this meter begins at this instant")
    if any((of.category == "O") != (new.category == "O") for of in mine):
        raise DomainError("tax.mixed", "what is outside the scope of tax is so as a whole")
    return [new]


def _require_possible(command: SetRate) -> None:
    """EN 16931-1 section 6.4.3: a standard rate is above 0, all others are 0."""
    category, taxed = command.category, command.category == "S"
    if (
        category not in CATEGORIES
        or (taxed and not 0 < command.rate_bp <= WHOLE_BP)
        or (not taxed and command.rate_bp != 0)
        or bool(command.reason) != (category in EXEMPT)
    ):
        raise DomainError(
            "tax.rate_invalid", "S has a rate; Z, E, AE, O have none; E, AE, O have a reason"
        )


def key_of(rate: RateSet) -> Key:
    return (rate.treatment, rate.country, rate.meter, rate.effective_from_us)


def require_treated(state: Selling, treatment: str, country: str) -> None:
    """Nothing when the table says how such a buyer is taxed. Raises DomainError `tax.no_rate`."""
    if (treatment, country, ANY_METER, FIRST_US) not in state.rates:
        raise DomainError("tax.no_rate", f"no rate for {treatment} in {country}")


def invoice_number(prefix: str, sequence: int) -> str:
    return f"{prefix}-{sequence:06d}"


def credit_number(prefix: str, sequence: int) -> str:
    return f"{prefix}-C{sequence:06d}"


def evolve(state: State, event: Event) -> State:
    match event:
        case Registered():
            return Selling(event, {})
        case RateSet():
            assert isinstance(state, Selling)
            rates = {**state.rates, key_of(event): event}
            return Selling(
                *(state.registered, rates, state.invoices, state.credits),
                *(state.last_invoice, state.last_credit),
            )
        case Invoiced():
            assert isinstance(state, Selling)
            return Selling(
                *(state.registered, state.rates, event.sequence, state.credits),
                *(event.invoice, state.last_credit),
            )
        case Credited():
            assert isinstance(state, Selling)
            return Selling(
                *(state.registered, state.rates, state.invoices, event.sequence),
                *(state.last_invoice, event.credit_note),
            )
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
