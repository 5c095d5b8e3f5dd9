"""The platform's staff as the log tells it, and which organizations act by themselves by now."""

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from domain import authority_facts, founding, issuer, session
from domain.authority_checks import PLATFORM
from domain.binding import Binding
from evidence.reader import Recorded

NOT_INDEPENDENT: Final = "break_glass.not_independent"
TOO_NEW: Final = "break_glass.too_new"


class _Given(Struct, frozen=True):
    by: str
    at_us: int


class Staff:
    """Folded in the order of the log. Owned by one event loop."""

    def __init__(self) -> None:
        self.ever: set[str] = set()  # whoever was of the platform's staff once
        self._begun: set[str] = set()
        self._granted: dict[tuple[str, str], _Given] = {}  # bindings; principals in groups; issuers
        self._issuers: dict[str, set[str]] = {}  # whose people signed in with which

    def apply(self, entry: Recorded) -> None:
        if entry.org != PLATFORM:
            if founding.begins(entry.fact, entry.actor, self.ever):
                self._begun.add(entry.org)
            return
        match entry.fact:
            case authority_facts.MemberAdded(principal=who):
                self.ever.add(who)
            case authority_facts.BindingGranted(binding=name, decided_us=at_us):
                self._granted[name, ""] = _Given(entry.actor, at_us)
            case authority_facts.GroupJoined(group, principal, decided_us=at_us):
                self._granted[group, principal] = _Given(entry.actor, at_us)
            case issuer.Trusted(decided_us=at_us):
                self._granted[entry.stream, ""] = _Given(entry.actor, at_us)
            case session.Opened(issuer=name, principal=who):
                self._issuers.setdefault(who, set()).add(name)
            case _:
                pass

    def unsettled(self, who: str, other: Collection[str], by: Binding, before_us: int) -> str:
        """Why the binding does not make `who` a second person beside the other, of any of their
        identities: by whom and since when it, the place in its group and the word of an issuer
        were given. Empty when it does.
        """
        names = [(by.id, ""), *((name, "") for name in self._issuers.get(who, ()))]
        if by.principal != who:
            names.append((by.principal, who))
        given = [self._granted[name] for name in names if name in self._granted]
        if any(one.by in other for one in given):
            return NOT_INDEPENDENT
        return TOO_NEW if any(one.at_us > before_us for one in given) else ""

    def founding(self, org: str) -> bool:
        """Nobody but the staff ever had a say there. Once it is over, it is so for good."""
        return org not in self._begun
