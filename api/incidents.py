"""Incidents: opened, facts tied by position, notes, resolved; who is affected, what is proposed."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said, if_match
from api.auth import unknown
from api.body import FrontRequest
from api.changing import change, create, settled, target
from api.edge import instant, maybe_instant, now_us
from api.paging import before, page_size
from api.services import services_of
from api.upkeep import happened
from api.viewing import page, tagged, viewed
from contracts.http import Page
from contracts.http_fleet import (
    Credit,
    Hit,
    Incident,
    IncidentChanged,
    IncidentNew,
    IncidentNote,
    IncidentNoted,
    IncidentShown,
    IncidentTie,
)
from domain import incident
from domain.errors import DomainError
from domain.facts import tag_of
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import private_value
from evidence.reader import head
from projections import incidents_read

type _State = Literal["open", "resolved"]


@post("/v1/incidents")
async def open_incident(
    request: FrontRequest, data: JSONBody[IncidentNew]
) -> Response[IncidentChanged]:
    """By an operator, about a node, a runtime, or neither."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        title, words = private_value("-", data.title)
        command = incident.Open(incident.OPERATOR, data.subject, title, now_us())
        new = (new_id("incident"), "-")
        decider = incident.DECIDER
        return await create(services, request.user, cause, new, decider, command, private=(words,))

    return await services.acting.perform(request, do, _changed)


@post("/v1/incidents/{incident_id:str}/tie", status_code=200)
async def tie_fact(
    request: FrontRequest, incident_id: FromPath[str], data: JSONBody[IncidentTie]
) -> Response[IncidentChanged]:
    """A fact of the log belongs to it."""
    size = (await services_of(request).reads.ask(head)).size
    if data.position >= size:
        raise DomainError("as_of.in_future", "the log has not reached it", {"size": size})
    return await _told(request, incident_id, incident.Tie(data.position, now_us()))


@post("/v1/incidents/{incident_id:str}/resolve", status_code=200)
async def resolve_incident(
    request: FrontRequest, incident_id: FromPath[str]
) -> Response[IncidentChanged]:
    return await _told(request, incident_id, incident.Resolve(now_us()))


@post("/v1/incidents/{incident_id:str}/note", status_code=200)
async def note_incident(
    request: FrontRequest, incident_id: FromPath[str], data: JSONBody[IncidentNote]
) -> Response[IncidentChanged]:
    """A person's words: the fact carries their digest, the words may be erased."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        note, words = private_value("-", data.note)

        async def attempt() -> Done:
            found = await target(services, request.user, incident_id, "incident")
            if_match(request, found.version)
            state = incident.DECIDER.initial
            for fact in found.facts:
                state = incident.evolve(state, fact)  # type: ignore[arg-type]  # its own kind
            facts = tuple(incident.decide(incident.Note(note, now_us()), state))
            write = Write(incident_id, "-", found.version, facts)
            append = Append((write,), request.user.actor, cause, private=(words,))
            return Done(await services.log.append(append), (write,))

        return await settled(services, incident_id, attempt)

    return await services.acting.perform(request, do, _changed, status=200)


async def _told(
    request: FrontRequest, stream: str, command: incident.Tie | incident.Resolve
) -> Response[IncidentChanged]:
    services = services_of(request)
    nothing = IncidentChanged(id=stream, did=[], version=None)

    async def do(cause: str) -> Done:
        of = ("incident", stream)
        return await change(services, request, cause, of, incident.DECIDER, command, nothing)

    return await services.acting.perform(request, do, _changed, status=200)


def _changed(said: tuple[Said, ...], _: bool) -> IncidentChanged:
    did = [tag_of(one.fact).split(".")[2] for one in said]
    return IncidentChanged(id=said[0].stream, did=did, version=said[-1].version)


@get("/v1/incidents")
async def list_incidents(
    request: FrontRequest,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Incident]:
    """Newest first."""
    size, start = page_size(limit), before(cursor)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        incidents_read.incidents, state=in_state, before=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/incidents/{incident_id:str}")
async def show_incident(
    request: FrontRequest, incident_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[IncidentShown]:
    """With its facts in order, its notes, who is affected, and the credits proposed."""
    services, position = await viewed(request, as_of)
    ask = services.reads.ask
    found = await ask(incidents_read.incident, incident_id, position)
    if found is None:
        raise unknown("incident")
    notes = await ask(incidents_read.notes, incident_id, position)
    tied = await ask(incidents_read.tied, incident_id, position)
    hit = await ask(incidents_read.affected, incident_id, position)
    credits_proposed = await ask(incidents_read.proposals, incident_id, position)
    body = IncidentShown(
        incident=_given(found),
        facts=[happened(entry) for _, entry in tied],
        notes=[
            IncidentNoted(note=one.note, actor=one.actor, at=instant(one.noted_us)) for one in notes
        ],
        affected=[Hit(runtime=one.runtime, organization=one.organization) for one in hit],
        credits=[_credit(one) for one in credits_proposed],
    )
    return tagged(body, found.version)


def _given(row: incidents_read.Incident) -> Incident:
    return Incident(
        id=row.incident,
        what=row.what,
        subject=row.subject,
        title=row.title,
        state="open" if row.resolved_us is None else "resolved",
        opened_at=instant(row.opened_us),
        resolved_at=maybe_instant(row.resolved_us),
        version=row.version,
    )


def _credit(row: incidents_read.Proposal) -> Credit:
    return Credit(
        position=row.from_position,
        runtime=row.runtime,
        account=row.account,
        milli_gpu_us=row.quantity,
        from_at=instant(row.from_us),
        to_at=instant(row.to_us),
        reason=row.reason,
        granted=False,
    )
