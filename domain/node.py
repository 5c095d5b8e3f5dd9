"""A node: a machine we trust with nothing but its own workloads, and who holds its devices.

    (none) -Invite-> Expected -Enrol-> Serving
    Serving: AnchorBoot, Allocate, Release, RenewLease, MarkUnreachable / MarkReachable,
             Cordon / Uncordon, and what domain/identity.py decides: Certify, Revoke, Reinvite

New work goes to a Serving node that is reachable and not cordoned. Unreachable kills nothing and
reassigns nothing. A node whose identity is barred takes no work and gets no lease. A device is
shared only inside one organization and never over 1000 milli.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain import enrolment, identity
from domain.decider import Decider
from domain.enrolment import Enrol, Invite
from domain.errors import DomainError
from domain.identity import Identity, IdentityCommand
from domain.instants import LEASE_US, Anchor, billable_instant
from domain.node_facts import (
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
from domain.words import MILLI, Attested, Share

__all__ = [
    "DECIDER",
    "Allocate",
    "Allocated",
    "AnchorBoot",
    "Anchored",
    "Command",
    "Cordon",
    "Cordoned",
    "Enrol",
    "Enrolled",
    "Event",
    "Expected",
    "Invite",
    "Invited",
    "Lease",
    "LeaseRenewed",
    "MarkReachable",
    "MarkUnreachable",
    "Missing",
    "Reachable",
    "Release",
    "Released",
    "RenewLease",
    "Serving",
    "State",
    "Uncordon",
    "Uncordoned",
    "Unreachable",
    "decide",
    "evolve",
    "readopt",
    "withdraw",
]


class AnchorBoot(Struct, frozen=True):
    """A verified attestation, received at `now_us` on the platform's clock."""

    boot: str
    boottime_us: int
    attested: Attested
    now_us: int


class Allocate(Struct, frozen=True):
    allocation: str
    runtime: str
    organization: str
    devices: tuple[Share, ...]
    now_us: int


class Release(Struct, frozen=True):
    allocation: str
    runtime: str
    now_us: int


class RenewLease(Struct, frozen=True):
    """`boottime_us` was read before the node asked; `runtimes` are those usable on it."""

    runtimes: tuple[str, ...]
    boottime_us: int
    attested: Attested
    now_us: int


class MarkUnreachable(Struct, frozen=True):
    since_us: int


class MarkReachable(Struct, frozen=True):
    since_us: int


class Cordon(Struct, frozen=True):
    now_us: int


class Uncordon(Struct, frozen=True):
    now_us: int


type Command = (
    Invite | Enrol | AnchorBoot | Allocate | Release | RenewLease | MarkUnreachable
    | MarkReachable | Cordon | Uncordon | IdentityCommand
)  # fmt: skip


class Missing(Struct, frozen=True):
    pass


class Expected(Struct, frozen=True):
    invited: Invited
    identity: Identity


class Lease(Struct, frozen=True, gc=False):
    """The last renewal that named a runtime, and the boot that asked for it."""

    renewed_us: int
    until_us: int
    boot: str


class Serving(Struct, frozen=True):
    """`free` milli and owning organization (`""` when empty) per device; `held` by runtime id."""

    enrolled: Enrolled
    free: tuple[int, ...]
    owners: tuple[str, ...]
    held: dict[str, Allocated]
    leases: dict[str, Lease]
    anchor: Anchor = Anchor("", 0, 0)
    renewed_us: int = 0
    epoch: int = 0
    cordoned: bool = False
    unreachable: bool = False
    identity: Identity = Identity()


