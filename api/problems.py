"""Every refusal as the answer of a request: `api.refusals` says which."""

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from api.allowing import listed
from api.refusals import MEDIA, problem_bytes
from domain.errors import DomainError

_LOG: Final = logging.getLogger("gpuaas.api")

type _Asked = Request[Any, Any, Any]

_NO_BODY: Final = "'data'"  # how the framework names a handler's body that was not sent
_OF_STATUS: Final = {
    400: "request.malformed",
    401: "auth.invalid",
    403: "auth.forbidden",
    404: "resource.unknown",
    405: "request.method",
    413: "request.too_large",
    415: "request.media_type",
}


def _answer(
    error: DomainError, to: _Asked | None = None, extra: Mapping[str, str] | None = None
) -> Response[bytes]:
    correlation = uuid.uuid4().hex
    status, body, headers = problem_bytes(error, correlation)
    if status >= 500:
        _LOG.error("%s %s", correlation, error)
    elif to is not None:
        to.app.state.refusal_log.tell(to, error, correlation)
    return Response(
        body, status_code=status, media_type=MEDIA, headers={**headers, **(extra or {})}
    )


def in_place(error: DomainError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """The refusal as status, body and raw headers, in place of an answer that was made already."""
    answer = _answer(error)
    headers = {"content-type": MEDIA, "content-length": str(len(answer.content)), **answer.headers}
    raw = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
    return answer.status_code or 0, answer.content, raw


def refused(request: _Asked, error: DomainError) -> Response[bytes]:
    return _answer(error, request)


def framework(request: _Asked, error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals (no route, wrong method, bad parameter) in our form."""
    cause = error.__cause__
    if isinstance(cause, DomainError):
        return _answer(cause, request)
    status = error.status_code
    if status >= 500:
        return _answer(_fault(error))
    code = _OF_STATUS.get(status, "request.invalid")
    detail = error.detail
    if isinstance(error.extra, list) and error.extra and isinstance(error.extra[0], dict):
        code, detail = "request.invalid", str(error.extra[0].get("message", detail))
    if detail == _NO_BODY:
        code, detail = "request.malformed", "there is no body: send one JSON object"
    allow = (error.headers or {}).get("allow")
    allowed = None if allow is None else {"Allow": listed(allow.split(", "))}
    return _answer(DomainError(code, detail), request, allowed)


def _fault(error: Exception) -> DomainError:
    # The edge of a request is an outermost loop: one broken request must not end the others.
    _LOG.error("a request failed", exc_info=error)
    return DomainError("server.fault", "the server failed; the correlation id is in its log")


def broken(_: _Asked, error: Exception) -> Response[bytes]:
    return _answer(_fault(error))


HANDLERS: Final[
    dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]
] = {
    DomainError: refused,
    HTTPException: framework,
    Exception: broken,
}
