"""What the front door takes and gives: one struct per JSON object (FRONT-DOOR.md, REST).

Bodies taken forbid unknown fields and bound every length and number. Instants are RFC 3339 UTC
with microseconds, money is `Money`, ids are opaque stream ids.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

DEPTH_LIMIT: Final = 32
BODY_LIMIT: Final = 65_536
PAGE_LIMIT: Final = 500

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

type OrganizationId = Annotated[str, Meta(pattern=f"^organization-{_UUID}$")]
type AuthorityId = Annotated[str, Meta(pattern=f"^(-|organization-{_UUID})$")]
type DepartmentId = Annotated[str, Meta(pattern=f"^department-{_UUID}$")]
type CostCentreId = Annotated[str, Meta(pattern=f"^cost_centre-{_UUID}$")]
type ProjectId = Annotated[str, Meta(pattern=f"^project-{_UUID}$")]
type AccountId = Annotated[str, Meta(pattern=f"^account-{_UUID}$")]
type ScopeId = Annotated[str, Meta(pattern=f"^(organization|department|project)-{_UUID}$")]
type PriceAccount = Annotated[str, Meta(pattern=f"^(default|account-{_UUID})$")]
type Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"[^\s]")]
type Reason = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[a-z0-9_.-]+$")]
type Word = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[A-Za-z0-9_.:-]+$")]
type Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
type Amount = Annotated[str, Meta(pattern=r"^-?[0-9]{1,26}\.[0-9]{12}$")]
type ImageName = Annotated[
    str, Meta(min_length=1, max_length=200, pattern="^[a-z0-9][a-z0-9._/:-]*$")
]
type ImageDigest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
type VolumeId = Annotated[str, Meta(pattern=f"^volume-{_UUID}$")]
type MountPath = Annotated[str, Meta(min_length=2, max_length=200, pattern="^/[A-Za-z0-9._/-]+$")]
type Positive = Annotated[int, Meta(ge=1, le=10**18)]
type Instant = Annotated[str, Meta(max_length=40, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T.*Z$")]


class Taken(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A body a caller sends."""


class Given(Struct, frozen=True, kw_only=True):
    """A body we answer with."""


class Money(Given, frozen=True):
    """An exact amount: twelve decimal places, so a pico-unit is the last digit."""

    amount: Amount
    currency: Currency


class Page[T](Given, frozen=True):
    """One page; `next` is the cursor of the following one, null at the end."""

    items: list[T]
    next: str | None


class OrganizationNew(Taken, frozen=True):
    name: Name


class Organization(Given, frozen=True):
    """`state`: active, suspended, closing or closed, with the dates of the closing."""

    id: str
    name: str | None
    state: str
    created_at: Instant | None
    version: int | None
    stop_at: Instant | None = None
    wipe_at: Instant | None = None


class Standing(Taken, frozen=True):
    """Why an organization is suspended or reactivated: a word, never a sentence about a person."""

    reason: Reason


class DepartmentNew(Taken, frozen=True):
    organization: OrganizationId
    name: Name


class Department(Given, frozen=True):
    id: str
    organization: str
    name: str | None
    created_at: Instant | None
    version: int


class AccountNew(Taken, frozen=True):
    """A billing account; its first period is the month it is opened in, in `zone`.

    `first_period_end` cuts that period short (an invoice sooner); the second one, opened with it,
    begins there and goes on to the end of the month; later ones are whole months again.
    """

    organization: OrganizationId
    currency: Currency
    zone: Annotated[str, Meta(min_length=1, max_length=60)]
    first_period_end: Instant | None = None


class Balance(Given, frozen=True):
    """One ledger account: debits minus credits."""

    ledger: str
    balance: Money


class Account(Given, frozen=True):
    id: str
    organization: str
    currency: Currency
    zone: str
    version: int | None
    balances: list[Balance]


class Transfer(Given, frozen=True):
    row: int
    id: str
    cause: int
    kind: str
    account: str
    debit: str
    credit: str
    amount: Money
    resource: str
    meter: str
    price: int | None
    period: str
    booked: str


class Project(Given, frozen=True):
    id: str
    organization: str
    department: str
    account: str
    name: str | None
    created_at: Instant | None
    version: int


class QuotaNew(Taken, frozen=True):
    """A ceiling for a scope: milli-GPU of one model, or of all together with `*`."""

    scope: ScopeId
    model: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^([A-Za-z0-9_.:-]+|\*)$")]
    limit_milli: Annotated[int, Meta(ge=0, le=10**12)]


class Quota(Given, frozen=True):
    """`reserved_milli`: how much of the use is reservations', whatever runs on them."""

    organization: str
    scope: str
    model: str
    limit_milli: int
    used_milli: int | None
    reserved_milli: int | None


# ---------------------------------------------------------------- runtimes
class Mount(Taken, frozen=True):
    """A volume, and where it appears in the runtime."""

    volume: VolumeId
    path: MountPath


