"""A reservation: devices of one model that are a project's until an instant.

    (none) -Make-> Standing -End-> Over

Made by the admission in one append with the claims on its nodes and its quota; it ends by itself,
as a fact. It uses quota as a whole while it stands (`quota.py`).
"""

from typing import assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError


class Make(Struct, frozen=True):
    """`devices` in all, on these `nodes`, in order of choice."""

    project: str
    model: str
    devices: int
    nodes: tuple[str, ...]
    until_us: int
    now_us: int


class End(Struct, frozen=True):
    """`reason`: `expired` (only when it is) or why somebody gave it back before."""

    reason: str
    now_us: int


type Command = Make | End


class Made(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.reservation.made.v1"):
    project: str
    model: str
    devices: int
    nodes: tuple[str, ...]
    until_us: int
    decided_us: int


class Over(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.reservation.ended.v1"):
    reason: str
    decided_us: int


type Event = Made | Over


class Missing(Struct, frozen=True):
    pass


class Standing(Struct, frozen=True):
    made: Made


class Ended(Struct, frozen=True):
    made: Made


type State = Missing | Standing | Ended

EXPIRED = "expired"


def decide(command: Command, state: State) -> list[Event]:
    """The facts of the command; none when it was done already.

    Raises:
        DomainError: `reservation.unknown`, `reservation.ended`, `reservation.invalid`,
            `reservation.not_over`.
    """
    match command, state:
        case Make(), Missing():
            if command.until_us <= command.now_us or command.devices < 1:
                raise DomainError("reservation.invalid", "it ends before it begins, or is of none")
            return [
                Made(
                    *(command.project, command.model, command.devices, command.nodes),
                    *(command.until_us, command.now_us),
                )
            ]
        case Make(), _:
            return []
        case _, Missing():
            raise DomainError("reservation.unknown", "no such reservation")
        case End(), Ended():
            return []
        case End(reason, now_us), Standing(made):
            if reason == EXPIRED and now_us < made.until_us:
                facts: dict[str, int | str] = {"until_us": made.until_us}
                raise DomainError("reservation.not_over", "it stands until then", facts)
            return [Over(reason, now_us)]
        case _:
            raise DomainError("reservation.ended", "it has ended")


def evolve(state: State, event: Event) -> State:
    match event:
        case Made():
            return Standing(event)
        case Over():
            assert isinstance(state, Standing)
            return Ended(state.made)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
