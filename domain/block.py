"""A block: runtimes that were placed together, all of them or none (their ends are their own)."""

from msgspec import Struct


class Placed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.block.placed.v1"):
    """`policy`: pack, spread or topology. `runtimes` in the order in which they were placed."""

    project: str
    policy: str
    runtimes: tuple[str, ...]
    decided_us: int
