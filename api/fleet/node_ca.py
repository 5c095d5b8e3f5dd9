"""The node CA: signs the certificates of nodes, and one for the platform's own HTTPS.

Key and certificate lie in `<data>/node-ca.pem` (0600). A certificate is a function of the CA, the
node, its public key and its first instant: the answer to a repeated request is the same bytes.
"""

import datetime as dt
import hashlib
import ipaddress
import time
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from api.fleet.keys import kept
from contracts.signing import FleetError, unbase64
from domain.errors import DomainError

LIFE_US: Final = 24 * 3_600_000_000
_CA_LIFE: Final = dt.timedelta(days=3_650)
_SERVER_LIFE: Final = dt.timedelta(days=365)
_SKEW: Final = dt.timedelta(minutes=5)
_MAX_CSR: Final = 4_096
_PEM: Final = serialization.Encoding.PEM
_DER: Final = serialization.Encoding.DER
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo


class NodeCa(Struct, frozen=True):
    key: Ed25519PrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate that nodes trust."""
        return self.certificate.public_bytes(_PEM).decode("ascii")

    @property
    def sha256(self) -> str:
        """What enrolment tokens carry: SHA-256 of the certificate's DER, hex."""
        return hashlib.sha256(self.certificate.public_bytes(_DER)).hexdigest()


def node_ca(path: Path) -> NodeCa:
    """The CA of `path`, made on first use. Raises: DomainError ca.unreadable."""
    raw = kept(path, _made)
    try:
        key = serialization.load_pem_private_key(raw, password=None)
        certificate = x509.load_pem_x509_certificate(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DomainError("ca.unreadable", f"{path} does not hold a node CA") from error
    if not isinstance(key, Ed25519PrivateKey) or certificate.public_key() != key.public_key():
        raise DomainError("ca.unreadable", f"{path} holds a certificate of another key")
    return NodeCa(key, certificate)


def requested_key(csr: str) -> Ed25519PublicKey:
    """The public key of a certificate request (base64 of its DER), which its sender holds.

    Nothing else of the request is read: names in it are wishes.
    Raises: FleetError csr.malformed.
    """
    if len(csr) > _MAX_CSR:
        raise FleetError("csr.malformed", f"more than {_MAX_CSR} characters")
    try:
        request = x509.load_der_x509_csr(unbase64(csr, "csr.malformed"))
        key = request.public_key()
        valid = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise FleetError("csr.malformed", "not a certificate request") from error
    if not isinstance(key, Ed25519PublicKey) or not valid:
        raise FleetError("csr.malformed", "not an Ed25519 request signed by its own key")
    return key


def public_sha256(key: Ed25519PublicKey) -> str:
    """SHA-256 (hex) of the key's SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(_DER, _SPKI)).hexdigest()


def node_certificate(
    ca: NodeCa, node: str, key: Ed25519PublicKey, not_before_us: int
) -> tuple[str, str]:
    """A client certificate of 24 hours (PEM) and the SHA-256 (hex) of its DER."""
    start = _instant(not_before_us)
    text = f"{node}\n{public_sha256(key)}\n{not_before_us}".encode()
    serial = int.from_bytes(hashlib.sha256(text).digest()[:19], "big")
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"gpuaas:{node}")]
    made = (
        _builder(ca, node, key, names, usage)
        .serial_number(serial)
        .not_valid_before(start - _SKEW)
        .not_valid_after(start + dt.timedelta(microseconds=LIFE_US))
        .sign(ca.key, None)
    )
    digest = hashlib.sha256(made.public_bytes(_DER)).hexdigest()
    return made.public_bytes(_PEM).decode("ascii"), digest


def server_certificate(ca: NodeCa, hosts: tuple[str, ...], now_us: int) -> tuple[bytes, bytes]:
    """Certificate and key (PEM) for a server of these names and addresses, good for a year."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _of_a_year(ca, hosts[0], [_name(host) for host in hosts], usage, now_us)


def client_certificate(ca: NodeCa, name: str, now_us: int) -> tuple[bytes, bytes]:
    """Certificate and key (PEM) for a process of the platform's, good for a year."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"gpuaas:{name}")]
    return _of_a_year(ca, name, names, usage, now_us)


def issued_to(pem: str) -> tuple[str, int]:
    """Which node a certificate of this CA names, and from when on it was given, s since the epoch.

    Its signature was checked before. The node is empty where it names none.
    Raises: FleetError certificate.foreign.
    """
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, UnsupportedAlgorithm) as error:
        raise FleetError("certificate.foreign", "not a certificate of this CA") from error
    start = found.not_valid_before_utc + _SKEW
    named = [uri.removeprefix("gpuaas:") for uri in uris if uri.startswith("gpuaas:node-")]
    return (named[0] if len(named) == 1 else ""), int(start.timestamp())


def expires_s(pem: str) -> int:
    """Until when a certificate that was parsed before counts, s since the epoch."""
    return int(x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp())


def _of_a_year(
    ca: NodeCa,
    name: str,
    names: list[x509.GeneralName],
    usage: x509.ExtendedKeyUsage,
    now_us: int,
) -> tuple[bytes, bytes]:
    key = Ed25519PrivateKey.generate()
    start = _instant(now_us)
    made = (
        _builder(ca, name, key.public_key(), names, usage)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _SKEW)
        .not_valid_after(start + _SERVER_LIFE)
        .sign(ca.key, None)
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(_PEM), key.private_bytes(_PEM, *plain)


def written(data: Path, hosts: tuple[str, ...], folder: Path) -> tuple[Path, Path, Path]:
    """A fresh `server.pem` with its `server-key.pem` (0600), and `ca.pem`, which callers believe.

    Raises: DomainError ca.unreadable; config.missing where there is no data directory, so no CA.
    """
    if not data.is_dir():
        raise DomainError("config.missing", f"GPUAAS_DATA: there is no folder {data}")
    ca = node_ca(data / "node-ca.pem")
    certificate, key = server_certificate(ca, hosts, time.time_ns() // 1000)
    folder.mkdir(parents=True, exist_ok=True)
    named = ("server.pem", certificate), ("server-key.pem", key), ("ca.pem", ca.pem.encode())
    for name, content in named:
        fresh = folder / f"{name}~"
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600 if content is key else 0o644)
        fresh.write_bytes(content)
        fresh.replace(folder / name)
    return folder / "server.pem", folder / "server-key.pem", folder / "ca.pem"


def signed_by(ca: NodeCa, certificate: str, node: str) -> Ed25519PublicKey:
    """The key of a certificate (base64 of its DER) that this CA gave to the node, expired or not.

    Raises: FleetError certificate.foreign.
    """
    try:
        found = x509.load_der_x509_certificate(unbase64(certificate, "certificate.foreign"))
        found.verify_directly_issued_by(ca.certificate)
        key = found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise FleetError("certificate.foreign", "not a certificate of this CA") from error
    named = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not isinstance(key, Ed25519PublicKey) or [one.value for one in named] != [node]:
        raise FleetError("certificate.foreign", "not a certificate of this node")
    return key


def der_sha256(certificate: str) -> str:
    """SHA-256 (hex) of a certificate in base64 that was parsed before."""
    return hashlib.sha256(unbase64(certificate, "certificate.foreign")).hexdigest()


def _builder(
    ca: NodeCa,
    name: str,
    key: Ed25519PublicKey,
    names: list[x509.GeneralName],
    usage: x509.ExtendedKeyUsage,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _instant(at_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_us // 1_000_000, dt.UTC)


def _made() -> bytes:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpuaas node CA")])
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(_PEM, *plain) + certificate.public_bytes(_PEM)
