"""C2SP signed-note and tlog-cosignature, strict to the byte: keys, notes, signing and verifying."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gpuaas_verify.errors import Invalid

ED25519 = 1
COSIGNATURE = 4
MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 32
MAX_VKEY_CHARS = 1_024
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SPACE_OR_PLUS = re.compile(r"[\s+]")


def strict_b64(text: str, code: str = "base64.malformed") -> bytes:
    """The bytes; only the one standard padded encoding of them is accepted."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError as error:
        raise Invalid(code, "not base64") from error
    if b64encode(raw).decode() != text:
        raise Invalid(code, "not the canonical base64 of its bytes")
    return raw


def key_id(name: str, public: bytes, algorithm: int = ED25519) -> bytes:
    """First 4 bytes of SHA-256(name LF algorithm public key)."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def _check_name(name: str, code: str) -> None:
    if not name or _SPACE_OR_PLUS.search(name) or _CONTROL.search(name):
        raise Invalid(code, "a key name is not empty and has no spaces, plus or control characters")


@dataclass(frozen=True, slots=True)
class Vkey:
    """A public key under a name: algorithm 1 signs notes, 4 cosigns checkpoints as a witness."""

    name: str
    public: bytes
    algorithm: int = ED25519

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.public, self.algorithm)

    @staticmethod
    def parse(text: str) -> "Vkey":
        """The key, split at the first two `+` only. Raises: Invalid `vkey.malformed`."""
        code = "vkey.malformed"
        parts = text.split("+", 2)
        if len(text) > MAX_VKEY_CHARS or len(parts) != 3:
            raise Invalid(code, "a vkey is <name>+<8 hex>+<base64>")
        name, hex_id, material = parts
        _check_name(name, code)
        raw = strict_b64(material, code)
        if len(raw) != 33 or raw[0] not in {ED25519, COSIGNATURE}:
            raise Invalid(code, "only Ed25519 keys (type 1, or 4 for a witness) are known")
        key = Vkey(name, raw[1:], raw[0])
        if key.id.hex() != hex_id:
            raise Invalid(code, "the key id is not that of name and key")
        return key

    def format(self) -> str:
        material = b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends in a newline and excludes the blank line before the signatures."""

    text: str
    signatures: tuple[Signature, ...]


def parse_note(raw: bytes) -> Note:
    """The note, no signature checked yet. Raises: Invalid `note.malformed`."""
    code = "note.malformed"
    if len(raw) > MAX_NOTE_BYTES:
        raise Invalid(code, f"longer than {MAX_NOTE_BYTES} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(code, "not UTF-8") from error
    if _CONTROL.search(whole):
        raise Invalid(code, "a control character other than newline")
    text, _, lines = whole.rpartition("\n\n")
    if not text or not lines.endswith("\n"):
        raise Invalid(code, "a note is text, a blank line and signature lines")
    rows = lines[:-1].split("\n")
    if len(rows) > MAX_SIGNATURES:
        raise Invalid(code, f"more than {MAX_SIGNATURES} signature lines")
    return Note(text + "\n", tuple(_parse_signature(row) for row in rows))


def _parse_signature(line: str) -> Signature:
    code = "note.malformed"
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise Invalid(code, "a signature line is `— <name> <base64>`")
    _check_name(parts[1], code)
    raw = strict_b64(parts[2], code)
    if len(raw) < 5:
        raise Invalid(code, "a signature has a key id and at least one byte")
    return Signature(parts[1], raw[:4], raw[4:])


def signature_line(key: Vkey, blob: bytes) -> str:
    return f"— {key.name} {b64encode(key.id + blob).decode()}\n"


def sign_note(text: str, key: Vkey, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed note; `sign` makes the Ed25519 signature of the key over the bytes it is given."""
    assert text.endswith("\n")
    return (text + "\n" + signature_line(key, sign(text.encode()))).encode()


def cosignature_message(text: str, time_s: int) -> bytes:
    """What a witness signs: c2sp.org/tlog-cosignature, Ed25519."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosign(text: str, key: Vkey, time_s: int, sign: Callable[[bytes], bytes]) -> str:
    """A witness's signature line for a checkpoint's text, dated in seconds since the epoch."""
    return signature_line(key, time_s.to_bytes(8, "big") + sign(cosignature_message(text, time_s)))


def _verifies(key: Vkey, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_signature(key: Vkey, note: Note, signature: Signature) -> int | None:
    """The witness's time in seconds, None for a log's key. Raises: Invalid `note.bad_signature`."""
    message, blob, time_s = note.text.encode(), signature.blob, None
    if key.algorithm == COSIGNATURE:
        time_s, blob = int.from_bytes(blob[:8], "big"), blob[8:]
        message = cosignature_message(note.text, time_s)
    if (time_s or 0) >= 1 << 63 or not _verifies(key, message, blob):
        raise Invalid("note.bad_signature", f"the signature of {key.name} does not verify")
    return time_s


def verify_note(
    note: Note, keys: Sequence[Vkey], witnesses: Sequence[Vkey] = (), *, exact: bool = False
) -> dict[Vkey, int | None]:
    """The keys that signed, a witness with its time in seconds.

    At least one of `keys` signed, and no signature of a known key is wrong. Lines of unknown keys
    are ignored, or refused when `exact`, as are repeated lines: then every byte of the note is
    accounted for.
    Raises: Invalid `note.bad_signature`, `note.unsigned`, `note.unknown_signature`,
    `note.repeated_signature`.
    """
    known = {(key.name, key.id): key for key in (*keys, *witnesses)}
    signed: dict[Vkey, int | None] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            if exact:
                raise Invalid("note.unknown_signature", f"signed by unknown {signature.name}")
            continue
        if key in signed and exact:
            raise Invalid("note.repeated_signature", f"two lines of {key.name}")
        signed[key] = verify_signature(key, note, signature)
    if not any(key in signed for key in keys):
        raise Invalid("note.unsigned", "none of the given keys has signed")
    return signed
