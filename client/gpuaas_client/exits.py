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
    "action.unknown": NOT_FOUND,
    "config.missing": NOT_ALLOWED,
    "model.unknown": NOT_FOUND,
    "organization.unclear": USAGE,
    "period.unknown": NOT_FOUND,
    "problem.unknown": NOT_FOUND,
    "profile.no_session": NOT_ALLOWED,
    "profile.unknown": NOT_FOUND,
    "project.unclear": USAGE,
    "runtime.ambiguous": USAGE,
    "runtime.unknown": NOT_FOUND,
    "ssh.simulated": CONFLICT,
}
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
    if not isinstance(error, Refused) and error.code in _OWN:
        return _OWN[error.code]
    return next((status for kind, status in _KINDS if isinstance(error, kind)), FAILED)
