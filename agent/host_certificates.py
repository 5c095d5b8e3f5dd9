"""Host certificates for this node's runtimes: asked for once a route is attested, and renewed.

A client believes no host key without one. sshd reads the file anew for each connection, so a
renewal disturbs nobody.
"""

import asyncio
import base64
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from agent import clock, identity
from agent.certificate import context_of
from agent.config import Config
from agent.orders import Node
from contracts.signing import FleetError
from contracts.ssh import (
    HOST_CERTIFICATE,
    HostCertificate,
    HostCertificateAsk,
    host_certificate_text,
)

_PAUSE_S = 2.0
_REFUSED_S = 30.0
_TIMEOUT_S = 15
_MAX_REPLY = 65_536

type Ask = Callable[[bytes], bytes]


async def keep(config: Config, node: Node) -> None:
    """Never returns. Nothing to do for a node without containers or without the API's address."""
    if config.engine is None or not config.api_url:
        await asyncio.Event().wait()
    key = identity.event_key(config.state)
    later: dict[str, float] = {}
    while True:
        await asyncio.to_thread(look, config, node, key, later)
        await asyncio.sleep(_PAUSE_S)


def look(config: Config, node: Node, key: Ed25519PrivateKey, later: dict[str, float]) -> None:
    """One round over what runs; whoever was refused is asked about again after half a minute."""
    for seen in node.runtimes.observe(clock.boottime_us()):
        folder = config.state / "runtimes" / seen.allocation / "ssh"
        if seen.route is None or later.get(seen.allocation, 0) > time.monotonic():
            continue
        if not is_due(folder, seen.route.host_key, time.time_ns() // 1_000_000_000):
            continue
        try:
            body = request_of(key, node.node, seen.runtime, seen.route.host_key)
            take(folder, _post(config, body), seen.route.host_key)
        except FleetError as error:
            later[seen.allocation] = time.monotonic() + _REFUSED_S
            sys.stderr.write(f"agent: {error}\n")


def request_of(key: Ed25519PrivateKey, node: str, runtime: str, host_key: str) -> bytes:
    """The signed request's body."""
    ask = HostCertificateAsk(node, runtime, host_key, "")
    proof = base64.b64encode(key.sign(host_certificate_text(ask))).decode("ascii")
    return msgspec.json.encode(msgspec.structs.replace(ask, proof=proof))


def is_due(folder: Path, host_key: str, now_s: int) -> bool:
    """True without a certificate for this key, and at two thirds of its life."""
    path = folder / HOST_CERTIFICATE
    if not folder.is_dir():
        return False
    found = _read(path.read_bytes()) if path.exists() else None
    if found is None or not _is_for(found, host_key):
        return True
    life = found.valid_before - found.valid_after
    return now_s >= found.valid_after + life * 2 // 3


def take(folder: Path, raw: bytes, host_key: str) -> None:
    """The certificate is in its place. Raises: FleetError host_certificate.malformed."""
    try:
        given = msgspec.json.decode(raw, type=HostCertificate)
    except msgspec.MsgspecError as error:
        raise FleetError("host_certificate.malformed", str(error)) from error
    found = _read(given.certificate.encode())
    if found is None or not _is_for(found, host_key):
        raise FleetError("host_certificate.malformed", "not a certificate for our key")
    fresh = folder / f"{HOST_CERTIFICATE}~"
    fresh.write_text(f"{given.certificate}\n")
    fresh.chmod(0o644)
    fresh.replace(folder / HOST_CERTIFICATE)


def _read(raw: bytes) -> SSHCertificate | None:
    try:
        found = load_ssh_public_identity(raw)
    except ValueError:
        return None
    return found if isinstance(found, SSHCertificate) else None


def _is_for(found: SSHCertificate, host_key: str) -> bool:
    return found.public_key() == load_ssh_public_identity(host_key.encode())


def _post(config: Config, body: bytes) -> bytes:
    url = f"{config.api_url.rstrip('/')}/v1/nodes/host-certificates"
    if not url.startswith(("http://", "https://")):
        raise FleetError("host_certificate.refused", f"not an HTTP address: {url!r}")
    headers = {"Content-Type": "application/json"}
    post = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  checked above
    context = context_of(config, url)
    try:
        with urllib.request.urlopen(post, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
            return bytes(answer.read(_MAX_REPLY))
    except urllib.error.HTTPError as error:
        with error:
            problem = error.read(2000).decode(errors="replace")
        raise FleetError("host_certificate.refused", f"HTTP {error.code}: {problem}") from error
    except OSError as error:
        raise FleetError("host_certificate.refused", str(error)) from error
