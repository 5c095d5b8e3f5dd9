"""What is remembered of sessions: those whose time is not over, however many there were."""

import hashlib
from typing import Final

from msgspec import Struct

from api.authorization.directory import Directory
from domain import api_key, authority_facts, issuer, organization, session
from domain.linking import IdentityLinked, IdentityUnlinked
from domain.words import Private
from evidence.reader import Recorded

ORG: Final = "organization-1"


class Told:
    """A directory that followed a log of these facts."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.heard: list[str] = []
        self.directory.heard = self.heard.append

    def tell(self, stream: str, fact: Struct) -> None:
        at = len(self.heard)
        self.directory.apply(Recorded(at, stream, 1, "", ORG, "user-1", "", 5, fact))

    def open(
        self, name: str, opened_us: int, expires_us: int, at: str = "token-i", who: str = "user-1"
    ) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()
        fact = session.Opened(at, who, ORG, digest, (), "", expires_us, opened_us)
        self.tell(f"token-{name}", fact)

    def stand(self) -> list[str]:
        return list(self.directory.standing(ORG)[0])

    def known(self) -> list[str]:
        return [one.stream for one in self.directory.sessions(ORG)]


def test_a_session_is_forgotten_when_its_time_is_over() -> None:
    """With the opening of another one, or when asked to; its token is unknown then and its id is
    over, and that it is ended late, or the trust in its issuer, changes nothing.
    """
    told = Told()
    told.tell("token-i", issuer.Trusted("https://a.example", "c", ORG, ("ES256",), (), 5))
    told.open("a", 10, 50)
    told.open("b", 20, 40)
    told.open("c", 40, 90)
    assert told.known() == ["token-a", "token-c"]
    assert told.directory.session("b") is None
    assert told.directory.over("token-b", 41)
    assert not told.directory.over("token-a", 41)
    told.tell("token-b", session.Ended("late", 45))
    told.directory.forget(50)
    assert told.known() == ["token-c"]
    told.tell("token-i", issuer.Distrusted("left", 60))
    assert told.directory.over("token-c", 61)
    assert len(told.heard) == told.directory.version(ORG) == 6


def test_who_belongs_where_and_which_keys_stand_is_known_without_a_search() -> None:
    """However many organizations there are, and however many keys each ever made: a member or an
    account belongs to those that it was not taken from; a key stands until it is revoked, by itself
    or with whom it is for, and its number is not given again.
    """
    told, none = Told(), ((), 5)
    for who in ("user-a", "user-b"):
        told.tell("access-1", authority_facts.MemberAdded(who, "", *none))
    told.tell("access-1", authority_facts.AccountCreated("service-a", Private("ab" * 32), *none))
    assert [told.directory.belonging(who) for who in ("user-a", "service-a")] == [[ORG], [ORG]]
    for number, who in enumerate(("user-a", "user-b", "user-b", "service-a")):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        made = api_key.KeyCreated(who, Private("cd" * 32), "gpuaas_ab", digest, (), 0, *none)
        told.tell(f"token-{number}", made)
    assert told.stand() == ["token-0", "token-1", "token-2", "token-3"]
    told.tell("token-1", api_key.KeyRevoked("lost", *none))
    told.tell("access-1", authority_facts.AccountDeleted("service-a", *none))
    told.tell("access-1", authority_facts.MemberRemoved("user-a", "left", *none))
    assert [told.directory.belonging(who) for who in ("user-a", "service-a", "x")] == [[], [], []]
    assert told.stand() == ["token-2"]
    told.tell("access-1", authority_facts.MemberAdded("user-a", "", *none))
    assert told.directory.belonging("user-a") == [ORG]
    assert told.stand() == ["token-2"], "what somebody had is over, also when they come back"
    told.tell(ORG, organization.ClosedForGood(5))
    assert (told.stand(), told.directory.standing(ORG)[1]) == ([], 4)


def test_many_sessions_come_and_go() -> None:
    """What is remembered is what can still be used."""
    told = Told()
    for at in range(500):
        told.open(f"{at}", at, at + 10)
    assert told.known() == [f"token-{at}" for at in range(490, 500)]
    assert told.directory.session("489") is None
    assert told.directory.session("490") is not None


def test_nobody_stays_signed_in_by_an_identity_that_is_unlinked() -> None:
    """Nor by one that is linked to that; sessions by others of the person's stand."""
    for gone, over in (("user-b", {"b", "c"}), ("user-c", {"c"})):
        told = Told()
        links = {
            "user-c": IdentityLinked("user-c", "user-b", "token-c", ("own",), 1),
            "user-b": IdentityLinked("user-b", "user-a", "token-b", ("own",), 2),
        }
        for name, fact in links.items():
            told.tell(f"token-{name}", fact)
        for name in ("a", "b", "c"):
            told.open(name, 3, 90, f"token-{name}", "user-a")
        told.open("else", 3, 90, "token-c", "user-else")
        person = links[gone].person
        told.tell(f"token-{gone}", IdentityUnlinked(gone, person, "left", ("own",), 4))
        ended = {one.stream for one in told.directory.sessions(ORG) if one.ended}
        assert ended == {f"token-{name}" for name in over}, gone
