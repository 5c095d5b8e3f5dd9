"""Blocks, reservations, and why a launch would go here and not there."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec.structs import replace

from api.acting import Done, Said, held
from api.admission.wire import BlockAsk, ReserveAsk, UnreserveAsk
from api.body import FrontRequest, check_word
from api.changing import admitted, target
from api.edge import instant, now_us, parse_instant
from api.paging import after, page_size
from api.runtimes import launched, organization_of
from api.services import services_of
from api.soon import asked, fit, fits_soon, observed
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_fleet import (
    Block,
    BlockNew,
    Explanation,
    Reservation,
    ReservationEnd,
    ReservationNew,
    Verdict,
)
from domain import block, reservation
from domain.errors import DomainError
from domain.launch import Launch
from domain.together import Reserve
from domain.words import Private
from evidence.ids import new_id
from evidence.private import private_value
from projections import upkeep_read

type _State = Literal["standing", "ended"]


@post("/v1/blocks")
async def place_block(request: FrontRequest, data: JSONBody[BlockNew]) -> Response[Block]:
    """All of its runtimes in one atomic append, or none and what would fit."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        org = await organization_of(services, request, data.project)
        now = now_us()
        named = [private_value(org, _named(data, number)) for number in range(data.count)]
        launches = tuple(
            Launch(
                organization=org,
                project=data.project,
                runtime=new_id("runtime"),
                allocation=new_id("allocation"),
                name=name,
                devices=data.devices,
                gpu_milli=data.devices * data.gpu_milli,
                models=data.models,
                now_us=now,
                policy=data.policy,
                reservation=data.reservation,
                region=data.region,
            )
            for name, _ in named
        )
        words = tuple(text for _, text in named)
        ask = BlockAsk(new_id("block"), launches, request.user.actor, cause, words)
        admitted = await asked(services, ask, launches[0])
        return Done(admitted.appended, admitted.writes)

    return await services.acting.perform(request, do, lambda said, _: _placed(said, data))


def _named(data: BlockNew, number: int) -> str:
    return f"{data.name}-{number}"


def _placed(said: tuple[Said, ...], data: BlockNew) -> Block:
    [whole] = [one for one in said if isinstance(one.fact, block.Placed)]
    assert isinstance(whole.fact, block.Placed), "as just found"
    runtimes = []
    for number, name in enumerate(whole.fact.runtimes):
        own = tuple(one for one in said if one.stream == name)
        runtimes.append(launched(own, _named(data, number)))
    return Block(
        id=whole.stream,
        organization=whole.org,
        project=whole.fact.project,
        policy=whole.fact.policy,
        runtimes=runtimes,
    )


@get("/v1/placement/explain")
async def explain_placement(
    request: FrontRequest,
    project: FromQuery[str],
    devices: FromQuery[int] = 1,
    gpu_milli: FromQuery[int] = 1000,
    models: Annotated[list[str] | None, QueryParameter(name="model")] = None,
    policy: FromQuery[str] = "pack",
    reserved: Annotated[str, QueryParameter(name="reservation")] = "",
    region: FromQuery[str] = "",
) -> Explanation:
    """Every node's answer to a launch that is not made, by the state that would decide it."""
    services = services_of(request)
    if not (1 <= devices <= 64 and 1 <= gpu_milli <= 1000) or (devices > 1 and gpu_milli < 1000):
        raise DomainError("runtime.shape_invalid", "whole devices, or a part of one")
    org = await organization_of(services, request, check_word(project))
    launch = Launch(
        organization=org,
        project=project,
        runtime="",
        allocation="",
        name=Private(""),
        devices=devices,
        gpu_milli=devices * gpu_milli,
        models=tuple(check_word(model) for model in models or ()),
        now_us=now_us(),
        policy=check_word(policy),
        reservation=check_word(reserved),
        region=check_word(region),
    )
    verdicts, position = await services.admission.explain(launch)
    rooms, _ = await services.admission.capacity(org)
    seen = await services.reads.ask(observed)
    return Explanation(
        fits=tuple(
            fit(room, fits_soon(room, seen, launch.now_us))
            for room in rooms
            if not launch.models or room.model in launch.models
        ),
        position=position,
        nodes=[
            Verdict(node=one.node, model=one.model, why=one.why, facts=one.facts)
            for one in verdicts
        ],
    )


