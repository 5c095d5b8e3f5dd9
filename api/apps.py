"""Passes to apps: a port of a runtime over HTTP, to programs by token, to browsers by ticket."""

import hashlib
import secrets
from typing import Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, now_us
from api.services import Services, services_of
from api.ssh.granting import entrance
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
        granted, passed = said[0].fact, said[1].fact
        assert isinstance(granted, grant.Granted), "the outcome of this route"
        assert isinstance(passed, grant.PassIssued), "both in one append"
        origin = apps.origin(services.settings.apps_url, granted.runtime, passed.port)
        shown = not again and bool(passed.token_sha256)
        enter = (
            f"{origin}{apps.ENTER}?grant={said[0].stream}&ticket={tickets[-1]}"
            if tickets and not again
            else None
        )
        return AppPass(
            grant=said[0].stream,
            runtime=granted.runtime,
            port=passed.port,
            principal=passed.principal,
            origin=origin,
            token=secret if shown else None,
            enter=enter,
            until=instant(granted.until_us),
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
    entry = entrance(await target(services, request.user, runtime_id, "runtime"))
    now = now_us()
    until = now + data.hours * 60 * grant.MINUTE_US
    token = "" if data.browser else hashlib.sha256(secret.encode()).hexdigest()
    actor = request.user.actor
    commands: tuple[grant.Command, ...] = (
        grant.Grant(runtime_id, entry.project, actor, grant.HTTP, until, now),
        grant.IssuePass(entry.principal, data.port, token, now),
    )
    state: grant.State = grant.DECIDER.initial
    facts: list[grant.Event] = []
    for command in commands:
        for fact in grant.decide(command, state):
            facts.append(fact)
            state = grant.evolve(state, fact)
    write = Write(new_id("access"), entry.found.org, 0, tuple(facts))
    return Append((write,), actor, cause, ((runtime_id, entry.found.version),))
