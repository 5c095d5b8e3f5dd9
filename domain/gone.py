"""Ids that were there and are not: so many as ever were, so one more must not copy them all."""

from msgspec import Struct


class Gone(Struct, frozen=True):
    """A set that grows by one id a time. Each level is larger than all behind it together, so an id
    is copied as often as the logarithm of how many there are.
    """

    levels: tuple[frozenset[str], ...] = ()

    def __contains__(self, name: str) -> bool:
        return any(name in level for level in self.levels)

    def having(self, name: str) -> "Gone":
        """With the id; `""` is none."""
        if not name or name in self:
            return self
        levels, last = self.levels, frozenset({name})
        while levels and len(levels[-1]) <= len(last):
            levels, last = levels[:-1], levels[-1] | last
        return Gone((*levels, last))

    def without(self, name: str) -> "Gone":
        """Without the id, which copies those that came about when it did."""
        if name not in self:
            return self
        return Gone(tuple([left for level in self.levels if (left := level - {name})]))
