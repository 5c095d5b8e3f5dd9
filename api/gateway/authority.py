"""The doors of a gateway, and who lost the right to be behind them: folded from one log."""

from collections.abc import Callable
from typing import Final

from api.authorization.directory import STREAMS, Directory
from api.authorization.door import Door
from api.authorization.holding import Entered, allowed
from api.gateway.doors import Doors
from domain import authority_facts, grant
from evidence.following import streams_of_kinds
from evidence.reader import Recorded

FOLLOWED: Final = (*streams_of_kinds("runtime", "organization"), *STREAMS)
_ENTERING: Final = {grant.SSH: "access.issue_certificate", grant.HTTP: "access.issue_pass"}


class Authorized:
    """A grant to who ever belonged to the organization ends when no binding gives it any more, even
    if none did when it was written; to anybody else only a token can have given it, and it goes on
    until it ends. Owned by one event loop.
    """

    def __init__(self, doors: Doors, clock_us: Callable[[], int]) -> None:
        self.doors = doors
        self._directory = Directory(self._heard)
        self._door = Door(self._directory, clock_us)
        self._clock_us = clock_us
        self._known: set[tuple[str, str]] = set()  # organizations, and who ever belonged to them
        self._bound: dict[str, Entered] = {}  # grants that are bindings' to give
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
        match entry.fact:
            case (
                authority_facts.MemberAdded(principal=who)
                | authority_facts.AccountCreated(account=who)
            ):
                self._known.add((entry.org, who))
            case grant.Granted() as fact:
                self._granted(entry, fact)

    def _granted(self, entry: Recorded, fact: grant.Granted) -> None:
        if entry.stream in self.doors.passes and (entry.org, fact.user) in self._known:
            entered = Entered(fact.user, entry.org, _ENTERING[fact.way], fact.project)
            self._bound[entry.stream] = entered
            self._changed.add(entry.org)  # whoever wrote it may have known less than the log

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
