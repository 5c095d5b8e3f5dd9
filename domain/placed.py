"""What rating must know of nodes when something is placed on one (rating.md section 1)."""

from collections.abc import Callable
from typing import Any

from domain import node, node_facts
from domain.words import NOWHERE


class Nodes:
    """Owned by one fold, not shared. `on`: what each fact does here."""

    def __init__(self) -> None:
        self._simulated: dict[str, bool] = {}
        self._regions: dict[str, str] = {}
        self.on: dict[type, Callable[[int, str, Any], None]] = {
            node.Enrolled: lambda _, of, fact: self._simulated.update({of: fact.simulated}),
            node_facts.RegionSet: lambda _, of, fact: self._regions.update({of: fact.region}),
        }

    def simulated(self, name: str) -> bool:
        """As its latest enrolment says."""
        return self._simulated.get(name, False)

    def region(self, name: str) -> str:
        """Where it stands now."""
        return self._regions.get(name, NOWHERE)
