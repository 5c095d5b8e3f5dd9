"""Facts of second factors at the embedded issuer: that one is there, never what it is.

(none) -Enrolled-> pending -Confirmed-> there -Used-> there -Removed-> (none)
What a code is checked against lies sealed in a table of the API, whose row follows these facts.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

TOTP, RECOVERY = "totp", "recovery_code"


class Enrolled(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.factor_enrolled.v1"
):
    """It counts once it is confirmed."""

    principal: str
    means: str
    decided_us: int


class Confirmed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.factor_confirmed.v1"
):
    principal: str
    means: str
    recovery_codes: int  # that were made with it
    decided_us: int


class Used(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.factor_used.v1"):
    """For a token that says so, until `expires_us`."""

    principal: str
    means: str
    expires_us: int
    decided_us: int


class Locked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.factor_locked.v1"):
    """After so many wrong codes no code is looked at until then."""

    principal: str
    failures: int
    until_us: int
    decided_us: int


class Replaced(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.recovery_codes_replaced.v1"
):
    principal: str
    recovery_codes: int
    decided_us: int


class Removed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.factor_removed.v1"
):
    """By a code of it (no policies), or by who may for others."""

    principal: str
    means: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class Told(Struct, frozen=True):
    """What its stream says: the versions of the facts that count, 0 for none."""

    enrolled: int = 0  # of the one that is there or pending
    confirmed: int = 0
    codes: int = 0  # that its recovery codes are of
    removed: int = 0


def told(facts: Iterable[tuple[int, Struct]]) -> Told:
    """Of (version, fact) in their order."""
    said = Told()
    for version, fact in facts:
        match fact:
            case Enrolled():
                said = Told(enrolled=version, removed=said.removed)
            case Confirmed():
                said = replace(said, confirmed=version, codes=version)
            case Replaced():
                said = replace(said, codes=version)
            case Removed():
                said = Told(removed=version)
            case _:
                pass
    return said
