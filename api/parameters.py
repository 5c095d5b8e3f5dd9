"""Paths and queries that no handler need look at twice: plain text, whole numbers as we write them.

A guard, so that a new route cannot leave it out. Bodies are looked at in `body.py`.
"""

import inspect
import re
from functools import cache
from typing import Any, Final, Literal, TypeAliasType, get_args, get_origin

from litestar import Response
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from api.body import check_word
from api.edge import whole
from domain.errors import DomainError

_WORD: Final[Any] = FromPath[str]
_NAMED: Final = re.compile(r"{(\w+):")
_LONGEST: Final = 2000


def plain(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises: DomainError request.text, request.invalid, request.malformed."""
    _check_host(connection)
    check_word(connection.scope["path"], _LONGEST)
    if not connection.scope["query_string"]:
        return
    for name, value in connection.query_params.multi_items():
        check_word(name, _LONGEST)
        check_word(str(value), _LONGEST)
        if name in _numbers(handler) and whole(str(value)) is None:
            raise DomainError(
                "request.invalid", f"{name} is a whole number", {"pointer": f"/{name}"}
            )
        known = _words(handler).get(name)
        if known is not None and value not in known:
            detail = f"{name} is one of {', '.join(known)}"
            raise DomainError("request.invalid", detail, {"pointer": f"/{name}"})


def _check_host(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """RFC 9112 section 3.2: with HTTP/1.1 exactly one; the server puts an empty one for none."""
    named = [value for name, value in connection.scope["headers"] if name == b"host"]
    if len(named) > 1 or (connection.scope["http_version"] == "1.1" and not any(named)):
        raise DomainError("request.malformed", "send one Host")


@cache
def _numbers(handler: BaseRouteHandler) -> frozenset[str]:
    """The handler's parameters that are whole numbers; conversion alone would take 1e2 for one."""
    if not isinstance(handler, HTTPRouteHandler):
        return frozenset()
    found = handler.parsed_fn_signature.parameters.items()
    return frozenset(name for name, one in found if int in get_args(one.annotation))


@cache
def _words(handler: BaseRouteHandler) -> dict[str, tuple[str, ...]]:
    """The handler's parameters that are one of a few words, as they are called in a query."""
    if not isinstance(handler, HTTPRouteHandler):
        return {}
    found = {}
    for name, one in inspect.signature(handler.fn).parameters.items():
        of, *more = get_args(one.annotation) or (None,)
        for kind in get_args(of):
            meant = kind.__value__ if isinstance(kind, TypeAliasType) else kind
            if get_origin(meant) is Literal:
                said = [told.name for told in more if isinstance(told, QueryParameter)]
                found[next(filter(None, said), name)] = get_args(meant)
    return found


@cache
def of_words(handler: BaseRouteHandler) -> bool:
    """Whether it is a GET whose function, where there is no query, is called with the request and
    the words of its path as they are, and gives a whole answer.
    """
    if not isinstance(handler, HTTPRouteHandler) or "GET" not in handler.http_methods:
        return False
    asked = inspect.signature(handler.fn)
    whole = get_origin(asked.return_annotation) is Response
    if (
        not whole
        or not inspect.iscoroutinefunction(handler.fn)
        or "request" not in asked.parameters
    ):
        return False
    others = [one for name, one in asked.parameters.items() if name != "request"]
    words = {one.name for one in others if one.annotation == _WORD}
    named = {word for path in handler.paths for word in _NAMED.findall(path)}
    return words == named and all(one.name in words or _left_out(one) for one in others)


def _left_out(one: inspect.Parameter) -> bool:
    """Whether it is of the query, and need not be there."""
    queried = any(isinstance(kind, QueryParameter) for kind in get_args(one.annotation))
    return queried and one.default is not inspect.Parameter.empty
