"""One-time codes: RFC 6238, the window, what is sealed, what a person types."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.factors.codes import (
    STEP_US,
    Sealer,
    address,
    base32,
    code_at,
    fresh_secret,
    is_totp,
    matching,
    recovery_code,
    recovery_hash,
)
from domain.errors import DomainError

SECRET = b"12345678901234567890"
# RFC 6238, appendix B: the SHA-1 column, of which six digits are the last six.
RFC_6238 = {
    59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924",
    2000000000: "69279037", 20000000000: "65353130",
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    """Its own vectors."""
    assert code_at(SECRET, seconds // 30) == code[-6:]
    assert matching(SECRET, code[-6:], seconds * 1_000_000) == seconds // 30


def test_a_code_counts_a_step_before_and_after_its_own() -> None:
    """And no longer: to the microsecond."""
    step = 1_000
    code = code_at(SECRET, step)
    first, last = (step - 1) * STEP_US, (step + 2) * STEP_US - 1
    assert matching(SECRET, code, first) == matching(SECRET, code, last) == step
    assert matching(SECRET, code, first - 1) is None
    assert matching(SECRET, code, last + 1) is None


def test_what_is_sealed_opens_for_its_person_under_its_key_only() -> None:
    """Moved to somebody else's row, or under another key, it is refused by name."""
    key = Ed25519PrivateKey.generate()
    secret = fresh_secret()
    sealed = Sealer(key).seal(secret, "one")
    assert secret not in sealed
    assert Sealer(key).opened(sealed, "one") == secret
    assert Sealer(key).seal(secret, "one") != sealed
    for other, whose in ((key, "two"), (Ed25519PrivateKey.generate(), "one")):
        with pytest.raises(DomainError, match=r"mfa\.unreadable"):
            Sealer(other).opened(sealed, whose)


def test_an_authenticator_reads_the_address() -> None:
    """The key URI format: type, label with its issuer, secret in base32 without padding."""
    found = urlsplit(address(SECRET, "user-zoë"))
    asked = parse_qs(found.query)
    assert (found.scheme, found.netloc, found.path) == (
        "otpauth",
        "totp",
        "/GPUaaS%3Auser-zo%C3%AB",
    )
    assert asked["secret"] == [base32(SECRET)] == ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"]
    assert (asked["issuer"], asked["period"], asked["digits"]) == (["GPUaaS"], ["30"], ["6"])


def test_recovery_codes_are_taken_as_people_type_them() -> None:
    """Without dashes, in small letters; and are no TOTP code by their form."""
    code = recovery_code()
    assert re.fullmatch("[A-Z2-7]{5}(-[A-Z2-7]{5}){3}", code)
    assert not is_totp(code)
    assert recovery_hash(code) == recovery_hash(code.lower().replace("-", ""))
    assert recovery_hash(code) != recovery_hash(recovery_code())
    assert is_totp("012345")
    assert not is_totp("01234५")
