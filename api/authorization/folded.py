"""Authorities of organizations as their streams say now, folded once: what is new is added."""

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

from domain.authority import DECIDER, authority_stream
from domain.authority_facts import (
    AccountCreated,
    BindingGranted,
    GlassRequested,
    GroupCreated,
    GuardrailSet,
    Invited,
    MemberAdded,
    SsoRequired,
)
from domain.authority_state import Authority
from evidence.reader import Recorded

_KEPT: Final = 1_000
# What begins something that is listed, and the field that names it.
_BEGINS: Final[Mapping[type[Struct], str]] = {
    AccountCreated: "account",
    BindingGranted: "binding",
    GlassRequested: "grant",
    GroupCreated: "group",
    GuardrailSet: "guardrail",
    Invited: "invitation",
    MemberAdded: "principal",
    SsoRequired: "issuer",
}


class Stream(Protocol):
    """The log, as far as it is read here; what it answers was committed before it was asked."""

    async def read_stream(self, stream: str, after: int = 0) -> list[Recorded]:
        """Raises: DomainError log.unavailable."""


class Folded(Struct, frozen=True):
    """At a version of the stream (0: it has none). `made`: the entry that each standing thing began
    with, by its id.
    """

    version: int = 0
    state: Authority = DECIDER.initial
    made: Mapping[str, Recorded] = {}

    def with_more(self, recorded: list[Recorded]) -> "Folded":
        """With the entries that follow."""
        if not recorded:
            return self
        state = self.state
        for one in recorded:
            state = DECIDER.evolve(state, one.fact)  # type: ignore[arg-type]  # its own kind
        made = {**self.made, **{_id(one.fact): one for one in recorded}}
        return Folded(recorded[-1].version, state, made)


class Authorities:
    """Owned by one event loop. A long history of bindings that came and went is paid for once, and
    not at each act and each list.
    """

    def __init__(self, log: Stream) -> None:
        self._log = log
        self._known: dict[str, Folded] = {}

    async def of(self, org: str) -> Folded:
        """With all that was committed before the call. Raises: DomainError log.unavailable."""
        known = self._known.get(org, Folded())
        found = known.with_more(await self._log.read_stream(authority_stream(org), known.version))
        last = self._known.pop(org, found)  # somebody else may have read on meanwhile
        self._known[org] = max(last, found, key=lambda one: one.version)
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return found


def at(recorded: list[Recorded]) -> Folded:
    """Of the stream's first entries."""
    return Folded().with_more(recorded)


def _id(fact: Struct) -> str:
    """Of what the fact begins; empty for one that begins nothing."""
    named = _BEGINS.get(type(fact))
    return "" if named is None else str(getattr(fact, named))
