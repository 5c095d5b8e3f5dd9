"""What the front door takes and gives about volumes; as http.py, whose terms it uses."""

from typing import Annotated, Final

from msgspec import Meta

from contracts.http import Given, Instant, MountPath, Name, ProjectId, ScopeId, Taken, Word

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

type NodeId = Annotated[str, Meta(pattern=f"^node-{_UUID}$")]
type SnapshotId = Annotated[str, Meta(pattern=f"^snapshot-{_UUID}$")]
type Mib = Annotated[int, Meta(ge=16, le=16_777_216)]


class VolumeNew(Taken, frozen=True):
    """On `node`, else on the node of the accepted `models` (none = any) with the fewest volumes; in
    `region`, if that is said.
    """

    project: ProjectId
    name: Name
    size_mib: Mib
    node: NodeId | None = None
    models: Annotated[tuple[Word, ...], Meta(max_length=32)] = ()
    region: Annotated[str, Meta(max_length=60)] = ""


class VolumeGrow(Taken, frozen=True):
    """The size it shall have; it never shrinks."""

    size_mib: Mib


class VolumeRestore(Taken, frozen=True):
    snapshot: SnapshotId


class StorageQuotaNew(Taken, frozen=True):
    """A ceiling for what the volumes of a scope may take."""

    scope: ScopeId
    limit_mib: Annotated[int, Meta(ge=0, le=10**12)]


class StorageQuota(Given, frozen=True):
    """`used_mib`: by volumes until they are deleted, with what they are asked to grow to."""

    organization: str
    scope: str
    limit_mib: int
    used_mib: int | None


class VolumeChanged(Given, frozen=True):
    """`did`: what it became, by the facts' own names; none and no version: it was so already.

    `snapshot`: the one that was asked for.
    """

    id: str
    did: list[str]
    snapshot: str | None
    version: int | None


class VolumeUse(Given, frozen=True):
    """Who writes it now."""

    runtime: str
    epoch: int
    path: MountPath


class Volume(Given, frozen=True):
    """`state` since `since`, why, and what happens `next`; null is what the answer at hand does
    not know. `simulated`: nothing is stored; null until its node made it.
    """

    id: str
    organization: str
    project: str
    node: str
    name: str | None
    size_mib: int
    state: str
    since: Instant
    why: str
    next: str
    simulated: bool | None
    used_by: VolumeUse | None
    created_at: Instant
    version: int


class Snapshot(Given, frozen=True):
    """`bytes` of disk it takes; writers were held for `frozen_us`."""

    id: str
    bytes: int
    frozen_us: int
    at: Instant


class WipeReceipt(Given, frozen=True):
    """A node's word, no measurement of ours: `attested` is always true."""

    position: int
    method: str
    bytes_covered: int
    duration_us: int
    at: Instant
    attested: bool


class VolumeShown(Given, frozen=True):
    volume: Volume
    snapshots: list[Snapshot]
    receipts: list[WipeReceipt]
