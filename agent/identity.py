"""The node's own keys and what enrolment gave, in files of its state directory (all 0600)."""

import os
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.enrolment import EnrolReply
from contracts.signing import FleetError

_END = "-----END PRIVATE KEY-----"


def event_key(state: Path) -> Ed25519PrivateKey:
    """The node's own event key, made here on first use; it never leaves `state`.

    Durable before the enrolment request is sent: an enrolment whose reply was lost is asked for
    again with the same key and answered the same.
    """
    return _key(state / "event.key")


def nats_key(state: Path) -> Ed25519PrivateKey:
    """The key that opens NATS to this node, and to no other."""
    return _key(state / "nats.key")


def certificate_key(state: Path, *, following: bool = False) -> Ed25519PrivateKey:
    """The key of the client certificate; `following`: of the next one, on disk before it is asked.

    Certificate and key lie in one file, so that no crash can part them.
    """
    pem = state / "certificate.pem"
    held = _private(pem.read_bytes()) if pem.exists() else None
    if not following:
        return held or _key(state / "certificate.key")
    path = state / "certificate.next.key"
    if held is not None and path.exists() and path.read_bytes() == held.private_bytes_raw():
        path.unlink()  # a crash came between the certificate and this
    return _key(path)


def certificate(state: Path) -> str:
    """The client certificate (PEM), empty before the first."""
    path = state / "certificate.pem"
    return path.read_text("ascii").partition(_END)[2].lstrip() if path.exists() else ""


def keep_certificate(state: Path, pem: str, ca: str) -> None:
    """The certificate with its key, and its CA.

    Raises: FleetError enrol.impostor when it is for another key.
    """
    named = x509.load_pem_x509_certificate(pem.encode()).public_key()
    paths = (state / "certificate.next.key", state / "certificate.key")
    keys = [_key(path) for path in paths if path.exists()]
    mine = [key for key in keys if key.public_key() == named]
    if not mine:
        raise FleetError("enrol.impostor", "the certificate is not for our key")
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = mine[0].private_bytes(serialization.Encoding.PEM, *plain)
    write_durably(state / "ca.pem", ca.encode("ascii"))
    write_durably(state / "certificate.pem", private + pem.encode("ascii"))
    for path in paths:
        path.unlink(missing_ok=True)


def api_url(state: Path) -> str:
    """Where the control plane answered when this node enrolled; empty when it never said."""
    path = state / "api-url"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def enrolment(state: Path) -> EnrolReply | None:
    """What enrolment gave, or None before it."""
    path = state / "enrolment.json"
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=EnrolReply)


def keep_enrolment(state: Path, reply: EnrolReply, url: str = "") -> None:
    """From here on the node is enrolled, whatever crashes."""
    if url:
        write_durably(state / "api-url", url.encode())
    if isinstance(reply.certificate, str) and isinstance(reply.ca, str):
        keep_certificate(state, reply.certificate, reply.ca)
    write_durably(state / "enrolment.json", msgspec.json.encode(reply))


def _private(pem: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, Ed25519PrivateKey), "we wrote it"
    return key


def _key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        write_durably(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


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
