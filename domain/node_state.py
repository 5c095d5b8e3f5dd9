"""What a node's facts amount to: who holds its devices, whom they are kept for, and the leases.

`evolve` only remembers; `withdraw`, `readopt` and `not_drained` take back what an append refused.
"""

from msgspec import Struct
from msgspec.structs import replace

from domain import claim, device, identity, stray, upkeep
from domain.claim import Claims
from domain.device import Devices
from domain.identity import Identity
from domain.instants import Anchor
from domain.node_facts import (
    Allocated,
    Anchored,
    Enrolled,
    Event,
    Invited,
    LeaseRenewed,
    Reachable,
    RegionSet,
    Released,
    Reserved,
    Sanitized,
    TopologySet,
    Unreachable,
    Unreserved,
)
from domain.stray import Strays
from domain.upkeep import Upkeep
from domain.words import MILLI


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
    """`free` milli and owning organization per device; `held` by runtime id.

    `owners`: who holds the device or whom it is `kept` for; `""` when anyone may have it.
    """

    enrolled: Enrolled
    free: tuple[int, ...]
    owners: tuple[str, ...]
    held: dict[str, Allocated]
    leases: dict[str, Lease]
    kept: tuple[str, ...]
    upkeep: Upkeep
    claims: Claims
    anchor: Anchor = Anchor("", 0, 0)
    renewed_us: int = 0
    epoch: int = 0
    unreachable: bool = False
    identity: Identity = Identity()
    devices: Devices = Devices()
    strays: Strays = {}
    seen_us: int = 0  # the latest instant of an anchor or a renewal, in any of its lives

    def offers(self, index: int, reservation: str = "") -> int:
        """Milli of this device that new work may have, by the reservation that it names."""
        closed = self.upkeep.quarantined[index] or self.claims.reserved[index] != reservation
        return 0 if closed else self.free[index]

    @property
    def plain(self) -> bool:
        """Nothing but what is held bears on single devices."""
        return self.upkeep.plain and not any(self.claims.reserved)


type State = Missing | Expected | Serving


def placeable(state: Serving) -> bool:
    """Whether the node takes new work at all."""
    return not (state.unreachable or state.upkeep.closed or state.identity.barred)


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
    if isinstance(event, device.EVENTS):
        return replace(state, devices=device.evolve(state.devices, event))
    if isinstance(event, stray.EVENTS):
        return replace(state, strays=stray.evolve(state.strays, event))
    match event:
        case Anchored():
            anchor = Anchor(event.boot, event.boottime_us, event.anchor_us)
            devices = device.rebooted(state.devices, event.anchor_us)
            seen_us = max(state.seen_us, event.anchor_us)
            return replace(state, anchor=anchor, devices=devices, seen_us=seen_us)
        case Allocated():
            return _holding(state, event)
        case Released():
            return _freed(_keeping(state, event.runtime), event.runtime)
        case LeaseRenewed():
            lease = Lease(event.renewed_us, event.until_us, event.attested.boot)
            leases = state.leases | dict.fromkeys(event.runtimes, lease)
            seen_us = max(state.seen_us, event.renewed_us)
            return replace(state, leases=leases, renewed_us=event.renewed_us, seen_us=seen_us)
        case Unreachable():
            return replace(state, unreachable=True)
        case Reachable():
            return replace(state, unreachable=False)
        case Sanitized():
            return _proven(replace(state, upkeep=upkeep.evolve(state.upkeep, event)), event)
        case TopologySet() | RegionSet() | Reserved() | Unreserved():
            return replace(state, claims=claim.evolve(state.claims, event))
        case _:
            return replace(state, upkeep=upkeep.evolve(state.upkeep, event))


def _serving(state: State, event: Enrolled) -> Serving:
    count = len(event.gpus)
    free, none = (MILLI,) * count, ("",) * count
    if not isinstance(state, Serving):
        known = state.identity if isinstance(state, Expected) else Identity()
        cared = upkeep.fresh(count, strict=not event.simulated)
        claims = Claims(none)
        renewed = identity.renewed(known)
        return Serving(event, free, none, {}, {}, none, cared, claims, identity=renewed)
    # Epochs and instants go on: what was fenced off before stays so. So does what a device owes:
    # a new identity has wiped nothing.
    kept = (*state.kept, *none)[:count]
    return replace(
        state,
        enrolled=event,
        free=free,
        owners=kept,
        held={},
        leases={},
        kept=kept,
        claims=replace(state.claims, reserved=(*state.claims.reserved, *none)[:count]),
        upkeep=upkeep.resized(state.upkeep, count, strict=not event.simulated),
        anchor=Anchor("", 0, 0),
        unreachable=False,
        identity=identity.renewed(state.identity),
    )


def _holding(state: Serving, event: Allocated) -> Serving:
    free, owners = list(state.free), list(state.owners)
    for share in event.devices:
        free[share.index] -= share.milli
        owners[share.index] = event.organization
    held = state.held.copy()  # of hundreds, four times as fast as a display with one more
    held[event.runtime] = event
    return replace(
        state,
        free=tuple(free),
        owners=tuple(owners),
        held=held,
        epoch=event.epoch,
    )


def _keeping(state: Serving, runtime: str) -> Serving:
    """What the runtime leaves is its organization's until a receipt, where one is owed."""
    if not state.upkeep.strict:
        return state
    kept = list(state.kept)
    for share in state.held[runtime].devices:
        kept[share.index] = state.held[runtime].organization
    return replace(state, kept=tuple(kept))


def _proven(state: Serving, receipt: Sanitized) -> Serving:
    """Anyone may have what the receipt proves."""
    kept, owners = list(state.kept), list(state.owners)
    for index in upkeep.proven(state.upkeep, receipt):
        kept[index] = owners[index] = ""
    return replace(state, kept=tuple(kept), owners=tuple(owners))


def _freed(state: Serving, runtime: str) -> Serving:
    held = dict(state.held)
    leases = {name: lease for name, lease in state.leases.items() if name != runtime}
    free, owners = list(state.free), list(state.owners)
    for share in held.pop(runtime).devices:
        free[share.index] += share.milli
        if free[share.index] == MILLI:
            owners[share.index] = state.kept[share.index]
    return replace(state, free=tuple(free), owners=tuple(owners), held=held, leases=leases)


def withdraw(state: Serving, event: Allocated) -> Serving:
    """The state before an allocation whose append was refused, whatever came between."""
    last = state.epoch == event.epoch
    return replace(_freed(state, event.runtime), epoch=event.epoch - 1 if last else state.epoch)


def readopt(
    state: Serving, event: Allocated, lease: Lease | None, kept: tuple[str, ...]
) -> Serving:
    """The state before a release whose append was refused; epochs given since stay given.

    `kept`: as it was before the release, of which the devices of `event` count.
    """
    leases = state.leases if lease is None else {**state.leases, event.runtime: lease}
    now = list(state.kept)
    for share in event.devices:
        now[share.index] = kept[share.index]
    held = _holding(state, event)
    return replace(held, epoch=state.epoch, leases=leases, kept=tuple(now))


def not_drained(state: Serving) -> Serving:
    """The state before a drain was over, when the release that ended it was refused."""
    return replace(state, upkeep=replace(state.upkeep, drained=False))


def unclaimed(state: Serving, event: Reserved | Unreserved) -> Serving:
    """The state before a claim, or its end, whose append was refused."""
    name = "" if isinstance(event, Reserved) else event.reservation
    reserved = list(state.claims.reserved)
    for index in event.devices:
        reserved[index] = name
    return replace(state, claims=replace(state.claims, reserved=tuple(reserved)))
