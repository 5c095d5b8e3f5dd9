"""A stored entry as the CloudEvent that SSE, NATS and webhooks send."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import psycopg

from contracts.cloudevents import SCHEMA, SPECVERSION, CloudEvent
from domain.log import Opened
from projections.entries import Entry, envelope, fact_of
from projections.views import read

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODE: Final = msgspec.json.Encoder().encode


def cloud_event(origin: str, entry: Entry) -> bytes:
    """The event's JSON; `data` is the fact's stored bytes."""
    at = _EPOCH + timedelta(microseconds=entry.at_us)
    event = CloudEvent(
        specversion=SPECVERSION,
        id=str(entry.position),
        source=origin,
        type=entry.tag,
        subject=entry.stream,
        time=at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        datacontenttype="application/json",
        org=entry.org,
        actor=entry.actor,
        cause=entry.cause,
        version=entry.version,
        data=entry.fact,
        dataschema=SCHEMA + entry.tag,
    )
    return _ENCODE(event)


def origin_of(conn: psycopg.Connection[Any]) -> str | None:
    """The log's origin, from its first entry; None before there is one."""
    first = read(conn, 0, 1)
    if not first:
        return None
    opened = fact_of(envelope(first[0][1]))
    assert isinstance(opened, Opened), "append refuses anything else at position 0"
    return opened.origin
