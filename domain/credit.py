"""What keeps a billing account from beginning something new (part of `account`).

    Clear -Suspend-> Suspended, for each thing that it is about -Resume-> Clear again

What runs goes on. Source: MONEY.md section 5, contracts/facts.md.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import DomainError

CHARGEBACK: Final = "chargeback"  # why an account is suspended when a payment was taken back


class Suspend(Struct, frozen=True):
    """`about`: the grant or invoice that was not paid after all, or the account itself."""

    about: str
    reason: str
    now_us: int


class Resume(Struct, frozen=True):
    """`about` none: whatever it is suspended for."""

    about: str
    reason: str
    now_us: int


type Command = Suspend | Resume


class Suspended(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.suspended.v1"):
    about: str
    reason: str
    decided_us: int


class Resumed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.resumed.v1"):
    about: str
    reason: str
    decided_us: int


type Event = Suspended | Resumed


class Credit(Struct, frozen=True):
    """`suspended`: what stands, in order."""

    suspended: tuple[Suspended, ...] = ()


def decide(command: Command, state: Credit) -> list[Event]:
    """Raises: DomainError `account.not_suspended`."""
    standing = {one.about for one in state.suspended}
    match command:
        case Suspend(about, reason, now_us):
            return [] if about in standing else [Suspended(about, reason, now_us)]
        case Resume(about, reason, now_us):
            ended = [one.about for one in state.suspended if about in {"", one.about}]
            if not ended:
                raise DomainError("account.not_suspended", "not for that")
            return [Resumed(one, reason, now_us) for one in ended]
        case _:
            assert_never(command)


def evolve(state: Credit, event: Event) -> Credit:
    match event:
        case Suspended():
            return replace(state, suspended=(*state.suspended, event))
        case Resumed():
            left = tuple(one for one in state.suspended if one.about != event.about)
            return replace(state, suspended=left)
        case _:
            assert_never(event)


def barring(state: Credit) -> DomainError | None:
    """Why nothing new may begin, if so: `account.suspended`."""
    if not state.suspended:
        return None
    first = state.suspended[0]
    facts: dict[str, int | str] = {"about": first.about, "reason": first.reason}
    return DomainError("account.suspended", "its account is suspended", facts)
