"""Every refusal as RFC 9457 problem JSON; the HTTP status of a code is decided here alone."""

from typing import Final

import msgspec

from contracts.forms import told
from contracts.http import FieldError, Problem
from contracts.problems import PROBLEMS
from domain.errors import DomainError

MEDIA: Final = "application/problem+json"
# RFC 9457 takes a relative `type`: each deployment serves the pages of its own release.
DOCS: Final = "/v1/problems/"
RETRY_S: Final = 1
# Refusals that a sign-in turns, and what it is asked for.
_SIGN_IN: Final = {
    "auth.login_stale": "a recent sign-in is asked for",
    "auth.mfa_required": "a second factor is asked for",
}
# Refusals that the same request may pass a moment later.
_SOON: Final = {
    "idempotency_key.in_flight",
    "receipt.not_signed",
    "log.version_stale",
    "export.not_signed",
}


def status_of(code: str) -> int:
    """The HTTP status of a refusal, from contracts/problems.py; 409 for one it does not list."""
    known = PROBLEMS.get(code)
    return 409 if known is None else known.status


def problem_of(error: DomainError, correlation: str) -> Problem:
    """What stands in a refusal's body; the same words where an answer tells of one."""
    known = PROBLEMS.get(error.code)
    facts: dict[str, int | str] = dict(error.facts)
    pointer = facts.pop("pointer", None)
    field = FieldError(pointer=str(pointer), detail=error.detail, form=told(error.detail))
    return Problem(
        type=DOCS + error.code,
        title=error.code if known is None else known.title,
        status=status_of(error.code),
        code=error.code,
        detail=error.detail,
        remedy="" if known is None else known.remedy,
        correlation_id=correlation,
        errors=[] if pointer is None else [field],
        facts=facts,
    )


def problem_bytes(error: DomainError, correlation: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a refusal."""
    status, body = status_of(error.code), problem_of(error, correlation)
    headers = {}
    if status == 503 or error.code in _SOON:
        headers["Retry-After"] = str(RETRY_S)
    if error.code in {"rate.limited", "mfa.locked"}:
        headers["Retry-After"] = str(error.facts.get("retry_after_s", RETRY_S))
    if error.code in _SIGN_IN:
        headers["WWW-Authenticate"] = _step_up(error)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="gpuaas"'
    return status, msgspec.json.encode(body), headers


def _step_up(error: DomainError) -> str:
    """The challenge of RFC 9470 section 3: what to ask the issuer for."""
    said = (
        'Bearer realm="gpuaas", error="insufficient_user_authentication", '
        f'error_description="{_SIGN_IN[error.code]}"'
    )
    asked = ((name, error.facts.get(name)) for name in ("acr_values", "max_age"))
    return "".join([said, *(f', {name}="{value}"' for name, value in asked if value)])
