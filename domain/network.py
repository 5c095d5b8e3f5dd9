"""A network: what its runtimes may reach, an object of one project.

    (none) -Create-> Standing -SetPolicy-> Standing -Delete-> Deleted

The default is to deny: no rule, nothing is reached, and a deleted network has none. A runtime
launched without a network is in none: the project's default, which denies everything and is no
object. The version of the stream is the version of the policy.
"""

import ipaddress
from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

MOST_RULES: Final = 64
_PROTOCOLS: Final = ("tcp", "udp")
_MOST_PORT: Final = 65_535


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses of `cidr` (IPv4, canonical) on the ports from first to last, both included."""

    cidr: str
    protocol: str
    first_port: int
    last_port: int


class Create(Struct, frozen=True):
    """The caller has read the project and names its organization here."""

    organization: str
    project: str
    project_organization: str
    name: Private
    internal: bool
    egress: tuple[Rule, ...]
    now_us: int


class SetPolicy(Struct, frozen=True):
    """`internal`: runtimes of the network on one node may reach each other."""

    internal: bool
    egress: tuple[Rule, ...]
    now_us: int


class Delete(Struct, frozen=True):
    now_us: int


type Command = Create | SetPolicy | Delete


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.network.created.v1"):
    project: str
    name: Private
    internal: bool
    egress: tuple[Rule, ...]
    created_us: int


class PolicyChanged(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.network.policy_changed.v1"
):
    internal: bool
    egress: tuple[Rule, ...]
    decided_us: int


class Deleted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.network.deleted.v1"):
    decided_us: int


type Event = Created | PolicyChanged | Deleted


class Missing(Struct, frozen=True):
    pass


class Standing(Struct, frozen=True):
    project: str
    name: Private
    internal: bool
    egress: tuple[Rule, ...]


class Gone(Struct, frozen=True):
    project: str


type State = Missing | Standing | Gone


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises: DomainError `network.policy_invalid`, `network.foreign`, `network.exists`,
        `network.unknown`, `network.deleted`.
    """
    match command, state:
        case Create(), Missing():
            if command.project_organization != command.organization:
                raise DomainError("network.foreign", "the project is of another organization")
            shape = (command.internal, _valid(command.egress))
            return [Created(command.project, command.name, *shape, command.now_us)]
        case Create(), _:
            raise DomainError("network.exists", "this stream has another network already")
        case SetPolicy(internal, egress), Standing() if (internal, egress) == (
            state.internal,
            state.egress,
        ):
            return []
        case SetPolicy(internal, egress), Standing():
            return [PolicyChanged(internal, _valid(egress), command.now_us)]
        case SetPolicy(), Gone():
            raise DomainError("network.deleted", "it was deleted: what is in it reaches nothing")
        case Delete(), Standing():
            return [Deleted(command.now_us)]
        case Delete(), Gone():
            return []
        case _:
            raise DomainError("network.unknown", "no such network")


def evolve(state: State, event: Event) -> State:
    """The state after the event."""
    match event:
        case Created():
            return Standing(event.project, event.name, event.internal, event.egress)
        case PolicyChanged():
            assert isinstance(state, Standing)
            return Standing(state.project, state.name, event.internal, event.egress)
        case Deleted():
            assert isinstance(state, Standing)
            return Gone(state.project)
        case _:
            assert_never(event)


def joined(state: State, project: str) -> None:
    """Returns when a launch of this project may name the network.

    Raises: DomainError `network.unknown`, `network.deleted`.
    """
    match state:
        case Standing() if state.project == project:
            return
        case Gone() if state.project == project:
            raise DomainError("network.deleted", "it was deleted")
        case _:
            raise DomainError("network.unknown", "the project has no such network")


def _valid(egress: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules as given. Raises: DomainError `network.policy_invalid`."""
    if len(egress) > MOST_RULES:
        raise DomainError("network.policy_invalid", f"at most {MOST_RULES} rules")
    for number, rule in enumerate(egress, 1):
        try:
            canonical = str(ipaddress.IPv4Network(rule.cidr)) == rule.cidr
        except ValueError:
            canonical = False
        if not canonical:
            raise DomainError("network.policy_invalid", f"rule {number}: not a canonical IPv4 CIDR")
        ports = 1 <= rule.first_port <= rule.last_port <= _MOST_PORT
        if rule.protocol not in _PROTOCOLS or not ports:
            raise DomainError("network.policy_invalid", f"rule {number}: no such protocol or ports")
    return egress


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
