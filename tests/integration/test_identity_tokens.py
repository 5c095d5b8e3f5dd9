"""What a relying party must refuse (OpenID Connect Core 3.1.3.7, RFC 8725), each by its own test."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api.oidc import provider as providers
from api.oidc.identity import Identity, identified
from api.oidc.provider import Provider, require_reachable
from domain.errors import DomainError
from tests.issuer_stage import AUDIENCE, Issuer, issuer
from tests.unit.test_webhook_addresses import Resolver


@pytest.fixture
def here() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


def said(here: Issuer, token: str, *algorithms: str, nonce: str = "n-1") -> Identity:
    provider = Provider(here.url, loopback=True)
    return asyncio.run(identified(token, here.trusted(*algorithms), provider, nonce, time.time()))


def refused(here: Issuer, token: str, *algorithms: str, nonce: str = "n-1") -> str:
    with pytest.raises(DomainError) as found:
        said(here, token, *algorithms, nonce=nonce)
    return found.value.code


def parts(token: str, at: int, value: dict[str, object]) -> str:
    """The token with another header (0) or body (1), under its old signature."""
    pieces = token.split(".")
    pieces[at] = base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return ".".join(pieces)


def test_who_signed_in_is_known(here: Issuer) -> None:
    """Subject and the means of the sign-in, as the issuer says."""
    token = here.token(amr=["pwd", "otp"], acr="2")
    assert said(here, token) == Identity("somebody", ("pwd", "otp"), "2")


def test_when_somebody_showed_who_they_are(here: Issuer) -> None:
    """As the issuer says, in whole seconds, never after it said so; what is no time is refused, and
    no fault.
    """
    now = int(time.time())
    for auth_time, wanted in ((now - 90.5, now - 91), (-9, 0), (None, 0)):
        assert said(here, here.token(auth_time=auth_time)).authenticated_s == wanted
    assert said(here, here.token(iat=now - 5, auth_time=now + 99)).authenticated_s == now - 5
    for odd in (float("nan"), float("inf"), float("-inf"), "x", [1]):
        assert refused(here, here.token(auth_time=odd)) == "session.token_invalid"


def test_words_that_are_no_words(here: Issuer) -> None:
    """What no entry of the log could hold, is longer than a subject may be, or is a crowd of words:
    a token that is not accepted, and no fault.
    """
    for claims in (
        {"sub": "a\ud800"}, {"sub": "a\0"}, {"sub": "z" * 256}, {"amr": ["\0"]}, {"acr": "\udfff"},
        {"amr": ["pwd"] * 20}, {"acr": "x" * 256}, {"iat": float("inf")}, {"exp": float("inf")},
    ):  # fmt: skip
        assert refused(here, here.token(**claims)) == "session.token_invalid", claims
    assert said(here, here.token(sub="z" * 255)).subject == "z" * 255


def test_another_kind_of_token(here: Issuer) -> None:
    """What an API is called with, or told a logout by, opens no session, although the same key signed
    it for the same client (RFC 8725 section 3.11).
    """
    for kind in ("at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt"):
        assert refused(here, here.token({"typ": kind})) == "session.token_invalid", kind
    wrong: tuple[dict[str, Any], ...] = (
        {"typ": "Bearer"}, {"token_use": "access"}, {"events": {"logout": {}}},
    )  # fmt: skip
    for claims in wrong:
        assert refused(here, here.token(**claims)) == "session.token_invalid", claims
    assert said(here, here.token(typ="ID", token_use="id")).subject == "somebody"


def test_where_people_are_sent_is_https(here: Issuer) -> None:
    """A document whose endpoints are a file, a script or in the clear sends nobody anywhere."""
    for name in ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint"):
        for url in (
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://a.example/",
            "//a.example",
        ):
            here.document[name] = url
            assert refused(here, here.token()) == "issuer.invalid", (name, url)
        here.document[name] = "https://a.example/"
    assert said(here, here.token()).subject == "somebody"


def test_no_signature(here: Issuer) -> None:
    """`none` is no algorithm, in whatever letters; an empty signature is none."""
    for name in ("none", "None", "NONE"):
        bare = parts(here.token(), 0, {"alg": name, "kid": "key-1"})
        assert refused(here, bare.rpartition(".")[0] + ".") == "session.token_invalid"
    assert refused(here, here.token().rpartition(".")[0] + ".") == "session.token_invalid"


def test_algorithm_confusion(here: Issuer) -> None:
    """A public key is no secret to sign with, even where the issuer was trusted with too much."""
    public = here.keys["key-1"].public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        body = here.token().rpartition(".")[0].split(".")[1]
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"key-1"}').rstrip(b"=").decode()
        mac = jwt.get_algorithm_by_name("HS256")
        signature = mac.sign(f"{head}.{body}".encode(), secret)
        forged = f"{head}.{body}." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        assert refused(here, forged) == "session.token_invalid"
        assert refused(here, forged, "HS256", "ES256") == "session.token_invalid"


def test_another_algorithm_than_trusted_with(here: Issuer) -> None:
    """The list is ours, not the token's; nor does a key sign with another kind than its own."""
    assert refused(here, here.token(), "RS256") == "session.token_invalid"
    own = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode(here.claims(), own, "RS256", {"kid": "key-1"})
    assert refused(here, forged, "RS256", "ES256") == "session.token_invalid"


