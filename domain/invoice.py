from msgspec import Struct


class Finalized(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.finalized.v1"):
    number: str
    account: str
    period: str
    currency: str
    minor_digits: int
    total_pico: int
    total_minor: int
    line_count: int
    file: str
    sha256: str
    closed: int
    finalized_us: int


class Issued(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.invoice.issued.v1"):
    issued_us: int
