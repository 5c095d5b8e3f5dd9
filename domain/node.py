"""A node: a machine we trust with nothing but its own workloads, and who holds its devices.

    (none) -Invite-> Expected -Enrol-> Serving
    Serving: AnchorBoot, Allocate, Release, RenewLease, MarkUnreachable / MarkReachable,
             what domain/identity.py decides (Certify, Revoke, Reinvite), and
             domain/upkeep.py (cordon, drain, quarantine, sanitize, return, retire) and
             domain/stray.py (what is over and still lies there is wiped)

New work goes to a Serving node that is reachable and not closed by its upkeep. Unreachable kills
nothing and reassigns nothing. A node whose identity is barred takes no work and gets no lease. A
device is shared only inside one organization and never over 1000 milli; one that owes a receipt
stays its last tenant's until a clean one is there.
"""

from typing import Final, get_args

from msgspec import Struct

from domain import claim, device, enrolment, identity, stray, upkeep
from domain.canary import CanaryLooked
from domain.decider import Decider
from domain.device import DeviceCommand
from domain.enrolment import Enrol, Invite
from domain.errors import DomainError
from domain.identity import IdentityCommand
from domain.instants import LEASE_US, billable_instant
from domain.node_facts import (
    EVENTS,
    Allocated,
    Anchored,
    Cordoned,
    Enrolled,
    Event,
    Invited,
    LeaseRenewed,
    Reachable,
    Released,
    Uncordoned,
    Unreachable,
)
from domain.node_state import (
    Expected,
    Lease,
    Missing,
    Serving,
    State,
    evolve,
    not_drained,
    placeable,
    readopt,
    withdraw,
)
from domain.stray import StrayCommand
from domain.upkeep import Cordon, Uncordon
from domain.words import MILLI, Attested, Share

__all__ = [
    "DECIDER", "EVENTS", "Allocate", "Allocated", "AnchorBoot", "Anchored", "Command",
    "Cordon", "Cordoned", "Enrol", "Enrolled", "Event", "Expected", "Invite", "Invited",
    "Lease", "LeaseRenewed", "MarkReachable", "MarkUnreachable", "Missing", "Reachable",
    "Release", "Released", "RenewLease", "Serving", "State", "Uncordon", "Uncordoned",
    "Unreachable", "decide", "evolve", "not_drained", "placeable", "readopt", "withdraw",
]  # fmt: skip


_UPKEEP: Final = get_args(upkeep.Command.__value__)


class AnchorBoot(Struct, frozen=True):
    """A verified attestation, received at `now_us` on the platform's clock."""

    boot: str
    boottime_us: int
    attested: Attested
    now_us: int


class Allocate(Struct, frozen=True):
    """`reservation`: the one it draws on, if any."""

    allocation: str
    runtime: str
    organization: str
    devices: tuple[Share, ...]
    now_us: int
    reservation: str = ""


class Release(Struct, frozen=True):
    allocation: str
    runtime: str
    now_us: int


class RenewLease(Struct, frozen=True):
    """`boottime_us` was read before the node asked; `runtimes` are those usable on it. It lasts
    `lease_us`.
    """

    runtimes: tuple[str, ...]
    boottime_us: int
    attested: Attested
    now_us: int
    lease_us: int = LEASE_US


class MarkUnreachable(Struct, frozen=True):
    since_us: int


class MarkReachable(Struct, frozen=True):
    since_us: int