def test_an_rsa_key_that_names_no_algorithm(here: Issuer) -> None:
    """It signs with the padding that the issuer was trusted with, and a key that names one with
    that alone.
    """
    own = rsa.generate_private_key(65537, 2048)
    key = json.loads(RSAAlgorithm.to_jwk(own.public_key()))
    pss, pkcs = (jwt.encode(here.claims(), own, name, {"kid": "r"}) for name in ("PS256", "RS256"))
    here.more["keys"] = [{**key, "kid": "r"}]
    assert said(here, pss, "PS256").subject == "somebody"
    assert said(here, pkcs, "RS256").subject == "somebody"
    assert refused(here, pkcs, "PS256") == "session.token_invalid"
    here.more["keys"] = [{**key, "kid": "r", "alg": "RS256"}]
    assert refused(here, pss, "PS256", "RS256") == "session.token_invalid"
    assert said(here, pkcs, "PS256", "RS256").subject == "somebody"


def test_a_key_that_the_token_brings(here: Issuer) -> None:
    """`jwk`, `jku` and `x5u` of a header say nothing."""
    with issuer() as other:
        theirs = json.loads(ECAlgorithm.to_jwk(other.keys["key-1"].public_key()))
        brought = {"jwk": theirs, "jku": f"{other.url}/keys", "x5u": f"{other.url}/keys"}
        forged = other.token(brought, iss=here.url)
        assert refused(here, forged) == "session.token_invalid"
        assert other.asked == []


def test_another_audience(here: Issuer) -> None:
    """Made for another client of the same issuer, or for several without saying who asked."""
    every: tuple[dict[str, Any], ...] = (
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": [AUDIENCE, "another"]},
        {"aud": [AUDIENCE, "another"], "azp": "another"},
        {"azp": "another"},
    )
    for changes in every:
        assert refused(here, here.token(**changes)) == "session.token_invalid"
    both = here.token(aud=[AUDIENCE, "another"], azp=AUDIENCE)
    assert said(here, both).subject == "somebody"


def test_another_issuer(here: Issuer) -> None:
    """The identifier is compared byte for byte."""
    for other in (f"{here.url}/", here.url.upper(), "https://accounts.example", None):
        assert refused(here, here.token(iss=other)) == "session.token_invalid"


def test_expired(here: Issuer) -> None:
    """After its end, or of so long ago that somebody kept it: thirty seconds of leeway."""
    now = int(time.time())
    assert refused(here, here.token(exp=now - 40)) == "session.token_expired"
    assert refused(here, here.token(iat=now - 700)) == "session.token_expired"
    assert said(here, here.token(exp=now - 20, iat=now - 320)).subject == "somebody"


def test_not_yet_valid(here: Issuer) -> None:
    """Before its beginning, or made in the future: thirty seconds of leeway."""
    now = int(time.time())
    assert refused(here, here.token(nbf=now + 60)) == "session.token_invalid"
    assert refused(here, here.token(iat=now + 60)) == "session.token_invalid"
    assert said(here, here.token(nbf=now + 20)).subject == "somebody"


def test_what_is_missing(here: Issuer) -> None:
    """A token without one of the claims that it rests on says nothing."""
    for name in ("iss", "aud", "sub", "exp", "iat", "nonce"):
        assert refused(here, here.token(**{name: None})) == "session.token_invalid", name
    assert refused(here, here.token(sub="")) == "session.token_invalid"


def test_the_nonce_of_another_request(here: Issuer) -> None:
    """A token that was asked for elsewhere does not sign in here."""
    assert refused(here, here.token(nonce="n-2")) == "session.token_invalid"
    assert refused(here, here.token(), nonce="") == "session.token_invalid"


def test_what_is_no_token(here: Issuer) -> None:
    """Rubbish, a changed body, a demanded extension, one that is too long."""
    token = here.token()
    for rubbish in ("", ".", "..", "a.b.c", "\0", "é", token + "x", token[:-4], token * 2):
        assert refused(here, rubbish) == "session.token_invalid"
    assert refused(here, parts(token, 1, here.claims(sub="other"))) == "session.token_invalid"
    assert refused(here, here.token({"crit": ["exp"], "exp": 1})) == "session.token_invalid"
    assert refused(here, here.token(extra="x" * 17_000)) == "session.token_invalid"


