from msgspec import Struct


class EntryPublished(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.entry_published.v1"
):
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    published_us: int
    price_pico: int
    divisor: int
