"""Signed bytes and how strictly they are opened: shared by every message of the fleet."""

import base64
import binascii
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

MAX_MESSAGE = 65_536
# The 255 bits of each encoding of a point of order 1, 2, 4 or 8. Of such a key anybody's signature
# holds, without a private half: a key of zeros, forgotten to be filled in, is one.
_SMALL_ORDER = frozenset(
    int(text, 16)
    for text in (
        "0",
        "1",
        "5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
        "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee",
    )
)
_SIGN_BIT = 1 << 255


class FleetError(Exception):
    """A peer's message that cannot be accepted. `code` is stable and dotted."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """Base64 of canonical JSON and its Ed25519 signature."""

    body: str
    sig: str


def sealed(key: Ed25519PrivateKey, message: Struct) -> bytes:
    """An envelope of the canonical encoding of `message`, signed, as published."""
    raw = msgspec.json.encode(message)
    sig = base64.b64encode(key.sign(raw)).decode("ascii")
    return msgspec.json.encode(Envelope(base64.b64encode(raw).decode("ascii"), sig))


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public key's 32 bytes as 64 lowercase hex digits."""
    return key.public_key().public_bytes_raw().hex()


def opened(raw: bytes, key: str, code: str) -> bytes:
    """The signed bytes inside an envelope. Raises: FleetError `code`."""
    envelope = decode(raw, Envelope, code, canonical=False)
    body = unbase64(envelope.body, code)
    verify(key, unbase64(envelope.sig, code), body, code)
    return body


def verify(key: str, sig: bytes, text: bytes, code: str) -> None:
    """Returns when `sig` by `key` (hex) over exactly `text` holds. Raises: FleetError `code`."""
    try:
        public_key(key).verify(sig, text)
    except (InvalidSignature, ValueError) as error:
        raise FleetError(code, "the signature does not hold") from error


@lru_cache(maxsize=16_384)
def public_key(key: str) -> Ed25519PublicKey:
    """Of 64 hex digits. Raises: ValueError, also of a key by which anybody may sign (RFC 8032
    section 7, libsodium).
    """
    # A node's key is asked for at each of its beats; making it anew costs a third of a check.
    raw = bytes.fromhex(key)
    if int.from_bytes(raw, "little") & ~_SIGN_BIT in _SMALL_ORDER:
        raise ValueError("a point of small order: anybody may sign by it")
    return Ed25519PublicKey.from_public_bytes(raw)


def decode[T](raw: bytes, kind: type[T], code: str, *, canonical: bool = True) -> T:
    """`raw` as `kind`, byte-equal to its re-encoding unless told otherwise; unknown fields fail.

    Raises: FleetError `code`.
    """
    if len(raw) > MAX_MESSAGE:
        raise FleetError(code, f"{len(raw)} bytes, at most {MAX_MESSAGE}")
    try:
        value = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetError(code, str(error)) from error
    # msgspec keeps the last of duplicate keys: only the re-encoding shows there were two.
    if canonical and msgspec.json.encode(value) != raw:
        raise FleetError(code, "not the canonical encoding")
    return value


def unbase64(text: str, code: str) -> bytes:
    """Standard base64 with padding, compared with its re-encoding. Raises: FleetError `code`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FleetError(code, "not base64") from error
    if base64.b64encode(raw).decode("ascii") != text:
        raise FleetError(code, "not canonical base64")
    return raw
