"""Tokens: who is let in, as whom, and every way of not being let in."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.auth import Verifier, allow, may, within
from api.authorization import sessions
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.keys import KeyRing, minted
from api.authorization.principal import Principal
from api.authorization.sessions import Sessions
from api.origin import address
from domain.api_key import PREFIX
from domain.errors import DomainError

_KEY = Ed25519PrivateKey.generate()
_ORG = "organization-01890000-0000-7000-8000-000000000000"


def _claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "us", "aud": "gpuaas", "sub": "user-1", "role": "member", "org": _ORG,
        "nbf": now - 10, "exp": now + 600,
    }  # fmt: skip
    return {name: value for name, value in (claims | changed).items() if value is not None}


def _token(*, key: Any = _KEY, algorithm: str = "EdDSA", **changed: Any) -> str:
    return jwt.encode(_claims(**changed), key, algorithm=algorithm)


def _without(name: str) -> dict[str, Any]:
    return {name: None}


def _verifier() -> Verifier:
    return Verifier(_KEY.public_key(), "us", "gpuaas")


def _refused(token: str) -> str:
    with pytest.raises(DomainError) as caught:
        _verifier().principal(token)
    return caught.value.code


def test_a_good_token_names_its_principal() -> None:
    """Subject, role and organization come from the signed claims alone."""
    assert _verifier().principal(_token()) == Principal("user-1", "member", _ORG, step_up="aal2")


def test_expired_is_expired_also_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token verified once ends at its own `exp`, not at the cache's leisure."""
    assert _refused(_token(exp=int(time.time()) - 60)) == "auth.expired"
    verifier, token = _verifier(), _token()
    verifier.principal(token)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(DomainError, match=r"auth\.expired"):
        verifier.principal(token)


def test_another_issuers_token_is_foreign() -> None:
    """Signed by another key, or naming another issuer or audience: not ours."""
    assert _refused(_token(key=Ed25519PrivateKey.generate())) == "auth.invalid"
    assert _refused(_token(iss="them")) == "auth.invalid"
    assert _refused(_token(aud="elsewhere")) == "auth.invalid"


def test_not_before_is_kept() -> None:
    """A token is not good before its time."""
    assert _refused(_token(nbf=int(time.time()) + 3600)) == "auth.invalid"


@pytest.mark.parametrize("missing", ["exp", "nbf", "iss", "aud", "sub", "role"])
def test_every_claim_is_required(missing: str) -> None:
    """A token without one of them could live for ever or be anybody's."""
    assert _refused(_token(**_without(missing))) == "auth.invalid"


def test_alg_none_and_key_confusion_are_refused() -> None:
    """The algorithm is ours to pin: `none` and an HMAC keyed by the public key are forgeries."""
    head = {"alg": "none", "typ": "JWT"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (head, _claims())
    ]
    assert _refused((b".".join(parts) + b".").decode()) == "auth.invalid"
    public = _KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert _refused(_token(key=public + bytes(32), algorithm="HS256")) == "auth.invalid"


def test_a_changed_token_is_another_token() -> None:
    """The cache answers for the exact text only: a changed signature is verified, and fails."""
    verifier, token = _verifier(), _token()
    verifier.principal(token)
    head, body, _ = token.split(".")
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(bytes(64)).decode().rstrip('=')}"
    with pytest.raises(DomainError, match=r"auth\.invalid"):
        verifier.principal(forged)


@pytest.mark.parametrize(
    "changed",
    [{"role": "root"}, {"org": None}, {"sub": "a b"}, {"sub": "x" * 200}, {"sub": "a\nb"}],
)
def test_unknown_roles_and_strange_subjects_are_refused(changed: dict[str, Any]) -> None:
    """A tenant's role without its organization would be everybody's."""
    assert _refused(_token(**changed)) == "auth.invalid"


def test_a_foreign_organization_does_not_exist() -> None:
    """Another organization's thing and a missing one give one answer."""
    door = Door(Directory(), lambda: 0)
    member = Principal("user-1", "member", _ORG, action="runtime.read", door=door)
    within(member, _ORG, "runtime")
    with pytest.raises(DomainError, match=r"resource\.unknown"):
        within(member, "organization-other", "runtime")


def test_an_address_is_the_one_that_policies_compare() -> None:
    """Mapped IPv4 is IPv4; a scope or a name is no address, and matches no network."""
    cases = {
        "10.1.2.3": "10.1.2.3", "::ffff:10.1.2.3": "10.1.2.3", "2001:DB8::1": "2001:db8::1",
        "localhost": "", "": "", "/run/socket": "",
    }  # fmt: skip
    assert {host: address(host) for host in cases} == cases


def test_a_refusal_says_which_action_scope_and_policy() -> None:
    """A member is refused what its role does not hold, in its own organization, by name."""
    door = Door(Directory(), lambda: 0)
    member = Principal("user-1", "member", _ORG, action="runtime.read", door=door)
    assert not may(member, "quota.set", _ORG)
    with pytest.raises(DomainError, match=r"auth\.forbidden") as refused:
        allow(member, "quota.set", _ORG)
    assert refused.value.facts == {"action": "quota.set", "scope": _ORG, "policy": ""}


@pytest.mark.parametrize(
    ("scopes", "may_ask"),
    [
        (None, True),
        (("*",), True),
        (("runtime.*", "session.*"), True),
        (("session.read_me",), True),
        (("runtime.*", "session.list"), False),
        ((), False),
    ],
)
def test_a_key_is_kept_to_its_scopes_where_anyone_may(
    scopes: tuple[str, ...] | None, *, may_ask: bool
) -> None:
    """What needs no binding still needs the key to be for it: the action, its area or all."""
    door = Door(Directory(), lambda: 0)
    caller = Principal("user-1", "", _ORG, scopes=scopes)
    if may_ask:
        assert door.somewhere(caller, "session.read_me") == ("-",)
        return
    with pytest.raises(DomainError, match=r"auth\.forbidden") as refused:
        door.somewhere(caller, "session.read_me")
    assert refused.value.facts == {
        "action": "session.read_me", "scope": _ORG, "policy": "key.scopes",
    }  # fmt: skip


def test_what_was_never_minted_is_not_asked_for() -> None:
    """Only what has the form and the checksum of a key or a session may be one that another
    process made a moment ago.
    """
    for kind, prefix in ((KeyRing(Directory()), PREFIX), (Sessions(Directory()), sessions.PREFIX)):
        good = minted(prefix)
        worse = good[:-1] + ("0" if good[-1] != "0" else "1")
        assert [kind.told_late(one) for one in (good, worse, prefix, f"{good}0")] == [
            True, False, False, False,
        ]  # fmt: skip
    assert not _verifier().told_late(_token())
