"""Nodes: list, show, invite, cordon, uncordon; and the enrolment of an invited one."""

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said
from api.auth import unknown
from api.authorization.cedar import PLATFORM
from api.authorization.resting import still
from api.body import FrontRequest
from api.changing import change, create, settled
from api.edge import instant, now_us
from api.fleet.invitations import INVITATION_US, invitation
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, tagged, viewed
from contracts import enrolment
from contracts.http import Barred, Device, Node, NodeChanged, NodeInvited, Page
from contracts.http_identity import NodeInvite
from domain import node
from evidence.ids import new_id
from evidence.private import private_value
from projections import inventory_read

type _State = Literal["invited", "reachable", "unreachable"]


@post("/v1/nodes")
async def invite_node(request: FrontRequest, data: JSONBody[NodeInvite]) -> Response[NodeInvited]:
    """A single-use enrolment token, good for 15 minutes; only its hash is kept."""
    services = services_of(request)
    tokens: list[str] = []

    async def do(cause: str) -> Done:
        stream = new_id("node")
        token = invitation(services, stream)
        tokens.append(token)
        name, words = private_value("-", data.name)
        now = now_us()
        command = node.Invite(
            *(name, data.model, enrolment.token_hash(token), now + INVITATION_US, now),
            data.fingerprint or "",
        )
        new = (stream, "-")

        async def attempt() -> Done:
            resting = await still(services, request.user, PLATFORM)
            return await create(
                *(services, request.user, cause, new, node.DECIDER, command),
                private=(words,),
                reads=resting,
            )

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], again: bool) -> NodeInvited:
        fact = said[0].fact
        assert isinstance(fact, node.Invited), "the outcome of this route"
        return NodeInvited(
            id=said[0].stream,
            token=None if again else tokens[-1],
            secret_already_shown=again,
            expires_at=instant(fact.expires_us),
        )

    return await services.acting.perform(request, do, answer)


async def _marked(
    request: FrontRequest, stream: str, command: node.Command, cordoned: bool
) -> Response[Any]:
    services = services_of(request)

    def given(version: int | None) -> NodeChanged:
        return NodeChanged(id=stream, cordoned=cordoned, version=version)

    async def do(cause: str) -> Done:
        of = ("node", stream)
        return await change(services, request, cause, of, node.DECIDER, command, given(None))

    return await services.acting.perform(
        request, do, lambda said, _: given(said[0].version), status=200
    )


@post("/v1/nodes/{node_id:str}/cordon", status_code=200)
async def cordon_node(request: FrontRequest, node_id: FromPath[str]) -> Response[NodeChanged]:
    """It takes no new work; what runs on it goes on."""
    return await _marked(request, node_id, node.Cordon(now_us()), cordoned=True)


@post("/v1/nodes/{node_id:str}/uncordon", status_code=200)
async def uncordon_node(request: FrontRequest, node_id: FromPath[str]) -> Response[NodeChanged]:
    return await _marked(request, node_id, node.Uncordon(now_us()), cordoned=False)


@get("/v1/nodes")
async def list_nodes(
    request: FrontRequest,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Node]:
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        inventory_read.nodes, state=in_state, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, lambda row: _given(row, []), lambda row: row.from_position)


@get("/v1/nodes/{node_id:str}")
async def show_node(
    request: FrontRequest, node_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Node]:
    services, position = await viewed(request, as_of)
    found = await services.reads.ask(inventory_read.node, node_id, position)
    if found is None:
        raise unknown("node")
    devices = await services.reads.ask(inventory_read.devices, node_id, position)
    return tagged(_given(found, devices), found.version)


def _given(row: inventory_read.Node, devices: list[inventory_read.Device]) -> Node:
    return Node(
        id=row.node,
        name=row.name,
        model=row.model or row.expected_model,
        state=row.state,
        barred=_barred(row),
        cordoned=row.cordoned,
        upkeep=row.upkeep,
        simulated=row.simulated,
        gpus=len(row.gpus),
        used_milli=row.used_milli,
        devices=[
            Device(index=one.index, uuid=one.uuid, used_milli=one.used_milli) for one in devices
        ],
        version=row.version,
    )


def _barred(row: inventory_read.Node) -> Barred | None:
    if row.barred is None or row.barred_why is None or row.barred_since_us is None:
        return None
    return Barred(by=row.barred, reason=row.barred_why, since=instant(row.barred_since_us))
