from msgspec import Struct


class TokenIssued(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.token_issued.v1"
):
    principal: str
    role: str
    expires_us: int
