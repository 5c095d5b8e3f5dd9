"""Where volumes go, and what a launch takes of them: parts of the admission writer's decisions."""

from msgspec import Struct
from msgspec.structs import replace

from domain import keeping, placing, quota, storage_quota, volume
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.fencing import chained
from domain.node_state import Serving, placeable
from domain.node_state import State as NodeState
from domain.placing import Launch
from domain.runtime_facts import Allocated
from domain.tariff import LOCAL, storage_scope
from domain.volume_paths import check_paths
from domain.words import Private

type Writes = tuple[tuple[str, tuple[Struct, ...]], ...]


class NewVolume(Struct, frozen=True):
    """`volume`: a new id. `node`: where, empty = the emptiest one of the accepted `models`, in the
    `region` if one is asked for.
    """

    volume: str
    organization: str
    project: str
    name: Private
    size_mib: int
    now_us: int
    node: str = ""
    models: tuple[str, ...] = ()
    region: str = ""


def create(state: AdmissionState, wanted: NewVolume) -> tuple[Emit, ...]:
    """The new volume on its node, and what it takes of the quota; `()` if this volume is known.

    Raises: DomainError `project.unknown`, `organization.suspended`, `period.none`,
        `quota.exceeded`, `volume.no_node`, `volume.no_price`, `volume.size_invalid`,
        `wallet.insufficient`, `wallet.frozen`, `account.suspended`, `budget.exhausted`,
        `launch.region_invalid`.
    """
    if wanted.volume in state.volumes:
        return ()
    project = placing.project_of(state, wanted.organization, wanted.project, wanted.now_us)
    placing.affordable(state, project, wanted.project, wanted.now_us)
    node = _node(state, wanted, project.account)
    command = volume.Create(
        *(wanted.project, project.department, project.account, node),
        *(wanted.name, wanted.size_mib, wanted.now_us),
    )
    facts = tuple(volume.decide(command, volume.Missing()))
    _priced(state, project.account, node, wanted.now_us)
    commit = storage_quota.Commit(
        *(wanted.volume, project.department, wanted.project, LOCAL),
        *(wanted.size_mib, wanted.now_us),
    )
    # It loses to a node that is being closed, and to an account that is suspended.
    rests = tuple((name, state.version(name)) for name in (node, project.account))
    [made] = facts
    assert isinstance(made, volume.Created), "what this command makes"
    held = keeping.placed(state, wanted.volume, made)
    return _committed(state, wanted.organization, commit, facts, held, rests)


class GrowVolume(Struct, frozen=True):
    volume: str
    organization: str
    size_mib: int
    now_us: int


def grow(state: AdmissionState, wanted: GrowVolume) -> tuple[Emit, ...]:
    """The order to its node, and what it then takes of the quota; `()` if it was ordered already.

    Raises: DomainError `quota.exceeded`, `volume.*` as `volume.decide`, those of
        `placing.standing`, `budget.exhausted`, `wallet.insufficient`, `wallet.frozen`.
    """
    held = placing.stored(state, wanted.volume)
    facts = tuple(volume.decide(volume.Grow(wanted.size_mib, wanted.now_us), held))
    if not facts:
        return ()
    placing.standing(state, wanted.organization)
    assert isinstance(held, volume.Held), "or growing would have been refused"
    made = held.created
    project = replace(state.projects[made.project], account=made.account)
    placing.affordable(state, project, made.project, wanted.now_us)
    commit = storage_quota.Commit(
        *(wanted.volume, project.department, made.project, LOCAL),
        *(wanted.size_mib, wanted.now_us),
    )
    larger = keeping.grown(state, wanted.volume, wanted.size_mib, wanted.now_us)
    paid_by = ((project.account, state.version(project.account)),)
    return _committed(state, wanted.organization, commit, facts, larger, paid_by)


def lost_with(node: NodeState, now_us: int) -> volume.DeclareLost:
    """The command that gives up a volume of this node now."""
    if not isinstance(node, Serving):
        return volume.DeclareLost(0, True, now_us)
    gone = node.unreachable or bool(node.identity.barred) or node.upkeep.retired
    return volume.DeclareLost(node.seen_us, gone, now_us)


