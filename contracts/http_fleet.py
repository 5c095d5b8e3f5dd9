"""What operators and launches of many take and give; as http.py, whose terms they use."""

from typing import Annotated

from msgspec import Meta

from contracts.http import (
    Given,
    ImageDigest,
    ImageName,
    Instant,
    Name,
    ProjectId,
    Reason,
    Runtime,
    Taken,
    Word,
)

type Indexes = Annotated[tuple[Annotated[int, Meta(ge=0, le=1023)], ...], Meta(max_length=1024)]
type Policy = Annotated[str, Meta(pattern="^(pack|spread|topology)$")]
type Owner = Annotated[str, Meta(pattern="^(operator|system-[a-z0-9_.-]{1,50})$")]


# ---------------------------------------------------------------- images
class ImageNew(Taken, frozen=True):
    reference: ImageName
    digest: ImageDigest


class Image(Given, frozen=True):
    """A reference that launches may name, and the digest it means; the newest registration."""

    id: str
    reference: str
    digest: str
    registered_at: Instant
    version: int


# ---------------------------------------------------------------- upkeep of nodes
class NodeDrain(Taken, frozen=True):
    """A word, never a sentence about a person. To end it, the same word is named again."""

    reason: Reason


class NodeUndrain(Taken, frozen=True):
    """`owner`: `operator`, or the system part whose drain is to end, named on purpose."""

    reason: Reason
    owner: Owner = "operator"


class NodeDevices(Taken, frozen=True):
    """Indexes in order; none means all of the node."""

    reason: Reason
    devices: Indexes = ()


class NodeReturn(Taken, frozen=True):
    """Indexes in order; none means all that are in quarantine."""

    devices: Indexes = ()


class NodeTopology(Taken, frozen=True):
    """Nodes of one zone are near each other, and so are `group` devices by index; 0 = all."""

    zone: Word
    group: Annotated[int, Meta(ge=0, le=1024)] = 0


class NodeRegion(Taken, frozen=True):
    """Of what is placed on it from now on; `-`: in none."""

    region: Word


class NodeUpkept(Given, frozen=True):
    """`did`: what it became, by the facts' own names; none and no version: it was so already."""

    id: str
    did: list[str]
    version: int | None


class Drain(Given, frozen=True):
    owner: str
    reason: str
    since: Instant


class DeviceUpkeep(Given, frozen=True):
    index: int
    quarantined: str
    since: Instant
    reservation: str


class SanitizationReceipt(Given, frozen=True):
    """A node's word, no measurement of ours: `attested` is always true."""

    position: int
    devices: list[int]
    method: str
    bytes_covered: int
    duration_us: int
    driver: str
    ecc_uncorrected: int | None
    residual_processes: int
    at: Instant
    attested: bool


class CanaryLook(Given, frozen=True):
    """A node's word: a marker planted in so many places before a sanitization, looked for after it
    in so many, and found; what was missed put devices in quarantine.
    """

    position: int
    devices: list[int]
    method: str
    planted: int
    looked: int
    found: int
    duration_us: int
    at: Instant
    attested: bool


class NodeUpkeep(Given, frozen=True):
    """`state`: serving, cordoned, draining, drained, quarantined (all of it) or retired."""

    id: str
    state: str
    owes_receipts: bool
    zone: str
    region: str
    group: int
    drains: list[Drain]
    devices: list[DeviceUpkeep]
    receipts: list[SanitizationReceipt]
    canaries: list[CanaryLook]


class Happened(Given, frozen=True):
    """One fact of a node or of what ran on it, in plain words."""

    position: int
    at: Instant
    actor: str
    stream: str
    tag: str
    what: str


class Discrepancy(Given, frozen=True):
    """Where a node's word was not believed. `what`: `time.<fact>`, `hardware.<part>`; of a time,
    `said` is the instant that it claimed and `held` the one that counts and bills.
    """

    position: int
    at: Instant
    what: str
    subject: str
    said: str
    held: str


# ---------------------------------------------------------------- placement
class FitSoon(Given, frozen=True):
    """About when so many whole devices of one node are free, and because of what: runtimes that are
    stopping, devices that are being wiped (each as long as the last twenty took, their median), a
    reservation that ends. Nothing is promised; where nothing is known, nothing is said.
    """

    devices: int
    in_about_s: int
    because: list[str]


