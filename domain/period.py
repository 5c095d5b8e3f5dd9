"""A billing period of one account: two instants, computed once at the edge from its zone.

    (none) -Open-> Running -Close-> Over

Periods of one account are contiguous, so that every microsecond is in exactly one of them.
"""

from typing import assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError


class Open(Struct, frozen=True):
    """`previous`: the account's latest `period.opened`; without one this is its first."""

    account: str
    start_us: int
    end_us: int
    zone: str
    tzdata: str
    previous: "Opened | None"
    now_us: int


class Close(Struct, frozen=True):
    """`later`: a later period of the account, so that what comes late is booked there.

    The last period of an account is thus never closed: there always is an open one. `missing`: who
    may still say something of it, in order.
    """

    later: "Opened | None"
    now_us: int
    missing: tuple[str, ...] = ()


type Command = Open | Close


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.period.opened.v1"):
    account: str
    sequence: int
    start_us: int
    end_us: int
    zone: str
    tzdata: str
    opened_us: int


class Closed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.period.closed.v1"):
    account: str
    start_us: int
    end_us: int
    closed_us: int


class SourcesMissing(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.period.sources_missing.v1"
):
    sources: tuple[str, ...]
    decided_us: int


type Event = Opened | SourcesMissing | Closed


class Missing(Struct, frozen=True):
    pass


class Running(Struct, frozen=True):
    opened: Opened


class Over(Struct, frozen=True):
    opened: Opened


type State = Missing | Running | Over

FIRST_US = -62_135_596_800_000_000  # the calendar, years 1 to 9999: it bounds every quantity
LAST_US = 253_402_300_800_000_000


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError
    `period.{not_contiguous,out_of_calendar,not_over,next_missing,exists,unknown}`.
    """
    match command, state:
        case Open(), Missing():
            return [_opened(command)]
        case Open(), Running(opened) | Over(opened):
            if (opened.account, opened.start_us, opened.end_us) == (
                *(command.account, command.start_us, command.end_us),
            ):
                return []
            raise DomainError("period.exists", "this stream has another period already")
        case Close(), Missing():
            raise DomainError("period.unknown", "no such period")
        case Close(), Running(opened):
            if command.now_us < opened.end_us:
                facts: dict[str, int | str] = {"end_us": opened.end_us}
                raise DomainError("period.not_over", "a period closes after its end", facts)
            later = command.later
            if (
                later is None
                or later.account != opened.account
                or later.sequence <= opened.sequence
            ):
                raise DomainError("period.next_missing", "no later period of the account is open")
            closed = Closed(opened.account, opened.start_us, opened.end_us, command.now_us)
            if command.missing:
                return [SourcesMissing(command.missing, command.now_us), closed]
            return [closed]
        case Close(), Over():
            return []
        case _:
            raise DomainError("period.not_possible", "no such step")


def _opened(command: Open) -> Opened:
    last = command.previous
    follows = last is None or (last.account, last.end_us) == (command.account, command.start_us)
    if not follows or command.end_us <= command.start_us:
        raise DomainError("period.not_contiguous", "it does not begin where the last one ends")
    if not FIRST_US <= command.start_us < command.end_us <= LAST_US:
        raise DomainError("period.out_of_calendar", "its instants are of no year 1 to 9999")
    return Opened(
        command.account,
        1 if last is None else last.sequence + 1,
        *(command.start_us, command.end_us, command.zone, command.tzdata, command.now_us),
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case Opened():
            return Running(event)
        case SourcesMissing():
            return state
        case Closed():
            assert isinstance(state, Running)
            return Over(state.opened)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
