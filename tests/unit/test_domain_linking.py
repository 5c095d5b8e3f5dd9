"""Whose an identity is: one person's at a time, proved, and what was proved is not forgotten."""

from api.authorization.persons import Persons, identity_stream
from domain.linking import DECIDER, Event, IdentityLinked, IdentityUnlinked, Link, Unlink
from evidence.reader import Recorded
from tests.unit.domain_world import decided, refused

ME, MINE, OTHER = "user-me", "user-mine", "user-other"
LINK = Link(MINE, ME, "token-i", 10)
OWN = ("own",)
ORG = "organization-1"


def test_an_identity_is_of_one_person_until_it_is_unlinked() -> None:
    """Linked once, of nobody else meanwhile, and free again."""
    linked: list[Event] = [IdentityLinked(MINE, ME, "token-i", OWN, 10)]
    assert decided(DECIDER, [], LINK) == linked
    assert decided(DECIDER, linked, LINK) == []
    assert refused(DECIDER, linked, Link(MINE, OTHER, "token-i", 11)) == "identity.linked"
    assert refused(DECIDER, [], Link(ME, ME, "token-i", 11)) == "identity.same"
    assert refused(DECIDER, [], Unlink("x", 11)) == "identity.unknown"
    gone = decided(DECIDER, linked, Unlink("left", 12))
    assert gone == [IdentityUnlinked(MINE, ME, "left", OWN, 12)]
    again = decided(DECIDER, [*linked, *gone], Link(MINE, OTHER, "token-i", 13))
    assert again == [IdentityLinked(MINE, OTHER, "token-i", OWN, 13)]


class Told:
    def __init__(self) -> None:
        self.persons = Persons()
        self._versions: dict[str, int] = {}

    def tell(self, fact: Event) -> None:
        version = self._versions[fact.identity] = self._versions.get(fact.identity, 0) + 1
        at = sum(self._versions.values())
        stream = identity_stream(ORG, fact.identity)
        entry = Recorded(at, stream, version, "", ORG, fact.person, "", 5, fact)
        self.persons.apply(entry, fact)


def test_who_signs_in_is_the_person_at_the_end_of_the_links() -> None:
    """Also where that one was linked later; unlinked, each is its own, but stays one human."""
    told = Told()
    told.tell(IdentityLinked(MINE, ME, "token-i", OWN, 10))
    told.tell(IdentityLinked(ME, OTHER, "token-j", OWN, 11))
    streams = tuple((identity_stream(ORG, one), n) for one, n in ((MINE, 1), (ME, 1), (OTHER, 0)))
    assert told.persons.of(ORG, MINE) == (OTHER, streams)
    assert [one.said.identity for one in told.persons.linked(ORG, OTHER)] == [MINE, ME]
    assert told.persons.of("-", MINE)[0] == MINE, "elsewhere it is its own"
    told.tell(IdentityUnlinked(MINE, ME, "x", OWN, 12))
    assert told.persons.of(ORG, MINE) == (MINE, ((identity_stream(ORG, MINE), 2),))
    assert [one.said.identity for one in told.persons.linked(ORG, OTHER)] == [ME]
    assert told.persons.alike(MINE) == told.persons.alike(OTHER) == {ME, MINE, OTHER}
    assert told.persons.alike("user-else") == {"user-else"}
