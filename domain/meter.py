from msgspec import Struct


class Registered(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.meter.registered.v1"):
    meter: str
    unit: str
    source: str
    aggregation: str
    registered_us: int