def _committed(
    state: AdmissionState,
    organization: str,
    commit: storage_quota.Commit,
    facts: tuple[volume.Event, ...],
    held: keeping.Writes,
    rests: tuple[tuple[str, int], ...] = (),
) -> tuple[Emit, ...]:
    """The quota's fact first: an auditor knows by then what the volume may have. Last what is held
    for it.
    """
    shelf_of = quota.quota_stream(organization)
    tree = state.quotas.get(shelf_of, quota.DECIDER.initial)
    committed = tuple(quota.decide(commit, tree))
    chain = chained(state, shelf_of, commit.volume)
    emits: tuple[Emit, ...] = (
        Emit(shelf_of, organization, state.version(shelf_of), committed, chain),
        Emit(commit.volume, organization, state.version(commit.volume), facts, rests),
    )
    state.remember(shelf_of, committed)
    state.remember(commit.volume, facts)
    for stream, said in held:
        emits += (Emit(stream, organization, state.version(stream), said),)
        state.remember(stream, said)
    return emits


def _is_priced(state: AdmissionState, account: str, node: str, now_us: int) -> bool:
    if not state.storage:
        return True
    scope = storage_scope(state.accounts[account].currency, state.stock.region(node))
    return state.tariff.is_listed(account, scope, now_us)


def _priced(state: AdmissionState, account: str, node: str, now_us: int) -> None:
    """What is metered has a price from the start; entries are never taken back, so for good."""
    if not _is_priced(state, account, node, now_us):
        currency = state.accounts[account].currency
        scope = storage_scope(currency, state.stock.region(node))
        name, model, region, existing, _ = scope
        facts: dict[str, int | str] = {
            "meter": name,
            "model": model,
            "region": region,
            "state": existing,
            "currency": currency,
        }
        raise DomainError("volume.no_price", "volumes are metered, and nothing prices them", facts)


def _node(state: AdmissionState, wanted: NewVolume, account: str) -> str:
    """The named node, or the one with the fewest volumes and then the most free devices, of those
    where something prices volumes if there are any.
    """
    placing.check_region(wanted.region)
    count: dict[str, int] = {}
    for stored in state.volumes.values():
        node = stored.state.created.node
        count[node] = count.get(node, 0) + 1
    fits = [
        (
            not _is_priced(state, account, name, wanted.now_us), count.get(name, 0),
            -sum(serving.free), order, name,
        )
        for order, (name, serving) in enumerate(state.stock.states.items())
        if placeable(serving)
        and wanted.node in {"", name}
        and wanted.region in {"", serving.claims.region}
        and (not wanted.models or serving.enrolled.model in wanted.models)
    ]  # fmt: skip
    if not fits:
        raise DomainError("volume.no_node", "no such node takes new volumes now")
    return min(fits)[-1]


def attached(state: AdmissionState, launch: Launch, allocated: Allocated) -> Writes:
    """What the launch writes to the streams of its volumes. Raises: DomainError `volume.*`."""
    check_paths(tuple(one.path for one in launch.volumes))
    if len({one.volume for one in launch.volumes}) < len(launch.volumes):
        raise DomainError("volume.attached", "named twice: one volume, one place")
    writes = []
    for one in launch.volumes:
        command = volume.Attach(
            *(launch.runtime, launch.allocation, allocated.node, launch.project),
            *(allocated.epoch, one.path, launch.now_us),
        )
        facts = volume.decide(command, placing.stored(state, one.volume))
        if facts:
            writes.append((one.volume, tuple(facts)))
    return tuple(writes)


def detached(
    state: AdmissionState, runtime: str, allocation: str, reason: str, now_us: int
) -> Writes:
    """What the end of a runtime writes to the streams of its volumes."""
    writes = []
    for name in state.attached.get(runtime, ()):
        held = state.volumes[name].state
        command = volume.Detach(allocation, held.epoch, reason, now_us)
        writes.append((name, tuple(volume.decide(command, held))))
    return tuple(writes)
