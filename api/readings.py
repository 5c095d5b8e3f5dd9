"""Readings: taken under the source's signature; what was refused of them, for operators."""

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.body import FrontRequest
from api.edge import instant
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, viewed
from contracts.http import Page
from contracts.http_usage import QuarantinedReading
from contracts.usage import Batch, Complete, Completed, Taken
from projections import readings_read


@post("/v1/readings", opt={"public": True}, status_code=200)
async def take_readings(request: FrontRequest, data: JSONBody[Batch]) -> Response[Taken]:
    """No token: the batch is signed. Sent again it changes nothing, so no Idempotency-Key either.

    200 once every reading of it is sealed. What is refused is not sealed in part.
    """
    services = services_of(request)
    await services.fresh(request)
    taken = await services.desk.take(data)
    headers = {} if taken.position is None else {"Log-Position": str(taken.position)}
    return Response(taken, headers=headers)


@post("/v1/readings/complete", opt={"public": True}, status_code=200)
async def complete_readings(request: FrontRequest, data: JSONBody[Complete]) -> Response[Completed]:
    """A source has told all until then: periods that end before need not wait for it. No token: it
    is signed. Said again, or less, it changes nothing.
    """
    services = services_of(request)
    await services.fresh(request)
    done = await services.desk.completions.take(data)
    headers = {} if done.position is None else {"Log-Position": str(done.position)}
    return Response(done, headers=headers)


@get("/v1/readings/quarantined")
async def list_quarantined(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[QuarantinedReading]:
    """Readings that came under a key that another one has; in order."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        readings_read.quarantined, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _given, lambda row: row.from_position)


def _given(row: readings_read.Quarantined) -> QuarantinedReading:
    return QuarantinedReading(
        position=row.from_position,
        source=row.source,
        epoch=row.epoch,
        sequence=row.sequence,
        kept=row.kept,
        refused=row.refused,
        reading=row.reading,
        at=instant(row.decided_us),
    )
