"""JWTs that a program signs with a key of its own: each way in which one is not what it says."""

import base64
import contextlib
import time
from typing import Any, Final

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from api.authorization.directory import Directory
from api.authorization.key_tokens import KeyTokens
from api.authorization.keys import KeyRing
from api.tokens import AUDIENCE
from contracts.signing import public_key
from domain import api_key, authority_facts
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private
from evidence.reader import Recorded

ORG: Final = "organization-1"
WHO: Final = "service-1"
KID: Final = "token-1"
MINE = Ed25519PrivateKey.generate()
NAME = Private("0" * 64)


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


class World:
    """A program with a key of its own (`token-1`), and one whose key is a secret (`token-2`)."""

    def __init__(self) -> None:
        self.directory, self.position = Directory(), 0
        self.kind = KeyTokens(self.directory, KeyRing(self.directory))
        self.tell("access-1", authority_facts.AccountCreated(WHO, NAME, (), 5))
        for name, proof in ((KID, public(MINE)), ("token-2", "")):
            command = api_key.Create(
                *(WHO, NAME, "0" * 12, name.encode().hex(), ("runtime.*",), 0, ("binding-1",), 5),
                public_key=proof,
            )
            for fact in api_key.decide(command, api_key.Missing()):
                self.tell(name, fact)

    def tell(self, stream: str, *facts: Struct) -> None:
        for fact in facts:
            entry = Recorded(self.position, stream, 1, "", ORG, "user-1", "", 5, fact)
            self.directory.apply(entry)
            self.position += 1

    def refused(self, token: str) -> str:
        assert self.kind.takes(token)
        with pytest.raises(DomainError) as found:
            self.kind.principal(token)
        return found.value.code


def token(
    kid: str = KID, by: Any = MINE, algorithm: str = "EdDSA", more: Any = None, **changes: object
) -> str:
    now = int(time.time())
    said = {"iss": WHO, "sub": WHO, "aud": AUDIENCE, "iat": now, "exp": now + 300, **changes}
    claims = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(claims, by, algorithm, {"kid": kid, **(more or {})})


def test_who_signs_with_the_key_acts_by_it() -> None:
    """As its program, within its scopes, until it is revoked or the program is gone; a token that
    was taken before is no exception.
    """
    world, said = World(), token()
    assert world.kind.takes(said)
    for _ in range(2):
        found = world.kind.principal(said)
        assert (found.actor, found.org, found.key, found.scopes) == (WHO, ORG, KID, ("runtime.*",))
        assert not found.mfa
    assert world.kind.ends(said) == jwt.decode(said, options={"verify_signature": False})["exp"]
    assert not world.kind.told_late(said)
    assert world.kind.told_late(token("token-9")), "perhaps made a moment ago"
    world.tell(KID, api_key.KeyRevoked("lost", (), 6))
    assert world.refused(said) == "auth.invalid"
    world = World()
    world.tell("access-1", authority_facts.AccountDeleted(WHO, (), 6))
    assert world.refused(token()) == "auth.invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"by": Ed25519PrivateKey.generate()},
        {"by": public(MINE), "algorithm": "HS256"},
        {"by": None, "algorithm": "none"},
        {"kid": "token-9"},
        {"kid": "token-2"},
        {"iss": "service-2"},
        {"sub": "service-2"},
        {"sub": "user-1", "iss": "user-1"},
        {"aud": "elsewhere"},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"exp": 1 << 40},
        {"iat": 1 << 40},
        {"nbf": 1 << 40},
        {"iat": 1},
        {"exp": "soon"},
    ],
    ids=range(17),
)
def test_what_the_key_does_not_sign_is_nobodys(changes: dict[str, Any]) -> None:
    """Another's signature, algorithm, key, name or audience; without an end, or one too far; of
    times to come.
    """
    assert World().refused(token(**changes)) == "auth.invalid"


ZEROS: Final = "00" * 32
SMALL: Final = (
    *(ZEROS, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "7f"),
    *("ee" + "ff" * 30 + "7f", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


@pytest.mark.parametrize("small", SMALL)
def test_a_key_by_which_anybody_may_sign_is_none(small: str) -> None:
    """A point of small order, whatever its sign: without a private half a signature holds for one
    message in eight at the least. One of zeros that stands already lets nobody in.
    """
    anybodys = b"\x01" + bytes(63)
    for text in (small, small[:-2] + f"{int(small[-2:], 16) | 128:02x}"):
        with pytest.raises(ValueError, match="anybody"):
            public_key(text)
    world = World()
    world.tell(KID, api_key.KeyProvedBy(small, (), 6))
    held = []
    for number in range(200):
        head, said = token(jti=str(number)).rpartition(".")[0].encode(), False
        with contextlib.suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(small)).verify(anybodys, head)
            said = True
        if said:
            forged = f"{head.decode()}.{base64.urlsafe_b64encode(anybodys).rstrip(b'=').decode()}"
            held.append(world.refused(forged))
    assert set(held) <= {"auth.invalid"}
    assert held


def test_it_is_over_when_it_says() -> None:
    """Five seconds of clocks that differ are let pass, as of every token."""
    now = int(time.time())
    world = World()
    assert world.refused(token(iat=now - 60, exp=now - 6)) == "auth.expired"
    assert world.kind.principal(token(iat=now - 60, exp=now - 1)).actor == WHO


@pytest.mark.parametrize(
    "other",
    ["", "a", "a.b.c", "gpuaas_x", token("node-1"), token(more={"crit": ["x"]}), "x" * 9999],
    ids=range(7),
)
def test_tokens_of_other_forms_are_other_kinds(other: str) -> None:
    """What names no key of ours, demands an extension, or is no token, is left to others."""
    assert not World().kind.takes(other)


def test_what_is_too_long_for_one_is_not_remembered() -> None:
    """Anybody may send one: ten thousand of the longest heads would be 300 MB."""
    world = World()
    for number in range(3):
        assert not world.kind.takes(f"{number}." + "a" * 20_000 + ".b")
    assert not world.kind._kids


def test_the_fold_knows_its_proof_and_no_secret() -> None:
    """The facts of one append: the key, then what proves it."""
    command = api_key.Create(WHO, NAME, "a", "b", (), 0, (), 5, public_key="cd")
    [made, proof] = api_key.decide(command, api_key.Missing())
    assert proof == api_key.KeyProvedBy("cd", (), 5)
    assert fold(api_key.DECIDER, [made, proof]) == api_key.Standing(made)  # type: ignore[arg-type]
