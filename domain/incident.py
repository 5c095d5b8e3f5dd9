"""An incident: what went wrong, the facts that belong to it, and what is proposed for it.

    (none) -Open-> Running -Tie / Note / Propose-> Running -Resolve-> Resolved -Tie / Propose->

It moves no money: a proposal says how much time was lost to whom, and somebody else decides.
"""

from typing import assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

OPERATOR = "operator"


class Open(Struct, frozen=True):
    """`what`: `operator`, or the event that opened it; `subject`: a node, a runtime, or empty."""

    what: str
    subject: str
    title: Private
    now_us: int


class Tie(Struct, frozen=True):
    """A fact, by its position in the log, belongs to this incident."""

    at: int
    now_us: int


class Note(Struct, frozen=True):
    note: Private
    now_us: int


class Resolve(Struct, frozen=True):
    now_us: int


class Propose(Struct, frozen=True):
    """Credit for `[from_us, to_us)`; `quantity` in milli-GPU x us."""

    runtime: str
    account: str
    quantity: int
    from_us: int
    to_us: int
    reason: str
    now_us: int


type Command = Open | Tie | Note | Resolve | Propose


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.incident.opened.v1"):
    what: str
    subject: str
    title: Private
    opened_us: int


class Tied(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.incident.tied.v1"):
    at: int
    decided_us: int


class Noted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.incident.noted.v1"):
    note: Private
    noted_us: int


class Resolved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.incident.resolved.v1"):
    decided_us: int


class CreditProposed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.incident.credit_proposed.v1"
):
    runtime: str
    account: str
    quantity: int
    from_us: int
    to_us: int
    reason: str
    decided_us: int


type Event = Opened | Tied | Noted | Resolved | CreditProposed


class Missing(Struct, frozen=True):
    pass


class Running(Struct, frozen=True):
    """`proposed`: (runtime, from_us) of what was proposed."""

    tied: frozenset[int] = frozenset()
    proposed: frozenset[tuple[str, int]] = frozenset()


class Closed(Struct, frozen=True):
    tied: frozenset[int]
    proposed: frozenset[tuple[str, int]]


type State = Missing | Running | Closed


def decide(command: Command, state: State) -> list[Event]:
    """The facts of the command; none when it was done already.

    Raises: DomainError `incident.unknown`, `incident.resolved`, `incident.invalid`.
    """
    match command, state:
        case Open(what, subject, title, now_us), Missing():
            return [Opened(what, subject, title, now_us)]
        case Open(), _:
            return []
        case _, Missing():
            raise DomainError("incident.unknown", "no such incident")
        case Tie(at, now_us), Running(tied) | Closed(tied):
            return [] if at in tied else [Tied(at, now_us)]
        case Propose(), Running(proposed=proposed) | Closed(proposed=proposed):
            if command.quantity < 1 or command.to_us <= command.from_us:
                raise DomainError("incident.invalid", "a credit is for time that was lost")
            known = (command.runtime, command.from_us) in proposed
            return [] if known else [_proposed(command)]
        case Note(note, now_us), Running():
            return [Noted(note, now_us)]
        case Resolve(now_us), Running():
            return [Resolved(now_us)]
        case Resolve(), Closed():
            return []
        case _:
            raise DomainError("incident.resolved", "it was resolved: open another")


def _proposed(command: Propose) -> CreditProposed:
    return CreditProposed(
        *(command.runtime, command.account, command.quantity, command.from_us, command.to_us),
        *(command.reason, command.now_us),
    )


def evolve(state: State, event: Event) -> State:
    """The state after the event."""
    if isinstance(event, Opened):
        return Running()
    assert not isinstance(state, Missing)
    kind = type(state)
    match event:
        case Tied(at):
            return kind(state.tied | {at}, state.proposed)
        case CreditProposed(runtime=runtime, from_us=from_us):
            return kind(state.tied, state.proposed | {(runtime, from_us)})
        case Noted():
            return state
        case Resolved():
            return Closed(state.tied, state.proposed)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
