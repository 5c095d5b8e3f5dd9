"""Terminal sessions: subjects, who may attach, and the sealed frames between two parties only.

A session's frames cross NATS, where others may read and publish. The control plane attaches with
a message signed by the command key, the node answers signed by its event key; both bring a fresh
X25519 key, and the control plane a second one that the signed `terminal.open` named. From the two
shared secrets come one ChaCha20-Poly1305 key per direction. A frame that somebody else made, that
came before, out of order or for another session opens with neither. Source: FLEET.md "Access".
"""

import re
import struct
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from contracts.signing import FleetError, decode, opened, sealed

type Leaf = Literal["in", "out", "ctl"]
type Direction = Literal["in", "out"]

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SUBJECT: Final = re.compile(
    rf"gpuaas\.v1\.node\.(node-{_UUID})\.term\.(access-{_UUID})\.(in|out|ctl)"
)
SESSION: Final = re.compile(rf"access-{_UUID}")
_HEX64: Final = re.compile(r"[0-9a-f]{64}")

RING: Final = 4 * 1024 * 1024  # bytes of output kept for a resume
WINDOW: Final = 256 * 1024  # most bytes of output on their way without an acknowledgement
TYPED_WINDOW: Final = 64 * 1024  # most bytes of input on their way without one
PIECE: Final = 16 * 1024  # most bytes of one frame
MAX_SIDE: Final = 1000  # most columns or rows

# Kinds of frames, control plane to node.
INPUT, GRANT, CLOSE = 1, 2, 3
# Kinds of frames, node to control plane.
OUTPUT, STATUS, EXIT = 17, 18, 19

_HEADER: Final = struct.Struct(">BBQQQ")  # version, kind, attachment, number, offset
_VERSION: Final = 1
_TAG: Final = 16
_GRANT: Final = struct.Struct(">QHH")
_STATUS: Final = struct.Struct(">QQQQ")
_EXIT: Final = struct.Struct(">h")


def subject(node: str, session: str, leaf: Leaf) -> str:
    """`gpuaas.v1.node.<node>.term.<session>.<leaf>`; `*` for a session means every one."""
    text = f"gpuaas.v1.node.{node}.term.{session}.{leaf}"
    assert session == "*" or _SUBJECT.fullmatch(text), text
    return text


def session_of(received_subject: str) -> str:
    """The session a message's subject names. Raises: FleetError subject.malformed."""
    found = _SUBJECT.fullmatch(received_subject)
    if found is None:
        raise FleetError("subject.malformed", received_subject[:150])
    return found[2]


# ------------------------------------------------------------------ orders
class OpenTerminal(Struct, frozen=True, forbid_unknown_fields=True, tag="terminal.open"):
    """A terminal in `runtime` for `user`; `key`: the session's X25519 key."""

    runtime: str
    session: str
    user: str
    columns: int
    rows: int
    key: str


class CloseTerminal(Struct, frozen=True, forbid_unknown_fields=True, tag="terminal.close"):
    """The terminal ends, with everything that runs in it."""

    runtime: str
    session: str
    reason: str


# ------------------------------------------------------------------ attaching
class Attach(Struct, frozen=True, forbid_unknown_fields=True):
    """The control plane takes the session over, from output byte `start` on.

    `number` grows with every attachment of a session: the latest wins, an earlier one is refused.
    `key`: this attachment's own X25519 key, hex.
    """

    format: Literal["gpuaas-term-attach/1"]
    node: str
    session: str
    number: int
    key: str
    start: int


class Attached(Struct, frozen=True, forbid_unknown_fields=True):
    """The node's answer; `code` says why it is refused, and then the offsets are 0.

    `start`: the first output byte that will come; greater than asked where the ring holds no
    earlier one, which is a gap. `end`: output so far; `typed`: input taken so far. `latest`: the
    number of the attachment that holds the session.
    """

    format: Literal["gpuaas-term-attached/1"]
    node: str
    session: str
    number: int
    attach_key: str
    key: str
    start: int
    end: int
    typed: int
    latest: int
    code: str


def attach_message(key: Ed25519PrivateKey, attach: Attach) -> bytes:
    """What goes out on `ctl`, signed by the command key."""
    return sealed(key, attach)


def open_attach(raw: bytes, key: str) -> Attach:
    """The attachment signed by the command key. Raises: FleetError term.forged."""
    return decode(opened(raw, key, "term.forged"), Attach, "term.forged")


def attached_message(key: Ed25519PrivateKey, attached: Attached) -> bytes:
    """What goes out on `out`, signed by the node's event key."""
    return sealed(key, attached)


def open_attached(raw: bytes, key: str) -> Attached:
    """The answer signed by the node's event key. Raises: FleetError term.forged."""
    return decode(opened(raw, key, "term.forged"), Attached, "term.forged")


# ------------------------------------------------------------------ keys
class Keys(Struct, frozen=True):
    """One attachment's keys; `direction` names the one a frame is sealed with."""

    node: str
    session: str
    number: int
    in_key: bytes
    out_key: bytes


def session_key(command_key: Ed25519PrivateKey, session: str) -> X25519PrivateKey:
    """The control plane's own key of a session, the same in each of its programs.

    Derived from the command key, so nothing is stored and a restarted program has it too.
    """
    raw = _derived(command_key.private_bytes_raw(), f"gpuaas-term-session/1\n{session}", 32)
    return X25519PrivateKey.from_private_bytes(raw)


def exchange_hex(key: X25519PrivateKey) -> str:
    """The public key's 32 bytes as 64 lowercase hex digits."""
    return key.public_key().public_bytes_raw().hex()


