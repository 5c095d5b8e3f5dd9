from msgspec import Struct

from domain.words import Private


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.department.created.v1"):
    organization: str
    name: Private
    created_us: int
