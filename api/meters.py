"""Meters: register, list, show."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.body import FrontRequest
from api.changing import log_stream, said_of, settled
from api.edge import now_us
from api.services import Services, services_of
from api.viewing import sliced, tagged, viewed
from contracts.http import Page
from contracts.http_money import Meter, MeterNew
from domain import meter
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from projections import readings_read
from projections.months import derived_id


@post("/v1/meters")
async def register_meter(request: FrontRequest, data: JSONBody[MeterNew]) -> Response[Meter]:
    """A meter never changes: another unit is another meter. The same again changes nothing."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        # One name, one stream: whoever registers it second, in any process, finds it there.
        stream = derived_id("meter", await log_stream(services), data.meter)

        async def attempt() -> Done:
            older = [
                one
                for one in await services.reads.ask(readings_read.meters, data.meter)
                if one.stream != stream
            ]
            if older:
                raise DomainError("meter.exists", "registered", {"id": older[0].stream})
            recorded = await services.log.read_stream(stream)
            state = fold(meter.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
            try:
                facts = tuple(meter.decide(_command(data), state))
            except DomainError as error:
                if error.code == "meter.exists":
                    error.facts["id"] = stream
                raise
            if not facts:
                return Done(nothing=_given(stream, state))
            write = Write(stream, "-", len(recorded), facts)
            append = Append((write,), request.user.actor, cause)
            return Done(await services.log.append(append), (write,))

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Meter:
        fact = said[0].fact
        assert isinstance(fact, meter.Registered | meter.ReadingsRegistered), "of this route"
        return _given(said[0].stream, meter.evolve(meter.Missing(), fact))

    return await services.acting.perform(request, do, answer)


@get("/v1/meters")
async def list_meters(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Meter]:
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(readings_read.meters, None, position)
    items = [
        _given(
            row.stream,
            meter.Counting(
                *(row.meter, row.unit, row.source, row.aggregation, row.divisor),
                tuple(row.dimensions),
            ),
        )
        for row in rows
    ]
    return sliced(items, ("id",), (cursor, limit))


@get("/v1/meters/{meter_id:str}")
async def show_meter(
    request: FrontRequest, meter_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Meter]:
    services, position = await viewed(request, as_of)
    found = await said_of(services, meter_id, "meter", position)
    state = fold(meter.DECIDER, [one.fact for one in found])  # type: ignore[misc]
    return tagged(_given(meter_id, state), found[-1].version)


async def counting(services: Services, name: str) -> meter.Counting | None:
    """What the meter counts, as the log has it now; None where nobody registered it."""
    stream = derived_id("meter", await log_stream(services), name)
    recorded = await services.log.read_stream(stream)
    if not recorded:
        # Registered by a release that did not derive its stream from its name.
        older = await services.reads.ask(readings_read.meters, name)
        recorded = await services.log.read_stream(older[0].stream) if older else []
    state = fold(meter.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
    return state if isinstance(state, meter.Counting) else None


def _command(data: MeterNew) -> meter.Command:
    if data.source == meter.READINGS:
        return meter.RegisterReadings(
            *(data.meter, data.unit, data.divisor, data.aggregation),
            *(tuple(sorted(data.dimensions)), now_us()),
        )
    if (data.divisor, data.dimensions) != (1, (meter.MODEL,)):
        raise DomainError("meter.invalid", "only readings have a divisor and dimensions")
    return meter.Register(data.meter, data.unit, data.source, data.aggregation, now_us())


def _given(stream: str, known: meter.State) -> Meter:
    assert isinstance(known, meter.Counting), "what a registration makes"
    return Meter(
        id=stream,
        meter=known.meter,
        unit=known.unit,
        source=known.source,
        aggregation=known.aggregation,
        divisor=str(known.divisor),
        dimensions=list(known.dimensions),
    )
