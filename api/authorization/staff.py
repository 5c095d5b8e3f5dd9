"""The platform's staff as the log tells it, and which organizations act by themselves by now."""

from typing import Final

from domain import api_key, authority_facts, department, project
from domain.authority_checks import PLATFORM
from evidence.reader import Recorded

_PEOPLE: Final = ("user-", "service-")
_ACTS: Final = (
    *authority_facts.Event.__value__.__args__,
    *(department.Created, project.Created, api_key.KeyCreated),
)


class Staff:
    """Folded in the order of the log. Owned by one event loop."""

    def __init__(self) -> None:
        self.ever: set[str] = set()  # whoever was of the platform's staff once
        self._begun: set[str] = set()

    def apply(self, entry: Recorded) -> None:
        fact = entry.fact
        if entry.org != PLATFORM:
            self._begins(entry)
        elif isinstance(fact, authority_facts.MemberAdded):
            self.ever.add(fact.principal)

    def _begins(self, entry: Recorded) -> None:
        """By a binding, whatever its role and conditions; or as soon as somebody did something
        there who was never of the staff: by the embedded issuer's tokens nobody needs a binding.
        """
        by_itself = entry.actor.startswith(_PEOPLE) and entry.actor not in self.ever
        bound = isinstance(entry.fact, authority_facts.BindingGranted)
        if bound or (by_itself and isinstance(entry.fact, _ACTS)):
            self._begun.add(entry.org)

    def founding(self, org: str) -> bool:
        """Nobody but the staff ever had a say there. Once it is over, it is so for good."""
        return org not in self._begun
