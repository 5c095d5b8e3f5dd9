"""Volumes as what is charged: made, grown, locked, unlocked, over (rating.md sections 1 and 2)."""

from collections.abc import Callable
from typing import Any

from domain import volume_facts
from domain.charging import Payer, Resource, Rows, begin
from domain.placed import Nodes
from domain.tariff import storage_scope

# Position, stream, instant: what ends there is charged.
type End = Callable[[int, str, int], Rows | None]


class Volumes:
    """A part of one fold, whose `resources` are added to. `metered`: those created from now on."""

    def __init__(
        self,
        resources: dict[str, Resource],
        account: Callable[[str], Payer],
        nodes: Nodes,
        cuts: dict[str, list[int]],
        ends: tuple[End, End],
    ) -> None:
        """`ends`: an interval ends; it, or its hold, is over."""
        self.metered = False
        self._resources = resources
        self._account = account
        self._nodes = nodes
        self._cuts = cuts
        self._ends, self._over = ends
        self.on: dict[type, Callable[[int, str, Any], Rows | None]] = {
            volume_facts.Created: self._created,
            volume_facts.Formatted: self._formatted,
            volume_facts.Grown: self._grown,
            volume_facts.Locked: self._locked,
            volume_facts.Unlocked: self._unlocked,
            volume_facts.Wiped: lambda at, of, fact: self._ended(at, of, fact.wiped_us),
            volume_facts.Lost: lambda at, of, fact: self._ended(at, of, fact.lost_us),
        }

    def _created(self, position: int, stream: str, fact: volume_facts.Created) -> None:
        if self.metered:
            owner = self._account(fact.account)
            self._resources[stream] = Resource(
                *(stream, position, owner, fact.project, fact.size_mib, {}),
                storage_scope(owner.opened.currency, self._nodes.region(fact.node)),
                self._nodes.simulated(fact.node),
                cuts=self._cuts[fact.project],
            )

    def _formatted(self, _: int, stream: str, fact: volume_facts.Formatted) -> None:
        it = self._resources.get(stream)
        if it is not None:
            it.made = True
            if not it.locked:
                begin(it, fact.formatted_us)

    def _grown(self, position: int, stream: str, fact: volume_facts.Grown) -> Rows | None:
        it = self._resources.get(stream)
        if it is None:
            return None
        rows = self._ends(position, stream, fact.grown_us)
        it.size = fact.size_mib
        if not it.locked:
            begin(it, fact.grown_us)
        return rows

    def _locked(self, position: int, stream: str, fact: volume_facts.Locked) -> Rows | None:
        it = self._resources.get(stream)
        if it is None:
            return None
        it.locked = True
        return self._ended(position, stream, fact.locked_us)

    def _unlocked(self, _: int, stream: str, fact: volume_facts.Unlocked) -> None:
        it = self._resources.get(stream)
        if it is not None:
            it.locked = False
            if it.made:
                begin(it, fact.unlocked_us)

    def _ended(self, position: int, stream: str, end_us: int) -> Rows | None:
        return self._over(position, stream, end_us) if stream in self._resources else None
