"""API keys: created once, revoked for good."""

from msgspec.structs import replace

from domain.api_key import DECIDER, Create, KeyRevoked, Revoke, Revoked
from domain.decider import fold
from tests.unit.domain_world import NAME, decided, refused

KEY = Create("service-1", NAME, "gpuaas_abc", "aa", ("runtime.*",), 2_000, ("binding-1",), 1_000)


def test_a_key_stands_until_it_is_revoked() -> None:
    """Revoking twice is done once; nothing brings it back."""
    given = decided(DECIDER, [], KEY)
    revoke = Revoke("lost", ("binding-1",), 1_500)
    facts = decided(DECIDER, given, revoke)
    assert facts == [KeyRevoked("lost", ("binding-1",), 1_500)]
    after = [*given, *facts]
    assert isinstance(fold(DECIDER, after), Revoked)
    assert decided(DECIDER, after, revoke) == []
    assert refused(DECIDER, after, KEY) == "api_key.not_possible"
    assert refused(DECIDER, [], revoke) == "api_key.not_possible"


def test_a_key_acts_as_somebody_and_ends_later() -> None:
    """Not as a group, and not one that would have ended already; 0 is no end."""
    for principal in ("group-1", "user-", "operator"):
        wrong = replace(KEY, principal=principal)
        assert refused(DECIDER, [], wrong) == "api_key.principal_invalid"
    for until_us, fits in ((0, True), (1_000, False), (1_001, True)):
        wanted = Create(*("service-1", NAME, "p", "aa", ()), until_us, (), 1_000)
        if fits:
            assert len(decided(DECIDER, [], wanted)) == 1
        else:
            assert refused(DECIDER, [], wanted) == "api_key.until_invalid"
