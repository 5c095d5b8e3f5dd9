"""Who may enter NATS as which node, asked by the server at every connection (auth callout).

The node proves its NATS key by signing the server's nonce; the log says whose key that is. The
answer is a JWT of the platform's account key with the exact rights of that node, for one
connection and at most about an hour. Nothing is kept: an answer follows from the log alone.
"""

import hashlib
import hmac
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.fleet import node_ca
from contracts import nkeys, rights
from contracts.signing import FleetError, decode
from domain import identity, node
from domain.errors import DomainError

ASKED: Final = "$SYS.REQ.USER.AUTH"
ACCOUNT: Final = "GPUAAS"
_LIFE_S: Final = 3_600
_SUBSCRIPTIONS: Final = 256
_PAYLOAD: Final = 262_144


class Server(Struct):
    id: str


class Asker(Struct):
    nonce: str = ""


class Options(Struct):
    nkey: str = ""
    sig: str = ""
    name: str = ""
    user: str = ""
    password: str = msgspec.field(default="", name="pass")


class Tls(Struct):
    """The chains that the server verified, its leaf first, PEM; none without client certificate."""

    verified_chains: list[list[str]] = []


class Request(Struct):
    server_id: Server
    user_nkey: str
    client_info: Asker
    connect_opts: Options
    client_tls: Tls | None = None


class Claims(Struct):
    nats: Request


def asked(raw: bytes) -> Request:
    """What a server asks. Raises: FleetError jwt.malformed."""
    claims = nkeys.unverified_claims(raw.decode("ascii", errors="replace"))
    return decode(claims, Claims, "jwt.malformed", canonical=False).nats


def check(request: Request, known: node.Serving, node_id: str, account: Ed25519PrivateKey) -> None:
    """Returns when the connection is the node's.

    A node enrolled by the release before has no NATS key and proves a password of its own.
    Raises: FleetError nkey.* | node.revoked | node.doubled.
    """
    try:
        identity.admitted(known.identity)
    except DomainError as error:
        raise FleetError(error.code, error.detail) from error
    options = request.connect_opts
    if not known.identity.nkey:
        mine = password(account, node_id, known.enrolled.key)
        if options.user == node_id and hmac.compare_digest(options.password, mine):
            return
        raise FleetError("nkey.unknown", "the node has no NATS key yet")
    if options.nkey != known.identity.nkey:
        raise FleetError("nkey.unknown", "not the NATS key the node was certified with")
    nkeys.check_signature(options.nkey, options.sig, request.client_info.nonce)


def check_certificate(request: Request, known: node.Serving, node_id: str) -> int:
    """Returns when the connection came with a certificate of the node's present enrolment.

    The server verified that it is the node CA's and in its time; whose it is we look at. The
    result: until when it counts, s since the epoch.
    Raises: FleetError certificate.missing | certificate.foreign.
    """
    chains = [] if request.client_tls is None else request.client_tls.verified_chains
    if not chains or not chains[0]:
        raise FleetError("certificate.missing", "NATS is entered over TLS, with a certificate")
    named, given_s = node_ca.issued_to(chains[0][0])
    # In whole seconds: the certificate of an enrolment is as old as its fact.
    if named != node_id or given_s < known.enrolled.enrolled_us // 1_000_000 - 1:
        raise FleetError("certificate.foreign", "not a certificate of this node's enrolment")
    return node_ca.expires_s(chains[0][0])


def password(account: Ed25519PrivateKey, node_id: str, key: str) -> str:
    """The NATS password of a node without a NATS key: of one enrolment, never stored."""
    text = f"gpuaas-nats-password/1\n{node_id}\n{key}".encode()
    return hmac.new(account.private_bytes_raw(), text, hashlib.sha256).hexdigest()


def claimed(request: Request) -> str:
    """The node that the connection says it is."""
    return request.connect_opts.user or request.connect_opts.name


def granted(
    request: Request, node_id: str, account: Ed25519PrivateKey, now_s: int, until_s: int = 0
) -> bytes:
    """The answer that lets the connection in as the node, with its rights and no more.

    Never past `until_s`, where its certificate ends; 0 for a connection without TLS.
    """
    # Not all at once: nodes that came in together must not be shut out together.
    life = _LIFE_S - int(hashlib.sha256(request.user_nkey.encode()).hexdigest()[:4], 16) % 900
    user = {
        "sub": request.user_nkey,
        "name": node_id,
        "aud": ACCOUNT,
        "iat": now_s,
        "exp": min(now_s + life, until_s or now_s + life),
        "nats": {
            "type": "user",
            "version": 2,
            "pub": {"allow": rights.may_publish(node_id)},
            "sub": {"allow": rights.may_subscribe(node_id)},
            "subs": _SUBSCRIPTIONS,
            "data": -1,
            "payload": _PAYLOAD,
        },
    }
    return _answer(request, account, now_s, jwt=nkeys.claims_jwt(account, user))


def refused(request: Request, account: Ed25519PrivateKey, now_s: int, code: str) -> bytes:
    """The answer that shuts the connection out; the server's log names the code."""
    return _answer(request, account, now_s, error=code)


def _answer(
    request: Request, account: Ed25519PrivateKey, now_s: int, *, jwt: str = "", error: str = ""
) -> bytes:
    said: dict[str, object] = {"type": "authorization_response", "version": 2}
    said |= {"jwt": jwt} if jwt else {"error": error}
    claims: dict[str, object] = {
        "sub": request.user_nkey,
        "aud": request.server_id.id,
        "iat": now_s,
        "nats": said,
    }
    return nkeys.claims_jwt(account, claims).encode()
