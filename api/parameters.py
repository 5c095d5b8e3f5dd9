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
from msgspec import Struct

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
    asked = _queried(handler)
    for name, value in connection.query_params.multi_items():
        check_word(name, _LONGEST)
        check_word(str(value), _LONGEST)
        if name in _numbers(handler) and whole(str(value)) is None:
            raise _wrong(name, f"{name} is a whole number")
        if name not in asked:
            _check_unknown(handler, name)
        elif asked[name].words and value not in asked[name].words:
            raise _wrong(name, f"{name} is one of {', '.join(asked[name].words)}")
        elif not asked[name].many and len(connection.query_params.getall(name)) > 1:
            raise _wrong(name, f"{name} is said once")


def _check_unknown(handler: BaseRouteHandler, name: str) -> None:
    """What is misspelled would be answered as if nobody had asked for it. A WebSocket reads its
    own, and to what is public others' links add theirs.
    """
    own = isinstance(handler, HTTPRouteHandler) and "OPTIONS" not in handler.http_methods
    if own and not handler.opt.get("public"):
        known = ", ".join(sorted(_queried(handler))) or "none"
        raise _wrong(name, f"no parameter of this is called so: {known}")


def _wrong(name: str, detail: str) -> DomainError:
    return DomainError("request.invalid", detail, {"pointer": f"/{name}"})


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


class _Queried(Struct, frozen=True):
    """Of a parameter of the query: the words that it may be, if only those; may it come again."""

    words: tuple[str, ...]
    many: bool


@cache
def _queried(handler: BaseRouteHandler) -> dict[str, _Queried]:
    """The handler's parameters as they are called in a query."""
    if not isinstance(handler, HTTPRouteHandler):
        return {}
    found = {}
    for name, one in inspect.signature(handler.fn).parameters.items():
        of, *more = get_args(one.annotation) or (None,)
        kinds = [
            kind.__value__ if isinstance(kind, TypeAliasType) else kind
            for kind in (of, *get_args(of))
        ]
        words = [get_args(kind) for kind in kinds if get_origin(kind) is Literal]
        many = any(get_origin(kind) is list for kind in kinds)
        for said in more:
            if isinstance(said, QueryParameter):
                found[said.name or name] = _Queried(words[0] if words else (), many)
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