async def subject(here: Issuer, provider: Provider, token: str) -> str:
    """Whose it is, or the code of its refusal."""
    try:
        return (await identified(token, here.trusted(), provider, "n-1", time.time())).subject
    except DomainError as error:
        return error.code


def test_an_unknown_key(here: Issuer) -> None:
    """A name nobody published has the keys looked up, once in ten seconds however often it is asked;
    nor does a known key's signature count under it.
    """

    async def story(monkey: pytest.MonkeyPatch) -> None:
        provider = Provider(here.url, loopback=True)
        assert await subject(here, provider, here.token()) == "somebody"
        asked = len(here.asked)
        forged = here.token({"kid": "key-9"})
        for _ in range(20):
            assert await subject(here, provider, forged) == "session.key_unknown"
        assert len(here.asked) == asked, "looked up a moment ago"
        monkey.setattr(providers, "_PAUSE_S", 0.0)
        assert await subject(here, provider, forged) == "session.key_unknown"
        assert len(here.asked) > asked, "looked up anew, in vain"

    with pytest.MonkeyPatch.context() as monkey:
        asyncio.run(story(monkey))


def test_a_rotation(here: Issuer) -> None:
    """After it the new key counts as soon as it is looked up, and the old one no more."""

    async def story(monkey: pytest.MonkeyPatch) -> None:
        provider, before = Provider(here.url, loopback=True), here.token()
        assert await subject(here, provider, before) == "somebody"
        here.new_key("key-2")
        assert await subject(here, provider, here.token()) == "session.key_unknown"
        monkey.setattr(providers, "_PAUSE_S", 0.0)
        assert await subject(here, provider, here.token()) == "somebody"
        assert await subject(here, provider, before) == "session.key_unknown"

    with pytest.MonkeyPatch.context() as monkey:
        asyncio.run(story(monkey))


def test_an_issuer_that_is_away_or_not_itself(here: Issuer) -> None:
    """Keys that were fetched stay in use while it fails; without any, or from a document of another
    issuer, a redirect, or one that is too large, nobody signs in.
    """
    here.status = 503
    assert refused(here, here.token()) == "issuer.unreachable"
    here.status, here.location = 302, "http://127.0.0.1:9/"
    assert refused(here, here.token()) == "issuer.unreachable"
    here.status, here.location = 200, ""
    here.document["issuer"] = "https://accounts.example"
    assert refused(here, here.token()) == "issuer.invalid"
    here.document["issuer"] = here.url
    here.document["more"] = "x" * (256 * 1024)
    assert refused(here, here.token()) == "issuer.invalid"

    async def story() -> str:
        del here.document["more"]
        provider, token = Provider(here.url, loopback=True), here.token()
        await identified(token, here.trusted(), provider, "n-1", time.time())
        here.status = 503
        with pytest.MonkeyPatch.context() as monkey:
            monkey.setattr(providers, "_FRESH_S", 0.0)
            return (await identified(token, here.trusted(), provider, "n-1", time.time())).subject

    assert asyncio.run(story()) == "somebody"


def test_many_ask_while_an_issuer_is_away(here: Issuer) -> None:
    """Who waited for somebody else's vain try, or comes within the pause after it, is told what that
    one was, and asks no more.
    """

    async def story() -> None:
        here.status = 503
        provider = Provider(here.url, loopback=True)
        answers = await asyncio.gather(
            *(provider.published() for _ in range(6)), return_exceptions=True
        )
        codes = [one.code for one in answers if isinstance(one, DomainError)]
        assert codes == ["issuer.unreachable"] * 6, answers
        with pytest.raises(DomainError, match=r"issuer\.unreachable"):
            await provider.key("key-1")
        assert len(here.asked) == 1, "by who came first"
        here.status = 200
        with pytest.MonkeyPatch.context() as monkey:
            monkey.setattr(providers, "_PAUSE_S", 0.0)
            assert (await provider.published()).issuer == here.url

    asyncio.run(story())


def test_an_issuer_that_sends_a_bomb(here: Issuer) -> None:
    """Packed twice, 64 MiB in a few KiB: it is refused and not unpacked, as is any packing."""
    inner = gzip.compress(bytes(1 << 26), 1)
    here.packed, here.encoding = gzip.compress(inner, 9), "gzip, gzip"
    assert len(here.packed) < 16 * 1024
    assert refused(here, here.token()) == "issuer.invalid"
    here.packed, here.encoding = gzip.compress(json.dumps(here.document).encode()), "gzip"
    assert refused(here, here.token()) == "issuer.invalid"


