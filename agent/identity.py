import os
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.fleet import EnrolReply


def event_key(state: Path) -> Ed25519PrivateKey:
    """The node's own event key, made here on first use; it never leaves `state`.

    Durable before the enrolment request is sent: an enrolment whose reply was lost is asked for
    again with the same key and answered the same.
    """
    path = state / "event.key"
    if not path.exists():
        write_durably(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def enrolment(state: Path) -> EnrolReply | None:
    """What enrolment gave, or None before it."""
    path = state / "enrolment.json"
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=EnrolReply)


def keep_enrolment(state: Path, reply: EnrolReply) -> None:
    """From here on the node is enrolled, whatever crashes."""
    write_durably(state / "enrolment.json", msgspec.json.encode(reply))


def write_durably(path: Path, content: bytes) -> None:
    """`path` holds all of `content`, fsynced, mode 0600; after a crash the old file or the new."""
    partial = path.with_suffix(".partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        rest = memoryview(content)
        while rest:  # a nearly full disk takes a part
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
