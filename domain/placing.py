"""What a launch wants and where it goes: one choice for all policies, from the stock's own index.

`pack` takes the tightest place, `spread` the loosest, `topology` the one whose devices span the
fewest groups (near the nodes placed before, for a block). A reservation's own devices are looked
at one by one: there are few. The choice is a function of what is free now.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from domain import budget, holding, organization, quota, runtime, stock, volume
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.node_state import Serving, placeable
from domain.project import Created as Project
from domain.reservation import Standing
from domain.runtime import Configure
from domain.stock import Kind, Place, Room, Shape
from domain.tariff import gpu_scope
from domain.words import ANY_MODEL, MILLI, Private, Share, is_region

PACK: Final = "pack"
SPREAD: Final = "spread"
TOPOLOGY: Final = "topology"
POLICIES: Final = frozenset({PACK, SPREAD, TOPOLOGY})


class Mount(Struct, frozen=True):
    """A volume, and where it appears in the runtime."""

    volume: str
    path: str


class Launch(Struct, frozen=True):
    """`runtime` and `allocation` are new ids; `models` accepted, empty = any; gpu_milli in all.

    `zone`: where its block has begun, of weight with the policy topology only. `network`: of the
    project, or empty for none: then it reaches nothing. `idle_stop_us`: 0 for never. `spot`:
    it goes first when a claim takes back what is lent, at its own price. `region`: nowhere else;
    empty: wherever it fits.
    """

    organization: str
    project: str
    runtime: str
    allocation: str
    name: Private
    devices: int
    gpu_milli: int
    models: tuple[str, ...]
    now_us: int
    config: Configure | None = None
    policy: str = PACK
    reservation: str = ""
    zone: str = ""
    volumes: tuple[Mount, ...] = ()
    network: str = ""
    idle_stop_us: int = 0
    spot: bool = False
    region: str = ""

    @property
    def shape(self) -> Shape:
        return Shape(self.devices, self.gpu_milli // self.devices)


class Option(Struct, frozen=True):
    """A place and how good it is: the smaller `order` is the better; ties: who was looked at first.

    Orders of one policy are of one length.
    """

    order: tuple[int, ...]
    place: Place


def choose(state: AdmissionState, launch: Launch, project: Project) -> tuple[str, Place]:
    """The best place among accepted models and regions that price and quota allow.

    Raises: DomainError what barred the first kind that had room, else `capacity.none_fits`;
        `launch.policy_unknown`, `launch.region_invalid`, `reservation.unknown`,
        `reservation.ended`.
    """
    check_region(launch.region)
    if launch.policy not in POLICIES:
        raise DomainError("launch.policy_unknown", "no such placement policy")
    best: Option | None = None
    chosen = ""
    refused: DomainError | None = None
    for kind in kinds(state, launch):
        found = option(state, launch, kind)
        if found is None or (best is not None and best.order <= found.order):
            continue
        error = barred(state, launch, project, kind)
        if error is None:
            best, chosen = found, kind[0]
        else:
            refused = refused or error
    if best is not None:
        return chosen, best.place
    raise refused or none_fits(state, launch)


def check_region(asked: str) -> None:
    """Nothing for none, or the name of one. Raises: DomainError `launch.region_invalid`."""
    if asked and not is_region(asked):
        raise DomainError("launch.region_invalid", "a short name, such as eu-de-1")


def kinds(state: AdmissionState, launch: Launch) -> Iterator[Kind]:
    """What it may be placed on: accepted models, each in the regions where its nodes are."""
    for model in launch.models or state.stock.models():
        for region in state.stock.regions(model):
            if launch.region in {"", region}:
                yield model, region


def option(state: AdmissionState, launch: Launch, kind: Kind) -> Option | None:
    """The best place on one model in one region, or None: then nothing of this kind fits."""
    shape = launch.shape
    if launch.volumes:
        return _beside(state, launch, kind)
    if launch.reservation:
        return _reserved(state, launch, kind)
    if launch.policy == TOPOLOGY and shape.each == MILLI:
        return _nearest(state, launch, kind)
    if launch.policy == SPREAD:
        loose = state.stock.loosest(kind[0], launch.organization, shape, kind[1])
        return None if loose is None else Option(loose[0], loose[1])
    rank = state.stock.rank(kind[0], launch.organization, shape, kind[1])
    if rank is None:
        return None
    return Option(rank[:2], state.stock.place(rank, launch.organization, shape))


def fitting(serving: Serving, launch: Launch) -> tuple[Share, ...]:
    """The shares this launch could have on this node by itself; none when it does not fit."""
    shape = launch.shape
    if shape.each < MILLI:
        mine = {"", launch.organization}
        parts = [
            (serving.owners[index] == "", offered, index)
            for index in range(len(serving.free))
            if (offered := serving.offers(index, launch.reservation)) >= shape.each
            and serving.owners[index] in mine
        ]
        return (Share(min(parts)[2], shape.each),) if parts else ()
    free = stock.whole(serving, launch.organization, launch.reservation)
    if len(free) < shape.devices:
        return ()
    picked = free[: shape.devices]
    if launch.policy == TOPOLOGY:
        picked = grouped(free, shape.devices, serving.claims.group)
    return tuple([Share(index, MILLI) for index in sorted(picked)])


def grouped(free: list[int], count: int, group: int) -> list[int]:
    """`count` of these devices in as few groups of neighbours as can be, the tightest first."""
    if not group:
        return free[:count]
    groups: dict[int, list[int]] = {}
    for index in free:
        groups.setdefault(index // group, []).append(index)
    picked: list[int] = []
    left = list(groups.values())
    while len(picked) < count:
        missing = count - len(picked)
        enough = [one for one in left if len(one) >= missing]
        best = min(enough, key=len) if enough else max(left, key=len)
        left.remove(best)
        picked += best[:missing]
    return picked


def _nearest(state: AdmissionState, launch: Launch, kind: Kind) -> Option | None:
    best: Option | None = None
    asked = (launch.organization, launch.devices, kind[1])
    for node, serving in state.stock.candidates(kind[0], *asked):
        shares = fitting(serving, launch)
        far = bool(launch.zone) and serving.claims.zone != launch.zone
        group = serving.claims.group or len(serving.free)
        spans = len({share.index // group for share in shares})
        left = len(stock.whole(serving, launch.organization)) - launch.devices
        order = (int(far), spans, left)
        if best is None or order < best.order:
            best = Option(order, Place(node, shares))
    return best


def stored(state: AdmissionState, name: str) -> volume.State:
    """The volume as decided so far; Missing when there is none."""
    found = state.volumes.get(name)
    return volume.Missing() if found is None else found.state


def _beside(state: AdmissionState, launch: Launch, kind: Kind) -> Option | None:
    """On the node that its volumes lie on, and nowhere else.

    Raises: DomainError `volume.unknown`, `volume.other_node`, `volume.no_room`.
    """
    nodes = set()
    for one in launch.volumes:
        held = stored(state, one.volume)
        if not isinstance(held, volume.Held) or held.created.project != launch.project:
            raise DomainError("volume.unknown", "the project has no such volume")
        nodes.add(held.created.node)
    if len(nodes) > 1:
        raise DomainError("volume.other_node", "its volumes lie on several nodes")
    [name] = nodes
    serving = state.stock.states[name]
    if launch.reservation:
        _reserved(state, launch, kind)  # the project has it, and it still stands
    if stock.kind_of(serving) != kind:
        return None
    shares = fitting(serving, launch) if placeable(serving) else ()
    if not shares:
        raise DomainError("volume.no_room", "the node of its volumes has no room", {"node": name})
    return Option((0,), Place(name, shares))


def _reserved(state: AdmissionState, launch: Launch, kind: Kind) -> Option | None:
    found = state.reservations.get(launch.reservation)
    if found is None or found.made.project != launch.project:
        raise DomainError("reservation.unknown", "the project has no such reservation")
    if not isinstance(found, Standing) or launch.now_us >= found.made.until_us:
        raise DomainError("reservation.ended", "it has ended", {"until_us": found.made.until_us})
    for node in found.made.nodes:
        serving = state.stock.states[node]
        if stock.kind_of(serving) == kind and placeable(serving):
            shares = fitting(serving, launch)
            if shares:
                return Option((0,), Place(node, shares))
    return None


def project_of(state: AdmissionState, organization_id: str, project: str, now_us: int) -> Project:
    """The project, whose organization, account and period allow a launch.

    Raises: DomainError `project.unknown`, `period.none`, and those of `standing`.
    """
    found = state.projects.get(project)
    if found is None or found.organization != organization_id:
        raise DomainError("project.unknown", "no such project in this organization")
    standing(state, organization_id)
    first = state.first_period_us.get(found.account)
    if first is None or first > now_us:
        raise DomainError("period.none", "the billing account has no period open yet")
    return found


def affordable(state: AdmissionState, project: Project, project_id: str, now_us: int) -> None:
    """Nothing when neither its account nor a budget forbids that something new begins there.

    Raises: DomainError `account.suspended`, `account.over_limit`, `budget.exhausted`.
    """
    state.purses.standing(project.account)
    told = state.budgets.get(budget.budget_stream(project.organization))
    if told is None:
        return
    scopes = (project_id, project.department, project.organization)
    found = budget.barring(told, scopes, project.account, now_us, budget.HARD)
    if found is not None:
        terms, spent = found[0].set, found[1]
        facts: dict[str, int | str] = {
            "scope": terms.scope, "currency": terms.currency, "amount_pico": terms.amount_pico,
            "spent_pico": spent.spent_pico, "until_us": spent.until_us,
        }  # fmt: skip
        raise DomainError(budget.EXHAUSTED, "its budget is spent", facts)


def standing(state: AdmissionState, organization_id: str) -> None:
    """Nothing for an organization that may begin something new.

    Raises: DomainError `organization.suspended`, `organization.closing`, `organization.closed`,
        `organization.unknown`.
    """
    match state.organizations.get(organization_id):
        case organization.Active():
            pass
        case organization.OnHold(reason=reason):
            raise DomainError("organization.suspended", "it is suspended", {"reason": reason})
        case organization.Closing(stop_us=stop_us, wipe_us=wipe_us):
            facts: dict[str, int | str] = {"stop_us": stop_us, "wipe_us": wipe_us}
            raise DomainError("organization.closing", "it is being closed", facts)
        case organization.Closed():
            raise DomainError("organization.closed", "it is closed for good")
        case _:
            raise DomainError("organization.unknown", "no such organization")


def barred(
    state: AdmissionState, launch: Launch, project: Project, kind: Kind
) -> DomainError | None:
    """Why this model is not allowed in this region although it would fit, if so."""
    model, region = kind
    currency = state.accounts[project.account].currency
    scope = gpu_scope(model, currency, spot=launch.spot, region=region)
    if not state.tariff.is_listed(project.account, scope, launch.now_us):
        return DomainError("price.none", f"nothing prices {scope[3]} {model} in {currency} now")
    tree = state.quotas.get(quota.quota_stream(launch.organization))
    if tree is not None and (tree.limits or tree.lent.shares):
        of = (project.department, launch.project, model)
        over = quota.excess(tree, of, launch.gpu_milli, launch.reservation)
        if over is not None:
            return over
    wanted = (model, launch.gpu_milli, launch.now_us)
    return holding.short(state, project, *wanted, spot=launch.spot, region=region)


def rooms(state: AdmissionState, organization_id: str) -> tuple[Room, ...]:
    """What fits now, by model in order of name, found by the same index that `choose` uses."""
    return tuple(state.stock.room(model, organization_id) for model in state.stock.models())


def none_fits(state: AdmissionState, launch: Launch) -> DomainError:
    """The refusal, with what would fit."""
    found = [
        state.stock.room(model, launch.organization, launch.region or None)
        for model in state.stock.models()
        if not launch.models or model in launch.models
    ]
    where: dict[str, int | str] = {"region": launch.region} if launch.region else {}
    return DomainError(
        "capacity.none_fits",
        "no node has that free now",
        {
            **where,
            "models": "|".join(launch.models) or ANY_MODEL,
            "wanted_devices": launch.devices,
            "wanted_milli": launch.gpu_milli,
            "most_devices": max((room.most_devices for room in found), default=0),
            "most_milli": max((room.most_milli for room in found), default=0),
        },
    )


def requested(launch: Launch, project: Project) -> list[runtime.Event]:
    """The launch as the runtime's first fact. Raises: DomainError `runtime.shape_invalid`."""
    request = runtime.Request(
        *(launch.project, project.department, project.account, launch.name),
        *(launch.devices, launch.gpu_milli, launch.models, launch.now_us),
    )
    return runtime.decide(request, runtime.Missing())
