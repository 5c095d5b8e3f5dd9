"""NATS keys and claims: Ed25519 in NATS's own spelling, and the JWTs its servers believe.

Source: github.com/nats-io/nkeys, nats-io/jwt (v2 claims), NATS ADR-26 (auth callout).
"""

import base64
import binascii
import hashlib
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.signing import FleetError, verify

ACCOUNT: Final = 0
USER: Final = 20 << 3
_SEED: Final = 18 << 3
_HEADER: Final = b'{"typ":"JWT","alg":"ed25519-nkey"}'


def public(key: Ed25519PrivateKey, kind: int) -> str:
    """The public key as NATS spells it: `A…` for an account, `U…` for a user; 56 characters."""
    return spelled(bytes([kind]) + key.public_key().public_bytes_raw())


def seed(key: Ed25519PrivateKey, kind: int) -> str:
    """The private key as NATS spells it (`SA…`, `SU…`): a secret."""
    return spelled(bytes([_SEED | kind >> 5, (kind & 31) << 3]) + key.private_bytes_raw())


def spelled(body: bytes) -> str:
    """Base32 without padding of `body` and its CRC-16/XMODEM, little-endian."""
    checked = body + binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode("ascii").rstrip("=")


def user_key(text: str) -> str:
    """The hex Ed25519 key of a `U…` nkey. Raises: FleetError nkey.malformed."""
    try:
        raw = base64.b32decode(text, casefold=False)
    except (binascii.Error, ValueError) as error:
        raise FleetError("nkey.malformed", "not base32") from error
    if len(raw) != 35 or raw[0] != USER or spelled(raw[:-2]) != text:
        raise FleetError("nkey.malformed", "not a NATS user's public key")
    return raw[1:33].hex()


def check_signature(nkey: str, sig: str, nonce: str) -> None:
    """Returns when the holder of `nkey` signed the server's nonce.

    Raises: FleetError nkey.malformed | nkey.forged.
    """
    try:
        raw = base64.urlsafe_b64decode(sig + "=" * (-len(sig) % 4))
    except (binascii.Error, ValueError) as error:
        raise FleetError("nkey.forged", "the signature is not base64") from error
    if not nonce:
        raise FleetError("nkey.forged", "the server sent no nonce to sign")
    verify(user_key(nkey), raw, nonce.encode(), "nkey.forged")


def claims_jwt(key: Ed25519PrivateKey, claims: dict[str, object]) -> str:
    """A NATS JWT of the account `key`: `iss` and `jti` are filled in, the rest is the caller's."""
    said = {**claims, "iss": public(key, ACCOUNT)}
    said["jti"] = hashlib.sha256(msgspec.json.encode(said)).hexdigest()
    text = f"{_part(_HEADER)}.{_part(msgspec.json.encode(said))}"
    return f"{text}.{_part(key.sign(text.encode()))}"


def unverified_claims(jwt: str) -> bytes:
    """The JSON of a JWT's claims; whoever asks knows the bearer otherwise.

    Raises: FleetError jwt.malformed.
    """
    parts = jwt.split(".")
    try:
        return base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (IndexError, binascii.Error, ValueError) as error:
        raise FleetError("jwt.malformed", "not a JWT") from error


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
