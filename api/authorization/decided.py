"""On whose authority something changed: beside its facts, in their append (ADR 60, 67)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from msgspec.structs import replace

from api.admission.wire import Ask, Beside
from api.authorization.cedar import Place
from api.authorization.credentials import Reads
from api.authorization.directory import Directory
from api.authorization.principal import Principal
from api.authorization.standing import came_by
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
        self.directory: Directory | None = None  # that says what credentials stand

    @contextmanager
    def of(self, principal: Principal, cause: str) -> Iterator[None]:
        """Until the block ends, what has this cause is the principal's."""
        self._asking[cause] = principal
        try:
            yield
        finally:
            del self._asking[cause]

    def beside(self, append: Append) -> Append:
        """With what let whoever asked, unless each of its facts says that itself. It loses to the
        end of what that came with. Raises: DomainError auth.invalid, auth.forbidden: it has ended.
        """
        principal = self._asking.get(append.cause)
        if principal is None:
            return append
        append = replace(append, reads=self._with(append.reads, principal))
        if all(_says(write) for write in append.writes):
            return append
        let = standing(principal, append.writes[0].org)
        told = fact_of(append.writes, let.action, let.place[0], let.policies)
        return replace(append, writes=(*append.writes, told))

    def asking(self, ask: Ask) -> Ask:
        """With what let whoever asks, which the writer puts beside what comes of it."""
        principal = self._asking.get(ask.cause)
        if principal is None:
            return ask
        let = standing(principal, principal.org)
        said = Beside(
            *(new_id("access"), let.action, let.place[0], let.policies, now_us()),
            self._with((), principal),
        )
        return replace(ask, beside=said)

    def _with(self, reads: Reads, principal: Principal) -> Reads:
        came = () if self.directory is None else came_by(self.directory, principal)
        return (*reads, *(one for one in came if one not in reads))


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


def standing(principal: Principal, org: str) -> Let:
    """As `let_of`, and it does still. Raises: DomainError auth.forbidden."""
    let, door = let_of(principal, org), principal.door
    assert door is not None, "the guard gives it"
    if let.policies != (OWN,) and not door.decide(principal, let.action, let.place).allowed:
        raise door.refusal(principal, let.action, let.place)
    return let


def fact_of(writes: tuple[Write, ...], action: str, scope: str, policies: tuple[str, ...]) -> Write:
    """On a stream of its own, so it loses to nothing."""
    entries = sum(len(one.facts) for one in writes)
    fact = Decided(writes[0].stream, entries, action, scope, policies, now_us())
    return Write(new_id("access"), writes[0].org, 0, (fact,))


def _says(write: Write) -> bool:
    return all(getattr(fact, "policies", ()) for fact in write.facts)
