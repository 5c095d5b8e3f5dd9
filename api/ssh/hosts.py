"""Host certificates: a node asks for one for a runtime of its own, with its event key."""

import hashlib
import os
from typing import Any, Final

import psycopg
from litestar import Response, post
from litestar.params import JSONBody
from msgspec import Struct

from api.body import FrontRequest
from api.changing import Target
from api.edge import now_us
from api.services import Services, services_of
from api.ssh.authority import HostKey, Ticket, sign_host, user_key
from api.ssh.granting import Entrance, entrance
from contracts.signing import FleetError, unbase64, verify
from contracts.ssh import HOST_HOURS, HostCertificate, HostCertificateAsk, host_certificate_text
from domain import runtime
from domain.access import HostCertificateIssued
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.reader import Recorded

_TRIES: Final = 8
_HOUR_US: Final = 3_600_000_000
# One that is younger than this is given again: asking often makes no facts.
_YOUNG_US: Final = 12 * _HOUR_US
_RENEW_US: Final = 16 * _HOUR_US
_SERIAL_BYTES: Final = 8
# Who is barred has no key here, and neither has a node that never enrolled.
_KEY: Final = """
SELECT i.key FROM views.node_identity i WHERE i.node = %(node)s AND i.to_position IS NULL
  AND NOT EXISTS (SELECT FROM views.node_standing s
    WHERE s.node = i.node AND s.to_position IS NULL AND s.barred <> '')
"""


class Asked(Struct, frozen=True):
    """A node's request, its proof checked; `digest`: hex SHA-256 of the key's wire bytes."""

    runtime: str
    node: str
    key: HostKey
    digest: str


@post("/v1/nodes/host-certificates", opt={"public": True}, status_code=200)
async def certify_host(
    request: FrontRequest, data: JSONBody[HostCertificateAsk]
) -> Response[HostCertificate]:
    """A certificate of 24 hours for the host key that the node attested in `runtime.routed`, and
    what sshd needs beside it. Asked again within 12 hours, it is the same one.
    """
    services = services_of(request)
    key, digest = user_key(data.host_key)
    await _proven(services, data)
    asked = Asked(data.runtime, data.node, key, digest)
    for _ in range(_TRIES):
        found = entitled(asked, await services.log.read_stream(asked.runtime))
        stream = f"access-{asked.runtime.partition('-')[2]}"
        recorded = await services.log.read_stream(stream)
        issued = _young(recorded, asked, found.principal)
        if issued is not None:
            return Response(_given(services, asked, issued))
        issued = _fresh(asked, found.principal)
        write = Write(stream, found.found.org, len(recorded), (issued,))
        reads = ((asked.runtime, found.found.version),)
        cause = f"cmd:{hashlib.sha256(f'{stream} {issued.serial}'.encode()).hexdigest()}"
        try:
            await services.log.append(Append((write,), asked.node, cause, reads))
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
        else:
            return Response(_given(services, asked, issued))
    raise DomainError("log.version_stale", "the runtime keeps changing; ask again")


async def _proven(services: Services, data: HostCertificateAsk) -> None:
    """Raises: DomainError ssh.host_refused unless an enrolled node's own key signed the request."""
    found = await services.reads.ask(_key_of, data.node)
    if found is None:
        raise DomainError("ssh.host_refused", "no enrolled node of that name")
    try:
        sig = unbase64(data.proof, "ssh.host_refused")
        verify(found, sig, host_certificate_text(data), "ssh.host_refused")
    except FleetError as error:
        raise DomainError("ssh.host_refused", error.detail) from error


def _key_of(conn: psycopg.Connection[Any], node: str) -> str | None:
    row = conn.execute(_KEY, {"node": node}).fetchone()
    return None if row is None else str(row[0])


def entitled(asked: Asked, recorded: list[Recorded]) -> Entrance:
    """The live runtime, as its stream says. Raises: DomainError ssh.host_refused,
    access.not_running.

    It must run on that node, and the key must be the one the node attested last: what a node may
    have certified is what the log says it said.
    """
    if not recorded or not asked.runtime.startswith("runtime-"):
        raise DomainError("ssh.host_refused", "no such runtime")
    last = recorded[-1]
    facts = tuple(one.fact for one in recorded)
    found = entrance(Target(last.stream, last.org, last.version, facts, last.position))
    placed = next(fact for fact in reversed(facts) if isinstance(fact, runtime.Allocated))
    routed = next((fact for fact in reversed(facts) if isinstance(fact, runtime.Routed)), None)
    if placed.node != asked.node:
        raise DomainError("ssh.host_refused", "it runs on another node")
    if routed is None or user_key(routed.host_key)[1] != asked.digest:
        raise DomainError("ssh.host_refused", "attest the host key first, with the route")
    return found


def _young(recorded: list[Recorded], asked: Asked, principal: str) -> HostCertificateIssued | None:
    if not recorded:
        return None
    last = recorded[-1].fact
    assert isinstance(last, HostCertificateIssued), "the stream holds nothing else"
    same = (last.principal, last.key_sha256) == (principal, asked.digest)
    return last if same and now_us() - last.after_us < _YOUNG_US else None


def _fresh(asked: Asked, principal: str) -> HostCertificateIssued:
    now = now_us()
    serial = int.from_bytes(os.urandom(_SERIAL_BYTES)) >> 1
    until = now + HOST_HOURS * _HOUR_US
    return HostCertificateIssued(asked.runtime, serial, principal, asked.digest, now, until)


def _given(services: Services, asked: Asked, issued: HostCertificateIssued) -> HostCertificate:
    ticket = Ticket(
        *(issued.serial, issued.runtime, issued.principal, issued.after_us, issued.before_us)
    )
    return HostCertificate(
        certificate=sign_host(services.ssh, asked.key, ticket),
        user_ca=services.ssh.user_ca,
        principal=issued.principal,
        renew_us=issued.after_us + _RENEW_US,
    )
