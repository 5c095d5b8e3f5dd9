"""On whose authority something changed: beside its facts, in their append (ADR 60, 67)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from msgspec.structs import replace

from api.admission.wire import Ask, Beside
from api.authorization.cedar import Place
from api.authorization.principal import Principal
from api.edge import now_us
from contracts.authorization.registry import ACTIONS
from domain.access import Decided
from evidence.append import Append, Write
from evidence.ids import new_id

OWN: Final = "own"  # the authority over what is one's own: a session, by who is in it


class Acts:
    """The acts under way in this process, by their commands: what is appended, or asked of the
    admission writer, under one of them carries what let whoever asked. Owned by one event loop.
    """

    def __init__(self) -> None:
        self._asking: dict[str, Principal] = {}

    @contextmanager
    def of(self, principal: Principal, cause: str) -> Iterator[None]:
        """Until the block ends, what has this cause is the principal's."""
        self._asking[cause] = principal
        try:
            yield
        finally:
            del self._asking[cause]

    def beside(self, append: Append) -> Append:
        """With what let whoever asked, unless each of its facts says that itself."""
        principal = self._asking.get(append.cause)
        if principal is None or all(_says(write) for write in append.writes):
            return append
        let = let_of(principal, append.writes[0].org)
        told = fact_of(append.writes, let.action, let.place[0], let.policies)
        return replace(append, writes=(*append.writes, told))

    def asking(self, ask: Ask) -> Ask:
        """With what let whoever asks, which the writer puts beside what comes of it."""
        principal = self._asking.get(ask.cause)
        if principal is None:
            return ask
        let = let_of(principal, principal.org)
        said = Beside(new_id("access"), let.action, let.place[0], let.policies, now_us())
        return replace(ask, beside=said)


class Let(NamedTuple):
    """What was decided, where, and the ids that let it."""

    action: str
    place: Place
    policies: tuple[str, ...]


def let_of(principal: Principal, org: str) -> Let:
    """What let the caller do what it does, in the organization where there is such a decision: of
    the last action that was asked about, where it was asked first. `own` where nothing had to.
    """
    decided = [Let(action, *said) for (action, _), said in (principal.let or {}).items()]
    if decided:
        return next((one for one in reversed(decided) if org in one.place[-2:]), decided[-1])
    door, action = principal.door, principal.action
    assert door is not None, "the guard gives it"
    if ACTIONS[action].level == "anyone":
        return Let(action, door.tenants.place(principal.org, principal.org), (OWN,))
    place = door.somewhere(principal, action)
    return Let(action, place, door.decide(principal, action, place).policies)


def fact_of(writes: tuple[Write, ...], action: str, scope: str, policies: tuple[str, ...]) -> Write:
    """On a stream of its own, so it loses to nothing."""
    entries = sum(len(one.facts) for one in writes)
    fact = Decided(writes[0].stream, entries, action, scope, policies, now_us())
    return Write(new_id("access"), writes[0].org, 0, (fact,))


def _says(write: Write) -> bool:
    return all(getattr(fact, "policies", ()) for fact in write.facts)
