"""Decisions on several nodes at once: blocks of runtimes, and reservations. All or nothing."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain import (
    block,
    claim,
    holding,
    lending,
    node,
    placing,
    quota,
    reservation,
    reserving,
    runtime,
)
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import admit, emitted
from domain.placing import Launch
from domain.stock import Shape
from domain.wallet_facts import EXHAUSTED
from domain.words import MILLI

MOST_RUNTIMES: Final = 32


class Reserve(Struct, frozen=True):
    """`reservation`: a new id. `devices` whole ones of one model, on as few nodes as may be.

    `region`: all of them there; empty: wherever they are.
    """

    reservation: str
    organization: str
    project: str
    model: str
    devices: int
    until_us: int
    now_us: int
    region: str = ""


def admit_block(state: AdmissionState, name: str, launches: tuple[Launch, ...]) -> tuple[Emit, ...]:
    """All of these launches as one append, or the refusal of the first that found no place.

    They are alike but for their ids, so placing them one after the other finds a place for all
    whenever there is one: none of them takes more from the others than any other would.
    The state has remembered the decision, or nothing of it.
    """
    assert 0 < len(launches) <= MOST_RUNTIMES, "the edge bounds it"
    decided: list[tuple[Emit, ...]] = []
    zone = _zone(state, launches)
    try:
        for launch in launches:
            # One by one: what was decided before a refusal must be known.
            decided.append(admit(state, replace(launch, zone=zone)))  # noqa: PERF401
    except DomainError as error:
        for emits in reversed(decided):
            state.undo(emits)
        error.facts["placed"] = len(decided)
        error.facts["wanted_runtimes"] = len(launches)
        raise
    first = launches[0]
    names = tuple([launch.runtime for launch in launches])
    fact = block.Placed(first.project, first.policy, names, first.now_us)
    return merged(decided, Emit(name, first.organization, 0, (fact,)))


def _zone(state: AdmissionState, launches: tuple[Launch, ...]) -> str:
    """The zone with the least room that has it for all of them; else the one with the most."""
    first = launches[0]
    room: dict[str, int] = {}
    for model in first.models or state.stock.models():
        within = (first.organization, first.region or None)
        for name, whole in state.stock.wholes(model, *within):
            zone = state.stock.states[name].claims.zone
            room[zone] = room.get(zone, 0) + len(whole) // first.devices
    enough = [zone for zone, many in room.items() if many >= len(launches)]
    if enough:
        return min(enough, key=lambda zone: room[zone])
    return max(room, key=lambda zone: room[zone], default="")


def merged(decided: list[tuple[Emit, ...]], *more: Emit) -> tuple[Emit, ...]:
    """One emit per stream, in order of first mention; reads of streams it writes are dropped."""
    found: dict[str, Emit] = {}
    for emit in [one for emits in decided for one in emits] + list(more):
        before = found.get(emit.stream)
        found[emit.stream] = (
            emit
            if before is None
            else replace(before, facts=before.facts + emit.facts, reads=before.reads + emit.reads)
        )
    return tuple(
        replace(emit, reads=tuple(dict.fromkeys(r for r in emit.reads if r[0] not in found)))
        for emit in found.values()
    )


def reserve(state: AdmissionState, wanted: Reserve) -> tuple[Emit, ...]:
    """The reservation with its claims on all nodes, as one append; `()` if it is known.

    Raises: DomainError `project.unknown`, `organization.suspended`, `period.none`,
        `quota.exceeded`, `capacity.none_fits`, `wallet.insufficient`, `wallet.frozen`; of what
        costs while idle also `account.suspended`, `account.over_limit`, `budget.exhausted`;
        `launch.region_invalid`.
    """
    if wanted.reservation in state.reservations:
        return ()
    org = wanted.organization
    project = placing.project_of(state, org, wanted.project, wanted.now_us)
    milli = wanted.devices * MILLI
    placing.check_region(wanted.region)
    holding.check_reserved(state, project, wanted.model, milli, wanted.now_us, wanted.region)
    stream = quota.quota_stream(org)
    take = quota.Reserve(
        *(wanted.reservation, project.department, wanted.project, wanted.model),
        *(milli, wanted.now_us),
    )
    taken = tuple(quota.decide(take, state.quotas.get(stream, quota.DECIDER.initial)))
    picked = _picked(state, wanted)
    nodes = [name for name, _ in picked]
    make = reservation.Make(
        *(wanted.project, wanted.model, wanted.devices, tuple(nodes)),
        *(wanted.until_us, wanted.now_us),
    )
    [made] = reservation.decide(make, reservation.Missing())
    assert isinstance(made, reservation.Made), "what this command makes"
    held: reserving.Writes = ()
    if holding.costs_idle(state, project, wanted.model, nodes, wanted.until_us):
        placing.affordable(state, project, wanted.project, wanted.now_us)
        held = reserving.placed(state, project.account, wanted.reservation, made)
    writes = []
    for name, devices in picked:
        command = claim.Reserve(wanted.reservation, org, devices, wanted.until_us, wanted.now_us)
        writes.append((name, tuple(node.decide(command, state.stock.states[name]))))
    return emitted(state, org, (stream, taken), (wanted.reservation, (made,)), *held, *writes)


def _picked(state: AdmissionState, wanted: Reserve) -> list[tuple[str, tuple[int, ...]]]:
    """Nodes and their devices: one node that has them all, the tightest; else the fullest first."""
    left, picked = wanted.devices, list[tuple[str, tuple[int, ...]]]()
    taken: set[str] = set()
    where = wanted.region or None
    while left:
        rank = state.stock.rank(wanted.model, wanted.organization, Shape(left, MILLI), where)
        if not taken and rank is not None:
            place = state.stock.place(rank, wanted.organization, Shape(left, MILLI))
            return [(place.node, tuple(share.index for share in place.devices))]
        free = [
            (len(whole), name, whole)
            for name, whole in state.stock.wholes(wanted.model, wanted.organization, where)
            if name not in taken
        ]
        if not free:
            break
        _, name, whole = max(free, key=lambda one: one[0])
        picked.append((name, tuple(sorted(whole[:left]))))
        taken.add(name)
        left -= len(picked[-1][1])
    if left:
        facts: dict[str, int | str] = {"region": wanted.region} if wanted.region else {}
        facts |= {
            "models": wanted.model,
            "wanted_devices": wanted.devices,
            "most_devices": wanted.devices - left,
        }
        raise DomainError("capacity.none_fits", "so many devices are not free now", facts)
    return picked


def end_reservation(
    state: AdmissionState, stream: str, reason: str, now_us: int
) -> tuple[Emit, ...]:
    """The end with the claims on all nodes, as one append; `()` if it had ended.

    Raises: DomainError `reservation.unknown`, `reservation.not_over`.
    """
    found = state.reservations.get(stream, reservation.Missing())
    facts = tuple(reservation.decide(reservation.End(reason, now_us), found))
    if not facts:
        return ()
    assert isinstance(found, reservation.Standing), "only such a one ends"
    org = state.projects[found.made.project].organization
    held = quota.quota_stream(org)
    give = quota.Unreserve(stream, now_us)
    given = tuple(quota.decide(give, state.quotas.get(held, quota.DECIDER.initial)))
    writes: list[tuple[str, tuple[Struct, ...]]] = [(stream, facts)]
    writes += [(held, given)] if given else []
    for name in found.made.nodes:
        command = claim.Unreserve(stream, now_us)
        freed = tuple(node.decide(command, state.stock.states[name]))
        writes += [(name, freed)] if freed else []
    return emitted(state, org, *writes, by="" if given else stream)


def hold_on(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """What is due of a prepaid reservation: held on, told of, ended with its hold; `()`: nothing.

    Raises: DomainError as `wallet.lacking`.
    """
    if reserving.due_of(state, stream, now_us) == reserving.END:
        return end_reservation(state, stream, EXHAUSTED, now_us)
    return reserving.renew(state, stream, now_us)


def due_claims(state: AdmissionState, now_us: int) -> list[tuple[str, lending.Claimed]]:
    """Claims on quotas that have expired and do not say so yet: (organization, claim)."""
    return [
        ("organization-" + stream.removeprefix("quota-"), claim)
        for stream, tree in state.quotas.items()
        for claim in tree.lent.claims.values()
        if claim.until_us <= now_us
    ]


def due_stops(state: AdmissionState, now_us: int) -> list[str]:
    """Runtimes that a claim has named, whose time is over and that were not told to stop yet."""
    return [
        name
        for tree in state.quotas.values()
        for name, (_, stop_us) in tree.lent.named.items()
        if stop_us <= now_us and name in state.runtimes
        if not isinstance(state.runtimes[name].state, runtime.Ending)
    ]


def due(state: AdmissionState, now_us: int) -> list[str]:
    """Reservations that have expired and do not say so yet, in order."""
    return [
        stream
        for stream, found in state.reservations.items()
        if isinstance(found, reservation.Standing) and found.made.until_us <= now_us
    ]
