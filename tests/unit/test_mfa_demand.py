"""A second factor where administrative actions ask for one: who is refused, and how it is told."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from api.authorization.cedar import Policies
from api.authorization.credentials import Signed
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.explaining import Question, reasons
from api.authorization.keys import steps_up
from api.authorization.principal import Principal
from api.authorization.sessions import by_two_factors
from api.demands import login_age_s, mfa_demanded
from api.refusals import problem_bytes
from domain import api_key, issuer, session
from domain.binding import Binding, Guardrail
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private
from evidence.reader import Recorded
from tests.no_tenants import NoTenants

ORG = "organization-1"
ADMIN = Principal("user-1", "admin", ORG, step_up="aal2")
OPERATOR = Principal("user-1", "platform-operator", "-", step_up="aal2")
PLACE = (ORG, "-")
NAME = Private("0" * 64)
DAY_US = 86_400_000_000


class Railed(NoTenants):
    """One organization, with a guardrail on administrative actions."""

    def guardrails(self, _org: str) -> tuple[Guardrail, ...]:
        return (Guardrail("guardrail-1", ("administrative",), ORG, unless_mfa=True),)


def strong(caller: Principal) -> Principal:
    return Principal(caller.actor, caller.role, caller.org, mfa=True)


def test_by_default_nobody_is_asked() -> None:
    """The embedded stack's developer, and any admin, act as before."""
    door = Door(NoTenants(), lambda: 0)
    assert door.decide(ADMIN, "binding.grant", PLACE).allowed
    assert door.decide(OPERATOR, "token.issue", ("-",)).allowed


@pytest.mark.parametrize("caller", [ADMIN, OPERATOR])
def test_the_platform_demands_it_of_everybody(caller: Principal) -> None:
    """Operators too; with one it is allowed, and what is not administrative always was."""
    door = Door(NoTenants(), lambda: 0, mfa_demanded=True)
    refused = door.decide(caller, "binding.grant", PLACE)
    assert (refused.allowed, refused.policies) == (False, ("mfa.administrative",))
    assert door.decide(strong(caller), "binding.grant", PLACE).allowed
    assert door.decide(caller, "project.create", PLACE).allowed


def test_an_organization_demands_it_of_its_own() -> None:
    """By a guardrail under its own id; the platform's operators are not bound by it."""
    door = Door(Railed(), lambda: 0)
    refused = door.decide(ADMIN, "member.add", PLACE)
    assert (refused.allowed, refused.policies) == (False, ("guardrail-1",))
    assert door.decide(strong(ADMIN), "member.add", PLACE).allowed
    assert door.decide(ADMIN, "runtime.launch", PLACE).allowed
    assert door.decide(OPERATOR, "member.add", PLACE).allowed


def test_a_refusal_says_what_to_do() -> None:
    """403 with the challenge of RFC 9470, and the words to ask the issuer for."""
    door = Door(Railed(), lambda: 0)
    error = door.refusal(ADMIN, "member.add", PLACE)
    assert error.code == "auth.mfa_required"
    status, _, headers = problem_bytes(error, "0")
    assert status == 403
    assert headers["WWW-Authenticate"] == (
        'Bearer realm="gpuaas", error="insufficient_user_authentication", '
        'error_description="a second factor is asked for", acr_values="aal2"'
    )
    by_key = Principal("user-1", "admin", ORG, key="token-1", scopes=("*",))
    _, _, headers = problem_bytes(door.refusal(by_key, "member.add", PLACE), "0")
    assert "acr_values" not in headers["WWW-Authenticate"], "a key signs in nowhere"


def test_who_lacks_more_learns_nothing_of_factors() -> None:
    """A viewer would be refused with a second factor as well."""
    viewer = Principal("user-1", "viewer", ORG)
    assert Door(Railed(), lambda: 0).refusal(viewer, "member.add", PLACE).code == "auth.forbidden"