class Fit(Given, frozen=True):
    """What fits now on one model: at most so many whole devices, or so large a part of one. `soon`:
    when one launch would get more.
    """

    model: str
    devices: int
    free_devices: int
    most_devices: int
    most_milli: int
    soon: tuple[FitSoon, ...] = ()


class Capacity(Given, frozen=True):
    """Admission's own arithmetic once `position` entries were known; never a number beside it."""

    position: int
    models: list[Fit]


class Verdict(Given, frozen=True):
    """`why`: chosen, fits, or what says no; `facts` are its numbers."""

    node: str
    model: str
    why: str
    facts: dict[str, int | str]


class Explanation(Given, frozen=True):
    """Admission's own verdict on every node, once `position` entries were known. `fits`: what fits
    now and soon, of each model that was asked for, as `GET /v1/capacity` says it.
    """

    position: int
    nodes: list[Verdict]
    fits: tuple[Fit, ...] = ()


class BlockNew(Taken, frozen=True):
    """`count` runtimes that are alike, placed all or none; they are named name-0, name-1, …"""

    project: ProjectId
    name: Name
    count: Annotated[int, Meta(ge=1, le=32)]
    devices: Annotated[int, Meta(ge=1, le=64)] = 1
    gpu_milli: Annotated[int, Meta(ge=1, le=1000)] = 1000
    models: Annotated[tuple[Word, ...], Meta(max_length=32)] = ()
    policy: Policy = "pack"
    reservation: Annotated[str, Meta(max_length=60)] = ""
    region: Annotated[str, Meta(max_length=60)] = ""


class Block(Given, frozen=True):
    id: str
    organization: str
    project: str
    policy: str
    runtimes: list[Runtime]


class ReservationNew(Taken, frozen=True):
    """Whole devices of one model that are the project's until `until`; in `region`, if said."""

    project: ProjectId
    model: Word
    devices: Annotated[int, Meta(ge=1, le=4096)]
    until: Instant
    region: Annotated[str, Meta(max_length=60)] = ""


class ReservationEnd(Taken, frozen=True):
    reason: Reason


class Reservation(Given, frozen=True):
    """`state`: standing or ended; `why` it ended. Null is what the answer at hand does not say."""

    id: str
    organization: str
    project: str | None
    model: str | None
    devices: int | None
    nodes: list[str]
    until: Instant | None
    state: str
    why: str
    version: int


# ---------------------------------------------------------------- incidents
class IncidentNew(Taken, frozen=True):
    """`subject`: a node or a runtime that it is about; empty: neither."""

    title: Name
    subject: Annotated[str, Meta(max_length=60, pattern="^((node|runtime)-[0-9a-f-]{36})?$")] = ""


class IncidentTie(Taken, frozen=True):
    position: Annotated[int, Meta(ge=0, le=2**62)]


class IncidentNote(Taken, frozen=True):
    note: Annotated[str, Meta(min_length=1, max_length=5_000)]


class IncidentChanged(Given, frozen=True):
    """`did`: what it became; none and no version: it was so already."""

    id: str
    did: list[str]
    version: int | None


class Incident(Given, frozen=True):
    """`title` null once erased; `what`: `operator`, or the event that opened it by itself.
    `state`: open, resolved.
    """

    id: str
    what: str
    subject: str
    title: str | None
    state: str
    opened_at: Instant
    resolved_at: Instant | None
    version: int


class IncidentNoted(Given, frozen=True):
    note: str | None
    actor: str
    at: Instant


class Hit(Given, frozen=True):
    runtime: str
    organization: str


class Credit(Given, frozen=True):
    """Proposed by itself for time that was lost; `granted` false: no money has moved."""

    position: int
    runtime: str
    account: str
    milli_gpu_us: int
    from_at: Instant
    to_at: Instant
    reason: str
    granted: bool


class IncidentShown(Given, frozen=True):
    incident: Incident
    facts: list[Happened]
    notes: list[IncidentNoted]
    affected: list[Hit]
    credits: list[Credit]
