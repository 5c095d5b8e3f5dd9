"""The SSH CAs: one key signs users' certificates, another the certificates of hosts.

Whoever reads the files can enter every runtime: they are made 0600, never leave the machine, and
only the API process reads them. Each has its public half beside it, `<file>.pub`. They rotate by
deleting both: certificates of the old key end within 15 minutes (users) and 24 hours (hosts).
Formats: OpenSSH's PROTOCOL.certkeys.
"""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)
from msgspec import Struct

from api.config import Settings
from api.tokens import private_key
from domain.errors import DomainError

type HostKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey

_SMALLEST_RSA: Final = 2048
# The clocks of clients and hosts may lag ours; nothing is gained by using a certificate early.
_EARLIER_S: Final = 60
# In order, as PROTOCOL.certkeys wants them. No agent forwarding: a tenant's root could use it.
_EXTENSIONS: Final = (b"permit-port-forwarding", b"permit-pty")
_MOST_SOURCES: Final = 8


class Authority(Struct, frozen=True):
    users: Ed25519PrivateKey
    hosts: Ed25519PrivateKey

    @property
    def user_ca(self) -> str:
        """The OpenSSH public key that sshd and gateways trust for users."""
        return public_text(self.users.public_key())

    @property
    def host_ca(self) -> str:
        """The OpenSSH public key that clients trust for hosts."""
        return public_text(self.hosts.public_key())


class Ticket(Struct, frozen=True):
    """What a certificate says beside its key; instants are us, `before_us` is exclusive."""

    serial: int
    key_id: str
    principal: str
    after_us: int
    before_us: int
    sources: str = ""


def authority(settings: Settings) -> Authority:
    """Both keys, made when there are none; two first starts agree."""
    found = Authority(private_key(settings.ssh_user_ca), private_key(settings.ssh_host_ca))
    _publish(settings.ssh_user_ca, found.user_ca)
    _publish(settings.ssh_host_ca, found.host_ca)
    return found


def _publish(key: Path, text: str) -> None:
    public = key.with_name(f"{key.name}.pub")
    if not public.exists() or public.read_text() != f"{text}\n":
        fresh = key.with_name(f"{key.name}.pub~")
        fresh.write_text(f"{text}\n")
        fresh.replace(public)


def public_text(key: HostKey) -> str:
    """`ssh-ed25519 AAAA…`, without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def user_key(text: str) -> tuple[HostKey, str]:
    """The key in an OpenSSH public key line, and hex SHA-256 of its wire bytes.

    Raises: DomainError ssh.key_refused for what is no plain public key, is too small, or of a type
    that our certificates cannot carry (DSA, FIDO).
    """
    words = text.split()
    if len(words) < 2 or "\n" in text.strip():
        raise DomainError("ssh.key_refused", "send one OpenSSH public key line")
    try:
        key = load_ssh_public_key(" ".join(words[:2]).encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DomainError("ssh.key_refused", "not an OpenSSH public key") from error
    small = isinstance(key, rsa.RSAPublicKey) and key.key_size < _SMALLEST_RSA
    plain = isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey)
    if small or not plain or words[0].startswith("sk-"):
        raise DomainError("ssh.key_refused", "send an Ed25519, ECDSA or RSA (2048+) key")
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey)
    return key, hashlib.sha256(_wire(public_text(key))).hexdigest()


def _wire(text: str) -> bytes:
    return base64.b64decode(text.split()[1])


def networks(sources: Sequence[str]) -> str:
    """The sources as a certificate carries them, CIDRs with commas between.

    Raises: DomainError ssh.source_refused.
    """
    if len(sources) > _MOST_SOURCES:
        raise DomainError("ssh.source_refused", f"at most {_MOST_SOURCES} source networks")
    try:
        found = [ipaddress.ip_network(source) for source in sources]
    except ValueError as error:
        raise DomainError("ssh.source_refused", "a source is an address or a CIDR") from error
    return ",".join(str(network) for network in found)


def sign_user(keys: Authority, key: HostKey, ticket: Ticket) -> str:
    """A user certificate line; the key id names the grant, so that sshd's own log does too."""
    builder = _built(key, ticket, SSHCertificateType.USER)
    for extension in _EXTENSIONS:
        builder = builder.add_extension(extension, b"")
    if ticket.sources:
        text = ticket.sources.encode()
        builder = builder.add_critical_option(b"source-address", text)
    return builder.sign(keys.users).public_bytes().decode()


def sign_passage(keys: Authority, key: HostKey, ticket: Ticket) -> str:
    """A certificate with which a gateway reaches ports inside a runtime, and runs nothing there."""
    builder = _built(key, ticket, SSHCertificateType.USER)
    builder = builder.add_extension(b"permit-port-forwarding", b"")
    builder = builder.add_critical_option(b"force-command", b"/bin/false")
    return builder.sign(keys.users).public_bytes().decode()


def sign_host(keys: Authority, key: HostKey, ticket: Ticket) -> str:
    """A host certificate line; clients believe it for its principal only."""
    return _built(key, ticket, SSHCertificateType.HOST).sign(keys.hosts).public_bytes().decode()


def _built(key: HostKey, ticket: Ticket, kind: SSHCertificateType) -> SSHCertificateBuilder:
    return (
        SSHCertificateBuilder()
        .public_key(key)
        .serial(ticket.serial)
        .type(kind)
        .key_id(ticket.key_id.encode())
        .valid_principals([ticket.principal.encode()])
        .valid_after(ticket.after_us // 1_000_000 - _EARLIER_S)
        .valid_before(ticket.before_us // 1_000_000)
    )