def test_the_guard_names_it_where_a_binding_asks() -> None:
    """Of several places the one where nothing else lacks."""

    class Bound(NoTenants):
        def bindings(self, _org: str, _actor: str) -> tuple[Binding, ...]:
            return (Binding("binding-1", "user-2", "admin", ORG, mfa=True),)

    door = Door(Bound(), lambda: 0)
    with pytest.raises(DomainError, match=r"auth\.mfa_required"):
        door.somewhere(Principal("user-2", "", ORG), "project.create")


def test_explain_names_the_platforms_demand() -> None:
    """As what decides, beside the bindings."""
    door = Door(NoTenants(), lambda: 0, mfa_demanded=True)
    one = Binding("binding-1", "user-1", "owner", ORG)
    asked = Question("user-1", "guardrail.set", PLACE, door.call(ADMIN, "guardrail.set", ORG), 0)
    allowed, told = reasons(Policies((one,), ()), asked)
    assert not allowed
    assert [(row.id, row.effect, row.decides) for row in told] == [
        ("binding-1", "permit", False), ("mfa.administrative", "forbid", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amr", "acr", "second"),
    [
        ((), "", False),
        (("pwd",), "", False),
        (("otp",), "", True),
        ((), "AAL2", True),
        ((), "urn:ours:strong", False),
    ],
)
def test_what_counts_until_somebody_says_otherwise(
    amr: tuple[str, ...], acr: str, *, second: bool
) -> None:
    """RFC 8176's words of more than one factor, NIST's levels."""
    assert issuer.Factors().second(amr, acr) is second


def test_what_counts_at_an_issuer_is_said_of_it() -> None:
    """Its own words, and those alone; trusted anew it says the usual again."""
    trusted = issuer.Trusted("https://i", "c", ORG, ("RS256",), (), 0)
    told: list[issuer.Event] = [trusted, issuer.FactorsSet((), ("urn:ours:strong",), (), 1)]
    state = fold(issuer.DECIDER, told)
    assert isinstance(state, issuer.Believed)
    assert state.factors.second((), "urn:ours:strong")
    assert not state.factors.second(("otp",), "aal2")
    same = issuer.SetFactors(state.factors, (), 2)
    assert issuer.decide(same, state) == []
    state = fold(issuer.DECIDER, [*told, issuer.Distrusted("x", 2), trusted])
    assert isinstance(state, issuer.Believed)
    assert state.factors == issuer.Factors()
    with pytest.raises(DomainError, match=r"issuer\.unknown"):
        issuer.decide(same, issuer.Rejected(trusted))


def test_a_session_is_as_strong_as_its_words_count_now() -> None:
    """Of an issuer that the directory does not know, the usual words."""
    opened = session.Opened("token-1", "user-1", ORG, "0" * 64, ("otp",), "", 9, 0)
    assert by_two_factors(Directory(), Signed("token-2", opened))


@pytest.mark.parametrize(
    ("scopes", "until_us", "code"),
    [
        (("binding.grant",), 90 * DAY_US, ""),
        (("binding.grant",), 90 * DAY_US + 1, "api_key.mfa_unbounded"),
        (("binding.grant",), 0, "api_key.mfa_unbounded"),
        ((), DAY_US, "api_key.mfa_unbounded"),
        (("binding.grant", "*"), DAY_US, "api_key.mfa_unbounded"),
        (("binding.*",), DAY_US, "api_key.mfa_unbounded"),
        (("administrative",), DAY_US, "api_key.mfa_unbounded"),
        (("role:owner",), DAY_US, "api_key.mfa_unbounded"),
    ],
)
def test_a_key_stands_for_a_factor_within_bounds(
    scopes: tuple[str, ...], until_us: int, code: str
) -> None:
    """For actions that it names, and for 90 days at most."""
    wanted = api_key.Create("user-1", NAME, "gpuaas_x", "0" * 64, scopes, until_us, (), 0, mfa=True)
    if code:
        with pytest.raises(DomainError, match=code):
            api_key.decide(wanted, api_key.Missing())
        return
    _, stepped = api_key.decide(wanted, api_key.Missing())
    assert stepped == api_key.KeySteppedUp((), 0)


def test_a_key_has_its_factor_no_longer_than_its_issuers_word_counts() -> None:
    """Not while the words that its maker had are none, and never again once the issuer was trusted
    no more, as its sessions; a key that names nobody's word keeps it.
    """
    wanted = api_key.Create(
        *("user-1", NAME, "gpuaas_x", "0" * 64, ("group.create",), DAY_US, (), 0),
        *(True, "token-i", ("otp",), ""),
    )
    trusted = issuer.Trusted("https://a.example", "c", ORG, ("ES256",), (), 1)
    directory, at = Directory(), 0

    def told(stream: str, *said: Struct) -> bool:
        nonlocal at
        for fact in said:
            directory.apply(Recorded(at, stream, at + 1, "", ORG, "user-1", "", 5, fact))
            at += 1
        return steps_up(directory, directory.keys(ORG)[0])

    directory.apply(Recorded(at, "token-i", 1, "", ORG, "user-1", "", 5, trusted))
    assert told("token-k", *api_key.decide(wanted, api_key.Missing()))
    for words, counts in ((("hwk",), False), (("otp",), True)):
        assert told("token-i", issuer.FactorsSet(words, (), (), 2)) is counts
    assert not told("token-i", issuer.Distrusted("left", 3))
    assert not told("token-i", trusted)
    bare = replace(wanted, issuer="", secret_sha256="1" * 64)
    told("token-o", *api_key.decide(bare, api_key.Missing()))
    assert told("token-i", issuer.Distrusted("left", 4)) is False
    assert steps_up(directory, directory.keys(ORG)[1])


def test_a_recent_sign_in_is_demanded_of_people() -> None:
    """Of administrative actions alone, until it is too old to the microsecond; whoever lacks a
    factor as well is told that, and how recent; an API key signs in nowhere.
    """
    now = [100_000_000]
    door = Door(NoTenants(), lambda: now[0], login_age_s=60)
    signed = replace(ADMIN, signed_us=40_000_000)
    assert door.decide(signed, "binding.grant", PLACE).allowed
    now[0] += 1
    assert door.decide(signed, "binding.grant", PLACE).policies == ("login.stale",)
    assert door.decide(signed, "project.create", PLACE).allowed
    assert door.refusal(signed, "binding.grant", PLACE).code == "auth.login_stale"
    viewer = replace(signed, role="viewer")
    assert door.refusal(viewer, "binding.grant", PLACE).code == "auth.forbidden"
    with pytest.raises(DomainError, match=r"auth\.login_stale"):
        door.somewhere(signed, "binding.grant")
    by_key = replace(ADMIN, key="token-1", scopes=("*",))
    assert door.decide(by_key, "binding.grant", PLACE).allowed
    door.mfa_demanded = True
    refused = door.refusal(signed, "binding.grant", PLACE)
    assert (refused.code, refused.facts["max_age"]) == ("auth.mfa_required", 60)
    assert "max_age" not in door.refusal(by_key, "binding.grant", PLACE).facts


def test_the_setting_is_said_plainly() -> None:
    """1 or 0, unset 0; anything else starts nothing; of an age likewise."""
    ages = ("60", "86400", "0", "")
    assert [login_age_s({"GPUAAS_ADMIN_LOGIN_AGE_S": one}) for one in ages] == [60, 86_400, 0, 0]
    for wrong in ("59", "86401", "x", "-1", "1e3", "\u0661\u0662\u0663", "000060"):
        with pytest.raises(DomainError, match=r"config\.malformed"):
            login_age_s({"GPUAAS_ADMIN_LOGIN_AGE_S": wrong})
    assert [mfa_demanded({"GPUAAS_ADMIN_MFA": one}) for one in ("1", "0", "")] == [
        True,
        False,
        False,
    ]
    assert mfa_demanded({}) is False
    for wrong in ("yes", "true", "2"):
        with pytest.raises(DomainError, match=r"config\.malformed"):
            mfa_demanded({"GPUAAS_ADMIN_MFA": wrong})
