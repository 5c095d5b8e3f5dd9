"""What an exit status says: by it a script knows whose turn it is (table: client/README.md)."""

from typing import Final

from gpuaas_client.errors import (
    Conflict,
    Forbidden,
    GpuaasError,
    Impostor,
    NotFound,
    NotSignedIn,
    Refused,
    Unauthenticated,
    Unavailable,
    Unreachable,
)

DONE: Final = 0
FAILED: Final = 1  # of its own making: not ready, not verified, a file in the way
USAGE: Final = 2  # click's own
NOT_ALLOWED: Final = 3
NOT_FOUND: Final = 4
CONFLICT: Final = 5
LIMIT: Final = 6
NOT_NOW: Final = 7
IMPOSTOR: Final = 8
INTERRUPTED: Final = 130
# Less, another model, later or more money passes.
LIMITS: Final = frozenset(
    {
        "account.over_limit",
        "account.suspended",
        "budget.exhausted",
        "capacity.none_fits",
        "quota.exceeded",
        "quota.lent",
        "wallet.arrears",
        "wallet.frozen",
        "wallet.insufficient",
    }
)
# What the command itself finds out, by the rows of the same table.
_OWN: Final = {
    "config.missing": NOT_ALLOWED,
    "profile.no_session": NOT_ALLOWED,
    "ssh.simulated": CONFLICT,
}
_OWN_ENDS: Final = {"ambiguous": USAGE, "unclear": USAGE, "unknown": NOT_FOUND}
_KINDS: Final[tuple[tuple[type[GpuaasError], int], ...]] = (
    (Unauthenticated, NOT_ALLOWED),
    (NotSignedIn, NOT_ALLOWED),
    (Forbidden, NOT_ALLOWED),
    (NotFound, NOT_FOUND),
    (Conflict, CONFLICT),
    (Unavailable, NOT_NOW),
    (Unreachable, NOT_NOW),
    (Impostor, IMPOSTOR),
)


def status_of(error: GpuaasError) -> int:
    """Of a command that ended so."""
    if error.code in LIMITS:
        return LIMIT
    if not isinstance(error, Refused):
        end = error.code.rpartition(".")[2]
        if own := _OWN.get(error.code) or _OWN_ENDS.get(end):
            return own
    return next((status for kind, status in _KINDS if isinstance(error, kind)), FAILED)
