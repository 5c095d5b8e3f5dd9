"""What the admission remembers of a runtime and of a volume, and of their states before."""

from typing import Final

from msgspec import Struct

from domain import node, quota, runtime, volume

UNDOABLE: Final = 8  # earlier states of one kept for `undo`


class Held(Struct):
    """A runtime and what it holds; `past` are its states before, for `undo`."""

    org: str
    account: str
    state: runtime.State
    past: tuple[runtime.State, ...] = ()
    allocated: node.Allocated | None = None
    lease: node.Lease | None = None  # as it was when released
    kept: tuple[str, ...] = ()  # likewise, of its node
    committed: quota.Committed | None = None
    drawn: str = ""  # the reservation of that commitment, if any
    eased_us: int = 0
    spot: bool = False


class Stored(Struct):
    """A volume that is not wiped yet; `past` are its states before, for `undo`."""

    state: volume.Held
    region: str  # of its node when it was created
    past: tuple[volume.Held, ...] = ()
