"""Words of a command that are an id, or the name of the one thing of its kind that has it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

import click
from click.shell_completion import CompletionItem
from msgspec import Struct

from gpuaas_client import completing, operations
from gpuaas_client.call import Call
from gpuaas_client.client import Client
from gpuaas_client.errors import Forbidden, GpuaasError
from gpuaas_client.session import Session, session_of
from gpuaas_client.telling import plain

_PAGE: Final = 500
# Of one name, what has not ended is meant.
_ENDED: Final = frozenset({"stopped", "failed", "lost", "cancelled", "deleted", "wiping", "closed"})
_NO_NAMES: Final = frozenset({"", "-", ".", ".."})
_TOLD: Final = 5


class Kind(Struct, frozen=True):
    """`prefix`: what its ids begin with; `verb`: what lists them."""

    prefix: str
    word: str
    verb: str
    asked: Callable[[], Call[Any]]


def _kind(word: str, verb: str, asked: Callable[..., Call[Any]], prefix: str = "") -> Kind:
    return Kind(prefix or word, word, f"gpuaas {verb}", lambda: asked(limit=_PAGE))


_DEPARTMENT: Final = _kind("department", "department list", operations.list_departments)
_GROUP: Final = _kind("group", "group list", operations.list_groups)
_ORGANIZATION: Final = _kind("organization", "organization list", operations.list_organizations)
_PROJECT: Final = _kind("project", "project list", operations.list_projects)
_RUNTIME: Final = _kind("runtime", "list", operations.list_runtimes)
_SERVICE: Final = _kind(
    "service account", "service-account list", operations.list_service_accounts, "service"
)
_VOLUME: Final = _kind("volume", "volume list", operations.list_volumes)


def identified(session: Session, typed: str, kinds: Sequence[Kind], ids: Sequence[str] = ()) -> str:
    """The id that was typed, or that of the one thing of these kinds which has that name; of many
    of one name, of the one that has not ended. `ids`: what ids of other kinds begin with.

    KIND:NAME is of that kind alone. What cannot be looked up goes to the API as it is. Raises:
    GpuaasError KIND.unknown, with the names that are near, KIND.ambiguous; name.unknown,
    name.ambiguous of several kinds.
    """
    own = (*(f"{one.prefix}-" for one in kinds), *ids)
    if typed in _NO_NAMES or typed.startswith(own):
        return typed
    word, colon, rest = typed.partition(":")
    of = [one for one in kinds if colon and one.word == word]
    if of:
        return identified(session, rest, of)
    every, hidden = _every(session, kinds)
    found = [(kind, one) for kind, one in every if one.name == typed]
    there = [(kind, one) for kind, one in found if not _over(one)] or found
    code = kinds[0].prefix if len(kinds) == 1 else "name"
    if len(there) > 1:
        if len(kinds) == 1:
            which = ", ".join(_told(kind, one) for kind, one in there[:_TOLD])
            why = f"{len(there)} {kinds[0].word}s are named {typed}: {which}"
            raise GpuaasError(f"{code}.ambiguous", why, "Say which, by its id.")
        which = ", ".join(f"{one.id} ({kind.word})" for kind, one in there[:_TOLD])
        why = f"{len(there)} things are named {typed}: {which}"
        what = f"Say which, by its id or as {there[-1][0].word}:{typed}."
        raise GpuaasError(f"{code}.ambiguous", why, what)
    if there:
        return str(there[0][1].id)
    if hidden:
        return typed
    why = f"no {' or '.join(one.word for one in kinds)} that you see has the name {typed}"
    raise GpuaasError(f"{code}.unknown", why, _near(typed, every, kinds))


def _every(session: Session, kinds: Sequence[Kind]) -> tuple[list[tuple[Kind, Any]], bool]:
    """All of them, and whether some are not for the caller to see."""
    every: list[tuple[Kind, Any]] = []
    hidden = False
    for kind in kinds:
        try:
            every += [(kind, one) for one in session.client.each(kind.asked())]
        except Forbidden:
            if len(kinds) == 1:
                raise
            hidden = True
    return every, hidden


def _over(one: Any) -> bool:
    return getattr(one, "state", "") in _ENDED


def _told(kind: Kind, one: Any) -> str:
    return f"{one.id} ({plain(getattr(one, 'state', kind.word))})"


def _near(typed: str, every: Sequence[tuple[Kind, Any]], kinds: Sequence[Kind]) -> str:
    """What may have been meant, those that have not ended first; else how to see what there is."""
    own = sorted((one for _, one in every), key=_over)
    found = get_close_matches(typed, dict.fromkeys(plain(one.name) for one in own if one.name))
    if found:
        return f"Near it: {', '.join(found)}."
    verbs = ", ".join(f"`{one.verb}`" for one in kinds)
    return f"{verbs} shows those that there are."


def runtime_id(session: Session, typed: str) -> str:
    """Of a runtime. Raises: GpuaasError runtime.ambiguous, runtime.unknown."""
    return identified(session, typed, (_RUNTIME,))


def volume_id(session: Session, typed: str) -> str:
    """Of a volume. Raises: GpuaasError volume.ambiguous, volume.unknown."""
    return identified(session, typed, (_VOLUME,))


class Named(click.ParamType):
    """A word of a command, an id once the command has it."""

    name = "id|name"

    def __init__(self, *kinds: Kind, ids: Sequence[str] = ()) -> None:
        self._kinds = kinds
        self._ids = ids

    def convert(self, value: Any, _param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises: GpuaasError, as `identified` does."""
        if ctx is None or ctx.resilient_parsing:  # a shell that completes asks for itself
            return value
        return identified(session_of(ctx), str(value), self._kinds, self._ids)

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names, and ids once something was typed."""

        def ask(client: Client) -> Iterable[tuple[str, str]]:
            for kind in self._kinds:
                with suppress(Forbidden):
                    yield from completing.named(incomplete, client.do(kind.asked()).items)

        return completing.completed(ctx, incomplete, ask)


COST_CENTRE: Final = Named(_kind("cost centre", "cost-centre list", operations.list_cost_centres,
                                 "cost_centre"))  # fmt: skip
DEPARTMENT: Final = Named(_DEPARTMENT)
GROUP: Final = Named(_GROUP)
NETWORK: Final = Named(_kind("network", "call list-networks", operations.list_networks))
NODE: Final = Named(_kind("node", "node list", operations.list_nodes))
ORGANIZATION: Final = Named(_ORGANIZATION)
PROJECT: Final = Named(_PROJECT)
SERVICE: Final = Named(_SERVICE, ids=("user-",))
VOLUME: Final = Named(_VOLUME)
PRINCIPAL: Final = Named(_SERVICE, _GROUP, ids=("user-",))
SCOPE: Final = Named(_ORGANIZATION, _DEPARTMENT, _PROJECT)
PLACE: Final = Named(*(_ORGANIZATION, _DEPARTMENT, _PROJECT, _RUNTIME, _VOLUME), ids=("network-",))
