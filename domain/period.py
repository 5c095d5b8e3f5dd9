from msgspec import Struct


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.period.opened.v1"):
    account: str
    sequence: int
    start_us: int
    end_us: int
    zone: str
    tzdata: str
    opened_us: int


class Closed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.period.closed.v1"):
    account: str
    start_us: int
    end_us: int
    closed_us: int
