import pytest

from domain import grant
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private

NOW = 1_700_000_000_000_000
HOUR = 60 * grant.MINUTE_US
ANYWHERE = Private("00" * 32)


def granted(hours: int = 12) -> grant.Granted:
    asked = grant.Grant("runtime-1", "project-1", "user-1", grant.SSH, NOW + hours * HOUR, NOW)
    [fact] = grant.decide(asked, grant.Missing())
    assert isinstance(fact, grant.Granted)
    return fact


def issue(minutes: int, extra_us: int = 0, now: int = NOW) -> grant.IssueCertificate:
    before = now + minutes * grant.MINUTE_US + extra_us
    return grant.IssueCertificate(7, "allocation-1.3", "ab" * 32, ANYWHERE, before, now)


def code(command: grant.Command, state: grant.State) -> str:
    with pytest.raises(DomainError) as refused:
        grant.decide(command, state)
    return refused.value.code


@pytest.mark.parametrize(
    ("us", "fits"), [(0, False), (1, True), (24 * HOUR, True), (24 * HOUR + 1, False)]
)
def test_a_grant_lasts_up_to_a_day(us: int, fits: bool) -> None:
    """Until is after now and at most 24 hours later."""
    asked = grant.Grant("runtime-1", "project-1", "user-1", grant.SSH, NOW + us, NOW)
    if fits:
        assert len(grant.decide(asked, grant.Missing())) == 1
    else:
        assert code(asked, grant.Missing()) == "access.until_invalid"


@pytest.mark.parametrize("minutes", range(20))
def test_a_certificate_is_valid_for_5_to_15_minutes(minutes: int) -> None:
    """Exactly those whole minutes are issued, and never beyond the grant."""
    state = fold(grant.DECIDER, [granted()])
    if 5 <= minutes <= 15:
        [fact] = grant.decide(issue(minutes), state)
        assert isinstance(fact, grant.CertificateIssued)
        assert fact.before_us - fact.after_us == minutes * grant.MINUTE_US
    else:
        assert code(issue(minutes), state) == "access.validity_invalid"
    assert code(issue(10, 1), state) == "access.validity_invalid"
    late = issue(10, now=NOW + 12 * HOUR - 9 * grant.MINUTE_US)
    assert code(late, state) == "access.validity_invalid"


def test_how_it_was_obtained_stands_beside_the_grant() -> None:
    """Said of a grant that is open, and of nothing else; it changes no state."""
    state = fold(grant.DECIDER, [granted()])
    how = grant.Obtain("token-1", implied=False, now_us=NOW)
    [fact] = grant.decide(how, state)
    assert fact == grant.Obtained("token-1", implied=False, obtained_us=NOW)
    assert grant.evolve(state, fact) == state
    assert code(how, grant.Missing()) == "access.not_possible"
    revoked = grant.Revoked("requested", NOW)
    assert code(how, grant.evolve(state, revoked)) == "access.revoked"


def test_a_revoked_grant_stays_revoked() -> None:
    """Revoking twice is one fact; nothing is issued afterwards."""
    [revoked] = grant.decide(grant.Revoke("requested", NOW), fold(grant.DECIDER, [granted()]))
    state = fold(grant.DECIDER, [granted(), revoked])
    assert grant.decide(grant.Revoke("again", NOW + 1), state) == []
    assert code(issue(10), state) == "access.revoked"
    assert code(grant.Revoke("x", NOW), grant.Missing()) == "access.not_possible"
    asked = grant.Grant("runtime-2", "project-1", "user-1", grant.SSH, NOW + HOUR, NOW)
    assert code(asked, fold(grant.DECIDER, [granted()])) == "access.not_possible"
