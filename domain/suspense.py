"""Money that arrived and names nobody: put aside, later credit, a payment, or given back.

(none) -Receive-> Waiting -Resolve-> Over

One stream a line of a bank's statement; its books are its own: cash against suspense.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

CREDIT: Final = "credit"
PAYMENT: Final = "payment"
RETURNED: Final = "returned"
LIMIT: Final = 10**30


class Receive(Struct, frozen=True):
    """`line`: the bank's own number of it; `text`: what the payer wrote; `why` it is put aside."""

    currency: str
    amount_pico: int
    line: str
    text: Private
    why: str
    now_us: int


class Resolve(Struct, frozen=True):
    """`about`: the grant or the invoice that it became, in one append with that; else empty."""

    how: str
    about: str
    now_us: int


type Command = Receive | Resolve


class Received(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.suspense.received.v1"):
    currency: str
    amount_pico: int
    line: str
    text: Private
    why: str
    decided_us: int


class Resolved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.suspense.resolved.v1"):
    how: str
    about: str
    decided_us: int


type Event = Received | Resolved


class Missing(Struct, frozen=True):
    pass


class Waiting(Struct, frozen=True):
    received: Received


class Over(Struct, frozen=True):
    received: Received
    resolved: Resolved


type State = Missing | Waiting | Over


def decide(command: Command, state: State) -> list[Event]:
    """Raises: DomainError `suspense.{invalid,line_reused,unknown,resolved}`."""
    match command, state:
        case Receive(), Missing():
            if not 0 < command.amount_pico <= LIMIT:
                raise DomainError("suspense.invalid", "an amount > 0")
            return [
                Received(
                    *(command.currency, command.amount_pico, command.line, command.text),
                    *(command.why, command.now_us),
                )
            ]
        case Receive(), Waiting(received) | Over(received):
            if (command.currency, command.amount_pico) != (received.currency, received.amount_pico):
                raise DomainError("suspense.line_reused", "another amount has this line's number")
            return []
        case Resolve(), Waiting():
            return [Resolved(command.how, command.about, command.now_us)]
        case Resolve(), Over(resolved=before):
            if (command.how, command.about) == (before.how, before.about):
                return []
            facts: dict[str, int | str] = {"how": before.how, "about": before.about}
            raise DomainError("suspense.resolved", "it was resolved before", facts)
        case Resolve(), Missing():
            raise DomainError("suspense.unknown", "no such money is put aside")
        case _:
            raise AssertionError("every command meets every state above")


def evolve(state: State, event: Event) -> State:
    match event:
        case Received():
            return Waiting(event)
        case Resolved():
            assert isinstance(state, Waiting)
            return Over(state.received, event)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
