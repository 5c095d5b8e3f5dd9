"""Passes to apps: a port of a runtime over HTTP, to programs by token, to browsers by ticket."""

import hashlib
import secrets
from typing import Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said, if_match
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, now_us
from api.services import Services, services_of
from api.ssh.granting import ends_us, enterable, entrance, granted, of_kind
from contracts import apps
from contracts.http_access import AppPass, AppPassNew
from domain import grant
from evidence.append import Append, Write
from evidence.ids import new_id

_TOKEN_BYTES: Final = 32


@post("/v1/runtimes/{runtime_id:str}/app-passes")
async def issue_pass(
    request: FrontRequest, runtime_id: FromPath[str], data: JSONBody[AppPassNew]
) -> Response[AppPass]:
    """A grant and its pass in one append. Only the runtime's own organization enters; a token is
    shown once, the log holds its hash.
    """
    services = services_of(request)
    secret = apps.TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    tickets: list[str] = []

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            append = await _passing(services, request, cause, runtime_id, data, secret)
            done = Done(await services.log.append(append), append.writes)
            if data.browser:
                issue = services.terminals.tickets.issue
                stream = append.writes[0].stream
                tickets.append(await issue(stream, request.user.actor, now_us()))
            return done

        return await settled(services, runtime_id, attempt)

    def answer(said: tuple[Said, ...], again: bool) -> AppPass:
        given, passed = of_kind(said, grant.Granted), of_kind(said, grant.PassIssued)
        origin = apps.origin(services.settings.apps_url, given.runtime, passed.port)
        shown = not again and bool(passed.token_sha256)
        enter = (
            f"{origin}{apps.ENTER}?grant={said[0].stream}&ticket={tickets[-1]}"
            if tickets and not again
            else None
        )
        return AppPass(
            grant=said[0].stream,
            runtime=given.runtime,
            port=passed.port,
            principal=passed.principal,
            origin=origin,
            token=secret if shown else None,
            enter=enter,
            until=instant(given.until_us),
        )

    return await services.acting.perform(request, do, answer)


async def _passing(
    services: Services,
    request: FrontRequest,
    cause: str,
    runtime_id: str,
    data: AppPassNew,
    secret: str,
) -> Append:
    """Grant and pass, which lose to any change of the runtime."""
    found = await target(services, request.user, runtime_id, "runtime")
    enterable(services, found.org)
    entry = entrance(found)
    if_match(request, entry.found.version)
    now = now_us()
    least, wanted = now + grant.MINUTE_US, now + data.hours * 60 * grant.MINUTE_US
    until = ends_us(services, request.user, least, wanted)
    token = "" if data.browser else hashlib.sha256(secret.encode()).hexdigest()
    actor = request.user.actor
    asked = grant.Grant(runtime_id, entry.project, actor, grant.HTTP, until, now)
    issue = grant.IssuePass(entry.principal, data.port, token, now)
    write = Write(new_id("access"), entry.found.org, 0, granted(request.user, asked, issue))
    return Append((write,), actor, cause, ((runtime_id, entry.found.version),))
