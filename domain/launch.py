"""Launches and ends of runtimes, each one atomic decision over all streams it touches."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain import (
    budget,
    holding,
    lending,
    network,
    node,
    placing,
    quota,
    runtime,
    storage,
    storage_quota,
)
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.fencing import chained, fenced
from domain.held import Held
from domain.instants import LEASE_US, lost_instant
from domain.placing import Launch, choose, project_of
from domain.soon import coming
from domain.stock import Room

__all__ = [
    "PLATFORM", "Launch", "admit", "capacity", "emitted", "end", "lose", "reads", "reclaim",
    "set_limit", "step",
]  # fmt: skip

PLATFORM = "-"


def admit(state: AdmissionState, launch: Launch) -> tuple[Emit, ...]:
    """Quota, node allocation and runtime as one atomic append; `()` if this runtime is known.

    The state has remembered the decision already. What fits is never refused: every accepted
    model that has a price and room in the quota is looked at before a refusal.

    Raises:
        DomainError: `project.unknown`, `organization.suspended`, `period.none`, `price.none`,
            `quota.exceeded`, `capacity.none_fits`, `runtime.shape_invalid`,
            `runtime.limits_invalid`, `volume.*`, `network.unknown`, `network.deleted`,
            `wallet.insufficient`, `wallet.frozen`, `account.suspended`, `budget.exhausted`,
            `launch.spot_reserved`, `launch.region_invalid`; what would fit is in its facts.
    """
    if launch.runtime in state.runtimes or launch.runtime in state.ended:
        return ()
    if launch.spot and launch.reservation:
        raise DomainError("launch.spot_reserved", "what is reserved is nobody else's to take back")
    project = project_of(state, launch.organization, launch.project, launch.now_us)
    placing.affordable(state, project, launch.project, launch.now_us)
    if launch.network:
        network.joined(state.networks.get(launch.network, network.Missing()), launch.project)
    requested = placing.requested(launch, project)
    model, place = choose(state, launch, project)
    serving = state.stock.states[place.node]
    claim = node.Allocate(
        *(launch.allocation, launch.runtime, launch.organization, place.devices),
        *(launch.now_us, launch.reservation),
    )
    [claimed] = node.decide(claim, serving)
    allocated = runtime.Allocated(
        *(launch.allocation, place.node, model, place.devices),
        *(serving.epoch + 1, launch.now_us),
    )
    configured = _configured(launch, allocated)
    stream = quota.quota_stream(launch.organization)
    commit = quota.Commit(
        *(launch.runtime, project.department, launch.project, model, launch.gpu_milli),
        now_us=launch.now_us,
        reservation=launch.reservation,
    )
    tree = state.quotas.get(stream, quota.DECIDER.initial)
    committed = tuple(quota.commitment(commit, tree))
    return emitted(
        state,
        launch.organization,
        (launch.runtime, (*requested, allocated, *configured)),
        (place.node, (claimed,)),
        (stream, committed),
        *storage.attached(state, launch, allocated),
        *holding.placed(
            state, project, launch.runtime, allocated, launch.gpu_milli, spot=launch.spot
        ),
    )


def _configured(launch: Launch, allocated: runtime.Allocated) -> list[runtime.Event]:
    """The facts after `allocated` that say what runs, in which network, and how long it may be
    idle; a SIMULATED plain start has the last one at most.
    """
    placed = runtime.Placed(allocated.allocation, allocated.node, allocated.allocated_us)
    asked: list[runtime.Command] = []
    if launch.region:
        asked.append(runtime.BeIn(launch.region, launch.now_us))
    if launch.spot:
        asked.append(runtime.GoFirst(launch.now_us))
    if launch.config is not None:
        asked.append(launch.config)
        if launch.network:
            asked.append(runtime.Join(launch.network, launch.now_us))
    if launch.idle_stop_us:
        asked.append(runtime.LimitIdle(launch.idle_stop_us, launch.now_us))
    return [fact for command in asked for fact in runtime.decide(command, placed)]


def reads(state: AdmissionState, launch: Launch) -> tuple[tuple[str, int], ...]:
    """Streams the launch rests on without writing them: it must lose to a suspension, the end of
    its reservation, a change of its network, a budget that is spent, and other terms or prices of
    what is prepaid.
    """
    rests = (
        *(launch.organization, launch.project, launch.reservation, launch.network),
        budget.budget_stream(launch.organization),
        *holding.reads(state, launch.project),
    )
    return tuple((stream, state.version(stream)) for stream in rests if stream)


def step(state: AdmissionState, stream: str, command: runtime.Command) -> tuple[Emit, ...]:
    """What this command appends; `()` if it was done already. An end frees what is held.

    Raises:
        DomainError: `runtime.unknown`, and those of `runtime.decide`.
    """
    events = runtime.decide(command, _held(state, stream).state)
    if not events:
        return ()
    [event] = events
    if isinstance(event, runtime.Stopped | runtime.Failed | runtime.Cancelled | runtime.Lost):
        return _ended(state, stream, event)
    return emitted(state, _held(state, stream).org, (stream, (event,)))


def end(state: AdmissionState, stream: str, event: runtime.Final) -> tuple[Emit, ...]:
    """The end of a runtime with its release of node and quota; `()` if it ended so before.

    `event` was decided elsewhere by `runtime.decide` (use `step` to have that done here), perhaps
    on an older state: before the node's new boot, a lease, a start. This state is the one that the
    append is fenced with, so it must decide the same.

    Raises:
        DomainError: `runtime.unknown`, `runtime.ended` when it ended in another way,
            `runtime.end_stale` when this state decides otherwise: decide again.
    """
    held = _held(state, stream)
    if isinstance(held.state, runtime.Ended):
        how = held.state.how
        if how is type(event):
            return ()
        raise DomainError("runtime.ended", f"it ended before: {how.__name__.lower()}")
    live = _live(held)
    if not _still_so(state, stream, live, event):
        raise DomainError("runtime.end_stale", "its node or the runtime has moved: decide again")
    return _ended(state, stream, event)


def _still_so(state: AdmissionState, stream: str, live: runtime.Live, event: runtime.Final) -> bool:
    """Whether this end follows from the node's latest boot and lease, and the runtime's state."""
    serving = state.stock.states[live.node]
    command: runtime.Command
    if isinstance(event, runtime.Stopped | runtime.Failed) and serving.identity.barred:
        return False
    match event:
        case runtime.Lost():
            lease = serving.leases.get(stream)
            renewed_us = None if lease is None else lease.renewed_us
            return event.lost_us == lost_instant(renewed_us, live.previous_us)
        case runtime.Cancelled():
            command = runtime.Cancel(event.reason, event.decided_us)
        case runtime.Stopped():
            said = (event.boottime_us, serving.anchor, event.attested, event.decided_us)
            command = runtime.ReportStopped(*said)
        case runtime.Failed():
            said = (event.boottime_us, serving.anchor, event.attested, event.decided_us)
            command = runtime.ReportFailed(event.code, *said)
        case _:
            assert_never(event)
    try:
        return runtime.decide(command, live) == [event]
    except DomainError:
        return False


def _ended(state: AdmissionState, stream: str, event: runtime.Final) -> tuple[Emit, ...]:
    held = _held(state, stream)
    live = _live(held)
    release = node.Release(live.allocation, stream, event.decided_us)
    released = node.decide(release, state.stock.states[live.node])
    return emitted(
        state,
        held.org,
        (stream, (event,)),
        (live.node, tuple(released)),
        (quota.quota_stream(held.org), (quota.Released(stream, event.decided_us),)),
        *storage.detached(
            state, stream, live.allocation, type(event).__name__.lower(), event.decided_us
        ),
    )


def lose(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The runtime declared lost by its node's last lease, and all it held released.

    Raises:
        DomainError: `runtime.lease_not_over` while it may still run; `runtime.unknown`.
    """
    if isinstance(_held(state, stream).state, runtime.Ended):
        return ()
    return step(state, stream, lease_of(state, stream, now_us))


