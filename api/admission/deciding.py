"""What each ask wants appended, decided on the writer's state."""

from typing import assert_never

from api.admission.wire import (
    Ask,
    BlockAsk,
    ClaimAsk,
    ClosingAsk,
    EndAsk,
    ExpireAsk,
    GiveBackAsk,
    GrantAsk,
    GrowAsk,
    KeepAsk,
    LaunchAsk,
    LimitAsk,
    MoveAsk,
    OverdueAsk,
    OverspentAsk,
    ReclaimAsk,
    RenewAsk,
    ReserveAsk,
    SettleAsk,
    ShareAsk,
    StorageLimitAsk,
    UnclaimAsk,
    UnreserveAsk,
    VolumeAsk,
)
from domain import (
    budget,
    budgeting,
    closing,
    dunning,
    funding,
    holding,
    keeping,
    launch,
    locking,
    quota,
    relocating,
    storage,
    together,
)
from domain.access import Decided
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.meter import STORAGE
from domain.wallet_facts import is_reservation
from evidence.append import Append, Write
from evidence.batch import stale
from evidence.private import PrivateValue
from projections.months import derived_id


def decide(state: AdmissionState, ask: Ask) -> tuple[tuple[Emit, ...], Append]:
    """What the ask wants appended; the state has remembered it. Raises: what said no."""
    held = _held(state, ask)
    reads: tuple[tuple[str, int], ...] = ()
    private: tuple[PrivateValue, ...] = ()
    match ask:
        case LaunchAsk():
            emits = launch.admit(state, ask.launch)
            reads, private = launch.reads(state, ask.launch), ask.private
        case LimitAsk():
            emits = launch.set_limit(state, ask.organization, quota.SetLimit(*ask.limit()))
        case (
            StorageLimitAsk(organization=organization, limit=setting)
            | ShareAsk(organization=organization, wanted=setting)
            | ClaimAsk(organization=organization, wanted=setting)
            | UnclaimAsk(organization=organization, wanted=setting)
        ):
            emits = launch.set_limit(state, organization, setting)
        case ClosingAsk(organization=organization, stream=stream):
            emits = closing.carry_out(state, organization, stream, ask.now_us)
            reads = ((organization, state.version(organization)),) if stream != organization else ()
        case ReclaimAsk(runtime=named):
            emits = launch.reclaim(state, named, ask.now_us)
            reads = _fenced(state, named)
        case OverspentAsk(runtime=spending):
            emits, reads = budgeting.stop(state, spending, ask.now_us), _budgeted(state, spending)
        case OverdueAsk(runtime=unpaid):
            reads = _at(state, dunning.payer_of(state, unpaid))
            emits = dunning.stop(state, unpaid, ask.now_us)
        case GrowAsk(wanted=larger):
            emits = storage.grow(state, larger)
            reads = _grown(state, larger.organization, larger.volume)
        case KeepAsk(volume=kept):
            carry_out = together.hold_on if is_reservation(kept) else locking.carry_out
            emits = carry_out(state, kept, ask.now_us)
            reads = _at(state, *_prices(state, kept))
        case BlockAsk():
            emits = together.admit_block(state, ask.block, ask.launches)
            reads, private = launch.reads(state, ask.launches[0]), ask.private
        case ReserveAsk(wanted=wanted):
            emits = together.reserve(state, wanted)
            reads = _at(state, wanted.organization, *holding.reads(state, wanted.project))
        case UnreserveAsk():
            emits = together.end_reservation(state, ask.reservation, ask.reason, ask.now_us)
        case VolumeAsk(wanted=wanted_volume):
            emits = storage.create(state, wanted_volume)
            reads = _stored(state, wanted_volume.organization, wanted_volume.project)
            private = ask.private
        case GrantAsk() | GiveBackAsk() | SettleAsk() | ExpireAsk():
            emits = _funded(state, ask)
        case RenewAsk(wanted=renewal):
            emits = funding.renew(state, renewal)
            reads = tuple((stream, state.version(stream)) for stream in sorted(state.purses.books))
        case MoveAsk(wanted=move):
            emits, reads = relocating.move(state, move), _at(state, move.organization)
        case EndAsk():
            emits = launch.end(state, ask.runtime, ask.ended())
        case _:
            assert_never(ask)
    return emits, _append(ask, emits, held + reads, private)


