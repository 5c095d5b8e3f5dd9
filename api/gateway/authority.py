"""The doors of a gateway, and who lost the right to be behind them: folded from one log."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from api.authorization.directory import STREAMS, Directory
from api.authorization.door import Door
from api.authorization.holding import Entered, Holds, holding
from api.gateway.doors import Doors
from domain import api_key, authority_facts, grant, issuer, session
from evidence.following import streams_of_kinds
from evidence.reader import Recorded

FOLLOWED: Final = (*streams_of_kinds("runtime"), *STREAMS)
_ENTERING: Final = {grant.SSH: "access.issue_certificate", grant.HTTP: "access.issue_pass"}


class Authorized:
    """A grant ends with the API key or session that it was obtained with, and when no binding gives
    it any more, even if none did when it was written; one that a token gave by itself goes on until
    it ends, unless a binding gave it too and is gone. Owned by one event loop.

    Grants of before `access.obtained` do not say how: what was granted to who ever belonged to the
    organization was a binding's, to anybody else a token's.
    """

    def __init__(self, doors: Doors, clock_us: Callable[[], int]) -> None:
        self.doors = doors
        self._directory = Directory(self._heard)
        self._door = Door(self._directory, clock_us)
        self._clock_us = clock_us
        self._known: set[tuple[str, str]] = set()  # organizations, and who ever belonged to them
        self._granted: dict[str, Entered] = {}  # grants under which nothing is issued yet
        self._issued: dict[str, Entered] = {}  # and those that nobody has looked at
        self._held: dict[str, tuple[str, Holds]] = {}  # grants: the organization, whether it holds
        self._changed: set[str] = set()  # organizations, since the last look
        self._every = False  # of all organizations

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
                | authority_facts.GlassRequested(principal=who)
            ):
                self._known.add((entry.org, who))
            case api_key.KeyRevoked() | session.Ended() | issuer.Distrusted():
                self._every = True  # a session acts in any organization of its person
            case grant.Granted():
                if entry.stream in self.doors.passes:
                    self._granted[entry.stream] = self._entered(entry.org, entry.fact)
            case grant.Obtained(credential=credential, implied=implied):
                entered = self._granted.get(entry.stream)
                if entered is not None:
                    entered = replace(entered, credential=credential, implied=implied)
                    self._granted[entry.stream] = entered
            case grant.CertificateIssued() | grant.PassIssued():
                entered = self._granted.pop(entry.stream, None)
                if entered is not None:
                    self._issued[entry.stream] = entered
            case _:
                pass

    def _entered(self, org: str, fact: grant.Granted) -> Entered:
        alone = (org, fact.user) not in self._known
        action, where = _ENTERING[fact.way], fact.project
        return Entered(fact.user, org, action, where, implied=alone, resource=fact.runtime)

    def look(self, *, every: bool) -> None:
        """Revokes what lost its right: of what is new, and of organizations that changed something,
        or of all. Nobody enters by a grant before it was looked at.
        """
        changed, self._changed = self._changed, set()
        every, self._every = every or self._every, False
        new, self._issued = self._issued, {}
        for name, entered in new.items():
            if name in self.doors.passes:
                holds = holding(self._directory, self._door, entered, self._clock_us)
                self._held[name] = (entered.org, holds)
        for name, (org, holds) in list(self._held.items()):
            if name not in self.doors.passes:
                del self._held[name]
            elif (every or org in changed or name in new) and not holds():
                del self._held[name]
                self.doors.revoke(name)
