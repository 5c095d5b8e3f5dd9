"""Networks: create, change the policy, delete, list, show."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import Target, change, create, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_network import EgressRule, Network, NetworkNew, NetworkPolicy
from domain import network, project
from domain.network import Rule
from evidence.ids import new_id
from evidence.private import private_value
from projections import networks_read

type _State = Literal["standing", "deleted"]


@post("/v1/networks")
async def create_network(request: FrontRequest, data: JSONBody[NetworkNew]) -> Response[Network]:
    """Of one project; launches of the project may name it."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        owner = await target(services, request.user, data.project, "project")
        created = owner.facts[0]
        if not isinstance(created, project.Created):
            raise unknown("project")
        name, words = private_value(owner.org, data.name)
        command = network.Create(
            *(owner.org, owner.stream, created.organization, name),
            *(data.internal, _rules(data.egress), now_us()),
        )
        new = (new_id("network"), owner.org)
        return await create(
            services, request.user, cause, new, network.DECIDER, command, private=(words,)
        )

    return await services.acting.perform(request, do, lambda said, _: _became(said[0], data.name))


@post("/v1/networks/{network_id:str}/policy", status_code=200)
async def set_network_policy(
    request: FrontRequest, network_id: FromPath[str], data: JSONBody[NetworkPolicy]
) -> Response[Network]:
    """In force on every node of its runtimes within seconds; what it no longer allows ends."""
    command = network.SetPolicy(data.internal, _rules(data.egress), now_us())
    return await _changed(request, network_id, command)


@post("/v1/networks/{network_id:str}/delete", status_code=200)
async def delete_network(request: FrontRequest, network_id: FromPath[str]) -> Response[Network]:
    """No launch may name it any more, and what is in it reaches nothing."""
    return await _changed(request, network_id, network.Delete(now_us()))


@get("/v1/networks")
async def list_networks(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Network]:
    """Oldest first; deleted ones too."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        networks_read.networks,
        organization=scope,
        project=project,
        state=in_state,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/networks/{network_id:str}")
async def show_network(
    request: FrontRequest, network_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Network]:
    services, position = await viewed(request, as_of)
    found = await services.reads.ask(networks_read.networks, network=network_id, as_of=position)
    if not found:
        raise unknown("network")
    one = found[0]
    within(request.user, one.organization, "network", one.project, one.network)
    return tagged(_given(found[0]), found[0].version)


async def _changed(
    request: FrontRequest, network_id: str, command: network.SetPolicy | network.Delete
) -> Response[Network]:
    services = services_of(request)

    async def do(cause: str) -> Done:
        of = ("network", network_id)
        return await change(services, request, cause, of, network.DECIDER, command, _as_it_is)

    return await services.acting.perform(request, do, lambda said, _: _became(said[0]), status=200)


def _as_it_is(found: Target) -> Network:
    last = Said(0, found.stream, found.version, found.org, found.facts[-1])
    return _became(last)


def _became(said: Said, name: str | None = None) -> Network:
    """The network as its fact says; a deleted one lets nothing through."""
    fact = said.fact
    internal, egress, state = False, tuple[Rule, ...](), "standing"
    match fact:
        case network.Created(internal=internal, egress=egress, created_us=changed_us):
            pass
        case network.PolicyChanged(internal=internal, egress=egress, decided_us=changed_us):
            pass
        case network.Deleted(decided_us=changed_us):
            state = "deleted"
        case _:
            raise unknown("network")
    return Network(
        id=said.stream,
        organization=said.org,
        project=fact.project if isinstance(fact, network.Created) else None,
        name=name,
        state=state,
        internal=internal,
        egress=_shown(egress),
        runtimes=None,
        changed_at=instant(changed_us),
        version=said.version,
    )


def _given(row: networks_read.Network) -> Network:
    return Network(
        id=row.network,
        organization=row.organization,
        project=row.project,
        name=row.name,
        state=row.state,
        internal=row.internal,
        egress=_shown(row.egress),
        runtimes=row.runtimes,
        changed_at=instant(row.changed_us),
        version=row.version,
    )


def _rules(given: tuple[EgressRule, ...]) -> tuple[Rule, ...]:
    return tuple(Rule(one.cidr, one.protocol, one.first_port, one.last_port) for one in given)


def _shown(rules: tuple[Rule, ...]) -> list[EgressRule]:
    return [
        EgressRule(
            cidr=one.cidr,
            protocol=one.protocol,
            first_port=one.first_port,
            last_port=one.last_port,
        )
        for one in rules
    ]
