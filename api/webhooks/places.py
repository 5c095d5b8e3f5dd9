"""How far each webhook has come, and what it did not take: the deliverer's own tables."""

from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

_BEGIN: Final = """
INSERT INTO api.webhook_place (webhook, position, replayed, failing)
VALUES (%(webhook)s, %(position)s, -1, 0) ON CONFLICT DO NOTHING
"""
_PLACE: Final = """
SELECT webhook, position, replayed, changed, failing,
  (SELECT count(*) FROM api.webhook_delivery d WHERE d.webhook = p.webhook AND NOT d.dead)
    AS waiting,
  (SELECT count(*) FROM api.webhook_delivery d WHERE d.webhook = p.webhook AND d.dead) AS dead
FROM api.webhook_place p WHERE webhook = %(webhook)s
"""
# One statement, one transaction. What is sent anew is not tried again besides.
_REPLAY: Final = """
WITH moved AS (
  UPDATE api.webhook_place SET position = least(position, %(first)s), replayed = %(asked)s,
    failing = 0
  WHERE webhook = %(webhook)s AND replayed < %(asked)s RETURNING webhook)
DELETE FROM api.webhook_delivery d USING moved
WHERE d.webhook = moved.webhook AND d.position >= %(first)s
"""
# What waits is tried at once: whatever kept it from being taken may be over.
_CHANGED: Final = """
WITH moved AS (
  UPDATE api.webhook_place SET changed = %(at)s, failing = 0
  WHERE webhook = %(webhook)s AND changed < %(at)s RETURNING webhook)
UPDATE api.webhook_delivery d SET next_us = 0 FROM moved
WHERE d.webhook = moved.webhook AND NOT d.dead
"""
_ADVANCE: Final = """
UPDATE api.webhook_place SET position = %(to)s, failing = %(failing)s WHERE webhook = %(webhook)s
"""
_DUE: Final = """
SELECT position, attempts, status, detail FROM api.webhook_delivery
WHERE webhook = %(webhook)s AND NOT dead AND next_us <= %(now_us)s ORDER BY position LIMIT 20
"""
_FAILED: Final = """
INSERT INTO api.webhook_delivery (webhook, position, attempts, next_us, dead, status, detail)
VALUES (%(webhook)s, %(position)s, %(attempts)s, %(next_us)s, %(dead)s, %(status)s, %(detail)s)
ON CONFLICT (webhook, position) DO UPDATE SET attempts = excluded.attempts,
  next_us = excluded.next_us, dead = excluded.dead, status = excluded.status,
  detail = excluded.detail
"""
_TAKEN: Final = """
DELETE FROM api.webhook_delivery WHERE webhook = %(webhook)s AND position = %(position)s
"""
_DEAD: Final = """
SELECT position, attempts, status, detail FROM api.webhook_delivery
WHERE webhook = %(webhook)s AND dead AND position > %(after)s ORDER BY position LIMIT %(limit)s
"""
_DELETED: Final = """
DELETE FROM api.webhook_delivery d USING views.webhook_end e WHERE e.webhook = d.webhook
"""

type Conn = psycopg.AsyncConnection[Any]


class Place(Struct, frozen=True):
    """Every fact before `position` was tried; `failing` attempts in a row failed."""

    webhook: str
    position: int
    replayed: int
    changed: int
    failing: int
    waiting: int
    dead: int


class Failed(Struct, frozen=True):
    position: int
    attempts: int
    status: int | None
    detail: str


class Again(Struct, frozen=True):
    """`next_us`: not before; `dead`: never."""

    next_us: int
    dead: bool


async def begun(conn: Conn, webhook: str, position: int) -> Place:
    """The webhook's place; `position` where it has none yet."""
    await conn.execute(_BEGIN, {"webhook": webhook, "position": position})
    async with conn.cursor(row_factory=class_row(Place)) as cursor:
        found = await (await cursor.execute(_PLACE, {"webhook": webhook})).fetchone()
    assert found is not None, "the row was just made"
    return found


async def replay(conn: Conn, webhook: str, first: int, asked: int) -> None:
    """The place goes back to `first`, once for each wish; `asked`: the wish's own position."""
    await conn.execute(_REPLAY, {"webhook": webhook, "first": first, "asked": asked})


async def changed(conn: Conn, webhook: str, at: int) -> None:
    """What waits is due, once for each change; `at`: its position."""
    await conn.execute(_CHANGED, {"webhook": webhook, "at": at})


async def advance(conn: Conn, webhook: str, to: int, failing: int) -> None:
    await conn.execute(_ADVANCE, {"webhook": webhook, "to": to, "failing": failing})


async def due(conn: Conn, webhook: str, now_us: int) -> list[Failed]:
    """What is to be tried again now, the oldest first, at most 20."""
    async with conn.cursor(row_factory=class_row(Failed)) as cursor:
        await cursor.execute(_DUE, {"webhook": webhook, "now_us": now_us})
        return await cursor.fetchall()


async def failed(conn: Conn, webhook: str, what: Failed, again: Again) -> None:
    said = {"webhook": webhook, "position": what.position, "attempts": what.attempts}
    said |= {"status": what.status, "detail": what.detail}
    await conn.execute(_FAILED, {**said, "next_us": again.next_us, "dead": again.dead})


async def taken(conn: Conn, webhook: str, position: int) -> None:
    await conn.execute(_TAKEN, {"webhook": webhook, "position": position})


async def forget_deleted(conn: Conn) -> None:
    """Nothing is kept of what a deleted webhook did not take."""
    await conn.execute(_DELETED)


def dead(conn: psycopg.Connection[Any], webhook: str, after: int, limit: int) -> list[Failed]:
    """What was given up, in order, behind position `after`."""
    with conn.cursor(row_factory=class_row(Failed)) as cursor:
        cursor.execute(_DEAD, {"webhook": webhook, "after": after, "limit": limit})
        return cursor.fetchall()


def place(conn: psycopg.Connection[Any], webhook: str) -> Place | None:
    """None before anything was sent to it."""
    with conn.cursor(row_factory=class_row(Place)) as cursor:
        return cursor.execute(_PLACE, {"webhook": webhook}).fetchone()
