"""Facts published on NATS after commit, in order, as CloudEvents; a place of its own."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from projections.entries import envelope
from projections.views import read

NAME: Final = "facts"
STREAM: Final = "FACTS"
SUBJECTS: Final = "gpuaas.v1.facts.>"
BATCH: Final = 256
_KEEP_S: Final = 86_400
_STORED_S: Final = 10.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_PLACE: Final = "SELECT position FROM live.reaction WHERE name = %(name)s"
_BEGIN: Final = """
INSERT INTO live.reaction (name, position) VALUES (%(name)s, 0) ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
UPDATE live.reaction SET position = %(to)s WHERE name = %(name)s AND position < %(to)s
"""


class CloudEvent(Struct, frozen=True):
    """CloudEvents 1.0; `id` is the position, `subject` the stream, `source` the log's origin."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    data: msgspec.Raw


def subject_of(org: str, tag: str) -> str:
    """`gpuaas.v1.facts.<org>.<tag>`; the platform's own facts have org `-`."""
    return f"gpuaas.v1.facts.{org}.{tag}"


def cloud_event(origin: str, raw: bytes) -> tuple[str, bytes]:
    """The subject and the event of a stored entry."""
    entry = envelope(raw)
    at = _EPOCH + timedelta(microseconds=entry.at_us)
    event = CloudEvent(
        "1.0", str(entry.position), origin, entry.tag, entry.stream,
        at.isoformat(timespec="microseconds").replace("+00:00", "Z"), "application/json",
        entry.fact,
    )  # fmt: skip
    return subject_of(entry.org, entry.tag), msgspec.json.encode(event)


async def ensure_stream(js: JetStreamContext) -> None:
    """The stream that keeps a day of facts; what is older is read from the log."""
    try:
        await js.stream_info(STREAM)
    except NotFoundError:
        await js.add_stream(
            StreamConfig(
                name=STREAM, subjects=[SUBJECTS], storage=StorageType.FILE, max_age=_KEEP_S
            )
        )


async def publish(conn: psycopg.Connection[Any], js: JetStreamContext, origin: str) -> int:
    """Publishes at most `BATCH` facts after the stored place; returns how many.

    At least once, in order: the place moves after the server has stored them. A crash between
    the two publishes some again under the same Nats-Msg-Id, which the server drops for two
    minutes; later repeats are the reader's to drop, by id.

    Raises: TimeoutError when the server has not stored them within 10 s: killed meanwhile, it
    never answers, and a new connection is needed.
    """
    conn.execute(_BEGIN, {"name": NAME})
    row = conn.execute(_PLACE, {"name": NAME}).fetchone()
    assert row is not None, "the row was just made"
    entries = read(conn, int(row[0]), BATCH)
    waiting = []
    for position, raw in entries:
        subject, event = cloud_event(origin, raw)
        headers = {"Nats-Msg-Id": str(position)}
        waiting.append(await js.publish_async(subject, event, headers=headers))
    async with asyncio.timeout(_STORED_S):
        for stored in waiting:
            await stored
    if entries:
        conn.execute(_ADVANCE, {"name": NAME, "to": entries[-1][0] + 1})
    return len(entries)
