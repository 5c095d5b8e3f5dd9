"""What stands, or stood at a position, of an organization's authority; and people's words."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import psycopg
from litestar import Response
from msgspec import Struct

from api.auth import unknown
from api.authorization.folded import at
from api.authorization.wishing import organization_of
from api.body import FrontRequest
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Given, Page
from domain.authority import authority_stream
from domain.authority_state import Authority
from evidence.reader import Recorded
from projections.reach import Reach

_WORDS: Final = """
SELECT encode(digest, 'hex'), words FROM log.private_value
WHERE digest = ANY(%(digests)s) AND sha256(salt || convert_to(words, 'UTF8')) = digest"""


class Seen(Struct, frozen=True):
    """`made`: the entry that each standing thing began with, by its id. `reach`: what of it may be
    shown.
    """

    org: str
    state: Authority
    made: Mapping[str, Recorded]
    version: int
    reach: Reach

    def shows(self, scope: str | None = None) -> bool:
        """Whether the caller may be shown what is of the scope (the organization without one)."""
        scope = scope or self.org
        return self.reach.covers(self.state.resources.get(scope, scope), scope)


async def seen(request: FrontRequest, organization: str | None, as_of: str | None) -> Seen:
    """Of one organization. Raises: DomainError resource.unknown, as_of.*."""
    org = organization_of(request.user, organization)
    reach = await reachable(request, org)
    services, position = await viewed(request, as_of)
    if position is None:
        found = await services.authorities.of(org)
    else:
        recorded = await services.log.read_stream(authority_stream(org))
        found = at([one for one in recorded if one.position <= position])
    return Seen(org, found.state, found.made, found.version, reach)


async def seen_with(
    request: FrontRequest, organization: str | None, as_of: str | None, name: str, what: str
) -> Seen:
    """As `seen`; where the platform's own operator names no organization, of the one that has, or
    had, the thing: an id says whose it is. Raises: also DomainError resource.unknown.
    """
    if organization is None and request.user.reads_all and request.user.role:
        services = services_of(request)
        await services.following.catch_up()
        known = services.directory.authorities()
        found = [org for org, one in known.items() if _had(one, name)]
        if not found:
            raise unknown(what)
        organization = found[0] if len(found) == 1 else None  # a person may belong to several
    return await seen(request, organization, as_of)


def _had(one: Authority, name: str) -> bool:
    there = (one.invitations, one.members, one.groups, one.accounts, one.bindings, one.guardrails)
    return any(name in some for some in there) or name in one.gone


def single[T, G: Given](
    things: Iterable[tuple[int, T]], make: Callable[[T], G], what: str, version: int
) -> Response[Any]:
    """The only one, with its ETag. Raises: DomainError resource.unknown."""
    for _, one in things:
        return tagged(make(one), version)
    raise unknown(what)


def paged[T, G: Given](
    things: Iterable[tuple[int, T]], asked: tuple[str | None, int | None], make: Callable[[T], G]
) -> Page[G]:
    """In the order of the positions at which they began; `asked` = (cursor, limit)."""
    size = page_size(asked[1])
    return page(cut(things, asked), size, lambda row: make(row[1]), lambda row: row[0])


def cut[T](
    things: Iterable[tuple[int, T]], asked: tuple[str | None, int | None]
) -> list[tuple[int, T]]:
    """Those of the page, and the one behind it."""
    start, size = after(asked[0]), page_size(asked[1])
    rows = sorted((one for one in things if one[0] > start), key=lambda one: one[0])
    return rows[: size + 1]


async def words(request: FrontRequest, digests: list[str]) -> dict[str, str]:
    """People's words by their digest; those that were erased are left out."""
    wanted = [bytes.fromhex(one) for one in digests]
    return await services_of(request).reads.ask(_words, wanted) if wanted else {}


def _words(conn: psycopg.Connection[Any], digests: list[bytes]) -> dict[str, str]:
    return dict(conn.execute(_WORDS, {"digests": digests}).fetchall())