def test_an_issuer_that_drips(here: Issuer) -> None:
    """A byte now and then, for ever: it is given up as a whole."""
    here.drip_s = 0.03
    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(providers, "_WHOLE_S", 0.15)
        assert refused(here, here.token()) == "issuer.unreachable"


def test_a_key_set_says_more_than_keys(here: Issuer) -> None:
    """Members and keys that nobody knows are left out (RFC 7517 section 5)."""
    here.more = {"version": 1, "more": {"a": []}}
    assert said(here, here.token()).subject == "somebody"
    strange: list[dict[str, object]] = [{}, {"kty": []}, {"kty": "EC", "crv": []}, {"kty": "RSA"}]
    strange += [{"kty": "RSA", "alg": ["RS256"], "n": 1, "e": 2}, {"kty": "OKP", "crv": "x"}]
    here.more = {"keys": [*strange, *here.published()["keys"]]}
    assert said(here, here.token()).subject == "somebody"
    wrong: tuple[object, ...] = ({}, ["a"], None)
    for keys in wrong:
        here.more = {"keys": keys}
        assert refused(here, here.token()) == "issuer.invalid"


def test_keys_that_only_cost(here: Issuer) -> None:
    """A private key's parts that do not belong together take a processor hours to see through, and
    are not looked at; nor are moduli and exponents beyond any use, sets beyond any rotation, or
    documents nested without end. The honest key beside them counts.
    """
    number = base64.urlsafe_b64encode(b"\x81" * 4096).decode().rstrip("=")
    costly = [
        {"kty": "RSA", "n": number, "e": "AQAB", "d": number},
        {"kty": "RSA", "n": number[:1366], "e": "AQAB", "p": number},
        {"kty": "RSA", "n": number, "e": "AQAB"},
        {"kty": "RSA", "n": number[:400], "e": number[:400]},
    ]
    here.more = {"keys": [*costly, *here.published()["keys"]]}
    begun = time.process_time()
    provider = Provider(here.url, loopback=True)
    assert asyncio.run(provider.key("key-1"))["kid"] == "key-1"
    assert list(provider._keys) == ["key-1"]
    assert time.process_time() - begun < 2, "in no time"
    here.more = {"keys": here.published()["keys"] * 101}
    assert refused(here, here.token()) == "issuer.invalid"
    for nested in ("[" * 50_000, '{"a":' * 50_000):
        here.packed, here.encoding = f'{{"issuer":{nested}'.encode(), "identity"
        assert refused(here, here.token()) == "issuer.invalid"


def keys_at(here: Issuer, url: str, *answers: str) -> str:
    """What becomes of a sign-in whose keys are there, its name leading to those addresses."""
    here.document["jwks_uri"] = url
    provider, token = Provider(here.url, loopback=True), here.token()
    with asyncio.Runner(loop_factory=lambda: Resolver(list(answers))) as runner:
        try:
            found = identified(token, here.trusted(), provider, "n-1", time.time())
            return runner.run(found).subject
        except DomainError as error:
            return error.code


def test_keys_are_not_inside(here: Issuer) -> None:
    """A document that names a private address, or a name that leads to one, has nothing asked
    there; nor what is no URL. A name elsewhere is called at the address it was found at.
    """
    for address in ("10.0.0.1", "169.254.169.254", "100.64.0.1"):
        assert keys_at(here, f"https://{address}/keys", address) == "issuer.invalid", address
    for url in (
        "https://[x", "https://h:99999/", "https://h:x/", "https://a\nb/", "/keys", "",
        "https://xn--zzzzzz999/", f"https://{'a' * 64}.example/",
    ):  # fmt: skip
        assert keys_at(here, url) == "issuer.invalid", url
    assert keys_at(here, "https://keys.example/keys", "10.0.0.1") == "issuer.invalid"
    assert keys_at(here, "https://keys.example/keys", "8.8.8.8", "10.0.0.1") == "issuer.invalid"
    assert here.asked.count("/keys") == 0
    port = here.url.rpartition(":")[2]
    assert keys_at(here, f"http://localhost:{port}/keys", "127.0.0.1") == "somebody"


def test_where_an_issuer_may_be() -> None:
    """Over https anywhere; http on loopback, of an embedded deployment only."""
    for url in ("http://accounts.example", "ftp://a", "https://", "https://user@a", "file:///etc",
                "https://[x", "https://a:b", "https://xn--zzzzzz999/"):  # fmt: skip
        with pytest.raises(DomainError):
            require_reachable(url, loopback=True)
    with pytest.raises(DomainError):
        require_reachable("http://127.0.0.1:1", loopback=False)
    require_reachable("https://accounts.example", loopback=False)
