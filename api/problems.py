"""Every refusal as RFC 9457 problem JSON; the HTTP status of a code is decided here alone."""

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from contracts.http import FieldError, Problem
from domain.errors import DomainError

MEDIA: Final = "application/problem+json"
DOCS: Final = "https://gpuaas.dev/problems/"
RETRY_S: Final = 1
_LOG: Final = logging.getLogger("gpuaas.api")

# A code not named here has the status of its last word, then of its first, then 409: the platform
# understood and refused.
_BY_CODE: Final[dict[str, int]] = {
    "auth.missing": 401,
    "auth.invalid": 401,
    "auth.expired": 401,
    "auth.forbidden": 403,
    "request.malformed": 400,
    "request.invalid": 400,
    "request.text": 400,
    "request.too_deep": 400,
    "request.too_large": 413,
    "request.media_type": 415,
    "request.method": 405,
    "resource.unknown": 404,
    "idempotency_key.required": 400,
    "idempotency_key.reused": 422,
    "idempotency_key.in_flight": 409,
    "if_match.required": 428,
    "if_match.stale": 412,
    "position.not_reached": 503,
    "position.unknown": 400,
    "receipt.not_signed": 409,
    "checkpoint.none": 503,
    "log.version_stale": 409,
    "log.unavailable": 503,
    "log.unsigned_tail": 503,
    "clock.disagrees": 503,
    "entry.refused": 400,
    "entry.oversized": 413,
    "admission.unavailable": 503,
    "admission.busy": 503,
    "server.fault": 500,
    "token.malformed": 401,
    "enrol.proof": 401,
    "capacity.none_fits": 409,
    "quota.exceeded": 409,
}
_BY_LAST: Final = {"unknown": 404, "malformed": 400, "invalid": 400, "unavailable": 503}
_RETRY: Final = {409: ("idempotency_key.in_flight", "receipt.not_signed", "log.version_stale")}
_OF_STATUS: Final = {
    400: "request.malformed",
    401: "auth.invalid",
    403: "auth.forbidden",
    404: "resource.unknown",
    405: "request.method",
    413: "request.too_large",
    415: "request.media_type",
}


def status_of(code: str) -> int:
    """The HTTP status of a refusal."""
    known = _BY_CODE.get(code)
    return known if known is not None else _BY_LAST.get(code.rpartition(".")[2], 409)


def title_of(code: str) -> str:
    """A short human name: the code's words."""
    return code.replace(".", ": ").replace("_", " ")


def problem_bytes(error: DomainError, correlation: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a refusal."""
    status = status_of(error.code)
    facts: dict[str, int | str] = dict(error.facts)
    pointer = facts.pop("pointer", None)
    fields = [] if pointer is None else [FieldError(pointer=str(pointer), detail=error.detail)]
    body = Problem(
        type=DOCS + error.code,
        title=title_of(error.code),
        status=status,
        code=error.code,
        detail=error.detail,
        correlation_id=correlation,
        errors=fields,
        facts=facts,
    )
    headers = {}
    if status == 503 or error.code in _RETRY.get(status, ()):
        headers["Retry-After"] = str(RETRY_S)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="gpuaas"'
    return status, msgspec.json.encode(body), headers


def _answer(error: DomainError, extra: Mapping[str, str] | None = None) -> Response[bytes]:
    correlation = uuid.uuid4().hex
    status, body, headers = problem_bytes(error, correlation)
    if status >= 500:
        _LOG.error("%s %s", correlation, error)
    return Response(
        body, status_code=status, media_type=MEDIA, headers={**headers, **(extra or {})}
    )


def refused(_: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
    return _answer(error)


def framework(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals (no route, wrong method, bad parameter) in our form."""
    cause = error.__cause__
    if isinstance(cause, DomainError):
        return _answer(cause)
    status = error.status_code
    if status >= 500:
        return _answer(_fault(error))
    code = _OF_STATUS.get(status, "request.invalid")
    detail = error.detail
    if isinstance(error.extra, list) and error.extra and isinstance(error.extra[0], dict):
        code, detail = "request.invalid", str(error.extra[0].get("message", detail))
    allow = {"Allow": error.headers["Allow"]} if error.headers and "Allow" in error.headers else {}
    return _answer(DomainError(code, detail), allow)


def _fault(error: Exception) -> DomainError:
    # The edge of a request is an outermost loop: one broken request must not end the others.
    _LOG.error("a request failed", exc_info=error)
    return DomainError("server.fault", "the server failed; the correlation id is in its log")


def broken(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return _answer(_fault(error))


HANDLERS: Final[
    dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]
] = {
    DomainError: refused,
    HTTPException: framework,
    Exception: broken,
}