@post("/v1/reservations")
async def make_reservation(
    request: FrontRequest, data: JSONBody[ReservationNew]
) -> Response[Reservation]:
    """Whole devices for a project until an instant; it ends by itself, as a fact."""
    services = services_of(request)
    until_us = parse_instant(data.until)

    async def do(cause: str) -> Done:
        org = await organization_of(services, request, data.project)
        ids = (new_id("reservation"), org, data.project, data.model)
        wanted = Reserve(*ids, data.devices, until_us, now_us(), data.region)
        admitted = await services.admission.ask(ReserveAsk(wanted, request.user.actor, cause))
        return Done(admitted.appended, admitted.writes)

    return await services.acting.perform(request, do, lambda said, _: _made(said))


@post("/v1/reservations/{reservation_id:str}/end", status_code=200)
async def end_reservation(
    request: FrontRequest, reservation_id: FromPath[str], data: JSONBody[ReservationEnd]
) -> Response[Reservation]:
    """Given back before its time; what runs on it goes on."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        found = await target(services, request.user, reservation_id, "reservation")
        rests = held(request, reservation_id, found.version)
        over = found.facts[-1]
        if isinstance(over, reservation.Over):
            return Done(nothing=_ended(found.stream, found.org, over.reason, found.version))
        now = now_us()
        ask = UnreserveAsk(reservation_id, data.reason, now, request.user.actor, cause, held=rests)
        done = await admitted(services, ask)
        return Done(done.appended, done.writes)

    def answer(said: tuple[Said, ...], _: bool) -> Reservation:
        fact = said[0].fact
        assert isinstance(fact, reservation.Over), "the outcome of this route"
        return _ended(said[0].stream, said[0].org, fact.reason, said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


def _made(outcome: tuple[Said, ...]) -> Reservation:
    # Before it stands what it uses of the quota, but in outcomes of earlier releases.
    [said] = [one for one in outcome if isinstance(one.fact, reservation.Made)]
    fact = said.fact
    assert isinstance(fact, reservation.Made), "chosen so"
    return Reservation(
        id=said.stream,
        organization=said.org,
        project=fact.project,
        model=fact.model,
        devices=fact.devices,
        nodes=list(fact.nodes),
        until=instant(fact.until_us),
        state="standing",
        why="",
        version=said.version,
    )


def _ended(stream: str, org: str, reason: str, version: int) -> Reservation:
    return Reservation(
        id=stream,
        organization=org,
        project=None,
        model=None,
        devices=None,
        nodes=[],
        until=None,
        state="ended",
        why=reason,
        version=version,
    )


@get("/v1/reservations")
async def list_reservations(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Reservation]:
    """Oldest first; those that have ended say why."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        upkeep_read.reservations,
        organization=scope,
        project=project,
        state=in_state,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/reservations/{reservation_id:str}")
async def show_reservation(
    request: FrontRequest, reservation_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Reservation]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, reservation_id, "reservation", position)
    body = _made((Said(0, found.stream, found.version, found.org, found.facts[0]),))
    over = found.facts[-1]
    if isinstance(over, reservation.Over):
        body = replace(body, state="ended", why=over.reason)
    return tagged(body, found.version)


def _given(row: upkeep_read.Reservation) -> Reservation:
    return Reservation(
        id=row.reservation,
        organization=row.organization,
        project=row.project,
        model=row.model,
        devices=row.devices,
        nodes=list(row.nodes),
        until=instant(row.until_us),
        state=row.state,
        why=row.ended or "",
        version=row.version,
    )
