"""Real servers for the tests: one PostgreSQL and one NATS a session, a fresh database a test."""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres, create_database
from migrations.runner import migrate
from tests import warm

warm.install()
# Until everything is collected nothing becomes garbage: to look for it is a fifth of collecting.
gc.disable()
# As the programs themselves have it (api/serve.py).
_COLLECT = (20_000, 50, 50)


class Database:
    """A migrated database of its own on the session's server."""

    def __init__(self, server: Postgres, name: str) -> None:
        self.server = server
        self.name = name
        self.app_url = server.url("app", name)
        self.owner_url = server.url("owner", name)
        self.superuser_url = server.url("superuser", name)


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A directory that the servers' account can enter; removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def pg(servers_dir: Path) -> Iterator[Postgres]:
    """The session's PostgreSQL, fsync on."""
    server = Postgres(servers_dir)
    yield server
    server.close()


@pytest.fixture(scope="session")
def _template(pg: Postgres) -> str:
    with psycopg.connect(pg.url("superuser", "postgres"), autocommit=True) as conn:
        create_database(conn, "gpuaas_template")
    migrate(pg.url("owner", "gpuaas_template"))
    return "gpuaas_template"


class _Spent:
    """Databases of tests that are over. Each drop is a checkpoint: of many in a row, one is dear."""

    MOST = 20

    def __init__(self, pg: Postgres) -> None:
        self._pg = pg
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """Nobody is connected to it any more, or will be."""
        with psycopg.connect(self._pg.url("superuser", "postgres"), autocommit=True) as conn:
            database = sql.Identifier(name)
            conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            self._names.append(name)
            if len(self._names) < self.MOST:
                return
            for spent in self._names:
                database = sql.Identifier(spent)
                conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            self._names.clear()


@pytest.fixture(scope="session")
def _spent(pg: Postgres) -> _Spent:
    return _Spent(pg)


@contextmanager
def _fresh(pg: Postgres, _template: str, _spent: _Spent) -> Iterator[Database]:
    name = f"t_{uuid.uuid4().hex}"
    database = sql.Identifier(name)
    with psycopg.connect(pg.url("superuser", "postgres"), autocommit=True) as conn:
        conn.execute(
            # As files: that is half of what it takes to write its pages to the log one by one.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER gpuaas_owner").format(
                database, sql.Identifier(_template)
            )
        )
        conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        conn.execute(
            sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO gpuaas_app").format(
                database
            )
        )
    yield Database(pg, name)
    _spent.add(name)


@pytest.fixture
def database(pg: Postgres, _template: str, _spent: _Spent) -> Iterator[Database]:
    """A fresh, migrated, empty database."""
    with _fresh(pg, _template, _spent) as found:
        yield found


@pytest.fixture(scope="module")
def module_database(pg: Postgres, _template: str, _spent: _Spent) -> Iterator[Database]:
    """One for all tests of a module."""
    with _fresh(pg, _template, _spent) as found:
        yield found


@pytest.fixture(scope="session")
def nats_server(servers_dir: Path) -> Iterator[Nats]:
    """The session's NATS with JetStream."""
    server = Nats(servers_dir)
    yield server
    server.close()


@pytest.fixture
def nats_url(nats_server: Nats) -> str:
    """The URL of the session's NATS for the platform's user."""
    return nats_server.url()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data and vectors; absent is a named skip, under CI=true a failure."""
    path = Path(os.environ.get("GPUAAS_SHARED", "../shared")).resolve()
    if not (path / "data").is_dir():
        message = f"shared data not found at {path} (GPUAAS_SHARED)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


# They take longest, most of it waiting: begun last, a worker would be left with them at the end.
_LONG = {
    name: place
    for place, name in enumerate(
        (
            "test_kills.py",
            "test_runtimes_attacked.py",
            "test_three_machines.py",
            "test_bundle_mutation.py",
            "test_contract_running.py",
            "test_terminal_stack.py",
            "test_terminal_resumes.py",
            "test_runtimes_kept.py",
            "test_story.py",
            "test_runtimes_agent.py",
            "test_gateway_rough.py",
            "test_replay_whole.py",
            "test_network_hostile.py",
            "test_verify_checks.py",
            "test_verify_books_checks.py",
            "test_verify_proof.py",
            "test_restore_verbs.py",
            "test_quota_crowd.py",
            "test_projections_machine.py",
            "test_exports.py",
            "test_outage_version.py",
            "test_volumes_kept.py",
            "test_large_bundle.py",
            "test_projections_rebuild.py",
            "test_outage_stack.py",
            "test_agent_devices.py",
            "test_wallets.py",
            "test_seeds.py",
        )
    )
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, in this order, all else as collected."""
    items.sort(key=lambda item: _LONG.get(item.path.name, len(_LONG)))


def pytest_collection_finish() -> None:
    """What was imported and collected stays: it is no longer walked through for what does not."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The template is there before a thread of a test asks for it."""
    if item.get_closest_marker("slow") is not None:
        warm.ready()
