from msgspec import Struct

from domain.words import Private


class Created(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.created.v1"
):
    name: Private
    created_us: int


class Suspended(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.suspended.v1"
):
    reason: str
    decided_us: int


class Reactivated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.reactivated.v1"
):
    reason: str
    decided_us: int