class RuntimeNew(Taken, frozen=True):
    """Launch: `devices` GPUs, each whole (1000 milli) or, for a single one, a share of it.

    `network`: one of the project's, of runtimes with an image; without any, nothing is reached.
    `image`: a registered reference; without one it is a SIMULATED node's plain start, and the
    limits and volumes that follow it are refused. `restarts`: how often after a failure of its own.
    `volumes`: of one node, where the runtime is placed then. `idle_stop_after_s`: stopped when idle
    for so long, by its node's word; without it, never. `spot`: at the price of state `spot`; told
    to stop first when somebody claims back what is lent. `region`: there or, without, anywhere.
    """

    project: ProjectId
    name: Name
    devices: Annotated[int, Meta(ge=1, le=64)] = 1
    gpu_milli: Annotated[int, Meta(ge=1, le=1000)] = 1000
    models: Annotated[list[Word], Meta(max_length=32)] = []
    policy: Annotated[str, Meta(pattern="^(pack|spread|topology)$")] = "pack"
    reservation: Annotated[str, Meta(max_length=60)] = ""
    network: Annotated[str, Meta(max_length=60)] = ""
    image: ImageName | None = None
    cpu_milli: Annotated[int, Meta(ge=10, le=1_024_000)] | None = None
    memory_bytes: Annotated[int, Meta(ge=16_777_216, le=10**14)] | None = None
    pids: Annotated[int, Meta(ge=16, le=4_000_000)] | None = None
    restarts: Annotated[int, Meta(ge=0, le=100)] | None = None
    idle_stop_after_s: Annotated[int, Meta(ge=1, le=2_592_000)] | None = None
    spot: bool = False
    region: Annotated[str, Meta(max_length=60)] = ""
    volumes: Annotated[tuple[Mount, ...], Meta(max_length=8)] = ()


class RuntimeStop(Taken, frozen=True):
    reason: Reason = "requested"


class Share(Given, frozen=True):
    index: int
    milli: int


class RuntimeConfig(Given, frozen=True):
    """What runs in it and its limits; 1000 milli are one core."""

    image: str
    digest: str
    cpu_milli: int
    memory_bytes: int
    pids: int
    restarts: int


class RuntimeRoute(Given, frozen=True):
    """Where its sshd answered last, by the node's word, and for which allocation and epoch that
    holds: nobody is led there by a certificate or pass of another epoch, or once it has ended.
    """

    allocation: str
    epoch: int
    address: str
    port: int
    host_key: str


class RuntimeEgress(Given, frozen=True):
    """What left and came by its network's policy since it was created, by the node's word."""

    sent_bytes: int
    received_bytes: int
    counted_at: Instant


class Runtime(Given, frozen=True):
    """A runtime: `state` since `since`, why, and what happens `next`. SIMULATED ones say so.

    Null is what the answer at hand does not know: an erased name, a place not yet given; and
    `idle_since` of one that its node does not call idle.
    """

    id: str
    organization: str
    project: str | None
    name: str | None
    state: str
    since: Instant | None
    why: str
    next: str
    node: str | None
    model: str | None
    devices: list[Share]
    gpu_milli: int | None
    simulated: bool | None
    config: RuntimeConfig | None
    route: RuntimeRoute | None
    network: str | None
    egress: RuntimeEgress | None
    idle_since: Instant | None
    idle_stop_after_s: int | None
    spot: bool | None
    region: str | None
    version: int


# ---------------------------------------------------------------- nodes
class NodeInvited(Given, frozen=True):
    """`token` is shown once; a repeat of the request answers without it."""

    id: str
    token: str | None
    secret_already_shown: bool
    expires_at: Instant


class Device(Given, frozen=True):
    index: int
    uuid: str
    used_milli: int


class Barred(Given, frozen=True):
    """Nothing such a node says counts. `by`: revoked, doubled; `reason`: what showed it."""

    by: str
    reason: str
    since: Instant


class Node(Given, frozen=True):
    """`state`: invited, reachable, unreachable; `upkeep` as NodeUpkeep says; `devices` of one."""

    id: str
    name: str | None
    model: str
    state: str
    barred: Barred | None
    cordoned: bool
    upkeep: str
    simulated: bool | None
    gpus: int
    used_milli: int
    devices: list[Device]
    version: int


class NodeChanged(Given, frozen=True):
    """`version` null: it was so already."""

    id: str
    cordoned: bool
    version: int | None


class Component(Given, frozen=True):
    name: str
    ok: bool
    since: Instant
    detail: str


class Readiness(Given, frozen=True):
    """`ready` exactly when `reasons` is empty; `applied` of `log_size` entries are in the views.
    `warnings`: what will be a reason by its date, unless an operator acts.
    """

    ready: bool
    reasons: list[str]
    log_size: int
    applied: int
    components: list[Component]
    refused: dict[str, int]
    silent_nodes: int
    closed_nodes: dict[str, str] = {}
    warnings: list[str] = []


class Receipt(Given, frozen=True):
    """`entry` verbatim and a c2sp.org/tlog-proof@v1 `proof` in the tree of `size` entries."""

    position: int
    size: int
    entry: str
    proof: str


class Health(Given, frozen=True):
    """This server answers; nothing else is promised."""

    alive: bool


class FieldError(Given, frozen=True):
    pointer: str
    detail: str
    form: str = ""


class Problem(Given, frozen=True):
    """RFC 9457, `application/problem+json`. An error's `form`: its pattern in words."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    remedy: str
    correlation_id: str
    errors: list[FieldError] = []
    facts: dict[str, int | str] = {}


class KnownProblem(Given, frozen=True):
    """A refusal as the registry has it; `type` leads to its page."""

    code: str
    type: str
    status: int
    title: str
    remedy: str
