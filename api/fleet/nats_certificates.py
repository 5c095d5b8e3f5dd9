"""By which certificates a nats-server, the platform's processes and nodes know each other.

All are the node CA's. Server and platform get theirs from whoever starts the server, anew each
time and good for a year; nodes by enrolment, for a day. `<folder>/ca.pem` is whom they believe.
"""

import ssl
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from api.fleet.node_ca import NodeCa, client_certificate, server_certificate
from domain.errors import DomainError

PLATFORM: Final = "platform"


def give_server(ca: NodeCa, folder: Path, hosts: tuple[str, ...]) -> None:
    """`server.pem` (0600, with its key) and `ca.pem` for a nats-server under these names."""
    certificate, key = server_certificate(ca, hosts, time.time_ns() // 1000)
    _write(folder, "server.pem", key + certificate)
    _write(folder, "ca.pem", ca.pem.encode())


def give_platform(ca: NodeCa, folder: Path) -> None:
    """`platform.pem` (0600, with its key) and `ca.pem` for the platform's processes."""
    certificate, key = client_certificate(ca, PLATFORM, time.time_ns() // 1000)
    _write(folder, "platform.pem", key + certificate)
    _write(folder, "ca.pem", ca.pem.encode())


def platform_tls(url: str, folder: Path) -> ssl.SSLContext | None:
    """What a process of the platform connects with; None unless the URL says tls://.

    Raises: DomainError tls.unreadable.
    """
    if urlsplit(url).scheme != "tls":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / "platform.pem")
    except (OSError, ssl.SSLError) as error:
        detail = f"{folder}: {error}; `gpuaas nats-config` makes these files"
        raise DomainError("tls.unreadable", detail) from error
    return context


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f"{name}~"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(folder / name)
