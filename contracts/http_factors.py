"""What the front door takes and gives about second factors at the embedded issuer."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, OrganizationId, Reason, Taken

# Six digits, or a recovery code with or without its dashes.
type OneTimeCode = Annotated[str, Meta(pattern="^([0-9]{6}|[A-Za-z2-7 -]{20,30})$")]
type UserId = Annotated[str, Meta(pattern="^user-[A-Za-z0-9_.-]{1,92}$")]


class TotpNew(Taken, frozen=True):
    """`label`: what the authenticator shows beside it; the principal's id without one."""

    label: Annotated[str, Meta(max_length=60, pattern="^[A-Za-z0-9_.@ -]*$")] = ""


class FactorSecret(Given, frozen=True):
    """`secret` in base32, and in `address` (`otpauth://`): shown once."""

    principal: str
    secret: str | None
    address: str | None
    secret_already_shown: bool


class Code(Taken, frozen=True):
    """Of the authenticator, or a recovery code where that counts; each counts once."""

    code: OneTimeCode


class RecoveryCodes(Given, frozen=True):
    """Each counts once in place of a code. Shown once."""

    principal: str
    recovery_codes: list[str] | None
    secret_already_shown: bool


class SteppedUp(Given, frozen=True):
    """`token` is shown once. `means`: `totp` or `recovery_code`."""

    principal: str
    means: str
    token: str | None
    amr: list[str]
    acr: str
    expires_at: Instant
    secret_already_shown: bool


class FactorEnd(Taken, frozen=True, kw_only=True):
    """One's own by a `code`; somebody else's (`principal`) by an owner."""

    code: OneTimeCode | None = None
    principal: UserId | None = None
    organization: OrganizationId | None = None
    reason: Reason = "removed"


class FactorEnded(Given, frozen=True):
    principal: str
    version: int | None


class SecondFactor(Given, frozen=True):
    """`state`: `none`, `pending` until a code was confirmed, `confirmed`."""

    principal: str
    state: str
    recovery_codes_left: int
    locked_until: Instant | None
