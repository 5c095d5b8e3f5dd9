"""Webhooks: register, change, pause, replay, delete, another secret; list, show, dead letters."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said, if_match
from api.auth import unknown, within
from api.authorization.listing import words
from api.authorization.resting import still
from api.body import FrontRequest
from api.changing import change, create, settled, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import Services, services_of
from api.viewing import page, reachable, tagged, viewed
from api.webhooks import places
from api.webhooks.addresses import checked, networks_of
from api.webhooks.signatures import new_secret
from contracts.http import Page
from contracts.http_webhooks import (
    DeadLetter,
    Webhook,
    WebhookChange,
    WebhookChanged,
    WebhookNew,
    WebhookReplay,
    WebhookSecret,
)
from domain import webhook
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private
from evidence.append import Append, Write
from evidence.private import PrivateValue, private_value
from evidence.reader import head
from projections import webhooks_read
from projections.months import derived_id

_ALL = 100_000
type _State = Literal["standing", "paused", "disabled", "deleted"]


@post("/v1/webhooks")
async def register_webhook(request: FrontRequest, data: JSONBody[WebhookNew]) -> Response[Webhook]:
    """The organization's facts from here on are sent there, signed with a secret shown once."""
    services = services_of(request)
    secret = new_secret()

    async def do(cause: str) -> Done:
        org = await target(services, request.user, data.organization, "organization")
        inside = networks_of(services.settings.webhook_networks)
        await checked(data.url, services.lookups, org.stream, inside)
        url, address = private_value(org.stream, data.url)
        key, hidden = private_value(org.stream, secret)
        command = webhook.Register(org.stream, url, data.tags, key, now_us())

        async def attempt() -> Done:
            # Anew: whoever named the URL may have made us wait for its name's address.
            resting = await still(services, request.user, org.stream)
            org_now = await target(services, request.user, org.stream, "organization")
            new = (await _next(services, org.stream), org.stream)
            return await create(
                *(services, request.user, cause, new, webhook.DECIDER, command),
                private=(address, hidden),
                reads=((org.stream, org_now.version), *resting),
            )

        return await settled(services, org.stream, attempt)

    def answer(said: tuple[Said, ...], again: bool) -> Webhook:
        fact = said[0].fact
        assert isinstance(fact, webhook.Registered), "the outcome of this route"
        return Webhook(
            id=said[0].stream,
            organization=said[0].org,
            url=data.url,
            tags=list(fact.tags),
            state="standing",
            secret=None if again else secret,
            secret_already_shown=again,
            sent=None,
            waiting=None,
            dead=None,
            registered_at=instant(fact.registered_us),
            version=said[0].version,
        )

    return await services.acting.perform(request, do, answer)


async def _next(services: Services, org: str) -> str:
    """The stream of the organization's next webhook: they are numbered, so that of two that are
    registered at once one loses and counts again. Raises: DomainError webhook.too_many.
    """
    known = await services.reads.ask(webhooks_read.webhooks, organization=org, limit=_ALL)
    names, number = {one.webhook for one in known}, 0
    standing = {one.webhook for one in known if one.deleted_us is None}
    while (name := derived_id("webhook", org, number)) in names:
        number += 1
    while await services.log.read_stream(name):  # registered since the views were written
        standing.add(name)
        number += 1
        name = derived_id("webhook", org, number)
    most = services.settings.bounds.webhooks
    if len(standing) >= most:
        ends = [(await services.log.read_stream(one))[-1].fact for one in standing]
        if sum(not isinstance(fact, webhook.Deleted) for fact in ends) >= most:
            raise DomainError("webhook.too_many", f"an organization has at most {most}")
    return name


