"""What requests and answers carry; written by `python -m api.openapi`."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field


class Page[T](Struct, frozen=True, kw_only=True):
    items: list[T]
    next: str | None


class AccessGrant(Struct, frozen=True, kw_only=True):
    credential: str | None
    granted_at: str
    id: str
    open_sessions: int
    organization: str
    project: str
    revoked_at: str | None
    runtime: str
    sessions: int
    until: str
    user: str
    way: str
    why: str


class AccessRevoke(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class AccessRevoked(Struct, frozen=True, kw_only=True):
    id: str
    version: int | None


class Account(Struct, frozen=True, kw_only=True):
    balances: list[Balance]
    currency: str
    id: str
    organization: str
    version: int | None
    zone: str


class AccountCredit(Struct, frozen=True, kw_only=True):
    account: str
    dunning: list[DunningStep]
    over: Money | None
    suspended: list[Suspension]
    terms: CreditTerms | None
    used: Money
    version: int


class AccountNew(Struct, frozen=True, kw_only=True):
    currency: str
    first_period_end: str | UnsetType | None = UNSET
    organization: str
    zone: str


class AccountStanding(Struct, frozen=True, kw_only=True):
    account: str
    changed: list[str]
    version: int | None


class AccountTax(Struct, frozen=True, kw_only=True):
    account: str
    country: str
    party: Party | None
    seller: str
    treatment: str


class AccountTaxNew(Struct, frozen=True, kw_only=True):
    city: str | UnsetType = UNSET
    country: str
    name: str
    postcode: str | UnsetType = UNSET
    seller: str
    street: str | UnsetType = UNSET
    treatment: str
    vat_id: str | UnsetType = UNSET


class ApiKey(Struct, frozen=True, kw_only=True):
    created_at: str
    id: str
    key: str | None
    last_used_at: str | None
    made_by: str
    maker_belongs: bool
    mfa: bool
    name: str | None
    organization: str
    prefix: str
    principal: str
    public_key: str | None
    revoked: bool
    scopes: list[str]
    secret_already_shown: bool
    until: str | None
    version: int | None


class ApiKeyNew(Struct, frozen=True, kw_only=True):
    days: int | UnsetType | None = UNSET
    mfa: bool | UnsetType = UNSET
    name: str
    organization: str | UnsetType | None = UNSET
    principal: str | UnsetType | None = UNSET
    public_key: str | UnsetType | None = UNSET
    scopes: list[str] | UnsetType = UNSET


class AppPass(Struct, frozen=True, kw_only=True):
    enter: str | None
    grant: str
    origin: str
    port: int
    principal: str
    runtime: str
    token: str | None
    until: str


class AppPassNew(Struct, frozen=True, kw_only=True):
    browser: bool | UnsetType = UNSET
    hours: int | UnsetType = UNSET
    port: int


class Aside(Struct, frozen=True, kw_only=True):
    about: str | None
    amount: Money
    how: str | None
    id: str
    line: str
    received_at: str
    text: str | None
    why: str


class AsideNew(Struct, frozen=True, kw_only=True):
    amount: MoneyNew
    line: str
    text: str | UnsetType = UNSET
    why: str | UnsetType = UNSET


class Attribution(Struct, frozen=True, kw_only=True):
    cost_centre: str | None
    organization: str
    project: str
    since: str | None
    version: int


class AuditEntry(Struct, frozen=True, kw_only=True):
    action: str
    actor: str
    at: str
    authority: list[str]
    calls: int
    credential: str | None
    earlier: EarlierFact | None
    fact: dict[str, Any] | None
    organization: str
    outcome: str
    position: int
    proof: str | None
    reason: str | None
    receipt: str
    resource: str | None
    resources: list[str]
    since: str


class AuthorityEnd(Struct, frozen=True, kw_only=True):
    organization: str | UnsetType | None = UNSET
    reason: str | UnsetType = UNSET


class Balance(Struct, frozen=True, kw_only=True):
    balance: Money
    ledger: str


class Barred(Struct, frozen=True, kw_only=True):
    by: str
    reason: str
    since: str


class Batch(Struct, frozen=True, kw_only=True):
    chain: str
    epoch: int
    first: int
    format: str
    readings: list[Reading]
    sig: str
    source: str


class BindingNew(Struct, frozen=True, kw_only=True):
    mfa: bool | UnsetType = UNSET
    networks: list[str] | UnsetType = UNSET
    principal: str
    role: str
    scope: str
    until: str | UnsetType | None = UNSET


class Block(Struct, frozen=True, kw_only=True):
    id: str
    organization: str
    policy: str
    project: str
    runtimes: list[Runtime]


class BlockNew(Struct, frozen=True, kw_only=True):
    count: int
    devices: int | UnsetType = UNSET
    gpu_milli: int | UnsetType = UNSET
    models: list[str] | UnsetType = UNSET
    name: str
    policy: str | UnsetType = UNSET
    project: str
    region: str | UnsetType = UNSET
    reservation: str | UnsetType = UNSET


class Book(Struct, frozen=True, kw_only=True):
    edition: int
    entries: list[Tiered]
    name: str
    published_at: str


class BookListed(Struct, frozen=True, kw_only=True):
    edition: int
    entries: int
    name: str
    published_at: str


class BookNew(Struct, frozen=True, kw_only=True):
    entries: list[TieredNew]


class BoundRole(Struct, frozen=True, kw_only=True):
    role: str
    scope: str


class BreakGlass(Struct, frozen=True, kw_only=True):
    approver: str | None
    id: str
    organization: str
    policies: list[str]
    principal: str
    reason: str | None
    requested_at: str
    role: str
    scope: str
    seconds: int
    state: str
    ticket: str
    until: str | None
    used: list[str]
    version: int | None
    why_ended: str | None


class BreakGlassDone(Struct, frozen=True, kw_only=True):
    id: str
    organization: str
    state: str
    until: str | None
    version: int | None


class BreakGlassEnd(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class BreakGlassNew(Struct, frozen=True, kw_only=True):
    reason: str
    role: str | UnsetType = UNSET
    scope: str
    seconds: int | UnsetType = UNSET
    ticket: str


class Budget(Struct, frozen=True, kw_only=True):
    account: str | None
    alerts: list[BudgetAlert]
    amount: Money | None
    forecast: Money | None
    mode: str | None
    organization: str
    period_end: str | None
    scope: str
    seen_at: str | None
    spent: Money | None


class BudgetAlert(Struct, frozen=True, kw_only=True):
    amount: Money
    at: str
    what: str


class BudgetEnd(Struct, frozen=True, kw_only=True):
    scope: str


class BudgetNew(Struct, frozen=True, kw_only=True):
    account: str | UnsetType | None = UNSET
    amount: MoneyNew
    mode: str | UnsetType = UNSET
    scope: str


class CanaryLook(Struct, frozen=True, kw_only=True):
    at: str
    attested: bool
    devices: list[int]
    duration_us: int
    found: int
    looked: int
    method: str
    planted: int
    position: int


class Capacity(Struct, frozen=True, kw_only=True):
    models: list[Fit]
    position: int


class Claim(Struct, frozen=True, kw_only=True):
    ended: str | None
    gpu_milli: int | None
    model: str
    organization: str
    runtimes: list[str] | None
    scope: str
    stop_at: str | None
    until: str | None


class ClaimEnd(Struct, frozen=True, kw_only=True):
    model: str
    reason: str
    scope: str


class ClaimNew(Struct, frozen=True, kw_only=True):
    gpu_milli: int
    hold_s: int | UnsetType = UNSET
    model: str
    notice_s: int | UnsetType = UNSET
    scope: str


class ClosingNew(Struct, frozen=True, kw_only=True):
    notice_s: int | UnsetType = UNSET
    reason: str
    wipe_after_s: int | UnsetType = UNSET


class Code(Struct, frozen=True, kw_only=True):
    code: str


class Commitment(Struct, frozen=True, kw_only=True):
    account: str
    divisor: str
    end: str
    meter: str
    model: str
    position: int
    price: Money
    quantity: str
    region: str
    start: str
    state: str


class CommitmentNew(Struct, frozen=True, kw_only=True):
    divisor: int | UnsetType = UNSET
    end: str
    meter: str | UnsetType = UNSET
    model: str
    price: str
    quantity: str
    region: str | UnsetType = UNSET
    start: str
    state: str | UnsetType = UNSET


class Complete(Struct, frozen=True, kw_only=True):
    chain: str
    epoch: int
    format: str
    sequence: int
    sig: str
    source: str
    until_us: int


class Completed(Struct, frozen=True, kw_only=True):
    position: int | None
    source: str
    until_us: int


class Component(Struct, frozen=True, kw_only=True):
    detail: str
    name: str
    ok: bool
    since: str


class CostCentre(Struct, frozen=True, kw_only=True):
    created_at: str | None
    department: str | None
    id: str
    name: str | None
    organization: str
    state: str
    version: int


class CostCentreCharge(Struct, frozen=True, kw_only=True):
    account: str
    amount: Money
    cost_centre: str | None
    project: str


class CostCentreName(Struct, frozen=True, kw_only=True):
    name: str


class CostCentreNew(Struct, frozen=True, kw_only=True):
    department: str
    name: str


class CountedCalls(Struct, frozen=True, kw_only=True):
    count: int
    index: int
    path: list[str]
    position: int
    receipt: str
    row: str


class CreditNote(Struct, frozen=True, kw_only=True):
    account: str
    file: str
    id: str
    invoice: str
    issued_at: str
    net: Money
    number: str
    organization: str
    seller: str
    sha256: str
    tax: Money
    total: Money
    why: str


class CreditNoteNew(Struct, frozen=True, kw_only=True):
    lines: list[CreditPart] | UnsetType = UNSET
    why: str | UnsetType = UNSET


class CreditOrder(Struct, frozen=True, kw_only=True):
    id: str
    invoice: str
    ordered_at: str
    why: str


class CreditPart(Struct, frozen=True, kw_only=True):
    line: int
    minor: int


class CreditTerms(Struct, frozen=True, kw_only=True):
    due_days: int
    limit: Money | None
    remind_days: list[int]
    stop_days: int
    suspend_days: int


class CreditTermsNew(Struct, frozen=True, kw_only=True):
    due_days: int | UnsetType = UNSET
    limit: MoneyNew | UnsetType | None = UNSET
    remind_days: list[int] | UnsetType = UNSET
    stop_days: int | UnsetType = UNSET
    suspend_days: int | UnsetType = UNSET


class DeadLetter(Struct, frozen=True, kw_only=True):
    attempts: int
    detail: str
    position: int
    status: int | None


class Department(Struct, frozen=True, kw_only=True):
    created_at: str | None
    id: str
    name: str | None
    organization: str
    version: int


class DepartmentNew(Struct, frozen=True, kw_only=True):
    name: str
    organization: str


class Device(Struct, frozen=True, kw_only=True):
    index: int
    used_milli: int
    uuid: str


class DeviceReport(Struct, frozen=True, kw_only=True):
    cause: str | None
    driver: str | None
    health: str
    index: int
    memory_bytes: str | None
    memory_bytes_per_s: str | None
    nvml_sha256: str | None
    product: str | None
    quarantined: str | None
    says: str
    simulated: bool
    since: str | None
    uuid: str
    xid: int | None
    xids: list[XidCount]


class DeviceReports(Struct, frozen=True, kw_only=True):
    items: list[DeviceReport]
    node: str


class DeviceUpkeep(Struct, frozen=True, kw_only=True):
    index: int
    quarantined: str
    reservation: str
    since: str


class Discrepancy(Struct, frozen=True, kw_only=True):
    at: str
    held: str
    position: int
    said: str
    subject: str
    what: str


class Drain(Struct, frozen=True, kw_only=True):
    owner: str
    reason: str
    since: str


class DunningStep(Struct, frozen=True, kw_only=True):
    at: str
    days: int
    due_at: str
    due_minor: int
    invoice: str
    step: str


class EarlierFact(Struct, frozen=True, kw_only=True):
    action: str
    fact: dict[str, Any]
    position: int


class Effect(Struct, frozen=True, kw_only=True):
    effect: str
    notice: str
    object: str
    price: str
    state: str
    waits: str


class EgressRule(Struct, frozen=True, kw_only=True):
    cidr: str
    first_port: int
    last_port: int
    protocol: str | UnsetType = UNSET


class Ended(Struct, frozen=True, kw_only=True):
    id: str
    version: int | None


class EnrolReply(Struct, frozen=True, kw_only=True):
    ca: str | None = None
    certificate: str | None = None
    command_key: str
    nats_password: str
    nats_url: str
    nats_user: str
    node: str
    position: int


class EnrolRequest(Struct, frozen=True, kw_only=True):
    csr: str | UnsetType = UNSET
    gpus: list[Gpu]
    hardware: Hardware | UnsetType = UNSET
    key: str
    model: str
    nkey: str | UnsetType = UNSET
    proof: str
    serial: str
    simulated: bool
    token: str


class EventHeard(Struct, frozen=True, kw_only=True):
    became: str
    event: str


class ExplainNew(Struct, frozen=True, kw_only=True):
    action: str
    mfa: bool | UnsetType = UNSET
    principal: str | UnsetType | None = UNSET
    scope: str
    source: str | UnsetType = UNSET


class Explained(Struct, frozen=True, kw_only=True):
    action: str
    allowed: bool
    policies: list[Reasoned]
    principal: str
    scope: str
    would_allow: list[str]


class Explanation(Struct, frozen=True, kw_only=True):
    fits: list[Fit] = field(default_factory=list)
    nodes: list[Verdict]
    position: int


class FactorEnd(Struct, frozen=True, kw_only=True):
    code: str | UnsetType | None = UNSET
    organization: str | UnsetType | None = UNSET
    principal: str | UnsetType | None = UNSET
    reason: str | UnsetType = UNSET


class FactorEnded(Struct, frozen=True, kw_only=True):
    principal: str
    version: int | None


class FactorSecret(Struct, frozen=True, kw_only=True):
    address: str | None
    principal: str
    secret: str | None
    secret_already_shown: bool


class Fit(Struct, frozen=True, kw_only=True):
    devices: int
    free_devices: int
    model: str
    most_devices: int
    most_milli: int
    soon: list[FitSoon] = field(default_factory=list)


class FitSoon(Struct, frozen=True, kw_only=True):
    because: list[str]
    devices: int
    in_about_s: int


class GaveBack(Struct, frozen=True, kw_only=True):
    account: str
    amount: Money
    balance: Money | None
    grant: str
    reference: str
    taken: Money


class GiveBackNew(Struct, frozen=True, kw_only=True):
    amount: MoneyNew | UnsetType | None = UNSET
    payment: str
    reference: str


class Gpu(Struct, frozen=True, kw_only=True):
    index: int
    uuid: str


class Grant(Struct, frozen=True, kw_only=True):
    account: str
    amount: Money
    balance: Money | None
    bucket: str
    expires_at: str | None
    held: Money | None
    id: str
    reference: str


class GrantNew(Struct, frozen=True, kw_only=True):
    amount: MoneyNew
    bucket: str | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET
    reference: str


class Group(Struct, frozen=True, kw_only=True):
    id: str
    members: list[str]
    name: str | None
    organization: str
    version: int | None


class GroupMember(Struct, frozen=True, kw_only=True):
    organization: str | UnsetType | None = UNSET
    principal: str


class GroupName(Struct, frozen=True, kw_only=True):
    name: str
    organization: str | UnsetType | None = UNSET


class GroupNew(Struct, frozen=True, kw_only=True):
    name: str
    organization: str | UnsetType | None = UNSET


class GuardrailGiven(Struct, frozen=True, kw_only=True):
    actions: list[str]
    id: str
    organization: str
    policies: list[str]
    reason: str
    scope: str
    set_at: str
    set_by: str
    unless_mfa: bool
    unless_networks: list[str]
    version: int | None


class GuardrailNew(Struct, frozen=True, kw_only=True):
    actions: list[str]
    reason: str | UnsetType = UNSET
    scope: str
    unless_mfa: bool | UnsetType = UNSET
    unless_networks: list[str] | UnsetType = UNSET


class Happened(Struct, frozen=True, kw_only=True):
    actor: str
    at: str
    position: int
    stream: str
    tag: str
    what: str


class Hardware(Struct, frozen=True, kw_only=True):
    machine: str
    product: str
    serial: str


class Health(Struct, frozen=True, kw_only=True):
    alive: bool


class Hit(Struct, frozen=True, kw_only=True):
    organization: str
    runtime: str


class HostCertificate(Struct, frozen=True, kw_only=True):
    certificate: str
    principal: str
    renew_us: int
    user_ca: str


class HostCertificateAsk(Struct, frozen=True, kw_only=True):
    host_key: str
    node: str
    proof: str
    runtime: str


class Identity(Struct, frozen=True, kw_only=True):
    id: str
    linked: bool
    person: str
    since: str
    version: int


class IdentityLink(Struct, frozen=True, kw_only=True):
    session: str


class IdentityUnlink(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class Image(Struct, frozen=True, kw_only=True):
    digest: str
    id: str
    reference: str
    registered_at: str
    version: int


class ImageNew(Struct, frozen=True, kw_only=True):
    digest: str
    reference: str


class Incident(Struct, frozen=True, kw_only=True):
    id: str
    opened_at: str
    resolved_at: str | None
    state: str
    subject: str
    title: str | None
    version: int
    what: str


class IncidentChanged(Struct, frozen=True, kw_only=True):
    did: list[str]
    id: str
    version: int | None


class IncidentNew(Struct, frozen=True, kw_only=True):
    subject: str | UnsetType = UNSET
    title: str


class IncidentNote(Struct, frozen=True, kw_only=True):
    note: str


class IncidentNoted(Struct, frozen=True, kw_only=True):
    actor: str
    at: str
    note: str | None


class IncidentShown(Struct, frozen=True, kw_only=True):
    affected: list[Hit]
    credits: list[HttpFleetCredit]
    facts: list[Happened]
    incident: Incident
    notes: list[IncidentNoted]


class IncidentTie(Struct, frozen=True, kw_only=True):
    position: int


class Invitation(Struct, frozen=True, kw_only=True):
    email: str | None
    id: str
    organization: str
    role: str
    scope: str
    secret: str | None
    until: str
    version: int | None


class InvitationAccept(Struct, frozen=True, kw_only=True):
    organization: str
    secret: str


class InvitationNew(Struct, frozen=True, kw_only=True):
    days: int | UnsetType = UNSET
    email: str
    organization: str | UnsetType | None = UNSET
    role: str
    scope: str | UnsetType | None = UNSET


class Invoice(Struct, frozen=True, kw_only=True):
    account: str
    exact: Money
    file: str
    finalized_at: str
    id: str
    line_count: int
    missing: list[str]
    net: Money | None
    number: str
    organization: str
    period: str
    seller: str | None
    sha256: str
    state: str
    tax: Money | None
    total: Money


class InvoiceCostCentre(Struct, frozen=True, kw_only=True):
    amount: Money
    cost_centre: str | None
    project: str


class InvoiceDepartment(Struct, frozen=True, kw_only=True):
    amount: Money
    department: str | None
    project: str


class Issuer(Struct, frozen=True, kw_only=True):
    acr: list[str] | None
    algorithms: list[str]
    amr: list[str] | None
    client_id: str
    domains: list[str]
    id: str
    organization: str
    trusted: bool
    url: str
    version: int | None


class IssuerEnd(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class IssuerFactors(Struct, frozen=True, kw_only=True):
    acr: list[str]
    amr: list[str]


class IssuerNew(Struct, frozen=True, kw_only=True):
    algorithms: list[str] | UnsetType = UNSET
    client_id: str
    domains: list[str] | UnsetType = UNSET
    organization: str
    url: str


class KeptVolume(Struct, frozen=True, kw_only=True):
    held: Money
    held_until: str | None
    id: str
    wipe_at: str | None


class KnownAction(Struct, frozen=True, kw_only=True):
    action: str
    administrative: bool
    level: str
    roles: list[str]
    route: str


class KnownProblem(Struct, frozen=True, kw_only=True):
    code: str
    remedy: str
    status: int
    title: str
    type: str


class KnownSchema(Struct, frozen=True, kw_only=True):
    id: str
    path: str
    tag: str


class Me(Struct, frozen=True, kw_only=True):
    mfa: bool
    organization: str | None
    organizations: list[str]
    principal: str
    roles: list[BoundRole]


class Member(Struct, frozen=True, kw_only=True):
    organization: str
    principal: str
    roles: list[str]
    version: int | None


class MemberNew(Struct, frozen=True, kw_only=True):
    organization: str | UnsetType | None = UNSET
    principal: str


class Meter(Struct, frozen=True, kw_only=True):
    aggregation: str
    dimensions: list[str]
    divisor: str
    id: str
    meter: str
    source: str
    unit: str


class MeterNew(Struct, frozen=True, kw_only=True):
    aggregation: str | UnsetType = UNSET
    dimensions: list[str] | UnsetType = UNSET
    divisor: int | UnsetType = UNSET
    meter: str
    source: str
    unit: str


class Money(Struct, frozen=True, kw_only=True):
    amount: str
    currency: str


class MoneyNew(Struct, frozen=True, kw_only=True):
    amount: str
    currency: str


class Mount(Struct, frozen=True, kw_only=True):
    path: str
    volume: str


class Network(Struct, frozen=True, kw_only=True):
    changed_at: str
    egress: list[EgressRule]
    id: str
    internal: bool
    name: str | None
    organization: str
    project: str | None
    runtimes: int | None
    state: str
    version: int


class NetworkNew(Struct, frozen=True, kw_only=True):
    egress: list[EgressRule] | UnsetType = UNSET
    internal: bool | UnsetType = UNSET
    name: str
    project: str


class NetworkPolicy(Struct, frozen=True, kw_only=True):
    egress: list[EgressRule]
    internal: bool | UnsetType = UNSET


class NewName(Struct, frozen=True, kw_only=True):
    name: str


class Node(Struct, frozen=True, kw_only=True):
    barred: Barred | None
    cordoned: bool
    devices: list[Device]
    gpus: int
    id: str
    model: str
    name: str | None
    simulated: bool | None
    state: str
    upkeep: str
    used_milli: int
    version: int


class NodeChanged(Struct, frozen=True, kw_only=True):
    cordoned: bool
    id: str
    version: int | None


class NodeDevices(Struct, frozen=True, kw_only=True):
    devices: list[int] | UnsetType = UNSET
    reason: str


class NodeDrain(Struct, frozen=True, kw_only=True):
    reason: str


class NodeInvite(Struct, frozen=True, kw_only=True):
    fingerprint: str | UnsetType | None = UNSET
    model: str
    name: str


class NodeInvited(Struct, frozen=True, kw_only=True):
    expires_at: str
    id: str
    secret_already_shown: bool
    token: str | None


class NodeRegion(Struct, frozen=True, kw_only=True):
    region: str


class NodeReinvite(Struct, frozen=True, kw_only=True):
    fingerprint: str | UnsetType | None = UNSET


class NodeReturn(Struct, frozen=True, kw_only=True):
    devices: list[int] | UnsetType = UNSET


class NodeRevocation(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class NodeRevoked(Struct, frozen=True, kw_only=True):
    id: str
    version: int | None


class NodeTopology(Struct, frozen=True, kw_only=True):
    group: int | UnsetType = UNSET
    zone: str


class NodeUndrain(Struct, frozen=True, kw_only=True):
    owner: str | UnsetType = UNSET
    reason: str


class NodeUpkeep(Struct, frozen=True, kw_only=True):
    canaries: list[CanaryLook]
    devices: list[DeviceUpkeep]
    drains: list[Drain]
    group: int
    id: str
    owes_receipts: bool
    receipts: list[SanitizationReceipt]
    region: str
    state: str
    zone: str


class NodeUpkept(Struct, frozen=True, kw_only=True):
    did: list[str]
    id: str
    version: int | None


class Operation(Struct, frozen=True, kw_only=True):
    began_at: str
    ended_at: str | None
    error: Problem | None
    id: str
    kind: str
    organization: str
    project: str | None
    resource: str
    state: str
    steps: list[OperationStep]
    version: int


class OperationStep(Struct, frozen=True, kw_only=True):
    at: str
    position: int
    what: str


class Organization(Struct, frozen=True, kw_only=True):
    created_at: str | None
    id: str
    name: str | None
    state: str
    stop_at: str | None = None
    version: int | None
    wipe_at: str | None = None


class OrganizationNew(Struct, frozen=True, kw_only=True):
    name: str


class Party(Struct, frozen=True, kw_only=True):
    city: str
    name: str
    postcode: str
    street: str
    vat_id: str


class Payment(Struct, frozen=True, kw_only=True):
    due_minor: int
    invoice: str
    minor: int
    paid_at: str


class PaymentNew(Struct, frozen=True, kw_only=True):
    minor: int
    paid_at: str
    reference: str | UnsetType = UNSET


class Period(Struct, frozen=True, kw_only=True):
    account: str
    end: str
    id: str
    invoice: str | None
    missing: list[str]
    sequence: int
    start: str
    state: str
    version: int


class PeriodClosed(Struct, frozen=True, kw_only=True):
    closed_at: str | None
    id: str
    version: int | None


class Preview(Struct, frozen=True, kw_only=True):
    account: str
    book: str
    charged: Money
    edition: int
    exact: Money
    lines: list[PreviewLine]
    period: str
    total: Money


class PreviewLine(Struct, frozen=True, kw_only=True):
    amount: Money
    price: int
    project: str
    quantity: str
    sku: str


class PreviewNew(Struct, frozen=True, kw_only=True):
    book: str
    period: str


class Price(Struct, frozen=True, kw_only=True):
    account: str
    divisor: str
    effective_from: str
    free: str = "0"
    meter: str
    minimum: Money | None = None
    model: str
    position: int
    price: Money
    published_at: str
    region: str
    state: str
    tiers: list[Tier] | None = None


class PriceNew(Struct, frozen=True, kw_only=True):
    account: str | UnsetType = UNSET
    divisor: int | UnsetType = UNSET
    effective_from: str
    meter: str | UnsetType = UNSET
    model: str
    price: MoneyNew
    region: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class Problem(Struct, frozen=True, kw_only=True):
    code: str
    correlation_id: str
    detail: str
    errors: list[Any]
    facts: dict[str, int | str]
    remedy: str
    status: int
    title: str
    type: str


class Project(Struct, frozen=True, kw_only=True):
    account: str
    created_at: str | None
    department: str
    id: str
    name: str | None
    organization: str
    version: int


class ProjectAttribute(Struct, frozen=True, kw_only=True):
    cost_centre: str | None


class ProjectMove(Struct, frozen=True, kw_only=True):
    account: str | UnsetType | None = UNSET
    department: str | UnsetType | None = UNSET


class ProjectMoved(Struct, frozen=True, kw_only=True):
    account: str
    department: str
    id: str
    moved_at: str | None
    organization: str
    version: int | None


class ProjectNew(Struct, frozen=True, kw_only=True):
    account: str
    department: str | UnsetType | None = UNSET
    name: str


class QuarantinedReading(Struct, frozen=True, kw_only=True):
    at: str
    epoch: int
    kept: str
    position: int
    reading: str
    refused: str
    sequence: int
    source: str


class Quota(Struct, frozen=True, kw_only=True):
    limit_milli: int
    model: str
    organization: str
    reserved_milli: int | None
    scope: str
    used_milli: int | None


class QuotaNew(Struct, frozen=True, kw_only=True):
    limit_milli: int
    model: str
    scope: str


class Reached(Struct, frozen=True, kw_only=True):
    chain: str
    epoch: int
    sequence: int


class Readiness(Struct, frozen=True, kw_only=True):
    applied: int
    closed_nodes: dict[str, str] | None = None
    components: list[Component]
    log_size: int
    ready: bool
    reasons: list[str]
    refused: dict[str, int]
    silent_nodes: int
    warnings: list[str] | None = None


class Reading(Struct, frozen=True, kw_only=True):
    dimensions: dict[str, str]
    from_us: int
    meter: str
    quantity: int
    resource: str
    to_us: int


class Reasoned(Struct, frozen=True, kw_only=True):
    decides: bool
    effect: str
    id: str
    principal: str | None
    role: str | None
    scope: str
    why: str


class Receipt(Struct, frozen=True, kw_only=True):
    entry: str
    position: int
    proof: str
    size: int


class Reclaim(Struct, frozen=True, kw_only=True):
    decided_at: str
    model: str
    organization: str
    runtimes: list[str]
    scope: str
    stop_at: str


class RecoveryCodes(Struct, frozen=True, kw_only=True):
    principal: str
    recovery_codes: list[str] | None
    secret_already_shown: bool


class Renamed(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    organization: str
    renamed_at: str | None
    version: int | None


class RenewalReply(Struct, frozen=True, kw_only=True):
    ca: str
    certificate: str


class RenewalRequest(Struct, frozen=True, kw_only=True):
    certificate: str
    csr: str
    held: str
    nkey: str
    node: str
    proof: str


class Repricing(Struct, frozen=True, kw_only=True):
    account: str
    book: str
    edition: int
    end: str
    position: int | None
    start: str


class RepricingNew(Struct, frozen=True, kw_only=True):
    book: str
    end: str
    start: str


class Reservation(Struct, frozen=True, kw_only=True):
    devices: int | None
    id: str
    model: str | None
    nodes: list[str]
    organization: str
    project: str | None
    state: str
    until: str | None
    version: int
    why: str


class ReservationEnd(Struct, frozen=True, kw_only=True):
    reason: str


class ReservationNew(Struct, frozen=True, kw_only=True):
    devices: int
    model: str
    project: str
    region: str | UnsetType = UNSET
    until: str


class Resolution(Struct, frozen=True, kw_only=True):
    about: str
    how: str
    id: str


class ResolveNew(Struct, frozen=True, kw_only=True):
    account: str | UnsetType = UNSET
    invoice: str | UnsetType = UNSET
    returned: bool | UnsetType = UNSET


class ResumeNew(Struct, frozen=True, kw_only=True):
    about: str | UnsetType = UNSET
    reason: str


class ReturnNew(Struct, frozen=True, kw_only=True):
    at: str
    minor: int
    reference: str | UnsetType = UNSET


class RoleBinding(Struct, frozen=True, kw_only=True):
    granted_at: str
    granted_by: str
    id: str
    mfa: bool
    networks: list[str]
    organization: str
    policies: list[str]
    principal: str
    role: str
    scope: str
    until: str | None
    version: int | None


class Runtime(Struct, frozen=True, kw_only=True):
    config: RuntimeConfig | None
    devices: list[HttpShare]
    egress: RuntimeEgress | None
    gpu_milli: int | None
    id: str
    idle_since: str | None
    idle_stop_after_s: int | None
    model: str | None
    name: str | None
    network: str | None
    next: str
    node: str | None
    organization: str
    project: str | None
    region: str | None
    route: RuntimeRoute | None
    simulated: bool | None
    since: str | None
    spot: bool | None
    state: str
    version: int
    why: str


class RuntimeConfig(Struct, frozen=True, kw_only=True):
    cpu_milli: int
    digest: str
    image: str
    memory_bytes: int
    pids: int
    restarts: int


class RuntimeEgress(Struct, frozen=True, kw_only=True):
    counted_at: str
    received_bytes: int
    sent_bytes: int


class RuntimeNew(Struct, frozen=True, kw_only=True):
    cpu_milli: int | UnsetType | None = UNSET
    devices: int | UnsetType = UNSET
    gpu_milli: int | UnsetType = UNSET
    idle_stop_after_s: int | UnsetType | None = UNSET
    image: str | UnsetType | None = UNSET
    memory_bytes: int | UnsetType | None = UNSET
    models: list[str] | UnsetType = UNSET
    name: str
    network: str | UnsetType = UNSET
    pids: int | UnsetType | None = UNSET
    policy: str | UnsetType = UNSET
    project: str
    region: str | UnsetType = UNSET
    reservation: str | UnsetType = UNSET
    restarts: int | UnsetType | None = UNSET
    spot: bool | UnsetType = UNSET
    volumes: list[Mount] | UnsetType = UNSET


class RuntimeRoute(Struct, frozen=True, kw_only=True):
    address: str
    allocation: str
    epoch: int
    host_key: str
    port: int


class RuntimeStop(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class SanitizationReceipt(Struct, frozen=True, kw_only=True):
    at: str
    attested: bool
    bytes_covered: int
    devices: list[int]
    driver: str
    duration_us: int
    ecc_uncorrected: int | None
    method: str
    position: int
    residual_processes: int


class SecondFactor(Struct, frozen=True, kw_only=True):
    locked_until: str | None
    principal: str
    recovery_codes_left: int
    state: str


class Seller(Struct, frozen=True, kw_only=True):
    country: str
    id: str
    party: Party | None
    prefix: str
    registered_at: str
    terms_days: int


class SellerNew(Struct, frozen=True, kw_only=True):
    city: str | UnsetType = UNSET
    country: str
    name: str
    postcode: str | UnsetType = UNSET
    prefix: str
    street: str | UnsetType = UNSET
    terms_days: int | UnsetType = UNSET
    vat_id: str


class ServiceAccount(Struct, frozen=True, kw_only=True):
    id: str
    name: str | None
    organization: str
    version: int | None


class Session(Struct, frozen=True, kw_only=True):
    authenticated_at: str | None
    ended: bool
    expires_at: str
    id: str
    issuer: str
    mfa: bool
    opened_at: str
    organization: str
    principal: str
    token: str | None


class SessionEnd(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class SessionNew(Struct, frozen=True, kw_only=True):
    id_token: str
    issuer: str
    nonce: str | UnsetType = UNSET


class ShareNew(Struct, frozen=True, kw_only=True):
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    model: str
    scope: str


class SignIn(Struct, frozen=True, kw_only=True):
    acr_values: list[str]
    authorization_endpoint: str
    client_id: str
    device_authorization_endpoint: str
    issuer: str
    token_endpoint: str
    url: str


class Snapshot(Struct, frozen=True, kw_only=True):
    at: str
    bytes: int
    frozen_us: int
    id: str


class Source(Struct, frozen=True, kw_only=True):
    id: str
    key: str
    meters: list[str]
    organization: str
    project: str
    reached: Reached | None
    reason: str | None
    registered_at: str


class SourceNew(Struct, frozen=True, kw_only=True):
    key: str
    meters: list[str]
    project: str


class SourceRevocation(Struct, frozen=True, kw_only=True):
    reason: str | UnsetType = UNSET


class SourceRevoked(Struct, frozen=True, kw_only=True):
    id: str
    version: int | None


class SshCertificate(Struct, frozen=True, kw_only=True):
    certificate: str
    gateway_host: str
    gateway_port: int
    grant: str
    known_hosts: str
    principal: str
    runtime: str
    serial: str
    until: str
    valid_before: str


class SshCertificateNew(Struct, frozen=True, kw_only=True):
    hours: int | UnsetType = UNSET
    minutes: int | UnsetType = UNSET
    public_key: str
    sources: list[str] | UnsetType = UNSET


class SshTrust(Struct, frozen=True, kw_only=True):
    host_ca: str
    known_hosts: str
    user_ca: str


class Sso(Struct, frozen=True, kw_only=True):
    exempt: list[str]
    issuer: str | None
    organization: str
    policies: list[str]
    version: int | None


class SsoNew(Struct, frozen=True, kw_only=True):
    exempt: list[str]
    issuer: str
    organization: str | UnsetType | None = UNSET


class Standing(Struct, frozen=True, kw_only=True):
    reason: str


class SteppedUp(Struct, frozen=True, kw_only=True):
    acr: str
    amr: list[str]
    expires_at: str
    means: str
    principal: str
    secret_already_shown: bool
    token: str | None


class StorageQuota(Struct, frozen=True, kw_only=True):
    limit_mib: int
    organization: str
    scope: str
    used_mib: int | None


class StorageQuotaNew(Struct, frozen=True, kw_only=True):
    limit_mib: int
    scope: str


class SuspendNew(Struct, frozen=True, kw_only=True):
    reason: str


class Suspension(Struct, frozen=True, kw_only=True):
    about: str
    reason: str
    since: str


class Taken(Struct, frozen=True, kw_only=True):
    chain: str
    epoch: int
    new: int
    position: int | None
    repeated: int
    sequence: int
    source: str


class TaxRate(Struct, frozen=True, kw_only=True):
    category: str
    country: str
    effective_from: str | None
    meter: str
    rate_bp: int
    reason: str
    seller: str
    treatment: str


class TaxRateNew(Struct, frozen=True, kw_only=True):
    category: str
    country: str
    effective_from: str | UnsetType | None = UNSET
    meter: str | UnsetType = UNSET
    rate_bp: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    treatment: str


class Terminal(Struct, frozen=True, kw_only=True):
    closed_at: str | None
    columns: int
    id: str
    opened_at: str
    organization: str
    reason: str | None
    recorded: bool
    rows: int
    runtime: str
    shown_bytes: int | None
    typed_bytes: int | None
    user: str
    version: int


class TerminalNew(Struct, frozen=True, kw_only=True):
    columns: int | UnsetType = UNSET
    record: bool | UnsetType = UNSET
    rows: int | UnsetType = UNSET


class TerminalOpened(Struct, frozen=True, kw_only=True):
    id: str
    path: str
    ticket: str | None


class TerminalTicket(Struct, frozen=True, kw_only=True):
    expires_at: str
    ticket: str


class Terms(Struct, frozen=True, kw_only=True):
    account: str
    terms: str
    version: int | None


class TermsNew(Struct, frozen=True, kw_only=True):
    terms: str


class Tier(Struct, frozen=True, kw_only=True):
    price: Money
    up_to: str | None


class TierNew(Struct, frozen=True, kw_only=True):
    price: str
    up_to: str | UnsetType | None = UNSET


class Tiered(Struct, frozen=True, kw_only=True):
    account: str
    book: str
    divisor: str
    edition: int
    effective_from: str
    free: str
    meter: str
    minimum: Money
    model: str
    position: int
    published_at: str
    region: str
    state: str
    tiers: list[Tier]


class TieredNew(Struct, frozen=True, kw_only=True):
    account: str | UnsetType = UNSET
    currency: str
    divisor: int | UnsetType = UNSET
    effective_from: str
    free: str | UnsetType = UNSET
    meter: str | UnsetType = UNSET
    minimum: str | UnsetType = UNSET
    model: str
    region: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    tiers: list[TierNew]


class TokenIssuedOut(Struct, frozen=True, kw_only=True):
    expires_at: str
    principal: str
    role: str
    secret_already_shown: bool
    token: str | None


class TokenNew(Struct, frozen=True, kw_only=True):
    organization: str | UnsetType | None = UNSET
    role: str
    seconds: int | UnsetType = UNSET
    subject: str


class TopUpAsked(Struct, frozen=True, kw_only=True):
    account: str
    payment_reference: str
    provider: str
    url: str | None


class TopUpNew(Struct, frozen=True, kw_only=True):
    amount: MoneyNew


class TotpNew(Struct, frozen=True, kw_only=True):
    label: str | UnsetType = UNSET


class Transfer(Struct, frozen=True, kw_only=True):
    account: str
    amount: Money
    booked: str
    cause: int
    credit: str
    debit: str
    id: str
    kind: str
    meter: str
    period: str
    price: int | None
    resource: str
    row: int


class Usage(Struct, frozen=True, kw_only=True):
    account: str
    amount: Money
    department: str | None
    meter: str
    model: str
    period: str
    price: int
    project: str
    quantity: str
    reservations: int
    runtimes: int
    volumes: int


class UsageRunning(Struct, frozen=True, kw_only=True):
    account: str
    department: str | None
    estimate: Money | None
    meter: str
    model: str
    project: str
    quantity: str
    runtime: str
    since: str
    until: str


class Verdict(Struct, frozen=True, kw_only=True):
    facts: dict[str, int | str]
    model: str
    node: str
    why: str


class Volume(Struct, frozen=True, kw_only=True):
    created_at: str
    id: str
    name: str | None
    next: str
    node: str
    organization: str
    project: str
    simulated: bool | None
    since: str
    size_mib: int
    state: str
    used_by: VolumeUse | None
    version: int
    why: str


class VolumeChanged(Struct, frozen=True, kw_only=True):
    did: list[str]
    id: str
    snapshot: str | None
    version: int | None


class VolumeGrow(Struct, frozen=True, kw_only=True):
    size_mib: int


class VolumeNew(Struct, frozen=True, kw_only=True):
    models: list[str] | UnsetType = UNSET
    name: str
    node: str | UnsetType | None = UNSET
    project: str
    region: str | UnsetType = UNSET
    size_mib: int


class VolumeRestore(Struct, frozen=True, kw_only=True):
    snapshot: str


class VolumeShown(Struct, frozen=True, kw_only=True):
    receipts: list[WipeReceipt]
    snapshots: list[Snapshot]
    volume: Volume


class VolumeUse(Struct, frozen=True, kw_only=True):
    epoch: int
    path: str
    runtime: str


class Wallet(Struct, frozen=True, kw_only=True):
    account: str
    arrears: Money
    available: Money
    balance: Money
    credits: list[HttpWalletCredit]
    exhausted_at: str | None
    held: Money
    level: int
    payment_reference: str
    per_hour: Money
    runtimes: int
    suspended: list[Suspension]
    terms: str
    version: int
    volumes: list[KeptVolume]


class Webhook(Struct, frozen=True, kw_only=True):
    dead: int | None
    id: str
    organization: str
    registered_at: str
    secret: str | None
    secret_already_shown: bool
    sent: int | None
    state: str
    tags: list[str]
    url: str | None
    version: int
    waiting: int | None


class WebhookChange(Struct, frozen=True, kw_only=True):
    tags: list[str] | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET


class WebhookChanged(Struct, frozen=True, kw_only=True):
    id: str
    version: int


class WebhookNew(Struct, frozen=True, kw_only=True):
    organization: str
    tags: list[str] | UnsetType = UNSET
    url: str


class WebhookReplay(Struct, frozen=True, kw_only=True):
    from_position: int


class WebhookSecret(Struct, frozen=True, kw_only=True):
    id: str
    secret: str | None
    secret_already_shown: bool
    version: int


class WipeReceipt(Struct, frozen=True, kw_only=True):
    at: str
    attested: bool
    bytes_covered: int
    duration_us: int
    method: str
    position: int


class XidCount(Struct, frozen=True, kw_only=True):
    count: int
    xid: int


class HttpShare(Struct, frozen=True, kw_only=True):
    index: int
    milli: int


class HttpFleetCredit(Struct, frozen=True, kw_only=True):
    account: str
    from_at: str
    granted: bool
    milli_gpu_us: int
    position: int
    reason: str
    runtime: str
    to_at: str


class HttpQuotasShare(Struct, frozen=True, kw_only=True):
    borrowed_milli: int | None
    claimed_milli: int | None
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    model: str
    organization: str
    parent: str | None
    scope: str
    used_milli: int | None


class HttpWalletCredit(Struct, frozen=True, kw_only=True):
    amount: Money
    bucket: str
    expires_at: str | None
    id: str
    left: Money
    reference: str
    returned: Money
