"""What every GET shares: Min-Log-Position, as_of, the caller's scope, pages with an
opaque cursor.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from litestar import Response

from api.auth import allow, reach_of, unknown
from api.authorization.cedar import PLATFORM
from api.authorization.door import EACH
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.edge import parse_instant, whole
from api.paging import after_words, cursor_of_words, no_cursor, page_size
from api.paging import cursor as cursor_of
from api.ready import Ready
from api.services import Services, services_of
from contracts.http import PAGE_LIMIT, Given, Page
from domain.errors import DomainError
from evidence.reader import head
from projections.asof import position_at
from projections.reach import Reach

_ORGANIZATION: Final = re.compile(r"organization-[0-9a-f-]{36}")


async def reachable(request: FrontRequest, organization: str | None = None) -> Reach:
    """What the list that is asked for may show: what a decision about each thing would, of the
    caller's own organization, or of any one (None: all) for the platform.

    Raises: DomainError resource.unknown for another organization's; log.unavailable.
    """
    principal = request.user
    if principal.reads_all:
        return _anybodys(principal, organization)
    if organization not in (None, principal.org):
        raise unknown("organization")
    found = reach_of(principal, principal.org)
    if not found.whole:  # another process may have made a project in it a moment ago
        await services_of(request).following.catch_up()
        found = reach_of(principal, principal.org)
    return found


def _anybodys(principal: Principal, organization: str | None) -> Reach:
    """Of the platform's own. Its staff names an organization to see what it sees by break-glass."""
    door = principal.door
    assert door is not None, "the guard gives it"
    if organization not in (None, PLATFORM) and not _ORGANIZATION.fullmatch(organization):
        raise unknown("organization")
    if principal.role or (organization is None and door.everywhere(principal, principal.action)):
        return Reach(organization)
    if organization is None:
        raise door.refusal(principal, principal.action, door.tenants.place(EACH, EACH))
    found = reach_of(principal, organization)
    if not found.everywhere and not found.scopes:
        allow(principal, principal.action, organization)
    return found


async def viewed(request: Any, as_of: str | None = None) -> tuple[Services, int | None]:
    """The services once the views are new enough, and `as_of` as a position (None: now).

    Raises: DomainError view.behind, as_of.before_log, as_of.in_future, request.invalid.
    """
    services = services_of(request)
    await services.fresh(request)
    if as_of is None:
        return services, None
    position = whole(as_of)
    if position is not None:
        size = (await services.reads.ask(head)).size
        if position >= size:
            raise DomainError("as_of.in_future", "the log has not reached it", {"size": size})
    else:
        position = await services.reads.ask(position_at, parse_instant(as_of))
    await services.reached(position)
    return services, position


def page[T, G: Given](
    rows: Sequence[T], limit: int, make: Callable[[T], G], key: Callable[[T], int]
) -> Page[G]:
    """`rows` was asked with limit + 1: the row too many only says that there is a next page."""
    shown = rows[:limit]
    following = cursor_of(key(shown[-1])) if len(rows) > limit else None
    return Page(items=[make(row) for row in shown], next=following)


def slicing(cursor: str | None, limit: int | None) -> tuple[list[str] | None, int]:
    """Behind which one a page of `sliced` begins (None: the first), and its size; asked before
    anything is looked for. Raises: DomainError request.invalid.
    """
    size = PAGE_LIMIT if limit is None else page_size(limit)
    return (None if cursor is None else after_words(cursor)), size


def sliced[G: Given](
    items: Sequence[G], key: tuple[str, ...], asked: tuple[str | None, int | None]
) -> Page[G]:
    """A page of a list that is short enough to be read whole, in its order; `asked` = (cursor,
    limit). `key`: the fields that nothing else in the list has the same of. Goes on behind the last
    one, or, where that is gone, behind where it would stand.
    """
    last, size = slicing(*asked)

    def named(one: G) -> list[str | int]:
        values = [getattr(one, name) for name in key]
        return [value if isinstance(value, int) else str(value) for value in values]

    start = 0
    if last is not None and items:
        names = [named(one) for one in items]
        known = _typed(last, names[0])
        behind = (place for place, one in enumerate(names) if one > known)
        start = names.index(known) + 1 if known in names else next(behind, len(names))
    shown = list(items[start : start + size])
    more = start + size < len(items)
    following = cursor_of_words([*map(str, named(shown[-1]))]) if more else None
    return Page(items=shown, next=following)


def _typed(words: list[str], like: list[str | int]) -> list[str | int]:
    """A cursor's words as a key of the list has them. Raises: DomainError request.invalid."""
    found = [
        whole(word) if isinstance(value, int) else word
        for word, value in zip(words, like, strict=False)
    ]
    known = [value for value in found if value is not None]
    if not len(words) == len(like) == len(known):
        raise no_cursor()
    return known


def sealed(
    request: Any, data: bytes, media: str, tag: str, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Bytes that never change, under a tag of their own; 304 for whoever has them already.

    Source: RFC 9110 sections 13.1.2 and 15.4.5.
    """
    etag = f'"{tag}"'
    known = [
        one.strip().removeprefix("W/")
        for one in request.headers.get("if-none-match", "").split(",")
    ]
    said = {"ETag": etag, **(headers or {})}
    if etag in known or known == ["*"]:
        return Response(b"", status_code=304, media_type=media, headers=said)
    return Response(data, media_type=media, headers=said)


def tagged(body: Given, version: int) -> Response[Any]:
    """One thing with its ETag: the version of its aggregate."""
    return Ready(msgspec.json.encode(body), 200, [(b"etag", b'"%d"' % version)])
