"""How a machine becomes a node, and keeps its certificate: what agent and control plane exchange.

POST /v1/enrol takes `EnrolRequest`, POST /v1/nodes/certificate `RenewalRequest`; both are signed by
the node's own event key. Tokens of the release before (`gpuaas-enrol-1`) and requests without a
certificate request are accepted for one release. Source: FLEET.md "Identity and keys".
"""

import base64
import hashlib
import re
import secrets

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET, Struct, UnsetType

from contracts.signing import FleetError, unbase64, verify

NODE = re.compile(r"node-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HEX64 = re.compile(r"[0-9a-f]{64}")


class Gpu(Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    uuid: str


class Hardware(Struct, frozen=True, forbid_unknown_fields=True):
    """DMI product UUID and serial, SHA-256 (hex) of the machine-id; empty what cannot be read."""

    product: str
    serial: str
    machine: str


class EnrolRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/enrol. `proof`: base64 signature by `key` over `enrol_text` of this request.

    The same token with the same key repeats the first answer (a lost reply must not strand the
    node); with another key it is refused. The token is valid once and 15 minutes. `nkey` (the NATS
    user key) and `csr` (PKCS #10 of an Ed25519 key, base64 of its DER) come together.
    """

    token: str
    key: str
    model: str
    simulated: bool
    gpus: tuple[Gpu, ...]
    serial: str
    proof: str
    nkey: str | UnsetType = UNSET
    csr: str | UnsetType = UNSET
    hardware: Hardware | UnsetType = UNSET


class EnrolReply(Struct, frozen=True):
    """What a node needs for life. `command_key` (hex) must hash to what the token carries.

    `ca` (the node CA's certificate, PEM, hashing to what the token carries) and `certificate`
    answer a `csr`; a node with a NATS key needs neither user nor password. Fields this release
    does not know are ignored.
    """

    node: str
    position: int
    command_key: str
    nats_url: str
    nats_user: str
    nats_password: str
    ca: str | UnsetType = UNSET
    certificate: str | UnsetType = UNSET


class RenewalRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/nodes/certificate: a new certificate in place of `certificate` (base64 of
    its DER, or empty).

    `proof`: signature by the event key, `held`: by the key of the certificate that is replaced
    (empty for a node's first), both over `renewal_text`.
    """

    node: str
    nkey: str
    csr: str
    certificate: str
    proof: str
    held: str


class RenewalReply(Struct, frozen=True):
    """The new certificate and the CA that signed it, PEM."""

    certificate: str
    ca: str


class Token(Struct, frozen=True):
    """An enrolment token: whose it is, its secret, and the hashes of the true command key and CA.

    `ca_sha256` is of the CA certificate's DER; empty in a token of the release before.
    """

    node: str
    secret: str
    command_key_sha256: str
    ca_sha256: str = ""

    def text(self) -> str:
        """The token as it is handed over."""
        if not self.ca_sha256:
            return f"gpuaas-enrol-1.{self.node}.{self.secret}.{self.command_key_sha256}"
        hashes = f"{self.command_key_sha256}.{self.ca_sha256}"
        return f"gpuaas-enrol-2.{self.node}.{self.secret}.{hashes}"


def new_token(node: str, command_key: str, ca_sha256: str = "") -> Token:
    """A fresh token of 256 random bits; only `token_hash` of it is ever stored."""
    return Token(node, secrets.token_hex(32), key_hash(command_key), ca_sha256)


def parse_token(text: str) -> Token:
    """Raises: FleetError token.malformed."""
    form, _, rest = text.partition(".")
    node, *hashes = rest.split(".")
    count = {"gpuaas-enrol-1": 2, "gpuaas-enrol-2": 3}.get(form)
    if len(hashes) != count or not NODE.fullmatch(node) or not all(map(HEX64.fullmatch, hashes)):
        raise FleetError("token.malformed", "not an enrolment token")
    return Token(node, *hashes)


def token_hash(text: str) -> str:
    """`token_sha256` of node.invited: SHA-256 of the token's text, lowercase hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def key_hash(key: str) -> str:
    """SHA-256 of a public key's 32 bytes, lowercase hex."""
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()


def fingerprint(hardware: Hardware, gpus: tuple[Gpu, ...]) -> str:
    """SHA-256 (hex) of the machine's serials and of its GPUs' UUIDs in order of their names."""
    uuids = sorted(gpu.uuid for gpu in gpus)
    return hashlib.sha256(
        b"gpuaas-hardware/1\n" + msgspec.json.encode([hardware, uuids])
    ).hexdigest()


def enrol_text(request: EnrolRequest) -> bytes:
    """The bytes `proof` signs: everything the request says, the token only by its hash."""
    said = msgspec.structs.replace(request, token=token_hash(request.token), proof="")
    return b"gpuaas-enrol/1\n" + msgspec.json.encode(said)


def signed_request(key: Ed25519PrivateKey, request: EnrolRequest) -> EnrolRequest:
    """`request` with its proof of possession."""
    return msgspec.structs.replace(request, proof=signature(key, enrol_text(request)))


def check_proof(request: EnrolRequest) -> None:
    """Raises: FleetError enrol.proof when the sender does not hold the key it names."""
    if not HEX64.fullmatch(request.key):
        raise FleetError("enrol.proof", "the key is not 64 lowercase hex digits")
    sig = unbase64(request.proof, "enrol.proof")
    verify(request.key, sig, enrol_text(request), "enrol.proof")


def renewal_text(request: RenewalRequest) -> bytes:
    """The bytes that `proof` and `held` sign."""
    said = msgspec.structs.replace(request, proof="", held="")
    return b"gpuaas-renewal/1\n" + msgspec.json.encode(said)


def signature(key: Ed25519PrivateKey, text: bytes) -> str:
    """Base64 of the signature of `text`."""
    return base64.b64encode(key.sign(text)).decode("ascii")
