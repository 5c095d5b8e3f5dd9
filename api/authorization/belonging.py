"""Which organizations a principal belongs to, as the log tells it."""

from domain import authority_facts as facts
from domain.authority_checks import PLATFORM


class Belonging:
    """Members and service accounts, in the order of the log. Owned by one event loop."""

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {}

    def apply(self, org: str, fact: facts.Event) -> None:
        if org == PLATFORM:
            return  # its staff belongs to no organization by that
        match fact:
            case facts.MemberAdded(principal=who) | facts.AccountCreated(account=who):
                self._of.setdefault(who, set()).add(org)
            case facts.MemberRemoved(principal=who) | facts.AccountDeleted(account=who):
                self._of.get(who, set()).discard(org)
            case _:
                pass

    def of(self, actor: str) -> list[str]:
        """In order; however many organizations there are."""
        return sorted(self._of.get(actor, ()))
