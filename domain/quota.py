from msgspec import Struct


class LimitSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.limit_set.v1"):
    scope: str
    model: str
    limit_milli: int
    decided_us: int


class Committed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.committed.v1"):
    runtime: str
    department: str
    project: str
    model: str
    gpu_milli: int
    decided_us: int


class Released(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.released.v1"):
    runtime: str
    decided_us: int
