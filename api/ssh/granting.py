"""Access to a runtime: SSH certificates are granted, listed, shown, revoked; CAs are published."""

import os
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from api.acting import Done, Said, if_match
from api.auth import allow, unknown
from api.authorization.holding import by_token
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import Target, change, settled, target
from api.edge import instant, maybe_instant, now_us
from api.paging import before, page_size
from api.services import Services, services_of
from api.ssh.authority import HostKey, Ticket, networks, sign_user, user_key
from api.viewing import page, reachable, tagged, viewed
from contracts import ssh
from contracts.http import Page
from contracts.http_access import (
    AccessGrant,
    AccessRevoke,
    AccessRevoked,
    SshCertificate,
    SshCertificateNew,
    SshTrust,
)
from domain import grant, runtime
from domain.binding import NEVER
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import PrivateValue, private_value
from projections import access_read

_SERIAL_BYTES: Final = 8


class Entrance(Struct, frozen=True):
    """A live runtime as its stream says just now; `principal` is that of its present epoch."""

    found: Target
    project: str
    principal: str


def entrance(found: Target) -> Entrance:
    """Raises: DomainError access.not_running once it stops, has ended or was never placed."""
    facts = [fact for fact in found.facts if isinstance(fact, runtime.Event.__value__)]
    state = fold(runtime.DECIDER, facts)
    if isinstance(state, runtime.Missing | runtime.Waiting | runtime.Ending | runtime.Ended):
        raise DomainError("access.not_running", "it is not running: nothing to enter")
    requested = next(fact for fact in facts if isinstance(fact, runtime.Requested))
    placed = next(fact for fact in reversed(facts) if isinstance(fact, runtime.Allocated))
    return Entrance(found, requested.project, ssh.principal(placed.allocation, placed.epoch))


class _Asked(Struct, frozen=True):
    """One request for a certificate, checked."""

    runtime: str
    key: HostKey
    digest: str
    sources: str
    minutes: int
    hours: int