type Setting = quota.SetLimit | storage_quota.SetLimit | lending.Command


def set_limit(state: AdmissionState, organization_id: str, command: Setting) -> tuple[Emit, ...]:
    """The new limit of one scope and model, or of its storage; its new share, claim or the end of
    one; `()` if it was that already. Raises: DomainError those of `quota.decide`.
    """
    stream = quota.quota_stream(organization_id)
    tree = state.quotas.get(stream, quota.DECIDER.initial)
    if isinstance(command, lending.Claim):
        live = ((name, state.runtimes.get(name)) for name in tree.live)
        spot = frozenset(name for name, held in live if held is not None and held.spot)
        command = replace(command, spot=spot)
    events = tuple(quota.decide(command, tree))
    return emitted(state, organization_id, (stream, events)) if events else ()


def reclaim(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """A runtime that a claim has named told to stop, once it is time; `()` if nothing is to do."""
    held = state.runtimes.get(stream)
    if held is None:
        return ()
    tree = state.quotas.get(quota.quota_stream(held.org), quota.DECIDER.initial)
    named = tree.lent.named.get(stream)
    if named is None or now_us < named[1]:
        return ()
    return step(state, stream, runtime.Stop(lending.RECLAIMED, now_us))


def capacity(state: AdmissionState, organization_id: str = "") -> tuple[Room, ...]:
    """What fits now, by model in order of name, found by the same index that `admit` uses.

    Parts of shared devices count for the organization that shares them only.
    """
    return tuple(
        replace(room, coming=coming(state, room.model, organization_id))
        for room in placing.rooms(state, organization_id)
    )


def _live(held: Held) -> runtime.Live:
    if not isinstance(held.state, runtime.Live.__value__):
        raise DomainError("runtime.not_possible", "it was never allocated")
    live: runtime.Live = held.state
    return live


def _held(state: AdmissionState, stream: str) -> Held:
    held = state.runtimes.get(stream) or state.ended.get(stream)
    if held is None:
        raise DomainError("runtime.unknown", "no such runtime")
    return held


def emitted(
    state: AdmissionState, org: str, *writes: tuple[str, tuple[Struct, ...]], by: str = ""
) -> tuple[Emit, ...]:
    """The writes at the versions known, remembered at once for the next decision.

    `by`: the stream that tells whether this stood, when it writes no quota.
    """
    emits = []
    for stream, facts in writes:
        if stream.startswith("node-"):
            fence = fenced(state, stream, by or quota.quota_stream(org))
            emits.append(Emit(stream, PLATFORM, state.version(stream), facts, fence))
        elif stream.startswith("quota-"):
            mine = next((one for one, _ in writes if not one.startswith(("quota-", "node-"))), "")
            chain = chained(state, stream, mine)
            emits.append(Emit(stream, org, state.version(stream), facts, chain))
        else:
            emits.append(Emit(stream, org, state.version(stream), facts))
        state.remember(stream, facts)
    return tuple(emits)


def lease_of(state: AdmissionState, stream: str, now_us: int) -> runtime.DeclareLost:
    """The command that would declare this runtime lost now, by its node's last lease.

    Another boot of the node proves the runtime gone. Without any lease the time counts from the
    runtime's last instant, as if it had been leased then.
    """
    held = state.runtimes[stream]
    live = held.state
    assert isinstance(live, runtime.Live.__value__)
    serving = state.stock.states[live.node]
    lease = serving.leases.get(stream)
    if lease is None:
        until = live.previous_us + LEASE_US  # the longest: what it was given no fact says
        return runtime.DeclareLost(None, until, now_us, state.leasing.grace_us)
    until = lease.until_us if lease.boot == serving.anchor.boot else 0
    return runtime.DeclareLost(lease.renewed_us, until, now_us, state.leasing.grace_us)
