"""Whom people sign in with, and what they act with then."""

import pytest
from msgspec.structs import replace

from domain import issuer, session
from domain.decider import fold
from domain.errors import DomainError

TRUST = issuer.Trust("https://id.example", "client", "-", ("RS256", "ES256"), ("b.ex", "a.ex"), 5)
TRUSTED = issuer.Trusted(
    "https://id.example", "client", "-", ("ES256", "RS256"), ("a.ex", "b.ex"), 5
)
OPEN = session.Open("token-1", "user-1", "-", "ab" * 32, ("pwd", "otp"), "2", 900, 5)
OPENED = session.Opened("token-1", "user-1", "-", "ab" * 32, ("pwd", "otp"), "2", 900, 5)


def decided(*events: issuer.Event, command: issuer.Command) -> list[issuer.Event]:
    return issuer.decide(command, fold(issuer.DECIDER, events))


def test_an_issuer_is_trusted_once_and_otherwise_anew() -> None:
    """A repeat says nothing; other algorithms or domains do, and so does trust after distrust."""
    again = replace(TRUST, domains=("a.ex", "b.ex"), now_us=9)
    assert decided(command=TRUST) == [TRUSTED]
    assert decided(TRUSTED, command=again) == []
    fewer = replace(again, algorithms=("ES256",))
    assert decided(TRUSTED, command=fewer) == [
        replace(TRUSTED, algorithms=("ES256",), decided_us=9)
    ]
    over = issuer.Distrusted("left", 6)
    assert decided(TRUSTED, command=issuer.Distrust("left", 6)) == [over]
    assert decided(TRUSTED, over, command=issuer.Distrust("left", 7)) == []
    assert decided(TRUSTED, over, command=again) == [replace(TRUSTED, decided_us=9)]


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("ES256", "HS512")])
def test_a_shared_secret_signs_nobody_in(algorithms: tuple[str, ...]) -> None:
    """Only signatures by a private key are believed, and at least one kind is."""
    with pytest.raises(DomainError) as found:
        decided(command=replace(TRUST, algorithms=algorithms))
    assert found.value.code == "issuer.algorithm_unknown"


def test_nobody_is_distrusted_who_was_never_trusted() -> None:
    """It is unknown."""
    with pytest.raises(DomainError) as found:
        decided(command=issuer.Distrust("left", 6))
    assert found.value.code == "issuer.unknown"


def test_a_principal_is_issuer_and_subject() -> None:
    """The same of one pair, other of every other pair; nothing of either is in it."""
    one = issuer.principal("https://id.example", "alice")
    assert one == issuer.principal("https://id.example", "alice")
    others = {
        issuer.principal("https://id.example", "bob"),
        issuer.principal("https://id.example/", "alice"),
        issuer.principal("https://id.examplealice", ""),
        issuer.principal("https://id.example", "alice\0"),
    }
    assert len(others | {one}) == 5
    assert one.startswith("user-")
    assert "alice" not in one


def test_an_identity_token_opens_one_session() -> None:
    """Its repeat is refused, of a session that is over too; an end happens once."""
    ended = session.Ended("signed_out", 7)
    for past in ((OPENED,), (OPENED, ended)):
        with pytest.raises(DomainError) as found:
            session.decide(OPEN, fold(session.DECIDER, past))
        assert found.value.code == "session.token_used"
    end = session.End("signed_out", 7)
    assert session.decide(OPEN, session.Missing()) == [OPENED]
    assert session.decide(end, fold(session.DECIDER, (OPENED,))) == [ended]
    assert session.decide(end, fold(session.DECIDER, (OPENED, ended))) == []
    with pytest.raises(DomainError) as found:
        session.decide(end, session.Missing())
    assert found.value.code == "session.unknown"
