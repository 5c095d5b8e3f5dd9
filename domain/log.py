from msgspec import UNSET, Struct, UnsetType

from domain.words import Continues


class Opened(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="gpuaas.log.opened.v1"
):
    format: str
    origin: str
    vkey: str
    continues: Continues | UnsetType = UNSET


class Heartbeat(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.log.heartbeat.v1"):
    pass
