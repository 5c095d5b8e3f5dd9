from msgspec import Struct


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.opened.v1"):
    organization: str
    currency: str
    minor_digits: int
    zone: str
    tzdata: str
    opened_us: int


class Invoiced(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.invoiced.v1"):
    invoice: str
    sequence: int