def _held(state: AdmissionState, ask: Ask) -> tuple[tuple[str, int], ...]:
    """Before anything is remembered. Raises: DomainError log.version_stale."""
    for stream, version in ask.held:
        known = state.version(stream)
        if known != version:
            raise stale(stream, version, known)
    return ask.held


def _funded(
    state: AdmissionState, ask: GrantAsk | GiveBackAsk | SettleAsk | ExpireAsk
) -> tuple[Emit, ...]:
    match ask:
        case GrantAsk():
            return funding.grant(state, ask.organization, ask.account, ask.wanted, ask.aside)
        case GiveBackAsk():
            of = (ask.organization, ask.account, ask.wanted)
            return funding.give_back(state, *of, taken=ask.taken)
        case SettleAsk():
            return funding.settle(state, ask.wallet, ask.wanted)
        case ExpireAsk():
            return funding.expire(state, ask.wallet, ask.now_us)


def _append(
    ask: Ask,
    emits: tuple[Emit, ...],
    reads: tuple[tuple[str, int], ...],
    private: tuple[PrivateValue, ...],
) -> Append:
    if not emits:
        raise DomainError("admission.nothing", "it was done already")
    writes = tuple(Write(emit.stream, emit.org, emit.expected, emit.facts) for emit in emits)
    # A node's emit reads what the decision before it on that node wrote, to lose with it.
    written = {emit.stream for emit in emits}
    reads += tuple(read for emit in emits for read in emit.reads)
    reads += ask.beside.reads if ask.beside is not None else ()
    unique = tuple(dict.fromkeys(read for read in reads if read[0] not in written))
    return Append(_beside(ask, writes), ask.actor, ask.cause, unique, private)


def _beside(ask: Ask, writes: tuple[Write, ...]) -> tuple[Write, ...]:
    """With what let whoever asked, where an ask says that."""
    said = ask.beside
    if said is None:
        return writes
    entries = sum(len(one.facts) for one in writes)
    fact = Decided(
        writes[0].stream, entries, said.action, said.scope, said.policies, said.decided_us
    )
    return (*writes, Write(said.stream, writes[0].org, 0, (fact,)))


def _at(state: AdmissionState, *streams: str) -> tuple[tuple[str, int], ...]:
    """What the decision rests on: those that there are."""
    return tuple((stream, state.version(stream)) for stream in streams if stream)


def _stored(state: AdmissionState, org: str, project: str) -> tuple[tuple[str, int], ...]:
    """What a new volume rests on: it must lose to a suspension, the registration of its meter, a
    budget that is spent, and other terms or prices of what is prepaid.
    """
    rests = (org, project, _storage_meter(state), budget.budget_stream(org))
    return _at(state, *rests, *holding.reads(state, project))


def _grown(state: AdmissionState, org: str, volume: str) -> tuple[tuple[str, int], ...]:
    return _at(state, org, budget.budget_stream(org), *_prices(state, volume))


def _prices(state: AdmissionState, volume: str) -> tuple[str, ...]:
    """What the hold of a prepaid volume is rated by."""
    return keeping.reads(state) if volume in state.purses.prepaid else ()


def _fenced(state: AdmissionState, named: str) -> tuple[tuple[str, int], ...]:
    """The quota that names the runtime: its stop must lose to the end of the claim."""
    held = state.runtimes.get(named)
    stream = "" if held is None else quota.quota_stream(held.org)
    return ((stream, state.version(stream)),) if stream else ()


def _budgeted(state: AdmissionState, spending: str) -> tuple[tuple[str, int], ...]:
    """Its organization's budgets: its stop must lose to one that is raised or cleared."""
    held, reserved = state.runtimes.get(spending), state.reservations.get(spending)
    org = "" if held is None else held.org
    if reserved is not None:
        org = state.projects[reserved.made.project].organization
    stream = budget.budget_stream(org)
    return ((stream, state.version(stream)),) if org else ()


def _storage_meter(state: AdmissionState) -> str:
    """Where volumes' meter is, or will be registered: a volume decided without it must lose to it,
    or it would be metered and have no price.
    """
    if state.storage or not state.log:
        return state.storage
    return derived_id("meter", state.log, STORAGE)
