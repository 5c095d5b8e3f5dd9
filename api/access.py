"""Developer tokens of the embedded issuer; issuing one is a fact."""

from typing import Any, Final

from litestar import Response, post
from litestar.params import JSONBody

from api.acting import Done, Said
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import target
from api.edge import instant, now_us
from api.services import services_of
from api.tokens import issue
from contracts.http import TokenIssuedOut, TokenNew
from domain.access import TokenIssued
from domain.errors import DomainError
from evidence.append import Append, Write

_TENANT: Final = frozenset({"admin", "member"})
_TRIES: Final = 8


@post("/v1/tokens")
async def issue_token(request: FrontRequest, data: JSONBody[TokenNew]) -> Response[TokenIssuedOut]:
    """Embedded deployments only. The token is shown once."""
    require(request.user, OPERATOR)
    services = services_of(request)
    settings = services.settings
    if not settings.embedded:
        raise DomainError("token.not_embedded", "this deployment has an issuer of its own")
    if (data.role in _TENANT) != (data.organization is not None):
        raise DomainError("request.invalid", "admin and member are bound to an organization")
    shown: list[str] = []

    async def do(cause: str) -> Done:
        now = now_us()
        subject = f"user-{data.subject}"
        fact = TokenIssued(subject, data.role, now + data.seconds * 1_000_000)
        for _ in range(_TRIES):
            stream = data.organization or await _log_stream(services)
            found = await target(services, request.user, stream)
            write = Write(found.stream, found.org, found.version, (fact,))
            try:
                appended = await services.log.append(Append((write,), request.user.actor, cause))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
                continue
            shown.append(issue(settings, subject, data.role, data.organization, now, data.seconds))
            return Done(appended, (write,))
        raise DomainError("log.version_stale", "the stream keeps changing; repeat the request")

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


async def _log_stream(services: Any) -> str:
    rows = await services.reads.rows("SELECT stream FROM log.entry WHERE position = 0")
    if not rows:
        raise DomainError("log.unavailable", "the log is not open yet")
    return str(rows[0]["stream"])
