"""Quota of one organization: a tree of limits over what its runtimes hold, in milli-GPU; and over
what its volumes take, in MiB (`storage_quota.py`). What scopes are guaranteed, lend and borrow is
in `lending.py`.

    Tree -SetLimit | Commit | Release | Reserve | Unreserve | lending's | storage_quota's-> Tree

A scope (organization, department, project) may have a limit per model and one for all models,
`*`; without one it does not limit. Use counts in all three scopes of a runtime at once. A limit
below the use refuses new use and takes nothing away.

A reservation is use as a whole while it stands, whether anything runs on it or not; so what draws
on it counts nothing of its own until the reservation is over. Reservations from before the first
`Reserved` of their stream do not count, and what runs on them does.
"""

from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct, field

from domain import lending, moving, storage_quota
from domain.decider import Decider
from domain.errors import DomainError
from domain.storage_quota import WHOLE, Shelf, copied, new_shelf, scope_key
from domain.words import ANY_MODEL


class SetLimit(Struct, frozen=True):
    scope: str
    model: str
    limit_milli: int
    now_us: int


class Commit(Struct, frozen=True):
    """`reservation`: the one it draws on, if any."""

    runtime: str
    department: str
    project: str
    model: str
    gpu_milli: int
    now_us: int
    reservation: str = ""


class Release(Struct, frozen=True):
    runtime: str
    now_us: int


class Reserve(Struct, frozen=True):
    reservation: str
    department: str
    project: str
    model: str
    gpu_milli: int
    now_us: int


class Unreserve(Struct, frozen=True):
    reservation: str
    now_us: int


type Command = (
    SetLimit | Commit | Release | Reserve | Unreserve | moving.Move
    | lending.Command | storage_quota.Command
)  # fmt: skip


class LimitSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.limit_set.v1"):
    scope: str
    model: str
    limit_milli: int
    decided_us: int


class Committed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.committed.v1"):
    runtime: str
    department: str
    project: str
    model: str
    gpu_milli: int
    decided_us: int


