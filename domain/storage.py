"""Where volumes go, and what a launch takes of them: parts of the admission writer's decisions."""

from msgspec import Struct

from domain import placing, volume
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.node_state import placeable
from domain.placing import Launch
from domain.runtime_facts import Allocated
from domain.tariff import storage_scope
from domain.volume_paths import check_paths
from domain.words import Private

type Writes = tuple[tuple[str, tuple[Struct, ...]], ...]


class NewVolume(Struct, frozen=True):
    """`volume`: a new id. `node`: where, empty = the emptiest one of the accepted `models`."""

    volume: str
    organization: str
    project: str
    name: Private
    size_mib: int
    now_us: int
    node: str = ""
    models: tuple[str, ...] = ()


def create(state: AdmissionState, wanted: NewVolume) -> tuple[Emit, ...]:
    """The new volume on its node; `()` if this volume is known.

    Raises: DomainError `project.unknown`, `organization.suspended`, `period.none`,
        `volume.no_node`, `volume.no_price`, `volume.size_invalid`.
    """
    if wanted.volume in state.volumes:
        return ()
    project = placing.project_of(state, wanted.organization, wanted.project, wanted.now_us)
    command = volume.Create(
        *(wanted.project, project.department, project.account, _node(state, wanted)),
        *(wanted.name, wanted.size_mib, wanted.now_us),
    )
    facts = tuple(volume.decide(command, volume.Missing()))
    _priced(state, project.account, wanted.now_us)
    state.remember(wanted.volume, facts)
    return (Emit(wanted.volume, wanted.organization, 0, facts),)


def _priced(state: AdmissionState, account: str, now_us: int) -> None:
    """What is metered has a price from the start; entries are never taken back, so for good."""
    if not state.storage:
        return
    currency = state.accounts[account].currency
    scope = storage_scope(currency)
    if state.tariff.at(account, scope, now_us)[0] is None:
        name, model, region, existing, _ = scope
        facts: dict[str, int | str] = {
            "meter": name,
            "model": model,
            "region": region,
            "state": existing,
            "currency": currency,
        }
        raise DomainError("volume.no_price", "volumes are metered, and nothing prices them", facts)


def _node(state: AdmissionState, wanted: NewVolume) -> str:
    """The named node, or the one with the fewest volumes and then the most free devices."""
    count: dict[str, int] = {}
    for stored in state.volumes.values():
        node = stored.state.created.node
        count[node] = count.get(node, 0) + 1
    fits = [
        (count.get(name, 0), -sum(serving.free), order, name)
        for order, (name, serving) in enumerate(state.stock.states.items())
        if placeable(serving)
        and wanted.node in {"", name}
        and (not wanted.models or serving.enrolled.model in wanted.models)
    ]
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
