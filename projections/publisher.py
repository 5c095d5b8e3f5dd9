"""Facts published on NATS after commit, in order, as CloudEvents; a place of its own."""

import asyncio
from typing import Any, Final

import psycopg
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from contracts.cloudevents import FACTS_STREAM, FACTS_SUBJECTS, MEDIA, facts_subject
from projections.entries import envelope
from projections.telling import cloud_event
from projections.views import read

NAME: Final = "facts"
STREAM: Final = FACTS_STREAM
SUBJECTS: Final = FACTS_SUBJECTS
BATCH: Final = 256
_KEEP_S: Final = 86_400
_STORED_S: Final = 10.0

_PLACE: Final = "SELECT position FROM live.reaction WHERE name = %(name)s"
_BEGIN: Final = """
INSERT INTO live.reaction (name, position) VALUES (%(name)s, 0) ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
UPDATE live.reaction SET position = %(to)s WHERE name = %(name)s AND position < %(to)s
"""


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
        entry = envelope(raw)
        headers = {"Nats-Msg-Id": str(position), "Content-Type": MEDIA}
        subject = facts_subject(entry.org, entry.tag)
        waiting.append(await js.publish_async(subject, cloud_event(origin, entry), headers=headers))
    async with asyncio.timeout(_STORED_S):
        for stored in waiting:
            await stored
    if entries:
        conn.execute(_ADVANCE, {"name": NAME, "to": entries[-1][0] + 1})
    return len(entries)
