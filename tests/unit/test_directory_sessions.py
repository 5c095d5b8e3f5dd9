"""What is remembered of sessions: those whose time is not over, however many there were."""

import hashlib
from typing import Final

from msgspec import Struct

from api.authorization.directory import Directory
from domain import issuer, session
from domain.linking import IdentityLinked, IdentityUnlinked
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
