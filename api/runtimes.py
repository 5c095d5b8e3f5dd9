"""Runtimes: launch, stop, list, show."""

from typing import Annotated, Final, Literal, get_args

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said
from api.admission.wire import LaunchAsk
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import Target, change
from api.edge import instant, now_us
from api.images import configured
from api.paging import before, page_size
from api.services import Services, services_of
from api.soon import asked
from api.viewing import page, reachable, tagged, viewed
from contracts.http import (
    Page,
    Runtime,
    RuntimeConfig,
    RuntimeEgress,
    RuntimeNew,
    RuntimeRoute,
    RuntimeStop,
    Share,
)
from domain import runtime
from domain.errors import DomainError
from domain.launch import Launch
from domain.placing import Mount
from domain.project import Created as ProjectCreated
from domain.words import Share as Part
from evidence.ids import new_id
from evidence.private import private_value
from projections import runtimes_read
from projections.runtimes import NEXT

_SECOND_US: Final = 1_000_000
type _State = Literal[
    "requested", "allocated", "starting", "usable", "degraded", "stopping", "stopped", "failed",
    "lost", "cancelled",
]  # fmt: skip


@post("/v1/runtimes")
async def launch_runtime(request: FrontRequest, data: JSONBody[RuntimeNew]) -> Response[Runtime]:
    """Admitted with devices, quota and price in one atomic append, or refused with
    what would fit.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        org = await organization_of(services, request, data.project)
        name, words = private_value(org, data.name)
        launch = Launch(
            organization=org,
            project=data.project,
            runtime=new_id("runtime"),
            allocation=new_id("allocation"),
            name=name,
            devices=data.devices,
            gpu_milli=data.devices * data.gpu_milli,
            models=tuple(data.models),
            now_us=now_us(),
            config=await configured(services, data),
            policy=data.policy,
            reservation=data.reservation,
            volumes=tuple(Mount(one.volume, one.path) for one in data.volumes),
            network=_network(data),
            idle_stop_us=(data.idle_stop_after_s or 0) * _SECOND_US,
            spot=data.spot,
            region=data.region,
        )
        ask = LaunchAsk(launch, request.user.actor, cause, (words,))
        admitted = await asked(services, ask, launch)
        return Done(admitted.appended, admitted.writes)

    return await services.acting.perform(request, do, lambda said, _: launched(said, data.name))


def _network(data: RuntimeNew) -> str:
    """Raises: DomainError request.invalid for a network of a plain start."""
    if data.network and data.image is None:
        at: dict[str, int | str] = {"pointer": "/image"}
        raise DomainError("request.invalid", "a network is an image's: name one", at)
    return data.network


async def organization_of(services: Services, request: FrontRequest, project: str) -> str:
    """The project's organization; a project never moves, so it is asked for once."""
    known = services.project_orgs.get(project)
    if known is None:
        recorded = await services.log.read_stream(project)
        if not recorded or not isinstance(recorded[0].fact, ProjectCreated):
            raise unknown("project")
        known = services.project_orgs[project] = recorded[0].org
    await services.following.locate(project)
    within(request.user, known, "project", project)
    return known


def launched(said: tuple[Said, ...], name: str) -> Runtime:
    """The runtime whose admission `said` begins with."""
    requested, allocated = said[0].fact, said[1].fact
    own = [one for one in said if one.stream == said[0].stream]
    made = next((one.fact for one in own if isinstance(one.fact, runtime.Configured)), None)
    net = next((one.fact for one in own if isinstance(one.fact, runtime.Networked)), None)
    idle = next((one.fact for one in own if isinstance(one.fact, runtime.IdleLimited)), None)
    assert isinstance(requested, runtime.Requested), "the outcome of this route"
    assert isinstance(allocated, runtime.Allocated), "admission writes both at once"
    return Runtime(
        id=said[0].stream,
        organization=said[0].org,
        project=requested.project,
        name=name,
        state="allocated",
        since=instant(allocated.allocated_us),
        why="",
        next="the node is told to start it",
        node=allocated.node,
        model=allocated.model,
        devices=_shares(allocated.devices),
        gpu_milli=requested.gpu_milli,
        simulated=None,
        config=None if made is None else _config(made),
        route=None,
        network=None if net is None else net.network,
        egress=None,
        idle_since=None,
        idle_stop_after_s=None if idle is None else idle.stop_after_us // _SECOND_US,
        spot=any(isinstance(one.fact, runtime.Spot) for one in own),
        region=next((f.fact.region for f in own if isinstance(f.fact, runtime.RegionAsked)), None),
        version=own[-1].version,
    )


