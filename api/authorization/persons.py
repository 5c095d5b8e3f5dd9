"""Which identities are linked to which person, now and ever, as the log tells it."""

from msgspec import Struct

from domain.authority import authority_stream
from domain.authority_checks import PLATFORM
from domain.linking import Event, IdentityLinked, IdentityUnlinked
from domain.session import Opened
from evidence.reader import Recorded
from projections.months import derived_id


class Linked(Struct, frozen=True):
    """`version`: of the identity's own stream."""

    version: int
    said: IdentityLinked
    position: int


def identity_stream(org: str, identity: str) -> str:
    """Where the log says whose an identity is in the organization (at the platform: `-`)."""
    of = authority_stream(org) if org == PLATFORM else org
    return derived_id("token", of, f"identity\n{identity}")


class Persons:
    """Folded in the order of the log. Owned by one event loop. Linked is what signs in at issuers
    of one organization; another one that trusts the same issuer knows each identity by itself.
    """

    def __init__(self) -> None:
        self._links: dict[tuple[str, str], Linked] = {}  # by organization and identity
        self._whose: dict[
            tuple[str, str], dict[str, None]
        ] = {}  # what is linked to a person itself
        self._versions: dict[str, int] = {}
        self._alike: dict[str, set[str]] = {}  # whatever was ever one person's, shared by all of it

    def apply(self, entry: Recorded, fact: Event) -> None:
        org, identity = entry.org, fact.identity
        self._versions[entry.stream] = entry.version
        match fact:
            case IdentityLinked(person=person):
                self._links[org, identity] = Linked(entry.version, fact, entry.position)
                self._whose.setdefault((org, person), {})[identity] = None
                whole = self.alike(identity) | self.alike(person)
                self._alike.update(dict.fromkeys(whole, whole))
            case IdentityUnlinked(person=person):
                del self._links[org, identity], self._whose[org, person][identity]

    def of(self, org: str, identity: str) -> tuple[str, tuple[tuple[str, int], ...]]:
        """Whose it is there, its own where it is nobody else's; and the streams that say so, with
        their versions.
        """
        reads = []
        while True:
            stream = identity_stream(org, identity)
            reads.append((stream, self._versions.get(stream, 0)))
            link = self._links.get((org, identity))
            if link is None:
                return identity, tuple(reads)
            identity = link.said.person

    def alike(self, identity: str) -> set[str]:
        """All that was ever one person's with it, itself too: who showed to be both stays one
        human, whatever is unlinked since.
        """
        return self._alike.get(identity, {identity})

    def linked(self, org: str, person: str) -> list[Linked]:
        """What is linked to the person there now, in order of linking."""
        found = [self._links[org, identity] for identity in self._whose.get((org, person), ())]
        found += [below for one in found for below in self.linked(org, one.said.identity)]
        return sorted(found, key=lambda one: one.position)

    def came_by(self, opened: Opened) -> bool:
        """Whether it may be as an identity that is linked to the person that whoever opened the
        session came: somebody of the issuer of one does.
        """
        every = self.linked(opened.organization, opened.principal)
        return any(one.said.issuer == opened.issuer for one in every)

    def link(self, org: str, identity: str) -> Linked | None:
        return self._links.get((org, identity))