def keys_here(
    attach: Attach, node_key: str, session: X25519PrivateKey, fresh: X25519PrivateKey
) -> Keys:
    """The keys as the control plane has them. Raises: FleetError term.key."""
    peer = _public(node_key)
    return _keys(attach, node_key, _shared(fresh, peer) + _shared(session, peer))


def keys_there(attach: Attach, session_hex: str, fresh: X25519PrivateKey) -> Keys:
    """The same keys as the node has them. Raises: FleetError term.key."""
    secret = _shared(fresh, _public(attach.key)) + _shared(fresh, _public(session_hex))
    return _keys(attach, exchange_hex(fresh), secret)


def _keys(attach: Attach, node_key: str, secret: bytes) -> Keys:
    said = (attach.node, attach.session, str(attach.number), attach.key, node_key)
    raw = _derived(secret, "\n".join(("gpuaas-term/1", *said)), 64)
    return Keys(attach.node, attach.session, attach.number, raw[:32], raw[32:])


def _derived(secret: bytes, info: str, length: int) -> bytes:
    return HKDF(SHA256(), length, None, info.encode()).derive(secret)


def _public(text: str) -> X25519PublicKey:
    if not _HEX64.fullmatch(text):
        raise FleetError("term.key", "not 64 lowercase hex digits")
    return X25519PublicKey.from_public_bytes(bytes.fromhex(text))


def _shared(key: X25519PrivateKey, peer: X25519PublicKey) -> bytes:
    try:
        return key.exchange(peer)
    except ValueError as error:  # a point of small order: the secret would be known to all
        raise FleetError("term.key", "not a usable X25519 key") from error


# ------------------------------------------------------------------ frames
class Frame(Struct, frozen=True):
    """`offset`: of the first byte of `data` for INPUT and OUTPUT; else as the kind says."""

    kind: int
    offset: int
    data: bytes


class Sealer:
    """Frames of one direction of one attachment, numbered from 1. Not shared between tasks."""

    def __init__(self, keys: Keys, direction: Direction) -> None:
        self._seal = ChaCha20Poly1305(keys.in_key if direction == "in" else keys.out_key)
        self._context = _context(keys, direction)
        self._attachment = keys.number
        self._number = 0

    def seal(self, kind: int, offset: int, data: bytes) -> bytes:
        """The frame as published; no number, hence no nonce, is ever used twice."""
        self._number += 1
        header = _HEADER.pack(_VERSION, kind, self._attachment, self._number, offset)
        return header + self._seal.encrypt(_nonce(self._number), data, self._context + header)


class Opener:
    """The other end: opens each frame once and in order."""

    def __init__(self, keys: Keys, direction: Direction) -> None:
        self._seal = ChaCha20Poly1305(keys.in_key if direction == "in" else keys.out_key)
        self._context = _context(keys, direction)
        self._attachment = keys.number
        self._number = 0

    def open(self, raw: bytes) -> Frame:
        """The frame. A lost one may be missed, none comes twice or late.

        Raises: FleetError term.malformed | term.foreign (another attachment's) | term.replayed |
        term.forged.
        """
        if not _HEADER.size + _TAG <= len(raw) <= _HEADER.size + _TAG + PIECE:
            raise FleetError("term.malformed", f"{len(raw)} bytes")
        header = raw[: _HEADER.size]
        version, kind, attachment, number, offset = _HEADER.unpack(header)
        if version != _VERSION:
            raise FleetError("term.malformed", f"version {version}")
        if attachment != self._attachment:
            raise FleetError("term.foreign", f"of attachment {attachment}")
        if number <= self._number:
            raise FleetError("term.replayed", f"number {number} after {self._number}")
        try:
            sealed_part = raw[_HEADER.size :]
            data = self._seal.decrypt(_nonce(number), sealed_part, self._context + header)
        except InvalidTag as error:
            raise FleetError("term.forged", "nobody of this session made it") from error
        self._number = number
        return Frame(kind, offset, data)


def is_frame(raw: bytes) -> bool:
    """True for a sealed frame, False for what else travels on `out`."""
    return raw[:1] == bytes((_VERSION,))


def _context(keys: Keys, direction: Direction) -> bytes:
    return f"gpuaas-term/1\n{keys.node}\n{keys.session}\n{direction}\n".encode()


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


# ------------------------------------------------------------------ bodies of frames
class Grant(Struct, frozen=True):
    """Output up to `acked` has arrived; as far as the frame's offset may be sent. The tty's size.

    It repeats everything, so a lost one costs nothing.
    """

    acked: int
    columns: int
    rows: int


class Status(Struct, frozen=True):
    """Output sent and input taken so far, how far input may go, how many frames were refused."""

    sent: int
    typed: int
    limit: int
    refused: int


def grant_body(grant: Grant) -> bytes:
    return _GRANT.pack(grant.acked, grant.columns, grant.rows)


def open_grant(data: bytes) -> Grant:
    """Raises: FleetError term.malformed."""
    acked, columns, rows = _unpacked(_GRANT, data)
    if not (1 <= columns <= MAX_SIDE and 1 <= rows <= MAX_SIDE):
        raise FleetError("term.malformed", f"{columns} x {rows}")
    return Grant(acked, columns, rows)


def status_body(status: Status) -> bytes:
    return _STATUS.pack(status.sent, status.typed, status.limit, status.refused)


def open_status(data: bytes) -> Status:
    """Raises: FleetError term.malformed."""
    return Status(*_unpacked(_STATUS, data))


def exit_body(status: int) -> bytes:
    """The exit status, or minus the signal's number."""
    return _EXIT.pack(status)


def open_exit(data: bytes) -> int:
    """Raises: FleetError term.malformed."""
    return _unpacked(_EXIT, data)[0]


def _unpacked(form: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) != form.size:
        raise FleetError("term.malformed", f"{len(data)} bytes, not {form.size}")
    return form.unpack(data)
