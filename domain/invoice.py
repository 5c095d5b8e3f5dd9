"""An invoice: a closed period's charges, fixed once and for ever.

(none) -Finalize-> Final -Issue-> Sent
"""

from typing import assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.statement import InvoiceDraft, file_name


class Finalize(Struct, frozen=True):
    """`draft` was taken after the position `closed`; `sha256` is of `invoice_file(draft, number)`.

    In one append with `account.invoiced`, whose sequence `number` shows, and `file_sealed`.
    """

    number: str
    draft: InvoiceDraft
    sha256: str
    closed: int
    now_us: int


class Issue(Struct, frozen=True):
    now_us: int


type Command = Finalize | Issue


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


class Issued(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.issued.v1"):
    issued_us: int


type Event = Finalized | Issued


class Missing(Struct, frozen=True):
    pass


class Final(Struct, frozen=True):
    finalized: Finalized


class Sent(Struct, frozen=True):
    finalized: Finalized


type State = Missing | Final | Sent


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `invoice.exists`, `invoice.unknown`."""
    match command, state:
        case Finalize(), Missing():
            return [_finalized(command)]
        case Finalize(), Final(done) | Sent(done):
            if (done.number, done.sha256) == (command.number, command.sha256):
                return []
            raise DomainError("invoice.exists", "a final invoice never changes")
        case Issue(), Final():
            return [Issued(command.now_us)]
        case Issue(), Sent():
            return []
        case Issue(), Missing():
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


def evolve(state: State, event: Event) -> State:
    match event:
        case Finalized():
            return Final(event)
        case Issued():
            assert isinstance(state, Final)
            return Sent(state.finalized)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
