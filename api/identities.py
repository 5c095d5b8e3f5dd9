"""A node's identity, as the operator sees to it: revoke it, invite the machine again."""

import re
from typing import Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said
from api.auth import unknown
from api.body import FrontRequest
from api.changing import change
from api.edge import instant, now_us
from api.fleet.invitations import INVITATION_US, invitation
from api.services import services_of
from contracts import enrolment
from contracts.http import NodeInvited
from contracts.http_identity import NodeReinvite, NodeRevocation, NodeRevoked
from domain import identity, node
from domain.errors import DomainError

_REASON: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")


@post("/v1/nodes/{node_id:str}/revoke", status_code=200)
async def revoke_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeRevocation]
) -> Response[NodeRevoked]:
    """Its word counts for nothing from here on, it is cut off NATS, and gets no lease.

    What runs there ends with its leases. Only an invitation lets the machine in again.
    """
    services = services_of(request)
    if not enrolment.NODE.fullmatch(node_id):
        raise unknown("node")
    if not _REASON.fullmatch(data.reason):
        raise DomainError("request.invalid", "the reason is a dotted code, not a sentence")
    command = identity.Revoke(data.reason, now_us())

    def given(version: int | None) -> NodeRevoked:
        return NodeRevoked(id=node_id, version=version)

    async def do(cause: str) -> Done:
        return await change(
            services, request, cause, ("node", node_id), node.DECIDER, command, given(None)
        )

    return await services.acting.perform(
        request, do, lambda said, _: given(said[0].version), status=200
    )


@post("/v1/nodes/{node_id:str}/reinvite")
async def reinvite_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeReinvite]
) -> Response[NodeInvited]:
    """A new single-use token for a revoked node, or in place of one that was not used yet.

    The machine enrols by it with a new event key, once all that its old identity held has ended.
    """
    services = services_of(request)
    if not enrolment.NODE.fullmatch(node_id):
        raise unknown("node")
    if data.fingerprint is not None and not enrolment.HEX64.fullmatch(data.fingerprint):
        raise DomainError("request.invalid", "a fingerprint is 64 lowercase hex digits")
    tokens: list[str] = []

    def nothing(_: object) -> NodeInvited:
        raise AssertionError("a fresh token is never the one before")

    async def do(cause: str) -> Done:
        tokens.append(invitation(services, node_id))
        now = now_us()
        command = identity.Reinvite(
            *(enrolment.token_hash(tokens[-1]), now + INVITATION_US),
            *(data.fingerprint or "", now),
        )
        of = ("node", node_id)
        return await change(
            services, request, cause, of, node.DECIDER, command, nothing, outlasting=True
        )

    def answer(said: tuple[Said, ...], again: bool) -> NodeInvited:
        fact = said[0].fact
        assert isinstance(fact, identity.Reinvited), "the outcome of this route"
        return NodeInvited(
            id=node_id,
            token=None if again else tokens[-1],
            secret_already_shown=again,
            expires_at=instant(fact.expires_us),
        )

    return await services.acting.perform(request, do, answer)