type State = Missing | Expected | Serving


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `node.*`; `capacity.none_fits` when the devices are not free.
    """
    match command, state:
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
            held = state.held.get(command.runtime)
            if held is None or held.allocation != command.allocation:
                return []
            return [Released(command.allocation, command.runtime, command.now_us)]
        case RenewLease(), Serving():
            return [_renewed(command, state)]
        case MarkUnreachable(), Serving():
            return [] if state.unreachable else [Unreachable(command.since_us)]
        case MarkReachable(), Serving():
            return [Reachable(command.since_us)] if state.unreachable else []
        case Cordon(), Serving():
            return [] if state.cordoned else [Cordoned(command.now_us)]
        case Uncordon(), Serving():
            return [Uncordoned(command.now_us)] if state.cordoned else []
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
    if held is not None or state.cordoned or state.unreachable or state.identity.barred:
        raise DomainError("node.not_placeable", "closed, unreachable, or it runs here already")
    indexes = [share.index for share in command.devices]
    if not indexes or indexes != sorted(set(indexes)):
        raise DomainError("node.shares_invalid", "shares stand in the order of their index, once")
    for share in command.devices:
        if not (0 <= share.index < len(state.free) and 0 < share.milli <= MILLI):
            raise DomainError("node.shares_invalid", f"no such share: {share}")
        owner = state.owners[share.index]
        if share.milli > state.free[share.index] or owner not in {"", command.organization}:
            raise DomainError("capacity.none_fits", f"device {share.index} is not free for that")
    return [
        Allocated(
            *(command.allocation, command.runtime, command.organization, command.devices),
            *(state.epoch + 1, command.now_us),
        )
    ]


def _renewed(command: RenewLease, state: Serving) -> LeaseRenewed:
    """Counted from the instant before the node asked, so never from a later one than now."""
    identity.admitted(state.identity)
    foreign = [runtime for runtime in command.runtimes if runtime not in state.held]
    if foreign:
        raise DomainError("node.lease_foreign", "it holds no such runtime", {"runtime": foreign[0]})
    if command.attested.boot != state.anchor.boot:
        raise DomainError("node.not_anchored", "this boot has no anchor yet")
    at = billable_instant(command.boottime_us, state.anchor, state.renewed_us, command.now_us)
    return LeaseRenewed(command.runtimes, command.boottime_us, at, at + LEASE_US, command.attested)


def evolve(state: State, event: Event) -> State:
    """The state after the event; `free` and `owners` follow from what is held."""
    if isinstance(event, Invited):
        known = Identity(token_sha256=event.token_sha256, expires_us=event.expires_us)
        return Expected(event, known)
    if isinstance(event, Enrolled):
        return _serving(state, event)
    if isinstance(event, identity.EVENTS):
        assert not isinstance(state, Missing)
        return replace(state, identity=identity.evolve(state.identity, event))
    assert isinstance(state, Serving)
    match event:
        case Anchored():
            return replace(state, anchor=Anchor(event.boot, event.boottime_us, event.anchor_us))
        case Allocated():
            return _holding(state, event)
        case Released():
            return _freed(state, event.runtime)
        case LeaseRenewed():
            lease = Lease(event.renewed_us, event.until_us, event.attested.boot)
            leases = state.leases | dict.fromkeys(event.runtimes, lease)
            return replace(state, leases=leases, renewed_us=event.renewed_us)
        case Unreachable():
            return replace(state, unreachable=True)
        case Reachable():
            return replace(state, unreachable=False)
        case Cordoned():
            return replace(state, cordoned=True)
        case Uncordoned():
            return replace(state, cordoned=False)
        case _:
            assert_never(event)


def _serving(state: State, event: Enrolled) -> Serving:
    count = len(event.gpus)
    free, owners = (MILLI,) * count, ("",) * count
    if not isinstance(state, Serving):
        known = state.identity if isinstance(state, Expected) else Identity()
        return Serving(event, free, owners, {}, {}, identity=identity.renewed(known))
    # Epochs and instants go on: what was fenced off before stays so.
    return replace(
        state,
        enrolled=event,
        free=free,
        owners=owners,
        held={},
        leases={},
        anchor=Anchor("", 0, 0),
        unreachable=False,
        identity=identity.renewed(state.identity),
    )


def _holding(state: Serving, event: Allocated) -> Serving:
    free, owners = list(state.free), list(state.owners)
    for share in event.devices:
        free[share.index] -= share.milli
        owners[share.index] = event.organization
    return replace(
        state,
        free=tuple(free),
        owners=tuple(owners),
        held={**state.held, event.runtime: event},
        epoch=event.epoch,
    )


def _freed(state: Serving, runtime: str) -> Serving:
    held = dict(state.held)
    leases = {name: lease for name, lease in state.leases.items() if name != runtime}
    free, owners = list(state.free), list(state.owners)
    for share in held.pop(runtime).devices:
        free[share.index] += share.milli
        if free[share.index] == MILLI:
            owners[share.index] = ""
    return replace(state, free=tuple(free), owners=tuple(owners), held=held, leases=leases)


def withdraw(state: Serving, event: Allocated) -> Serving:
    """The state before an allocation whose append was refused, whatever came between."""
    last = state.epoch == event.epoch
    return replace(_freed(state, event.runtime), epoch=event.epoch - 1 if last else state.epoch)


def readopt(state: Serving, event: Allocated, lease: Lease | None) -> Serving:
    """The state before a release whose append was refused; epochs given since stay given."""
    leases = state.leases if lease is None else {**state.leases, event.runtime: lease}
    return replace(_holding(state, event), epoch=state.epoch, leases=leases)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
