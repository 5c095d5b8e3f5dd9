"""Enrolment of an invited node: its token instead of a bearer token, its own key from then on."""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.params import JSONBody

from api.auth import unknown
from api.body import FrontRequest
from api.edge import now_us
from api.services import Services, services_of
from contracts import fleet
from contracts.fleet import EnrolReply, EnrolRequest
from contracts.signing import FleetError, public_hex
from domain import node
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Gpu
from evidence.append import Append, Write

_MOST_GPUS: Final = 64
_LONGEST: Final = 200


@post("/v1/enrol", opt={"public": True}, status_code=200)
async def enrol_node(request: FrontRequest, data: JSONBody[EnrolRequest]) -> Response[EnrolReply]:
    """Where and as whom the node talks from now on. The same token and key repeat the answer."""
    try:
        token = fleet.parse_token(data.token)
        fleet.check_proof(data)
    except FleetError as error:
        raise DomainError(error.code, error.detail) from error
    texts = [data.model, data.serial, *(gpu.uuid for gpu in data.gpus)]
    if len(data.gpus) > _MOST_GPUS or max(map(len, texts)) > _LONGEST:
        raise DomainError("request.invalid", "more GPUs or longer names than a node has")
    services = services_of(request)
    position = await _enrolled(services, token.node, data)
    return Response(_reply(services, token.node, position))


async def _enrolled(services: Services, stream: str, data: EnrolRequest) -> int:
    recorded = await services.log.read_stream(stream)
    if not recorded:
        raise unknown("node")
    command = node.Enrol(
        token_sha256=fleet.token_hash(data.token),
        key=data.key,
        model=data.model,
        simulated=data.simulated,
        gpus=tuple(Gpu(gpu.index, gpu.uuid) for gpu in data.gpus),
        serial=data.serial,
        now_us=now_us(),
    )
    facts: list[Any] = [one.fact for one in recorded]  # a node's stream has node facts
    first = facts[0]
    assert isinstance(first, node.Invited), "a node's stream begins with its invitation"
    if first.token_sha256 != command.token_sha256:
        raise DomainError("node.token_refused", "the token is not the one of this node")
    state = fold(node.DECIDER, facts)
    events = tuple(node.decide(command, state))
    if not events:
        return next(one.position for one in recorded if isinstance(one.fact, node.Enrolled))
    cause = f"cmd:{command.token_sha256}"
    write = Write(stream, "-", recorded[-1].version, events)
    appended = await services.log.append(Append((write,), stream, cause))
    return appended.last


def _reply(services: Services, stream: str, position: int) -> EnrolReply:
    url = urlsplit(services.settings.nats_node_url)
    host = url.hostname or "127.0.0.1"
    return EnrolReply(
        node=stream,
        position=position,
        command_key=public_hex(services.command_key),
        nats_url=f"{url.scheme or 'nats'}://{host}:{url.port or 4222}",
        nats_user=url.username or "",
        nats_password=url.password or "",
    )
