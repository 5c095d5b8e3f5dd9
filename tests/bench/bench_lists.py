"""The last page of a long list against its first, through the route with its authorization.

A million SYNTHETIC runtimes, written straight into the views: no log names them.
"""

import http.client
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, LiteralString
from urllib.parse import urlencode

import psycopg
import uvloop

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.paging import cursor
from projections.runner import catch_up
from tests.bench.bench_gets import Tenant, told
from tests.bench.bench_log import Measured, fresh_database, row
from tests.conftest import Database
from tests.integration.served import served

COUNT: Final = int(os.environ.get("GPUAAS_BENCH_LIST", "1000000"))
ROUNDS: Final = 40
PAGE: Final = 100
_PROJECTS: Final = 20
# Each fiftieth is of another organization. Of those of ours each hundredth failed, the newest
# thousand are usable, all others stopped.
_FILL: Final[tuple[LiteralString, ...]] = (
    """
CREATE TEMPORARY TABLE made AS SELECT n, %(first)s + 3 * n AS at,
  'runtime-' || lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000' AS runtime,
  CASE WHEN n %% 50 = 0 THEN 'organization-other' ELSE %(org)s END AS org,
  CASE WHEN n %% 20 = 1 THEN %(project)s ELSE 'project-' || n %% 20 END AS project,
  CASE WHEN n > %(count)s - 1000 THEN 'usable' WHEN n %% 100 = 7 THEN 'failed' ELSE 'stopped' END
    AS state
FROM generate_series(1, %(count)s) n
""",
    """
INSERT INTO views.runtime SELECT runtime, at, NULL, org, 'department-1', project, 'account-1', '-',
  1, 1000, '["T4"]', at, 'user-1' FROM made
""",
    """
INSERT INTO views.runtime_state (runtime, from_position, to_position, version, state, since_us,
  why, actor, organization)
SELECT runtime, at, at + 1, 1, 'requested', at, '', 'user-1', org FROM made
UNION ALL SELECT runtime, at + 1, NULL, 2, state, at, '', 'user-1', org FROM made
""",
    """
INSERT INTO views.runtime_place SELECT runtime, at, NULL, 'allocation-1', %(node)s, 'T4',
  '[{"index":0,"milli":1000}]', 1, at FROM made
""",
)

# They are of positions that the log does not have: the head is said to be behind them, once
# nobody follows the log who would look for them.
_REACHED: Final[tuple[LiteralString, ...]] = (
    "UPDATE log.head SET next_position = next_position + 3 * %(count)s + 100",
    "UPDATE views.applied SET position = position + 3 * %(count)s + 100",
)


def _filled(superuser: str, tenant: Tenant) -> int:
    """The position of the first of them."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        found = conn.execute("SELECT next_position FROM log.head").fetchone()
        assert found is not None
        said = {
            "first": found[0], "org": tenant.world.org, "project": tenant.world.project,
            "count": COUNT, "node": tenant.world.nodes[0],
        }  # fmt: skip
        for text in _FILL:
            conn.execute(text, said)
        conn.execute("VACUUM ANALYZE")  # as autovacuum would, a minute later
        return int(found[0])


# What is asked for, and by what its rows follow each other: since when they are there, or in the
# state.
_LISTS: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "all": ("true", "r.from_position"),
    "project": ("r.project = %(project)s", "r.from_position"),
    "state=stopped": ("state = 'stopped'", "s.from_position"),
    "state=failed": ("state = 'failed'", "s.from_position"),
    "state=usable": ("state = 'usable'", "s.from_position"),
    "project, state=stopped": ("r.project = %(project)s AND state = 'stopped'", "s.from_position"),
    "as_of": ("true", "r.from_position"),
}
_LAST: Final[LiteralString] = """
SELECT [order] FROM views.runtime r JOIN views.runtime_state s USING (runtime)
WHERE r.organization = %(org)s AND s.to_position IS NULL AND [where]
ORDER BY 1 OFFSET %(page)s LIMIT 1
"""


class Asking:
    """One caller over one connection, one page after the other."""

    def __init__(self, port: int, token: str) -> None:
        self._conn = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._headers = {"Authorization": f"Bearer {token}"}

    def page(self, **asked: object) -> tuple[float, Any]:
        """Seconds, and the answer."""
        path = "/v1/runtimes?" + urlencode({**asked, "limit": PAGE})
        began = time.perf_counter()
        self._conn.request("GET", path, headers=self._headers)
        with self._conn.getresponse() as answer:
            raw = answer.read()
        took = time.perf_counter() - began
        assert answer.status == 200, raw
        return took, json.loads(raw)


def lists(server: Postgres) -> list[Measured]:
    """Each list's first and last page in turn, the median of each; the last page is as full."""
    tenant = Tenant(everything=True)
    with fresh_database(server) as urls, TemporaryDirectory(prefix="gpuaas-lists-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        uvloop.run(told(urls["app"], tenant))
        with psycopg.connect(urls["app"], autocommit=True) as conn:
            catch_up(conn)
        superuser = server.url("superuser", urls["name"])
        first = _filled(superuser, tenant)
        queue = Nats(folder)
        try:
            database = Database(server, urls["name"])
            with served(database, queue.url(), folder) as api:
                with psycopg.connect(superuser, autocommit=True) as conn:
                    for text in _REACHED:
                        conn.execute(text, {"count": COUNT})
                asking = Asking(api.settings.http_port, tenant.tokens[0])
                with psycopg.connect(superuser) as conn:
                    return [_row(conn, asking, tenant, first, one) for one in _LISTS]
        finally:
            queue.close()


def _row(
    conn: psycopg.Connection[Any], asking: Asking, tenant: Tenant, first: int, name: str
) -> Measured:
    asked: dict[str, object] = {}
    for part in name.split(", "):
        key, _, value = part.partition("=")
        if key == "project":
            asked[key] = tenant.world.project
        elif key == "as_of":
            asked[key] = first + 3 * COUNT
        elif key != "all":
            asked[key] = value
    last = {**asked, "cursor": cursor(_before_last(conn, tenant, _LISTS[name]))}
    head: list[float] = []
    tail: list[float] = []
    for _ in range(ROUNDS + 1):
        for found, which in ((head, asked), (tail, last)):
            took, answer = asking.page(**which)
            assert len(answer["items"]) == PAGE, name
            assert (answer["next"] is None) == (which is last), name
            found.append(took * 1000)
    title = f"list of 10^6 runtimes (SYNTHETIC), {name}: last page"
    of = [statistics.median(one[1:]) for one in (tail, head)]
    return row(title, of[0], "ms", "its first page", of[1])


def _before_last(
    conn: psycopg.Connection[Any], tenant: Tenant, of: tuple[LiteralString, LiteralString]
) -> int:
    """Where the page begins that ends the list."""
    where, order = of
    query = _LAST.replace("[where]", where).replace("[order]", order)
    said = {"org": tenant.world.org, "project": tenant.world.project, "page": PAGE}
    found = conn.execute(query, said).fetchone()
    assert found is not None
    return int(found[0])


BENCHES: Final[tuple[Callable[[Postgres], list[Measured]], ...]] = (lists,)
