"""Enrolment over HTTP(S): the token's hashes decide whom this machine believes."""

import base64
import hashlib
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from msgspec import Struct

from contracts import enrolment, nkeys
from contracts.enrolment import EnrolReply, EnrolRequest, Gpu, Hardware, key_hash, parse_token
from contracts.signing import FleetError, public_hex

_TIMEOUT_S = 15
_MAX_REPLY = 65_536


class Machine(Struct, frozen=True):
    """What a machine says of itself when it enrols."""

    model: str
    gpus: tuple[Gpu, ...]
    serial: str
    hardware: Hardware
    simulated: bool = True


class Keys(Struct, frozen=True):
    """The keys a node makes for itself: events, NATS, client certificate."""

    event: Ed25519PrivateKey
    nats: Ed25519PrivateKey
    certificate: Ed25519PrivateKey


def request_of(keys: Keys, token: str, machine: Machine) -> EnrolRequest:
    """The signed request of this machine. Raises: FleetError token.malformed."""
    node = parse_token(token).node
    return enrolment.signed_request(
        keys.event,
        EnrolRequest(
            token=token,
            key=public_hex(keys.event),
            model=machine.model,
            simulated=machine.simulated,
            gpus=machine.gpus,
            serial=machine.serial,
            proof="",
            nkey=nkeys.public(keys.nats, nkeys.USER),
            csr=certificate_request(keys.certificate, node),
            hardware=machine.hardware,
        ),
    )


def certificate_request(key: Ed25519PrivateKey, node: str) -> str:
    """A PKCS #10 request (base64 of its DER) for the node's client certificate."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    return base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode("ascii")


def enrol(api_url: str, request: EnrolRequest, ca_file: Path | None = None) -> EnrolReply:
    """The control plane's answer, checked against the hashes in the token.

    Over HTTPS without a CA of one's own, the server must prove itself by the CA whose hash is in
    the token. Blocking. Safe to repeat: the same token and key get the same answer.
    Raises: FleetError enrol.refused (with the problem's text) | enrol.unreachable |
    enrol.impostor when whoever answered is not the control plane that made the token.
    """
    token = parse_token(request.token)
    context = None
    if api_url.startswith("https"):
        own = token.ca_sha256 and ca_file is None
        context = trusting(pinned_ca(api_url, token.ca_sha256)) if own else _default(ca_file)
    raw = post(f"{api_url.rstrip('/')}/v1/enrol", msgspec.json.encode(request), context)
    return checked(request.token, raw)


def pinned_ca(api_url: str, ca_sha256: str) -> str:
    """The node CA (PEM) that hashes to what the token says, asked of whoever answers there.

    Nobody is trusted for it: the hash decides. Raises: FleetError enrol.impostor | unreachable.
    """
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    raw = post(f"{api_url.rstrip('/')}/v1/enrol/ca", None, blind)
    check_ca(raw.decode("ascii", errors="replace"), ca_sha256)
    return raw.decode("ascii")


def check_ca(pem: str, ca_sha256: str) -> None:
    """Raises: FleetError enrol.impostor when the CA is not the one of the token."""
    try:
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    except ValueError as error:
        raise FleetError("enrol.impostor", "the CA is no certificate") from error
    if hashlib.sha256(der).hexdigest() != ca_sha256:
        raise FleetError("enrol.impostor", "the CA is not the token's")


def trusting(ca: str, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A TLS context that believes this CA alone, and shows our certificate where there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def post(url: str, body: bytes | None, context: ssl.SSLContext | None) -> bytes:
    """The answer's bytes; a GET without a body. Raises: FleetError enrol.refused | unreachable."""
    if not url.startswith(("http://", "https://")):
        raise FleetError("enrol.unreachable", f"not an HTTP address: {url!r}")
    asked = urllib.request.Request(  # noqa: S310  the scheme is checked above
        url, data=body, headers={"Content-Type": "application/json"} if body else {}
    )
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
            return bytes(answer.read(_MAX_REPLY))
    except urllib.error.HTTPError as error:
        with error:
            problem = error.read(2000).decode(errors="replace")
        code = "enrol.not_yet" if "node.still_held" in problem else "enrol.refused"
        raise FleetError(code, f"HTTP {error.code}: {problem}") from error
    except ssl.SSLCertVerificationError as error:
        raise FleetError("enrol.impostor", f"{url}: {error}") from error
    except OSError as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise FleetError("enrol.impostor", f"{url}: {error}") from error
        raise FleetError("enrol.unreachable", f"{url}: {error}") from error


def checked(token_text: str, raw: bytes) -> EnrolReply:
    """`raw` as the reply to the token's holder. Raises: FleetError enrol.impostor."""
    token = parse_token(token_text)
    try:
        reply = msgspec.json.decode(raw, type=EnrolReply)
        honest = key_hash(reply.command_key) == token.command_key_sha256
    except (msgspec.DecodeError, ValueError) as error:
        raise FleetError("enrol.impostor", "the reply is no enrolment reply") from error
    if not honest or reply.node != token.node:
        raise FleetError("enrol.impostor", "the reply's command key is not the token's")
    if isinstance(reply.ca, str) and token.ca_sha256:
        check_ca(reply.ca, token.ca_sha256)
    return reply


def _default(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
