"""Meters: register, list."""

from typing import Any, Final

import psycopg
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody
from msgspec import Struct

from api.acting import Done, Said
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import create, log_stream, settled
from api.edge import now_us
from api.services import services_of
from api.viewing import viewed
from contracts.http import Page
from contracts.http_money import Meter, MeterNew
from domain import meter
from domain.errors import DomainError
from projections.asof import fetch
from projections.months import derived_id

_METERS: Final = """
SELECT t.stream, t.meter, t.unit, t.source, t.aggregation
FROM views.meter t WHERE [t] ORDER BY t.from_position
"""


class _Row(Struct):
    stream: str
    meter: str
    unit: str
    source: str
    aggregation: str


@post("/v1/meters")
async def register_meter(request: FrontRequest, data: JSONBody[MeterNew]) -> Response[Meter]:
    """A meter's unit never changes: another unit is another meter."""
    require(request.user, OPERATOR)
    services = services_of(request)

    async def do(cause: str) -> Done:
        # One name, one stream: whoever registers it second, in any process, finds it there.
        stream = derived_id("meter", await log_stream(services), data.meter)

        async def attempt() -> Done:
            found = [
                one for one in await services.reads.ask(_meters, None) if one.meter == data.meter
            ]
            if found or await services.log.read_stream(stream):
                known = found[0].stream if found else stream
                raise DomainError("meter.exists", "this meter is registered", {"id": known})
            command = meter.Register(data.meter, data.unit, data.source, data.aggregation, now_us())
            new = (stream, "-")
            return await create(services, request.user, cause, new, meter.DECIDER, command)

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Meter:
        fact = said[0].fact
        assert isinstance(fact, meter.Registered), "the outcome of this route"
        return Meter(
            id=said[0].stream,
            meter=fact.meter,
            unit=fact.unit,
            source=fact.source,
            aggregation=fact.aggregation,
        )

    return await services.acting.perform(request, do, answer)


@get("/v1/meters")
async def list_meters(request: FrontRequest, as_of: FromQuery[str | None] = None) -> Page[Meter]:
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(_meters, position)
    items = [
        Meter(
            id=row.stream,
            meter=row.meter,
            unit=row.unit,
            source=row.source,
            aggregation=row.aggregation,
        )
        for row in rows
    ]
    return Page(items=items, next=None)


def _meters(conn: psycopg.Connection[Any], as_of: int | None) -> list[_Row]:
    return fetch(conn, _Row, _METERS, {}, as_of)