type Command = (
    Invite | Enrol | AnchorBoot | Allocate | Release | RenewLease | MarkUnreachable
    | MarkReachable | upkeep.Command | claim.Command | IdentityCommand | DeviceCommand
    | StrayCommand
)  # fmt: skip


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `node.*`; `capacity.none_fits` when the devices are not free.
    """
    match command, state:
        case ((MarkUnreachable() | MarkReachable()), Serving()) if state.upkeep.retired:
            return []
        case _, Serving() if state.upkeep.retired and not isinstance(command, upkeep.Retire):
            raise DomainError("node.retired", "it was retired for good")
        case Invite(), Missing():
            return [*enrolment.invited(command)]
        case Invite(), Expected(invited) if invited.token_sha256 == command.token_sha256:
            return []
        case Enrol(), Expected(invited):
            return [*enrolment.enrolled(command, invited.model, state.identity)]
        case Enrol(), Serving():
            return _enrolled_anew(command, state)
        case (identity.Revoke() | identity.Certify() | identity.ReportDouble()
              | identity.Reinvite()), Serving():  # fmt: skip
            return [*identity.decide(command, state.identity)]
        case identity.Revoke(), Expected():
            return [*identity.decide(command, state.identity)]
        case identity.Reinvite(), Expected():
            return [*identity.reinvited(command, state.identity.token_sha256)]
        case AnchorBoot(), Serving():
            return _anchored(command, state)
        case Allocate(), Serving():
            return _allocated(command, state)
        case Release(), Serving():
            return _released(command, state)
        case RenewLease(), Serving():
            return [_renewed(command, state)]
        case MarkUnreachable(), Serving():
            return [] if state.unreachable else [Unreachable(command.since_us)]
        case MarkReachable(), Serving():
            return [Reachable(command.since_us)] if state.unreachable else []
        case ((device.RequestTest() | device.Say()), Serving()):
            return _of_devices(command, state)
        case ((stray.RequestWipe() | stray.RefuseWipe() | stray.ReportWiped()), Serving()):
            return _of_strays(command, state)
        case command, Serving() if isinstance(command, _UPKEEP):
            return _upkept(command, state)
        case command, Serving() if isinstance(command, claim.COMMANDS):
            return _claimed(command, state)
        case _, Missing():
            raise DomainError("node.unknown", "no such node")
        case _:
            what, where = type(command).__name__, type(state).__name__
            raise DomainError("node.not_possible", f"{what} while {where}", {"state": where})


def _enrolled_anew(command: Enrol, state: Serving) -> list[Event]:
    """A new event key, once the node was revoked, invited again and holds nothing any more.

    Nothing of the old identity may still run: it would be on no new journal and under no new epoch.
    """
    if command.key == state.enrolled.key:
        identity.admitted(state.identity)
        return []
    if not state.identity.token_sha256:
        raise DomainError("node.token_used", "the token was used, with another key")
    if state.held and command.token_sha256 == state.identity.token_sha256:
        raise DomainError("node.still_held", "what its old identity held has not ended yet")
    return [*enrolment.enrolled(command, state.enrolled.model, state.identity)]


def _anchored(command: AnchorBoot, state: Serving) -> list[Event]:
    """One anchor per boot: a second one of the same boot would move instants already billed."""
    if command.boot == state.anchor.boot:
        return []
    identity.admitted(state.identity)
    return [Anchored(command.boot, command.boottime_us, command.now_us, command.attested)]


def _allocated(command: Allocate, state: Serving) -> list[Event]:
    held = state.held.get(command.runtime)
    if held is not None and held.allocation == command.allocation:
        return []
    if held is not None or not placeable(state):
        raise DomainError("node.not_placeable", "closed, unreachable, or it runs here already")
    indexes = [share.index for share in command.devices]
    if not indexes or indexes != sorted(set(indexes)):
        raise DomainError("node.shares_invalid", "shares stand in the order of their index, once")
    for share in command.devices:
        if not (0 <= share.index < len(state.free) and 0 < share.milli <= MILLI):
            raise DomainError("node.shares_invalid", f"no such share: {share}")
        owner = state.owners[share.index]
        if share.milli > state.offers(share.index, command.reservation) or owner not in {
            "",
            command.organization,
        }:
            raise DomainError("capacity.none_fits", f"device {share.index} is not free for that")
    return [
        Allocated(
            *(command.allocation, command.runtime, command.organization, command.devices),
            *(state.epoch + 1, command.now_us),
        )
    ]


def _released(command: Release, state: Serving) -> list[Event]:
    """The release, and what the upkeep makes of devices that it leaves empty."""
    held = state.held.get(command.runtime)
    if held is None or held.allocation != command.allocation:
        return []
    left = tuple([one.index for one in held.devices if state.free[one.index] + one.milli == MILLI])
    follows = upkeep.emptied(state.upkeep, left, command.now_us, idle=len(state.held) == 1)
    return [Released(command.allocation, command.runtime, command.now_us), *follows]


def _claimed(command: claim.Command, state: Serving) -> list[Event]:
    if isinstance(command, claim.Reserve) and not placeable(state):
        raise DomainError("node.not_placeable", "closed or unreachable")
    mine = {"", getattr(command, "organization", "")}
    free = tuple(
        state.offers(index) == MILLI and state.owners[index] in mine
        for index in range(len(state.free))
    )
    return [*claim.decide(command, state.claims, free)]


def _upkept(command: upkeep.Command, state: Serving) -> list[Event]:
    match command:
        case (
            upkeep.ReportSanitized(attested=word)
            | upkeep.ReportCanary(word=CanaryLooked(attested=word))
        ) if word.boot != state.anchor.boot:
            raise DomainError("node.not_anchored", "this boot has no anchor yet")
        case _:
            pass
    busy = tuple(free < MILLI for free in state.free)
    return [*upkeep.decide(command, state.upkeep, upkeep.Load(busy, state.kept))]


def _of_devices(command: DeviceCommand, state: Serving) -> list[Event]:
    """The word, and in the same append the quarantine of a device that is ill or another one."""
    if isinstance(command, device.Say):
        identity.admitted(state.identity)
        if command.word.attested.boot != state.anchor.boot:
            raise DomainError("node.not_anchored", "this boot has no anchor yet")
    uuids = tuple(gpu.uuid for gpu in state.enrolled.gpus)
    facts: list[Event] = []
    for fact in device.decide(command, state.devices, uuids):
        facts.append(fact)
        reason = device.bars(fact, state.enrolled.model, uuids)
        if reason:
            barred = upkeep.Quarantine(fact.devices, reason, fact.decided_us)
            facts.extend(_upkept(barred, state))
    return facts


def _of_strays(command: StrayCommand, state: Serving) -> list[Event]:
    if isinstance(command, stray.ReportWiped):
        identity.admitted(state.identity)
        if command.word.attested.boot != state.anchor.boot:
            raise DomainError("node.not_anchored", "this boot has no anchor yet")
    return [*stray.decide(command, state.strays)]


def _renewed(command: RenewLease, state: Serving) -> LeaseRenewed:
    """Counted from the instant before the node asked, so never from a later one than now."""
    identity.admitted(state.identity)
    foreign = [runtime for runtime in command.runtimes if runtime not in state.held]
    if foreign:
        raise DomainError("node.lease_foreign", "it holds no such runtime", {"runtime": foreign[0]})
    if command.attested.boot != state.anchor.boot:
        raise DomainError("node.not_anchored", "this boot has no anchor yet")
    at = billable_instant(command.boottime_us, state.anchor, state.renewed_us, command.now_us)
    until_us = at + command.lease_us
    return LeaseRenewed(command.runtimes, command.boottime_us, at, until_us, command.attested)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
