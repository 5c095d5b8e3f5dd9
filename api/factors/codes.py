"""One-time codes: TOTP (RFC 6238: SHA-1, six digits, 30 s), recovery codes, sealed secrets."""

import base64
import hashlib
import hmac
import os
import secrets
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from domain.errors import DomainError

STEP_US: Final = 30_000_000
BEFORE_AND_AFTER: Final = 1  # steps: a clock may be off by half a minute, or a person slow
DIGITS: Final = 6
RECOVERY_CODES: Final = 10
_SECRET, _NONCE = 20, 12  # bytes; RFC 4226 section 4: 160 bits
_ISSUER: Final = "GPUaaS"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_GROUPS, _GROUP = 4, 5  # 100 bits


def fresh_secret() -> bytes:
    return os.urandom(_SECRET)


def code_at(secret: bytes, step: int) -> str:
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303  # what apps know


def matching(secret: bytes, code: str, now_us: int) -> int | None:
    """The time step whose code this is, of those around now; None when it is of none."""
    now = now_us // STEP_US
    found = None
    for step in range(now - BEFORE_AND_AFTER, now + BEFORE_AND_AFTER + 1):
        if hmac.compare_digest(code_at(secret, step), code):
            found = step
    return found


def base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, label: str) -> str:
    """What an app reads as a QR code: `otpauth://totp/…`."""
    said = urlencode({"secret": base32(secret), "issuer": _ISSUER, "period": 30, "digits": DIGITS})
    return f"otpauth://totp/{quote(f'{_ISSUER}:{label}')}?{said}"


def recovery_code() -> str:
    letters = [secrets.choice(_LETTERS) for _ in range(_GROUPS * _GROUP)]
    groups = ("".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP))
    return "-".join(groups)


def is_totp(code: str) -> bool:
    """By its form: else it is meant as a recovery code."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()


def recovery_hash(code: str) -> bytes:
    """However it was typed. A hundred random bits need no slower hash."""
    plain = code.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(b"gpuaas/recovery/1\0" + plain.encode()).digest()


class Sealer:
    """Encrypts secrets with a key made from the embedded issuer's: with that they are gone."""

    def __init__(self, issuer: Ed25519PrivateKey) -> None:
        made = HKDF(SHA256(), 32, None, b"gpuaas/factor/1").derive(issuer.private_bytes_raw())
        self._cipher = AESGCM(made)

    def seal(self, secret: bytes, whose: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, whose.encode())

    def opened(self, sealed: bytes, whose: str) -> bytes:
        """Raises: DomainError mfa.unreadable for another key's, or another person's."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], whose.encode())
        except InvalidTag as error:
            raise DomainError("mfa.unreadable", "it was enrolled under another key") from error