@post("/v1/webhooks/{webhook_id:str}/change", status_code=200)
async def change_webhook(
    request: FrontRequest, webhook_id: FromPath[str], data: JSONBody[WebhookChange]
) -> Response[WebhookChanged]:
    """Another URL, other tags, or both; it keeps its secret and its place. What is under way ends
    as it was begun; what follows is sent as it is from here on, so is what waits, at once. What was
    given up stays so, and one that is disabled or paused too. The same again changes nothing.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        asked = await target(services, request.user, webhook_id, "webhook")
        if data.url is not None:
            inside = networks_of(services.settings.webhook_networks)
            await checked(data.url, services.lookups, asked.org, inside)

        async def attempt() -> Done:
            # Anew: whoever named the URL may have made us wait for its name's address.
            resting = await still(services, request.user, asked.org)
            found = await target(services, request.user, webhook_id, "webhook")
            if_match(request, found.version)
            state = fold(webhook.DECIDER, found.facts)  # type: ignore[misc]  # its own kind
            url: Private | None = None
            private: tuple[PrivateValue, ...] = ()
            if data.url is not None and data.url != await _address(request, state):
                url, address = private_value(found.org, data.url)
                private = (address,)
            facts = tuple(webhook.decide(webhook.Change(url, data.tags, now_us()), state))
            if not facts:
                return Done(nothing=WebhookChanged(id=webhook_id, version=found.version))
            writes = (Write(webhook_id, found.org, found.version, facts),)
            append = Append(writes, request.user.actor, cause, resting, private)
            return Done(await services.log.append(append), writes)

        return await settled(services, webhook_id, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> WebhookChanged:
        return WebhookChanged(id=webhook_id, version=said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


async def _address(request: FrontRequest, state: webhook.State) -> str | None:
    """None where it was erased, and of what is no more."""
    if isinstance(state, webhook.Missing | webhook.Gone):
        return None
    return (await words(request, [state.url.private])).get(state.url.private)


@post("/v1/webhooks/{webhook_id:str}/pause", status_code=200)
async def pause_webhook(
    request: FrontRequest, webhook_id: FromPath[str]
) -> Response[WebhookChanged]:
    """Nothing more is sent to it, but what is under way; what happens meanwhile is sent when it is
    resumed. What is disabled stays so.
    """
    return await _changed(request, webhook_id, webhook.Pause(now_us()))


@post("/v1/webhooks/{webhook_id:str}/resume", status_code=200)
async def resume_webhook(
    request: FrontRequest, webhook_id: FromPath[str]
) -> Response[WebhookChanged]:
    """It goes on from its place, what waits at once: after a pause, and after it was disabled."""
    return await _changed(request, webhook_id, webhook.Resume(now_us()), outlasting=True)


@post("/v1/webhooks/{webhook_id:str}/rotate-secret", status_code=200)
async def rotate_secret(
    request: FrontRequest, webhook_id: FromPath[str]
) -> Response[WebhookSecret]:
    """A new secret, shown once; for 24 hours the one before signs too."""
    services = services_of(request)
    secret = new_secret()

    async def do(cause: str) -> Done:
        found = await target(services, request.user, webhook_id, "webhook")
        key, hidden = private_value(found.org, secret)
        command = webhook.RotateSecret(key, now_us())
        return await change(
            *(services, request, cause, ("webhook", webhook_id), webhook.DECIDER, command),
            WebhookChanged(id=webhook_id, version=found.version),
            outlasting=True,
            private=(hidden,),
        )

    def answer(said: tuple[Said, ...], again: bool) -> WebhookSecret:
        return WebhookSecret(
            id=webhook_id,
            secret=None if again else secret,
            secret_already_shown=again,
            version=said[0].version,
        )

    return await services.acting.perform(request, do, answer, status=200)


@post("/v1/webhooks/{webhook_id:str}/replay", status_code=200)
async def replay_webhook(
    request: FrontRequest, webhook_id: FromPath[str], data: JSONBody[WebhookReplay]
) -> Response[WebhookChanged]:
    """What there is from that position on is sent once more, with the ids it had; a webhook that
    was disabled, since it answered 410, is sent to again.
    """
    size = (await services_of(request).reads.ask(head)).size
    if data.from_position > size:
        raise DomainError("position.unknown", "the log has not reached that position")
    command = webhook.AskReplay(data.from_position, now_us())
    return await _changed(request, webhook_id, command)


@post("/v1/webhooks/{webhook_id:str}/delete", status_code=200)
async def delete_webhook(
    request: FrontRequest, webhook_id: FromPath[str]
) -> Response[WebhookChanged]:
    """Nothing is sent to it any more, what waits neither."""
    return await _changed(request, webhook_id, webhook.Delete(now_us()))


async def _changed(
    request: FrontRequest, webhook_id: str, command: webhook.Command, *, outlasting: bool = False
) -> Response[WebhookChanged]:
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await change(
            *(services, request, cause, ("webhook", webhook_id), webhook.DECIDER, command),
            lambda found: WebhookChanged(id=webhook_id, version=found.version),
            outlasting=outlasting,
        )

    def answer(said: tuple[Said, ...], _: bool) -> WebhookChanged:
        return WebhookChanged(id=webhook_id, version=said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


@get("/v1/webhooks")
async def list_webhooks(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Webhook]:
    """Oldest first; deleted ones too."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        webhooks_read.webhooks,
        organization=scope,
        state=in_state,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, lambda row: _given(row, None), lambda row: row.from_position)


@get("/v1/webhooks/{webhook_id:str}")
async def show_webhook(
    request: FrontRequest, webhook_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Webhook]:
    """With how far it has come; of that nothing is known any more where `as_of` is asked."""
    row = await _found(request, webhook_id, as_of)
    place = None
    if as_of is None:
        place = await services_of(request).reads.ask(places.place, webhook_id)
    return tagged(_given(row, place), row.version)


@get("/v1/webhooks/{webhook_id:str}/dead-letters")
async def list_dead_letters(
    request: FrontRequest,
    webhook_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> Page[DeadLetter]:
    """In order of their positions; a replay from one of them sends it again."""
    size, start = page_size(limit), after(cursor)
    await _found(request, webhook_id)
    rows = await services_of(request).reads.ask(places.dead, webhook_id, start, size + 1)
    return page(rows, size, _dead, lambda row: row.position)


async def _found(
    request: FrontRequest, webhook_id: str, as_of: str | None = None
) -> webhooks_read.Webhook:
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        webhooks_read.webhooks, webhook=webhook_id, limit=1, as_of=position
    )
    if not rows:
        raise unknown("webhook")
    within(request.user, rows[0].organization, "webhook")
    return rows[0]


def _given(row: webhooks_read.Webhook, place: places.Place | None) -> Webhook:
    return Webhook(
        id=row.webhook,
        organization=row.organization,
        url=row.url,
        tags=list(row.tags),
        state=row.state,
        secret=None,
        secret_already_shown=True,
        sent=None if place is None else place.position,
        waiting=None if place is None else place.waiting,
        dead=None if place is None else place.dead,
        registered_at=instant(row.registered_us),
        version=row.version,
    )


def _dead(row: places.Failed) -> DeadLetter:
    return DeadLetter(
        position=row.position, attempts=row.attempts, status=row.status, detail=row.detail
    )
