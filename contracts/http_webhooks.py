"""Webhooks as the API takes and gives them; as http.py, whose terms they use."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, OrganizationId, Taken

type Filter = Annotated[str, Meta(min_length=1, max_length=100)]


class WebhookNew(Taken, frozen=True):
    """`tags`: of the facts that are sent, each whole or as `gpuaas.runtime.*`; none: all."""

    organization: OrganizationId
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    tags: Annotated[tuple[Filter, ...], Meta(max_length=50)] = ()


class WebhookChange(Taken, frozen=True):
    """What is left out, or null, stays as it is. `tags`: none: all."""

    url: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    tags: Annotated[tuple[Filter, ...], Meta(max_length=50)] | None = None


class Webhook(Given, frozen=True):
    """`secret`: shown once, when it is made. `sent`: every fact before this position was sent,
    `waiting`: those that are tried again, `dead`: those that were given up; null in answers of
    acts. `url` is null once erased. `state`: standing; paused; disabled, since it answered 410,
    until it is resumed or a replay is asked for; deleted.
    """

    id: str
    organization: str
    url: str | None
    tags: list[str]
    state: str
    secret: str | None
    secret_already_shown: bool
    sent: int | None
    waiting: int | None
    dead: int | None
    registered_at: Instant
    version: int


class WebhookSecret(Given, frozen=True):
    """The one before signs too, for 24 hours."""

    id: str
    secret: str | None
    secret_already_shown: bool
    version: int


class WebhookReplay(Taken, frozen=True):
    """A log position: what the organization's facts from there on are is sent once more."""

    from_position: Annotated[int, Meta(ge=0, le=2**53)]


class WebhookChanged(Given, frozen=True):
    id: str
    version: int


class DeadLetter(Given, frozen=True):
    """A fact that was not taken. `status`: the last answer's, null where there was none."""

    position: int
    attempts: int
    status: int | None
    detail: str