@post("/v1/runtimes/{runtime_id:str}/ssh-certificates")
async def issue_certificate(
    request: FrontRequest, runtime_id: FromPath[str], data: JSONBody[SshCertificateNew]
) -> Response[SshCertificate]:
    """A certificate of minutes under a new grant; a repeat signs the same words again.

    Only the runtime's own organization enters: an operator of the platform does not.
    """
    services = services_of(request)
    key, digest = user_key(data.public_key)
    sources = networks(data.sources)
    asked = _Asked(runtime_id, key, digest, sources, data.minutes, data.hours)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            append = await _grant(services, request, cause, asked)
            return Done(await services.log.append(append), append.writes)

        return await settled(services, asked.runtime, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> SshCertificate:
        return _certificate(services, said, asked)

    return await services.acting.perform(request, do, answer)


async def _grant(services: Services, request: FrontRequest, cause: str, asked: _Asked) -> Append:
    """Grant and certificate in one append, which loses to any change of the runtime."""
    found = await target(services, request.user, asked.runtime, "runtime")
    enterable(services, found.org)
    entry = entrance(found)
    if_match(request, entry.found.version)
    org, now = entry.found.org, now_us()
    sources, words = private_value(org, asked.sources)
    serial = int.from_bytes(os.urandom(_SERIAL_BYTES)) >> 1
    valid = now + asked.minutes * grant.MINUTE_US
    issue = grant.IssueCertificate(serial, entry.principal, asked.digest, sources, valid, now)
    until = ends_us(services, request.user, valid, now + asked.hours * 60 * grant.MINUTE_US)
    asking = grant.Grant(asked.runtime, entry.project, request.user.actor, grant.SSH, until, now)
    write = Write(new_id("access"), org, 0, granted(request.user, asking, issue))
    reads = ((asked.runtime, entry.found.version),)
    private: tuple[PrivateValue, ...] = (words,)
    return Append((write,), request.user.actor, cause, reads, private)


def enterable(services: Services, org: str) -> None:
    """Raises: DomainError organization.suspended, organization.closed: nothing of it is entered."""
    refused = services.directory.stopped(org)
    if refused:
        raise DomainError(refused, "nobody enters what is its, until it is reactivated")


def ends_us(services: Services, caller: Principal, least_us: int, wanted_us: int) -> int:
    """Until when a grant lasts: as long as wanted, but not beyond what the caller came with, which
    ends it; never less than `least_us`.
    """
    end = services.directory.until_us(caller.credential)
    return wanted_us if end == NEVER else max(least_us, min(wanted_us, end))


def granted(
    caller: Principal, asked: grant.Grant, issue: grant.IssueCertificate | grant.IssuePass
) -> tuple[grant.Event, ...]:
    """The facts of a new grant: what it is, how it was obtained, what is issued under it."""
    implied = by_token(caller, caller.action)
    state: grant.State = grant.DECIDER.initial
    facts: list[grant.Event] = []
    for command in (asked, grant.Obtain(caller.credential, implied, asked.now_us), issue):
        for fact in grant.decide(command, state):
            facts.append(fact)
            state = grant.evolve(state, fact)
    return tuple(facts)


def of_kind[E: Struct](said: tuple[Said, ...], kind: type[E]) -> E:
    """The one fact of that kind in an append: old ones said less beside it."""
    [found] = [one.fact for one in said if isinstance(one.fact, kind)]
    return found


def _certificate(services: Services, said: tuple[Said, ...], asked: _Asked) -> SshCertificate:
    given, issued = of_kind(said, grant.Granted), of_kind(said, grant.CertificateIssued)
    stream = said[0].stream
    ticket = Ticket(
        *(issued.serial, stream, issued.principal, issued.after_us, issued.before_us),
        asked.sources,
    )
    return SshCertificate(
        grant=stream,
        runtime=given.runtime,
        certificate=sign_user(services.ssh, asked.key, ticket),
        principal=issued.principal,
        serial=str(issued.serial),
        valid_before=instant(issued.before_us),
        until=instant(given.until_us),
        gateway_host=services.settings.gateway_host,
        gateway_port=services.settings.gateway_port,
        known_hosts=ssh.known_hosts_line(services.ssh.host_ca),
    )


@post("/v1/access-grants/{grant_id:str}/revoke", status_code=200)
async def revoke_grant(
    request: FrontRequest,
    grant_id: FromPath[str],
    data: JSONBody[AccessRevoke | None] = None,
) -> Response[AccessRevoked]:
    """Ends what the grant began within a second, at the gateways. Members revoke their own."""
    services = services_of(request)
    found = await target(services, request.user, grant_id, "access")
    first = found.facts[0]
    if not isinstance(first, grant.Granted):
        raise unknown("access")
    if first.user != request.user.actor:
        allow(request.user, "access.revoke_any", found.org, first.project, first.runtime)

    async def do(cause: str) -> Done:
        command = grant.Revoke((data or AccessRevoke()).reason, now_us())
        nothing = AccessRevoked(id=grant_id, version=None)
        of = ("access", grant_id)
        return await change(services, request, cause, of, grant.DECIDER, command, nothing)

    def answer(said: tuple[Said, ...], _: bool) -> AccessRevoked:
        return AccessRevoked(id=grant_id, version=said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


@get("/v1/access-grants")
async def list_grants(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    runtime_id: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[AccessGrant]:
    """Newest first, with what each is used for."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        access_read.grants,
        organization=scope,
        project=project,
        runtime=runtime_id,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/access-grants/{grant_id:str}")
async def show_grant(
    request: FrontRequest, grant_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[AccessGrant]:
    """One that is over, too. What it is used for is no part of its ETag."""
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, grant_id, "access", position)
    if not isinstance(found.facts[0], grant.Granted):
        raise unknown("access")
    await services.reached(found.position)
    [row] = await services.reads.ask(access_read.grants, access=grant_id, as_of=position)
    return tagged(_given(row), found.version)


def _given(row: access_read.Granted) -> AccessGrant:
    return AccessGrant(
        id=row.access,
        organization=row.organization,
        project=row.project,
        runtime=row.runtime,
        user=row.user_id,
        way=row.way,
        granted_at=instant(row.granted_us),
        until=instant(row.until_us),
        revoked_at=maybe_instant(row.revoked_us),
        why=row.why or "",
        open_sessions=row.open_sessions,
        sessions=row.sessions,
        credential=row.credential or None,
    )


@get("/v1/ssh/ca")
async def show_trust(request: FrontRequest) -> SshTrust:
    """What clients and hosts trust; ask over TLS, or there is no point in it."""
    keys = services_of(request).ssh
    return SshTrust(
        user_ca=keys.user_ca, host_ca=keys.host_ca, known_hosts=ssh.known_hosts_line(keys.host_ca)
    )
