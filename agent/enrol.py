import ssl
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.fleet import (
    EnrolReply,
    EnrolRequest,
    Gpu,
    key_hash,
    parse_token,
    signed_request,
)
from contracts.signing import FleetError, public_hex

_TIMEOUT_S = 15
_MAX_REPLY = 65_536


def request_of(
    key: Ed25519PrivateKey,
    token: str,
    model: str,
    gpus: tuple[Gpu, ...],
    serial: str,
    *,
    simulated: bool = True,
) -> EnrolRequest:
    """The signed request of a node. Raises: FleetError token.malformed."""
    parse_token(token)
    return signed_request(
        key,
        EnrolRequest(
            token=token,
            key=public_hex(key),
            model=model,
            simulated=simulated,
            gpus=gpus,
            serial=serial,
            proof="",
        ),
    )


def enrol(api_url: str, request: EnrolRequest, ca_file: Path | None = None) -> EnrolReply:
    """The control plane's answer, checked against the key hash in the token.

    Blocking. Safe to repeat: the same token and key get the same answer.
    Raises: FleetError enrol.refused (with the problem's text) | enrol.unreachable |
    enrol.impostor when whoever answered does not hold the control plane's command key.
    """
    if not api_url.startswith(("http://", "https://")):
        raise FleetError("enrol.unreachable", f"not an HTTP address: {api_url!r}")
    post = urllib.request.Request(  # noqa: S310  the scheme is checked above
        f"{api_url.rstrip('/')}/v1/enrol",
        data=msgspec.json.encode(request),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    context = ssl.create_default_context(cafile=ca_file) if api_url.startswith("https") else None
    try:
        with urllib.request.urlopen(post, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
            raw = answer.read(_MAX_REPLY)
    except urllib.error.HTTPError as error:
        with error:
            problem = error.read(2000).decode(errors="replace")
        raise FleetError("enrol.refused", f"HTTP {error.code}: {problem}") from error
    except OSError as error:
        raise FleetError("enrol.unreachable", f"{api_url}: {error}") from error
    return checked(request.token, raw)


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
    return reply
