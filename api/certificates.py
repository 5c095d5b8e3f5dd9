"""What a process says of its certificates: `certificate.<which>` among the live components.

One that ends within 30 days is named by readiness and stays ok; one that has ended is not.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import psycopg
from cryptography import x509
from msgspec import Struct

from api.config import Settings
from api.edge import instant, now_us
from api.renewal import Renewal
from api.tls import certificate
from domain.errors import DomainError
from projections.live import report_component
from projections.readiness import CERTIFICATE, ENDS_SOON, NOT_RENEWED

SOON_US: Final = 30 * 86_400_000_000
_LOOK_S: Final = 2.0
_SAY_S: Final = 60.0  # a report is good for ten of these
_PROBE_S: Final = 5


class Said(Struct, frozen=True):
    """`detail`: until when it is good, or a code and why not."""

    name: str
    ok: bool
    detail: str


def said(which: str, found: x509.Certificate, at_us: int, fault: DomainError | None = None) -> Said:
    """Of one certificate at an instant; `fault`: what is wrong with the files it was read from."""
    name = CERTIFICATE + which
    begins_us, ends_us = (
        int(at.timestamp()) * 1_000_000
        for at in (found.not_valid_before_utc, found.not_valid_after_utc)
    )
    if at_us < begins_us:
        return Said(name, False, f"tls.expired: begins {instant(begins_us)}")
    if at_us >= ends_us:
        return Said(name, False, f"tls.expired: ended {instant(ends_us)}")
    until = f"ends {instant(ends_us)}"
    if fault is not None:
        # Readiness asks for no token: the file's path is in the process's log.
        return Said(name, True, f"{NOT_RENEWED}: {fault.code} in its place; the one served {until}")
    return Said(name, True, f"{ENDS_SOON}: {until}" if ends_us - at_us <= SOON_US else until)


async def reported(settings: Settings, looked: Callable[[], Sequence[Said]]) -> None:
    """For ever: what changed at once, everything each minute, while the database listens."""
    loop = asyncio.get_running_loop()
    last, at = dict[str, Said](), 0.0
    while True:
        found = {one.name: one for one in await asyncio.to_thread(looked)}
        if loop.time() - at >= _SAY_S:
            last, at = {}, loop.time()
        new = [one for name, one in found.items() if last.get(name) != one]
        if new:
            with contextlib.suppress(psycopg.OperationalError):
                await asyncio.to_thread(_report, settings.database_url, new)
                last = found
        await asyncio.sleep(_LOOK_S)


def _report(url: str, new: Sequence[Said]) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for one in new:
            report_component(conn, one.name, one.ok, one.detail, now_us())


def of_api(settings: Settings, renewal: Renewal | None) -> Callable[[], Sequence[Said]]:
    """Those of the API process: its pair, the node CA, our own for NATS, the NATS server's."""
    seen: list[tuple[float, Said | None]] = [(-_SAY_S, None)]

    def looked() -> list[Said]:
        at_us = now_us()
        found = [_file("node-ca", settings, at_us)]
        if renewal is not None:
            found.append(said("api", renewal.served, at_us, renewal.fault))
        if urlsplit(settings.nats_url).scheme == "tls":
            found.append(_file("nats-platform", settings, at_us))
            # A handshake is not free: it is asked for once a minute.
            if time.monotonic() - seen[0][0] >= _SAY_S:
                seen[0] = (time.monotonic(), _nats(settings, at_us))
            if seen[0][1] is not None:
                found.append(seen[0][1])
        return found

    return looked


def _file(which: str, settings: Settings, at_us: int) -> Said:
    path = settings.node_ca if which == "node-ca" else settings.nats_files / "platform.pem"
    try:
        return said(which, certificate(path), at_us)
    except DomainError as error:
        return Said(CERTIFICATE + which, False, f"{error.code}: its file")


def _nats(settings: Settings, at_us: int) -> Said | None:
    """The NATS server's, as it shows it; None when it does not answer: others say so."""
    parts = urlsplit(settings.nats_url)
    try:
        context = settings.nats_tls
        assert context is not None, "the URL says tls://"
        with (
            socket.create_connection((parts.hostname, parts.port or 4222), _PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as line,
        ):
            shown = line.getpeercert(binary_form=True)
        assert shown is not None, "a server shows one"
        return said("nats", x509.load_der_x509_certificate(shown), at_us)
    except ssl.SSLCertVerificationError as error:
        return Said(f"{CERTIFICATE}nats", False, f"tls.expired: {error.verify_message}")
    except (OSError, DomainError):
        return None
