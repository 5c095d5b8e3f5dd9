"""What is asked of a node about its volumes, and the tags of what it says of them.

The facts: contracts/facts.md. An order is answered later, by a word of that tag, or by a signed
refusal that names its number.
"""

from typing import Final

from msgspec import Struct

FORMATTED: Final = "gpuaas.volume.formatted.v1"
GROWN: Final = "gpuaas.volume.grown.v1"
SNAPSHOTTED: Final = "gpuaas.volume.snapshotted.v1"
RESTORED: Final = "gpuaas.volume.restored.v1"
WIPED: Final = "gpuaas.volume.wiped.v1"
STRAY_WIPED: Final = "gpuaas.node.volume_wiped.v1"

MIB: Final = 1 << 20


class CreateVolume(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.create"):
    """Make it: so large, empty, its space taken from the disk at once."""

    volume: str
    size_mib: int


class GrowVolume(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.grow"):
    """Make it this large, attached or not."""

    volume: str
    size_mib: int


class SnapshotVolume(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.snapshot"):
    """Copy it as it is now under this name, attached or not."""

    volume: str
    snapshot: str


class RestoreVolume(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.restore"):
    """Make it what the snapshot is; its size stays."""

    volume: str
    snapshot: str


class WipeVolume(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.wipe"):
    """Overwrite it and its snapshots and remove them; the answer is a receipt."""

    volume: str


class WipeStray(Struct, frozen=True, forbid_unknown_fields=True, tag="volume.wipe_stray"):
    """As a wipe, of what lies here though it is lost or deleted; the answer is the node's own."""

    volume: str


# Of a volume, not of an allocation: the command's `allocation` is empty, its `epoch` 0.
type VolumeOrder = (
    CreateVolume | GrowVolume | SnapshotVolume | RestoreVolume | WipeVolume | WipeStray
)  # fmt: skip
VOLUME_ORDERS: Final = (
    CreateVolume, GrowVolume, SnapshotVolume, RestoreVolume, WipeVolume, WipeStray,
)  # fmt: skip
