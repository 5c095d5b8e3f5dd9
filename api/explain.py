"""Why may I not, and what would let me: the decision, told."""

import ipaddress

from litestar import post
from litestar.params import JSONBody
from msgspec.structs import replace

from api.auth import allow, unknown
from api.authorization.explaining import Question, reasons, would_allow
from api.authorization.principal import Principal
from api.authorization.wishing import located
from api.body import FrontRequest
from api.edge import now_us
from api.services import services_of
from contracts.authorization.registry import ACTIONS
from contracts.http_authority import Explained, ExplainNew
from domain.errors import DomainError


@post("/v1/authorization/explain", status_code=200)
async def explain(request: FrontRequest, data: JSONBody[ExplainNew]) -> Explained:
    """Of oneself; of others for whoever may know. Nothing is stored, and no key is needed.

    A scope that the caller has no authority in does not exist.
    """
    caller, services = request.user, services_of(request)
    if data.action not in ACTIONS:
        raise DomainError("request.invalid", f"no action {data.action}", {"pointer": "/action"})
    _address(data.source)
    await services.following.catch_up()
    org, project = await located(services, caller, data.scope)
    if project:
        place = services.directory.place(project, org, data.scope)
    else:
        place = services.directory.place(data.scope, org)
    if place[0] not in (data.scope, project) or not services.door.sees(caller, place):
        raise unknown("scope")
    asked = caller
    if data.principal not in (None, caller.actor):
        allow(caller, "authorization.explain_any", org, project or data.scope, data.scope)
        asked = Principal(data.principal or "", "", org)
    call = services.door.call(replace(asked, mfa=data.mfa, source=data.source), data.action, org)
    if asked is not caller:
        call = replace(call, elsewhere=False, stale=False)  # as it would sign in
    question = Question(asked.actor, data.action, place, call, now_us())
    allowed, policies = reasons(services.door.policies(asked, org), question)
    return Explained(
        action=data.action,
        scope=data.scope,
        principal=asked.actor,
        allowed=allowed,
        policies=policies,
        would_allow=would_allow(data.action),
    )


def _address(source: str) -> None:
    if source:
        try:
            ipaddress.ip_address(source)
        except ValueError as error:
            raise DomainError(
                "request.invalid", "not an address", {"pointer": "/source"}
            ) from error
