from msgspec import Struct

from domain.words import Private


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.project.created.v1"):
    organization: str
    department: str
    account: str
    name: Private
    created_us: int
