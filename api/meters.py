"""Meters: register, list."""

from typing import Any, Final

import psycopg
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody
from msgspec import Struct

from api.acting import Done, Said
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import create
from api.edge import now_us
from api.services import services_of
from api.viewing import viewed
from contracts.http import Page
from contracts.http_money import Meter, MeterNew
from domain import meter
from domain.errors import DomainError
from evidence.ids import new_id
from projections.asof import fetch

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
        for row in await services.reads.ask(_meters, None):
            if row.meter == data.meter:
                raise DomainError("meter.exists", "this meter is registered", {"id": row.stream})
        command = meter.Register(data.meter, data.unit, data.source, data.aggregation, now_us())
        new = (new_id("meter"), "-")
        return await create(services, request.user, cause, new, meter.DECIDER, command)

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
