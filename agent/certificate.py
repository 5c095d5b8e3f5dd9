"""The client certificate: asked for anew at two thirds of its life, in time and again."""

import asyncio
import base64
import random
import ssl
import time
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent import identity
from agent.config import Config
from agent.enrol import certificate_request, post, trusting
from contracts import enrolment, nkeys
from contracts.enrolment import RenewalReply, RenewalRequest
from contracts.signing import FleetError

_PAUSE_S = 60.0
_FIRST_PAUSE_S = 1.0


def due_at(pem: str) -> float:
    """Seconds since the epoch at which two thirds of the certificate's life are over; 0 if none."""
    if not pem:
        return 0.0
    found = x509.load_pem_x509_certificate(pem.encode())
    start = found.not_valid_before_utc.timestamp()
    return start + (found.not_valid_after_utc.timestamp() - start) * 2 / 3


def request_of(config: Config, node: str) -> RenewalRequest:
    """The signed request. Its new key is on disk first: asked again, it is the same request."""
    state = config.state
    held = identity.certificate(state)
    key = identity.certificate_key(state, following=bool(held))
    request = RenewalRequest(
        node=node,
        nkey=nkeys.public(identity.nats_key(state), nkeys.USER),
        csr=certificate_request(key, node),
        certificate=_der(held),
        proof="",
        held="",
    )
    text = enrolment.renewal_text(request)
    mine = identity.certificate_key(state)
    return msgspec.structs.replace(
        request,
        proof=enrolment.signature(identity.event_key(state), text),
        held=enrolment.signature(mine, text) if held else "",
    )


def renew(config: Config, node: str) -> None:
    """The next certificate is kept. Blocking. Raises: FleetError enrol.* when it was not given."""
    url = config.api_url or identity.api_url(config.state)
    if not url:
        raise FleetError("enrol.unreachable", "no address of the control plane is known")
    request = request_of(config, node)
    raw = post(
        f"{url.rstrip('/')}/v1/nodes/certificate",
        msgspec.json.encode(request),
        context_of(config, url),
    )
    try:
        reply = msgspec.json.decode(raw, type=RenewalReply)
    except msgspec.DecodeError as error:
        raise FleetError("enrol.impostor", "the reply is no certificate") from error
    identity.keep_certificate(config.state, reply.certificate, reply.ca)


async def keep_fresh(config: Config, node: str) -> None:
    """Never returns: a certificate that is due is renewed; what fails is tried again later.

    Until then the old one holds for a third of its life, and NATS does not depend on it.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        due_s = due_at(identity.certificate(config.state)) - time.time()
        if due_s > 0:
            await asyncio.sleep(min(due_s, _PAUSE_S))
            continue
        try:
            await asyncio.to_thread(renew, config, node)
            pause_s = _FIRST_PAUSE_S
        except FleetError:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads a crowd
            pause_s = min(2 * pause_s, _PAUSE_S)


def shown(state: Path) -> ssl.SSLContext:
    """A context that shows the present certificate and believes the CA that gave it.

    Raises: OSError while there is none (it is asked for over HTTPS meanwhile).
    """
    ca = (state / "ca.pem").read_text(encoding="ascii")
    return trusting(ca, state / "certificate.pem")


def _der(pem: str) -> str:
    if not pem:
        return ""
    found = x509.load_pem_x509_certificate(pem.encode())
    return base64.b64encode(found.public_bytes(serialization.Encoding.DER)).decode("ascii")


def context_of(config: Config, url: str) -> ssl.SSLContext | None:
    """Whom this agent believes at the control plane's address; None for plain HTTP.

    The CA file that was named, else the CA that enrolment gave, pinned by its token.
    """
    if not url.startswith("https"):
        return None
    if config.ca_file is not None:
        return ssl.create_default_context(cafile=config.ca_file)
    ca = config.state / "ca.pem"
    if not ca.exists():
        return ssl.create_default_context()
    return trusting(ca.read_text(encoding="ascii"))
