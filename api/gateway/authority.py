"""The doors of a gateway, and who lost the right to be behind them: folded from one log."""

from collections.abc import Callable
from typing import Final

from api.authorization.directory import STREAMS, Directory
from api.authorization.door import Door
from api.authorization.holding import Entered, allowed
from api.gateway.doors import Doors
from domain import grant
from evidence.following import streams_of_kinds
from evidence.reader import Recorded

FOLLOWED: Final = (*streams_of_kinds("runtime", "organization"), *STREAMS)
_ENTERING: Final = {grant.SSH: "access.issue_certificate", grant.HTTP: "access.issue_pass"}


class Authorized:
    """A grant that a binding gave ends when no binding gives it any more; what only a token implied
    goes on until the grant ends. Owned by one event loop.
    """

    def __init__(self, doors: Doors, clock_us: Callable[[], int]) -> None:
        self.doors = doors
        self._directory = Directory(self._heard)
        self._door = Door(self._directory, clock_us)
        self._clock_us = clock_us
        self._bound: dict[str, Entered] = {}  # grants that bindings gave
        self._changed: set[str] = set()  # organizations, since the last look

    @property
    def applied(self) -> int:
        return self.doors.applied

    @applied.setter
    def applied(self, position: int) -> None:
        self.doors.applied = self._directory.applied = position

    def _heard(self, org: str) -> None:
        self._changed.add(org)

    def apply(self, entry: Recorded) -> None:
        self._directory.apply(entry)
        self.doors.apply(entry)
        if isinstance(entry.fact, grant.Granted):
            fact = entry.fact
            entered = Entered(fact.user, entry.org, _ENTERING[fact.way], fact.project)
            if entry.stream in self.doors.passes and allowed(self._door, entered, entry.at_us):
                self._bound[entry.stream] = entered

    def look(self, *, every: bool) -> None:
        """Revokes what lost its binding, in organizations that changed something, or in all."""
        changed, self._changed = self._changed, set()
        for name, entered in list(self._bound.items()):
            if name not in self.doors.passes:
                del self._bound[name]
            elif (every or entered.org in changed) and not allowed(
                self._door, entered, self._clock_us()
            ):
                del self._bound[name]
                self.doors.revoke(name)
