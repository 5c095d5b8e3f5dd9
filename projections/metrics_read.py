"""Counts for the metrics endpoint, of what holds now; sums are made when somebody asks."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class Gpu(Struct, frozen=True):
    """A device of an enrolled node, as enrolment named it."""

    node: str
    device: int
    uuid: str
    model: str
    simulated: bool


class Nodes(Struct, frozen=True):
    reachable: bool
    simulated: bool
    count: int


class Runtimes(Struct, frozen=True):
    state: str
    count: int


class Sessions(Struct, frozen=True):
    gateway: str
    opened: int
    open: int


_GPUS: Final = """
SELECT i.node, (g ->> 'index')::numeric AS device, g ->> 'uuid' AS uuid, i.model, i.simulated
FROM views.node_identity i, jsonb_array_elements(i.gpus) g
WHERE [i] ORDER BY i.node, 2
"""
_NODES: Final = """
SELECT coalesce(r.reachable, true) AS reachable, i.simulated, count(*) AS count
FROM views.node_identity i LEFT JOIN views.node_reach r ON r.node = i.node AND [r]
WHERE [i] GROUP BY 1, 2 ORDER BY 1, 2
"""
_RUNTIMES: Final = """
SELECT s.state, count(*) AS count FROM views.runtime_state s WHERE [s] GROUP BY 1 ORDER BY 1
"""
_SESSIONS: Final = """
SELECT s.gateway, count(*) AS opened, count(*) FILTER (WHERE e.session IS NULL) AS open
FROM views.access_session s
LEFT JOIN views.access_session_end e ON e.session = s.session AND [e]
WHERE [s] GROUP BY 1 ORDER BY 1
"""


def gpus(conn: psycopg.Connection[Any]) -> list[Gpu]:
    """Every device of every enrolled node, by node and index."""
    return fetch(conn, Gpu, _GPUS, {})


def nodes(conn: psycopg.Connection[Any]) -> list[Nodes]:
    return fetch(conn, Nodes, _NODES, {})


def runtimes(conn: psycopg.Connection[Any]) -> list[Runtimes]:
    """By state, ended ones included."""
    return fetch(conn, Runtimes, _RUNTIMES, {})


def sessions(conn: psycopg.Connection[Any]) -> list[Sessions]:
    """SSH sessions by gateway: opened ever, and those no fact has closed."""
    return fetch(conn, Sessions, _SESSIONS, {})
