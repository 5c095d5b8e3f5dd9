"""The part of a quota that is of storage: limits over what volumes may take, in MiB.

    Shelf -SetLimit | Commit-> Shelf

A scope (organization, department, project) may have a limit; without one it does not limit. A
volume counts in all three of its scopes, with the MiB of its latest commitment, from that on until
it is deleted; when its node refuses to grow it, with the MiB that it has. A limit below the use
refuses new use and takes nothing away. Volumes from before the first `Committed` do not count until
they grow.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import DomainError

WHOLE: Final = "organization"  # the scope key of the root: one quota stream is of one organization
KEPT: Final = 8  # earlier commitments of a volume, for `forget`


class SetLimit(Struct, frozen=True):
    scope: str
    model: str
    limit_mib: int
    now_us: int


class Commit(Struct, frozen=True):
    """`size_mib`: all that the volume then has, not what is added."""

    volume: str
    department: str
    project: str
    model: str
    size_mib: int
    now_us: int


type Command = SetLimit | Commit


class LimitSet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.storage_limit_set.v1"
):
    scope: str
    model: str
    limit_mib: int
    decided_us: int


class Committed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.storage_committed.v1"
):
    volume: str
    department: str
    project: str
    model: str
    size_mib: int
    decided_us: int


type Event = LimitSet | Committed  # a part of quota.Event
type Where = tuple[str, str]  # scope, model


class Shelf(Struct, frozen=True):
    """Limits and use by (scope, model), and the commitments of each volume, the latest last."""

    limits: dict[Where, int]
    used: dict[Where, int]
    held: dict[str, tuple[Committed, ...]]


def new_shelf() -> Shelf:
    return Shelf({}, {}, {})


def scope_key(scope: str) -> str:
    """The scope, the organization itself without its name."""
    return WHOLE if scope.startswith("organization-") else scope


def decide(command: Command, state: Shelf) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `quota.exceeded` naming the smallest room, `quota.limit_invalid`.
    """
    match command:
        case SetLimit(scope, model, limit, now_us):
            if limit < 0:
                raise DomainError("quota.limit_invalid", "a limit is 0 or more")
            if state.limits.get((scope_key(scope), model)) == limit:
                return []
            return [LimitSet(scope, model, limit, now_us)]
        case Commit():
            has = held_mib(state, command.volume)
            fact = Committed(
                *(command.volume, command.department, command.project, command.model),
                *(command.size_mib, command.now_us),
            )
            _require_room(state, fact, command.size_mib - has)
            return [fact]
        case _:
            assert_never(command)


def held_mib(state: Shelf, volume: str) -> int:
    """What the volume counts now; 0 when it does not."""
    commitments = state.held.get(volume)
    return commitments[-1].size_mib if commitments else 0


def _require_room(state: Shelf, of: Committed, more_mib: int) -> None:
    found: tuple[int, Where] | None = None
    for where in _wheres(of):
        limit = state.limits.get(where)
        if limit is not None:
            left = limit - state.used.get(where, 0)
            if found is None or left < found[0]:
                found = (left, where)
    if found is None or more_mib <= max(found[0], 0):
        return
    left, where = found
    raise DomainError(
        "quota.exceeded",
        f"the storage limit of {where[0]} leaves {max(left, 0)} MiB",
        {
            "scope": where[0],
            "model": where[1],
            "limit_mib": state.limits[where],
            "used_mib": state.used.get(where, 0),
            "wanted_mib": more_mib,
            "fits_mib": max(left, 0),
        },
    )


def _wheres(of: Committed) -> tuple[Where, ...]:
    return tuple((scope, of.model) for scope in (WHOLE, of.department, of.project))


def remember(shelf: Shelf, event: Event) -> None:
    """Change the shelf in place: for the one owner of a mutable copy, the admission."""
    match event:
        case LimitSet():
            shelf.limits[scope_key(event.scope), event.model] = event.limit_mib
        case Committed():
            _count(shelf, event, event.size_mib - held_mib(shelf, event.volume))
            past = shelf.held.get(event.volume, ())
            shelf.held[event.volume] = (*past[1 - KEPT :], event)
        case _:
            assert_never(event)


def forget(shelf: Shelf, event: Committed) -> None:
    """Undo `remember` of a commitment whose append was refused; none of a volume that is over."""
    if event.volume not in shelf.held:
        return
    *past, last = shelf.held.pop(event.volume)
    if past:
        shelf.held[event.volume] = tuple(past)
    _count(shelf, last, held_mib(shelf, event.volume) - last.size_mib)


def settle(shelf: Shelf, volume: str, size_mib: int) -> None:
    """The volume counts what it has: its node refused to grow it. One that counts 0 stays so."""
    commitments = shelf.held.get(volume)
    if commitments:
        remember(shelf, replace(commitments[-1], size_mib=size_mib))


def release(shelf: Shelf, volume: str) -> None:
    """The volume is deleted and counts no more."""
    commitments = shelf.held.pop(volume, ())
    if commitments:
        _count(shelf, commitments[-1], -commitments[-1].size_mib)


def relabel(shelf: Shelf, project: str, department: str) -> str | None:
    """What is of the project is of the department; the one it was of (None: nothing is there)."""
    before = None
    for name, past in shelf.held.items():
        if past[-1].project == project:
            before = past[-1].department
            shelf.held[name] = tuple(replace(one, department=department) for one in past)
    return before


def limit_of(shelf: Shelf, event: LimitSet) -> int | None:
    """The limit that stands where this event sets one, None without."""
    return shelf.limits.get((scope_key(event.scope), event.model))


def restore_limit(shelf: Shelf, event: LimitSet, before: int | None) -> None:
    """Undo `remember` of a limit whose append was refused."""
    where = (scope_key(event.scope), event.model)
    if before is None:
        del shelf.limits[where]
    else:
        shelf.limits[where] = before


def _count(shelf: Shelf, of: Committed, mib: int) -> None:
    for where in _wheres(of):
        left = shelf.used.get(where, 0) + mib
        if left:
            shelf.used[where] = left
        else:
            shelf.used.pop(where, None)


def copied(shelf: Shelf) -> Shelf:
    return Shelf(dict(shelf.limits), dict(shelf.used), dict(shelf.held))
