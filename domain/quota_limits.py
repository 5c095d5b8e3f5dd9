"""A limit of a quota before another was set: what the admission needs to take one back."""

from domain.quota import LimitSet, Tree
from domain.storage_quota import scope_key


def limit_of(tree: Tree, event: LimitSet) -> int | None:
    """The limit that stands where this event sets one, None without."""
    return tree.limits.get((scope_key(event.scope), event.model))


def restore_limit(tree: Tree, event: LimitSet, before: int | None) -> None:
    """Undo `remember` of a limit whose append was refused."""
    where = (scope_key(event.scope), event.model)
    if before is None:
        del tree.limits[where]
    else:
        tree.limits[where] = before
