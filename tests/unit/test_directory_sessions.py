"""What is remembered of sessions: those whose time is not over, however many there were."""

import hashlib
from typing import Final

from msgspec import Struct

from api.authorization.directory import Directory
from domain import issuer, session
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

    def open(self, name: str, opened_us: int, expires_us: int) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()
        fact = session.Opened("token-i", "user-1", ORG, digest, (), "", expires_us, opened_us)
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
