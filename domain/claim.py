"""Where a node stands among others, and which of its devices reservations claim (part of `node`).

    SetTopology, SetRegion
    Reserve -> reserved until -> Unreserve

A reservation claims whole, empty devices for one project until an instant. While it stands only
launches that name it get them; what runs there when it ends goes on.
"""

from typing import Final, assert_never, get_args

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import DomainError
from domain.node_facts import Claimed, RegionSet, Reserved, TopologySet, Unreserved
from domain.words import NOWHERE, is_region


class SetTopology(Struct, frozen=True):
    """`zone`: nodes of one zone are near each other. `group`: so many devices, by index, are too;
    0 = all of them.
    """

    zone: str
    group: int
    now_us: int


class SetRegion(Struct, frozen=True):
    """What is placed on it from now on is there, and priced so; what lies there already stays where
    it was. `-`: nowhere in particular.
    """

    region: str
    now_us: int


class Reserve(Struct, frozen=True):
    reservation: str
    organization: str
    devices: tuple[int, ...]
    until_us: int
    now_us: int


class Unreserve(Struct, frozen=True):
    reservation: str
    now_us: int


type Command = SetTopology | SetRegion | Reserve | Unreserve
COMMANDS: Final = get_args(Command.__value__)


class Claims(Struct, frozen=True):
    """`reserved`: the reservation per device, `""` = none."""

    reserved: tuple[str, ...]
    zone: str = ""
    group: int = 0
    region: str = NOWHERE


def decide(command: Command, state: Claims, free: tuple[bool, ...]) -> list[Claimed]:
    """The facts of the command; none when it was done already. `free`: whole and open to all.

    Raises:
        DomainError: `node.topology_invalid`, `node.region_invalid`, `capacity.none_fits`.
    """
    match command:
        case SetTopology(zone, group, now_us):
            if not 0 <= group <= len(state.reserved):
                raise DomainError("node.topology_invalid", "a group has at most all its devices")
            same = (zone, group) == (state.zone, state.group)
            return [] if same else [TopologySet(zone, group, now_us)]
        case SetRegion(region, now_us):
            if region != NOWHERE and not is_region(region):
                raise DomainError("node.region_invalid", "a short name, such as eu-de-1")
            return [] if region == state.region else [RegionSet(region, now_us)]
        case Reserve():
            mine = _of(state, command.reservation)
            if mine:
                return []
            if not command.devices or not all(free[index] for index in command.devices):
                raise DomainError("capacity.none_fits", "not all of these devices are free")
            return [
                Reserved(
                    *(command.reservation, command.organization, command.devices),
                    *(command.until_us, command.now_us),
                )
            ]
        case Unreserve(reservation, now_us):
            mine = _of(state, reservation)
            return [Unreserved(reservation, mine, now_us)] if mine else []
        case _:
            assert_never(command)


def _of(state: Claims, reservation: str) -> tuple[int, ...]:
    return tuple([index for index, name in enumerate(state.reserved) if name == reservation])


def evolve(state: Claims, event: Claimed) -> Claims:
    """The state after the event."""
    match event:
        case TopologySet():
            return replace(state, zone=event.zone, group=event.group)
        case RegionSet():
            return replace(state, region=event.region)
        case Reserved():
            return replace(state, reserved=_set(state, event.devices, event.reservation))
        case Unreserved():
            return replace(state, reserved=_set(state, event.devices, ""))
        case _:
            assert_never(event)


def _set(state: Claims, devices: tuple[int, ...], reservation: str) -> tuple[str, ...]:
    changed = list(state.reserved)
    for index in devices:
        changed[index] = reservation
    return tuple(changed)
