"""A source of readings: the key of an app that reports what a project and its runtimes use.

(none) -Register-> Reporting -Revoke-> Revoked

A node is a source by its enrolment and needs none of this (contracts/rating.md section 8).
"""

import re
from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

_KEY: Final = re.compile(r"[0-9a-f]{64}")
MOST_METERS: Final = 100


class Register(Struct, frozen=True):
    """`key`: 64 hex digits, Ed25519. `meters`: what it may report, each once."""

    organization: str
    project: str
    key: str
    meters: tuple[str, ...]
    now_us: int


class Revoke(Struct, frozen=True):
    reason: str
    now_us: int


type Command = Register | Revoke


class Registered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.source.registered.v1"
):
    organization: str
    project: str
    key: str
    meters: tuple[str, ...]
    registered_us: int


class Revoked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.source.revoked.v1"):
    reason: str
    decided_us: int


type Event = Registered | Revoked


class Missing(Struct, frozen=True):
    pass


class Reporting(Struct, frozen=True):
    registered: Registered


class Stopped(Struct, frozen=True):
    registered: Registered


type State = Missing | Reporting | Stopped


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `source.invalid`, `source.exists`, `source.revoked`, `source.unknown`."""
    match command, state:
        case Register(), Missing():
            return [_registered(command)]
        case Revoke(), Reporting():
            return [Revoked(command.reason, command.now_us)]
        case Revoke(), Stopped():
            return []
        case Revoke(), Missing():
            raise DomainError("source.unknown", "no such source is registered")
        case Register(), Stopped():
            raise DomainError("source.revoked", "a revoked source never reports again")
        case Register(), Reporting():
            raise DomainError("source.exists", "this stream has a source already")
        case _:
            assert_never((command, state))  # type: ignore[arg-type]  # mypy sees no pairs


def _registered(command: Register) -> Registered:
    if not _KEY.fullmatch(command.key):
        raise DomainError("source.invalid", "a key is 64 lowercase hex digits")
    meters = command.meters
    if not meters or len(set(meters)) < len(meters) or len(meters) > MOST_METERS:
        raise DomainError("source.invalid", f"1 to {MOST_METERS} meters, each once")
    return Registered(command.organization, command.project, command.key, meters, command.now_us)


def evolve(state: State, event: Event) -> State:
    match event:
        case Registered():
            return Reporting(event)
        case Revoked():
            assert isinstance(state, Reporting | Stopped), "revoked after it was registered"
            return Stopped(state.registered)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