@post("/v1/runtimes/{runtime_id:str}/stop", status_code=200)
async def stop_runtime(
    request: FrontRequest,
    runtime_id: FromPath[str],
    data: JSONBody[RuntimeStop | None] = None,
) -> Response[Runtime]:
    """Asks the node to stop it; it is billed until the node attests the stop. No body is needed."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        command = runtime.Stop((data or RuntimeStop()).reason, now_us())
        decider, of = runtime.DECIDER, ("runtime", runtime_id)
        return await change(services, request, cause, of, decider, command, _as_it_is)

    def answer(said: tuple[Said, ...], _: bool) -> Runtime:
        fact = said[0].fact
        assert isinstance(fact, runtime.Stopping), "the outcome of this route"
        return _stopping(runtime_id, said[0].org, said[0].version, fact)

    return await services.acting.perform(request, do, answer, status=200)


type _Leaving = runtime.Stopping | runtime.Final
_LEAVING: Final = (runtime.Stopping, *get_args(runtime.Final.__value__))


def _as_it_is(found: Target) -> Runtime:
    """A runtime that was told to stop before: as its last fact of that says."""
    last = next(fact for fact in reversed(found.facts) if isinstance(fact, _LEAVING))
    return _stopping(found.stream, found.org, found.version, last)


def _stopping(stream: str, org: str, version: int, fact: _Leaving) -> Runtime:
    state = type(fact).__name__.lower()
    match fact:
        case runtime.Stopping(reason=why) | runtime.Cancelled(reason=why):
            pass
        case runtime.Failed(code=why):
            pass
        case _:
            why = ""
    return Runtime(
        id=stream,
        organization=org,
        project=None,
        name=None,
        state=state,
        since=instant(fact.decided_us),
        why=why,
        next=NEXT[state],
        node=None,
        model=None,
        devices=[],
        gpu_milli=None,
        simulated=None,
        config=None,
        route=None,
        network=None,
        egress=None,
        idle_since=None,
        idle_stop_after_s=None,
        spot=None,
        region=None,
        version=version,
    )


@get("/v1/runtimes")
async def list_runtimes(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Runtime]:
    """Newest first; with a state, the last to come into it first."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        runtimes_read.runtimes,
        organization=scope,
        project=project,
        state=in_state,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: runtimes_read.cursor(row, in_state))


@get("/v1/runtimes/{runtime_id:str}")
async def show_runtime(
    request: FrontRequest, runtime_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Runtime]:
    services, position = await viewed(request, as_of)
    if position is None:
        found = await services.runtimes.of(runtime_id)
    else:
        found = await services.reads.ask(runtimes_read.runtime, runtime_id, position)
    if found is None:
        raise unknown("runtime")
    within(request.user, found.organization, "runtime", found.project, found.runtime)
    return tagged(_given(found), found.version)


def _given(row: runtimes_read.Runtime) -> Runtime:
    return Runtime(
        id=row.runtime,
        organization=row.organization,
        project=row.project,
        name=row.name,
        state=row.state,
        since=instant(row.since_us),
        why=row.why,
        next=_next(row),
        node=row.node,
        model=row.model,
        devices=_shares(row.shares or ()),
        gpu_milli=row.gpu_milli,
        simulated=row.simulated,
        config=_shown_config(row),
        route=_shown_route(row),
        network=row.network,
        egress=_shown_egress(row),
        idle_since=None if row.idle_since_us is None else instant(row.idle_since_us),
        idle_stop_after_s=None if row.idle_stop_us is None else row.idle_stop_us // _SECOND_US,
        spot=row.spot,
        region=row.region,
        version=row.version,
    )


def _next(row: runtimes_read.Runtime) -> str:
    if row.idle_since_us is None or row.idle_stop_us is None:
        return row.next
    return f"stopped for being idle, not before {instant(row.idle_since_us + row.idle_stop_us)}"


def _config(made: runtime.Configured) -> RuntimeConfig:
    return RuntimeConfig(
        image=made.image,
        digest=made.digest,
        cpu_milli=made.cpu_milli,
        memory_bytes=made.memory_bytes,
        pids=made.pids,
        restarts=made.restarts,
    )


def _shown_config(row: runtimes_read.Runtime) -> RuntimeConfig | None:
    if row.image is None:
        return None
    return RuntimeConfig(
        image=row.image,
        digest=row.digest or "",
        cpu_milli=row.cpu_milli or 0,
        memory_bytes=row.memory_bytes or 0,
        pids=row.pids or 0,
        restarts=row.restarts or 0,
    )


def _shown_route(row: runtimes_read.Runtime) -> RuntimeRoute | None:
    if row.address is None:
        return None
    return RuntimeRoute(
        allocation=row.allocation or "",
        epoch=row.epoch or 0,
        address=row.address,
        port=row.port or 0,
        host_key=row.host_key or "",
    )


def _shown_egress(row: runtimes_read.Runtime) -> RuntimeEgress | None:
    if row.counted_us is None:
        return None
    return RuntimeEgress(
        sent_bytes=row.sent_bytes or 0,
        received_bytes=row.received_bytes or 0,
        counted_at=instant(row.counted_us),
    )


def _shares(devices: tuple[Part, ...]) -> list[Share]:
    return [Share(index=share.index, milli=share.milli) for share in devices]