class Released(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.released.v1"):
    runtime: str
    decided_us: int


class Reserved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.reserved.v1"):
    reservation: str
    department: str
    project: str
    model: str
    gpu_milli: int
    decided_us: int


class Drawn(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.drawn.v1"):
    """Before its `Committed`: the runtime has what it has from this reservation."""

    runtime: str
    reservation: str
    decided_us: int


class Unreserved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.unreserved.v1"):
    reservation: str
    decided_us: int


type Event = (
    LimitSet | Committed | Released | Reserved | Drawn | Unreserved
    | lending.ShareSet | lending.Claimed | lending.ReclaimDecided | lending.Unclaimed
    | storage_quota.LimitSet | storage_quota.Committed | moving.Moved
)  # fmt: skip
type Where = tuple[str, str]  # scope, model or `*`


class Tree(Struct, frozen=True):
    """Limits and use by (scope, model), and what each live runtime holds; likewise of volumes.

    `drawn`: the reservation of a live runtime that drew on one, standing or over. `eased`: when
    something that ran on a reservation last gave back what it had of it.
    """

    limits: dict[Where, int]
    used: dict[Where, int]
    live: dict[str, Committed]
    shelf: Shelf = field(default_factory=new_shelf)
    reserved: dict[str, Reserved] = field(default_factory=dict)
    drawn: dict[str, str] = field(default_factory=dict)
    lent: lending.Lending = field(default_factory=lending.new_lending)
    eased: dict[str, int] = field(default_factory=dict)


type State = Tree


def quota_stream(organization: str) -> str:
    """The organization's quota stream: of the same UUID, so that there is exactly one."""
    return "quota-" + organization.removeprefix("organization-")


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `quota.exceeded` or `quota.lent` naming the smallest room,
            `quota.limit_invalid`, and those of lending.
    """
    match command:
        case SetLimit(scope, model, limit, now_us):
            if limit < 0:
                raise DomainError("quota.limit_invalid", "a limit is 0 or more")
            if state.limits.get((scope_key(scope), model)) == limit:
                return []
            return [LimitSet(scope, model, limit, now_us)]
        case Commit():
            if command.runtime in state.live:
                return []
            of = (command.department, command.project, command.model)
            refused = excess(state, of, command.gpu_milli, command.reservation)
            if refused is not None:
                raise refused
            return commitment(command, state)
        case Release(runtime, now_us):
            return [Released(runtime, now_us)] if runtime in state.live else []
        case Reserve():
            if command.reservation in state.reserved:
                return []
            of = (command.department, command.project, command.model)
            refused = excess(state, of, command.gpu_milli)
            if refused is not None:
                raise refused
            return [Reserved(command.reservation, *of, command.gpu_milli, command.now_us)]
        case Unreserve(reservation, now_us):
            return [Unreserved(reservation, now_us)] if reservation in state.reserved else []
        case storage_quota.SetLimit() | storage_quota.Commit():
            return [*storage_quota.decide(command, state.shelf)]
        case moving.Move():
            moving.require_room(command, state.limits, state.used, state.shelf, state.lent)
            return [moving.Moved(command.project, command.department, command.now_us)]
        case lending.SetShare() | lending.Claim() | lending.Unclaim():
            borrowers = _by_themselves(state, command.model)
            return [*lending.decide(command, state.lent, state.used, borrowers)]
        case _:
            assert_never(command)


def _by_themselves(state: Tree, model: str) -> Iterator[lending.Borrower]:
    """Runtimes of the model that count on their own, not as part of a reservation."""
    for of in state.live.values():
        if of.model == model and _own_milli(state, of):
            place = (of.department, of.project, of.gpu_milli, of.decided_us)
            yield lending.Borrower(of.runtime, *place)


def commitment(command: Commit, state: Tree) -> list[Event]:
    """The facts of a commitment that has room: on a reservation that counts, what it draws on."""
    facts: list[Event] = []
    if command.reservation in state.reserved:
        facts.append(Drawn(command.runtime, command.reservation, command.now_us))
    facts.append(
        Committed(
            *(command.runtime, command.department, command.project),
            *(command.model, command.gpu_milli, command.now_us),
        )
    )
    return facts


def room(state: Tree, department: str, project: str, model: str) -> tuple[int, Where] | None:
    """The smallest room (may be negative) for this model, and whose it is; None: no limit."""
    found: tuple[int, Where] | None = None
    limits, used = state.limits, state.used
    for scope in (WHOLE, department, project):
        for where in ((scope, model), (scope, ANY_MODEL)):
            limit = limits.get(where)
            if limit is not None:
                left = limit - used.get(where, 0)
                if found is None or left < found[0]:
                    found = (left, where)
    return found


def excess(
    state: Tree, of: tuple[str, str, str], want_milli: int, reservation: str = ""
) -> DomainError | None:
    """`quota.exceeded` or `quota.lent` for (department, project, model), with what would fit.

    What draws on a reservation that counts needs no more than that has left: use does not grow.
    """
    if reservation in state.reserved:
        return _overdrawn(state, state.reserved[reservation], want_milli)
    found = room(state, *of)
    least = lending.room(state.lent, state.used, *of) if state.lent.shares else None
    if least is not None and (found is None or least.left_milli < found[0]):
        return _beyond(state, of, want_milli, least)
    if found is None or found[0] >= want_milli:
        return None
    left, where = found
    return DomainError(
        "quota.exceeded",
        f"the limit of {where[0]} for {where[1]} leaves {max(left, 0)} milli-GPU",
        {
            "scope": where[0],
            "model": where[1],
            "limit_milli": state.limits[where],
            "used_milli": state.used.get(where, 0),
            "wanted_milli": want_milli,
            "fits_milli": max(left, 0),
        },
    )


def _beyond(
    state: Tree, of: tuple[str, str, str], want_milli: int, least: lending.Room
) -> DomainError | None:
    """What a share does not allow; `quota.lent`: it is guaranteed, and others borrow it."""
    left = max(least.left_milli, 0)
    if want_milli <= least.left_milli:
        return None
    (scope, model), own = least.where, lending.entitled(state.lent, state.used, *of)
    facts: dict[str, int | str] = {
        "scope": scope,
        "model": model,
        "limit_milli": least.limit_milli,
        "used_milli": state.used.get(least.where, 0),
        "held_milli": least.held_milli,
        "wanted_milli": want_milli,
        "fits_milli": left,
    }
    if want_milli > own:
        held = f"the share of {scope} for {model} leaves {left} milli-GPU"
        return DomainError("quota.exceeded", held, facts)
    facts["claimable_milli"] = own
    return DomainError("quota.lent", f"{scope} has lent {model}: {left} milli-GPU are here", facts)


def _overdrawn(state: Tree, of: Reserved, want_milli: int) -> DomainError | None:
    drawn = sum(one.gpu_milli for one in drawing(state, of.reservation))
    left = of.gpu_milli - drawn
    if want_milli <= left:
        return None
    facts: dict[str, int | str] = {
        "scope": of.reservation,
        "model": of.model,
        "limit_milli": of.gpu_milli,
        "used_milli": drawn,
        "wanted_milli": want_milli,
        "fits_milli": left,
    }
    return DomainError("quota.exceeded", f"the reservation leaves {left} milli-GPU", facts)


def drawing(tree: Tree, reservation: str) -> list[Committed]:
    return [
        tree.live[runtime]
        for runtime, of in tree.drawn.items()
        if of == reservation and runtime in tree.live
    ]


def remember(tree: Tree, event: Event) -> None:
    """Change the tree in place: for the one owner of a mutable copy, the admission."""
    match event:
        case LimitSet():
            tree.limits[scope_key(event.scope), event.model] = event.limit_milli
        case Committed():
            tree.live[event.runtime] = event
            _count(tree, event, _own_milli(tree, event))
        case Released():
            gone = tree.live.pop(event.runtime)
            _count(tree, gone, -_own_milli(tree, gone))
            if (of := tree.drawn.pop(event.runtime, "")) in tree.reserved:
                ease(tree, of, max(tree.eased.get(of, 0), event.decided_us))
        case Drawn():
            tree.drawn[event.runtime] = event.reservation
        case Reserved():
            tree.reserved[event.reservation] = event
            _swap(tree, event, 1)
        case Unreserved():
            # What still runs on it counts by itself from here on: no more than it did as a whole.
            _swap(tree, tree.reserved.pop(event.reservation), -1)
            tree.eased.pop(event.reservation, None)
        case storage_quota.LimitSet() | storage_quota.Committed():
            storage_quota.remember(tree.shelf, event)
        case (
            lending.ShareSet() | lending.Claimed() | lending.ReclaimDecided() | lending.Unclaimed()
        ):
            lending.remember(tree.lent, event, tree.used)
        case moving.Moved():
            moving.remember(event, tree.used, (tree.live, tree.reserved), tree.shelf, tree.lent)
        case _:
            assert_never(event)


def ease(tree: Tree, reservation: str, at_us: int) -> None:
    """Of a reservation something was given back then; 0: nothing ever was."""
    tree.eased.pop(reservation, None)
    if at_us:
        tree.eased[reservation] = at_us


def restore(tree: Tree, reserved: Reserved, eased_us: int) -> None:
    """Undo `remember` of an end of a reservation whose append was refused."""
    remember(tree, reserved)
    ease(tree, reserved.reservation, eased_us)


def forget_commit(tree: Tree, event: Committed) -> None:
    """Undo `remember` of a commit whose append was refused."""
    gone = tree.live.pop(event.runtime)  # of the department that its project is in by now
    _count(tree, gone, -_own_milli(tree, gone))


def forget_drawn(tree: Tree, event: Drawn) -> None:
    """Undo `remember` of what a refused commit drew on, after that of the commit."""
    del tree.drawn[event.runtime]


def _own_milli(tree: Tree, of: Committed) -> int:
    return 0 if tree.drawn.get(of.runtime) in tree.reserved else of.gpu_milli


def _swap(tree: Tree, of: Reserved, sign: int) -> None:
    """The reservation begins (1) or ceases (-1) to count instead of what draws on it."""
    _count(tree, of, sign * of.gpu_milli)
    for one in drawing(tree, of.reservation):
        _count(tree, one, -sign * one.gpu_milli)


def _count(tree: Tree, event: Committed | Reserved, milli: int) -> None:
    used = tree.used
    for scope in (WHOLE, event.department, event.project):
        for where in ((scope, event.model), (scope, ANY_MODEL)):
            left = used.get(where, 0) + milli
            if left:
                used[where] = left
            else:
                used.pop(where, None)
    if tree.lent.shares:
        lending.settle(tree.lent, used, (event.project, event.department, WHOLE), event.model)


def evolve(state: State, event: Event) -> State:
    tree = Tree(
        *(dict(state.limits), dict(state.used), dict(state.live), copied(state.shelf)),
        *(dict(state.reserved), dict(state.drawn), lending.copied(state.lent), dict(state.eased)),
    )
    remember(tree, event)
    return tree


DECIDER: Decider[State, Command, Event] = Decider(Tree({}, {}, {}), decide, evolve)
