"""Developer tokens of the embedded issuer; issuing one is a fact."""

from typing import Final

from litestar import Response, post
from litestar.params import JSONBody

from api.acting import Done, Said
from api.authorization.resting import still
from api.body import FrontRequest
from api.changing import log_stream, settled, target
from api.edge import instant, now_us
from api.services import services_of
from api.tokens import issue
from contracts.http_access import TokenIssuedOut, TokenNew
from domain.access import TokenIssued
from domain.errors import DomainError
from evidence.append import Append, Write

_TENANT: Final = frozenset({"admin", "member", "user"})


@post("/v1/tokens")
async def issue_token(request: FrontRequest, data: JSONBody[TokenNew]) -> Response[TokenIssuedOut]:
    """Embedded deployments only. The token is shown once."""
    services = services_of(request)
    settings = services.settings
    if not settings.embedded:
        raise DomainError("token.not_embedded", "this deployment has an issuer of its own")
    if (data.role in _TENANT) != (data.organization is not None):
        raise DomainError("request.invalid", "admin, member and user are bound to an organization")
    shown: list[str] = []

    async def do(cause: str) -> Done:
        now = now_us()
        subject = f"user-{data.subject}"
        fact = TokenIssued(subject, data.role, now + data.seconds * 1_000_000)
        stream = data.organization or await log_stream(services)

        async def attempt() -> Done:
            kind = stream.partition("-")[0]
            resting = await still(services, request.user, request.user.org)
            found = await target(services, request.user, stream, kind)
            writes = (Write(found.stream, found.org, found.version, (fact,)),)
            append = Append(writes, request.user.actor, cause, resting)
            return Done(await services.log.append(append), writes)

        done = await settled(services, stream, attempt)
        shown.append(issue(settings, subject, data.role, data.organization, now, data.seconds))
        return done

    def answer(said: tuple[Said, ...], again: bool) -> TokenIssuedOut:
        fact = said[0].fact
        assert isinstance(fact, TokenIssued), "the outcome of this route"
        return TokenIssuedOut(
            token=None if again else shown[-1],
            principal=fact.principal,
            role=fact.role,
            expires_at=instant(fact.expires_us),
            secret_already_shown=again,
        )

    return await services.acting.perform(request, do, answer)
