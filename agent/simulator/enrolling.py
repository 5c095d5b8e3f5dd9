"""A crowd becomes nodes: invited by the operator, enrolled by its own keys, over HTTP."""

import hashlib
import json
import ssl
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent.enrol import Keys, Machine, enrol, request_of, trusting
from agent.simulated import inventory
from agent.simulator.member import Identity
from contracts.enrolment import EnrolReply, Hardware
from contracts.signing import FleetError, public_hex

_AT_ONCE: Final = 8
_PATIENCE_S: Final = 15


class Front(Struct, frozen=True):
    """Where the API answers, and the operator's token."""

    url: str
    token: str


def key_of(seed: int, index: int, what: str) -> Ed25519PrivateKey:
    """The key of one member: the same seed makes the same crowd. No secret is kept with these."""
    text = f"gpuaas-simulator/1\n{seed}\n{index}\n{what}".encode()
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(text).digest())


def enrolled(
    front: Front,
    seed: int,
    count: int,
    model: str,
    gpus: int,
    say: Callable[[int], None] = lambda _: None,
) -> list[tuple[Identity, str]]:
    """`count` new SIMULATED nodes in order, and the NATS URL that each was given.

    Blocking. Raises: FleetError enrol.refused | enrol.unreachable.
    """

    def one(index: int) -> tuple[Identity, str]:
        made = _enrolled(front, seed, index, model, gpus)
        say(index)
        return made

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


def _enrolled(front: Front, seed: int, index: int, model: str, gpus: int) -> tuple[Identity, str]:
    event, nats, certificate = (
        key_of(seed, index, what) for what in ("event", "nats", "certificate")
    )
    public = public_hex(event)
    machine = Machine(
        model=model,
        gpus=inventory(public, gpus),
        serial=f"SIMULATED-{public[:16]}",
        hardware=Hardware("", "", ""),
    )
    token = _invited(front, f"simulated-{seed}-{index}", model)
    reply: EnrolReply = enrol(front.url, request_of(Keys(event, nats, certificate), token, machine))
    tls = _tls(reply, certificate)
    return Identity(reply.node, event, nats, reply.command_key, tls), reply.nats_url


def _tls(reply: EnrolReply, key: Ed25519PrivateKey) -> ssl.SSLContext | None:
    """What this member enters tls:// with: good for a day, and never renewed."""
    if not isinstance(reply.ca, str) or not isinstance(reply.certificate, str):
        return None
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *plain)
    with tempfile.NamedTemporaryFile() as file:  # the ssl module takes certificates from files only
        file.write(private + reply.certificate.encode("ascii"))
        file.flush()
        return trusting(reply.ca, Path(file.name))


def _invited(front: Front, name: str, model: str) -> str:
    asked = urllib.request.Request(  # noqa: S310  the caller's own API
        f"{front.url}/v1/nodes",
        data=json.dumps({"name": name, "model": model}).encode(),
        headers={
            "Authorization": f"Bearer {front.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        },
    )
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE_S) as answer:  # noqa: S310
            return str(json.load(answer)["token"])
    except urllib.error.HTTPError as error:
        with error:
            raise FleetError("enrol.refused", f"invite: HTTP {error.code}") from error
    except OSError as error:
        raise FleetError("enrol.unreachable", f"invite: {error}") from error
