"""A project moves to another department: what it uses counts there from then on.

Part of `quota`: a move takes the whole use of the project, running, reserved and stored, from one
department to the other at once. It must fit what the other one may have; what was charged before
stays where it was (docs/adr/0034).
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from domain import lending, storage_quota
from domain.errors import DomainError
from domain.lending_facts import Lending, Use
from domain.storage_quota import WHOLE, Shelf


class Move(Struct, frozen=True):
    """`before`: the department it leaves."""

    project: str
    before: str
    department: str
    now_us: int


class Moved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.moved.v1"):
    project: str
    department: str
    decided_us: int


def require_room(command: Move, limits: Use, used: Use, shelf: Shelf, lent: Lending) -> None:
    """Nothing when all that the project uses fits in its new department.

    Raises: DomainError `quota.exceeded` naming the limit and what would fit, `project.guaranteed`.
    """
    if command.department == command.before:
        return
    _require_unbound(command, lent)
    for kind, allowed, has in (("milli", limits, used), ("mib", shelf.limits, shelf.used)):
        for model, wanted in _of(has, command.project):
            where = (command.department, model)
            limit = allowed.get(where)
            if limit is not None and has.get(where, 0) + wanted > limit:
                raise _exceeded(kind, where, (limit, has.get(where, 0), wanted))
    if lent.shares:
        _require_shares(command, used, lent)


def _require_unbound(command: Move, lent: Lending) -> None:
    """What a project is guaranteed its department gave it: it cannot take that along."""
    for (scope, model), share in lent.shares.items():
        claimed = (scope, model) in lent.claims
        if scope == command.project and (share.guaranteed_milli or claimed):
            facts: dict[str, int | str] = {
                "model": model, "guaranteed_milli": share.guaranteed_milli,
            }  # fmt: skip
            raise DomainError("project.guaranteed", "its department guarantees it this", facts)


def _require_shares(command: Move, used: Use, lent: Lending) -> None:
    """No sum of the new department, or of all, grows above its share."""
    after, then = dict(used), lending.copied(lent)
    carry(after, command.project, command.before, command.department)
    follow(then, after, command.project, command.department)
    for model, wanted in _of(used, command.project):
        for scope in (command.department, WHOLE):
            where = (scope, model)
            share = lent.shares.get(where)
            if share is None:
                continue
            sums = [
                (of.get(where, 0) + lending.spare(by, of, where, claims=claims))
                for of, by in ((used, lent), (after, then))
                for claims in (False, True)
            ]
            grown = [now for was, now in zip(sums[:2], sums[2:], strict=True) if now > was]
            most = max(grown, default=0)
            if most > share.limit_milli:
                raise _exceeded("milli", where, (share.limit_milli, most - wanted, wanted))


def _exceeded(kind: str, where: tuple[str, str], found: tuple[int, int, int]) -> DomainError:
    limit, has, wanted = found
    left = max(limit - has, 0)
    return DomainError(
        "quota.exceeded",
        f"the limit of {where[0]} for {where[1]} leaves {left}, the project has {wanted}",
        {
            "scope": where[0], "model": where[1], f"limit_{kind}": limit, f"used_{kind}": has,
            f"wanted_{kind}": wanted, f"fits_{kind}": left,
        },
    )  # fmt: skip


def _of(used: Use, project: str) -> Iterator[tuple[str, int]]:
    for (scope, model), has in sorted(used.items()):
        if scope == project:
            yield model, has


def carry(used: Use, project: str, before: str, department: str) -> None:
    """All use of the project counts in the one department and no more in the other."""
    for model, has in list(_of(used, project)):
        for scope, change in ((before, -has), (department, has)):
            left = used.get((scope, model), 0) + change
            if left:
                used[scope, model] = left
            else:
                used.pop((scope, model), None)


def follow(lent: Lending, used: Use, project: str, department: str) -> None:
    """Its shares stand below the new department; the sums are those of the use as it is now."""
    if not lent.shares:
        return
    for (scope, model), share in list(lent.shares.items()):
        if scope == project:
            lending.put_share(lent, (scope, model), replace(share, parent=department))
    for model in {model for _, model in lent.shares}:
        lending.resum(lent, used, model)


def relabel(things: dict[str, Any], project: str, department: str) -> str | None:
    """What is of the project is of the department; the one it was of (None: nothing is there)."""
    before = None
    for name, one in things.items():
        if one.project == project:
            before = one.department
            things[name] = replace(one, department=department)
    return before


def remember(
    event: Moved,
    used: Use,
    things: tuple[dict[str, Any], ...],
    shelf: Shelf,
    lent: Lending,
) -> None:
    """Change all of it in place; `things`: what counts in a department, by its id."""
    found = [relabel(one, event.project, event.department) for one in things]
    for department in {one for one in found if one is not None}:
        carry(used, event.project, department, event.department)
    stored = storage_quota.relabel(shelf, event.project, event.department)
    if stored is not None:
        carry(shelf.used, event.project, stored, event.department)
    follow(lent, used, event.project, event.department)
