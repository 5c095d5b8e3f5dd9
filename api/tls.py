"""Certificates of our servers and CAs of our clients: files, read and checked before use.

Whoever serves is given a pair of PEM files (GPUAAS_TLS_CERTIFICATE, GPUAAS_TLS_KEY), whoever
calls a CA file (GPUAAS_CA). Nothing turns the checks off.
"""

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from domain.errors import DomainError

if TYPE_CHECKING:  # where certificates are read: every verb of the command line starts through here
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


class Pair(Struct, frozen=True):
    """A server's certificate (with its chain) and its key, PEM files."""

    certificate: Path
    key: Path

    def checked(self) -> "Pair":
        """Itself, when both can be read, belong together and are in their time.

        Raises: DomainError tls.unreadable | tls.mismatched | tls.expired, naming the file.
        """
        found, key = self.leaf(), _public_of(self.key)
        if _spki(found.public_key()) != key:
            detail = f"{self.key} is not the key of {self.certificate}"
            raise DomainError("tls.mismatched", detail)
        now_s = time.time()
        start, end = found.not_valid_before_utc, found.not_valid_after_utc
        if not start.timestamp() <= now_s < end.timestamp():
            detail = f"{self.certificate} is good from {start:%F %T} to {end:%F %T} UTC, not now"
            raise DomainError("tls.expired", detail)
        return self

    def leaf(self) -> "x509.Certificate":
        """What is shown. Raises: DomainError tls.unreadable."""
        return certificate(self.certificate)

    def content(self) -> tuple[bytes, bytes]:
        """Both files as they are. Raises: DomainError tls.unreadable."""
        return _bytes(self.certificate), _bytes(self.key)

    def serving(self) -> ssl.SSLContext:
        """A server's context, TLS 1.3 only, as the API's. Raises: as `checked`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Connections from here on show these files as they are now. Raises: as `checked`."""
        self.checked()
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise DomainError("tls.unreadable", f"{self.certificate}: {error}") from error


def pair_of(env: Mapping[str, str]) -> Pair | None:
    """The pair that the settings name; None for plain HTTP. The files are not looked at.

    Raises: DomainError config.missing when one of the two is named without the other.
    """
    certificate, key = env.get("GPUAAS_TLS_CERTIFICATE"), env.get("GPUAAS_TLS_KEY")
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "GPUAAS_TLS_KEY" if certificate else "GPUAAS_TLS_CERTIFICATE"
        raise DomainError("config.missing", f"{missing} is not set, but its other half is")
    return Pair(Path(certificate).absolute(), Path(key).absolute())


def ca_of(env: Mapping[str, str], name: str = "GPUAAS_CA") -> Path | None:
    """The variable's PEM file; None for the system's CAs. It is not looked at."""
    return Path(env[name]).absolute() if env.get(name) else None


def believing(ca: Path | None) -> ssl.SSLContext:
    """A client's context that believes the CAs of this PEM file alone; the system's for None.

    Raises: DomainError tls.unreadable.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise DomainError("tls.unreadable", f"{ca} holds no CA certificate: {error}") from error


def certificate(path: Path) -> "x509.Certificate":
    """The first one of a PEM file. Raises: DomainError tls.unreadable."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_bytes(path))[0]
    except ValueError as error:
        raise DomainError("tls.unreadable", f"{path} holds no PEM certificate") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DomainError("tls.unreadable", f"{path}: {error.strerror}") from error


def _spki(key: "PublicKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_of(path: Path) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(_bytes(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        detail = f"{path} holds no PEM private key without a passphrase"
        raise DomainError("tls.unreadable", detail) from error
    return _spki(key.public_key())
