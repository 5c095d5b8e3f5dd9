"""Ingest's own tables, beside the log: agents' words that became no fact, refusals counted."""

from typing import Any, Final

import psycopg
from msgspec import Struct

# Numbers used up by words that became no fact; with the log's they give the next number expected.
_LAST_SEQS: Final = "SELECT node, boot, max(seq) FROM fleet.unlogged_event GROUP BY node, boot"
# A repeat must find exactly the bytes it brings, or it is another word under a used number.
_FIND: Final = """
SELECT code, message FROM fleet.unlogged_event
WHERE node = %(node)s AND boot = %(boot)s AND seq = %(seq)s"""
_KEEP: Final = """
INSERT INTO fleet.unlogged_event (node, boot, seq, code, message, received_us)
VALUES (%(node)s, %(boot)s, %(seq)s, %(code)s, %(message)s, %(now_us)s)
ON CONFLICT (node, boot, seq) DO NOTHING"""
_COUNT: Final = """
INSERT INTO fleet.refused_message (node, code, times, last_us)
VALUES (%(node)s, %(code)s, %(times)s, %(now_us)s)
ON CONFLICT (node, code) DO UPDATE SET
  times = fleet.refused_message.times + excluded.times, last_us = excluded.last_us"""
# For readiness: what was refused, by code, over all nodes.
_REFUSED: Final = """
SELECT code, sum(times)::bigint FROM fleet.refused_message GROUP BY code ORDER BY code"""
_ONLY_ONE: Final = "SELECT pg_try_advisory_lock(hashtext('gpuaas ingest'))"


class Unlogged(Struct, frozen=True):
    code: str
    message: bytes


async def become_the_only_one(conn: psycopg.AsyncConnection[Any]) -> bool:
    """True while this session is the one ingest of the deployment; PostgreSQL frees it
    if we die.
    """
    row = await (await conn.execute(_ONLY_ONE)).fetchone()
    return bool(row and row[0])


async def last_seqs(conn: psycopg.AsyncConnection[Any]) -> list[tuple[str, str, int]]:
    """(node, boot, last number used by a word that became no fact)."""
    return await (await conn.execute(_LAST_SEQS)).fetchall()


async def find(
    conn: psycopg.AsyncConnection[Any], node: str, boot: str, seq: int
) -> Unlogged | None:
    """The word kept under this number, if it became no fact."""
    row = await (await conn.execute(_FIND, {"node": node, "boot": boot, "seq": seq})).fetchone()
    return None if row is None else Unlogged(row[0], bytes(row[1]))


async def keep(
    conn: psycopg.AsyncConnection[Any],
    node: str,
    boot: str,
    seq: int,
    word: Unlogged,
    now_us: int,
) -> None:
    """Durable on return (autocommit); a repeat changes nothing."""
    await conn.execute(
        _KEEP,
        {
            "node": node,
            "boot": boot,
            "seq": seq,
            "code": word.code,
            "message": word.message,
            "now_us": now_us,
        },
    )


async def count_refusal(
    conn: psycopg.AsyncConnection[Any], node: str, code: str, now_us: int, times: int = 1
) -> None:
    """`times` more messages of this (claimed) node refused for `code`."""
    said = {"node": node, "code": code, "now_us": now_us, "times": times}
    await conn.execute(_COUNT, said)


def refused(conn: psycopg.Connection[Any]) -> dict[str, int]:
    """Refused messages by code, for readiness."""
    return {str(code): int(times) for code, times in conn.execute(_REFUSED).fetchall()}
