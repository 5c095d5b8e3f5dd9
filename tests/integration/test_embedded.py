"""The embedded servers: start, refuse, recover."""

import socket
from pathlib import Path

import psycopg
import pytest

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from domain.errors import DomainError
from tests.conftest import Database

pytestmark = pytest.mark.slow


def test_postgres_recovers_after_kill_9(servers_dir: Path) -> None:
    """A committed row survives kill -9 of the whole server; the port stays the same."""
    data = servers_dir / "kill"
    server = Postgres(data)
    try:
        with psycopg.connect(server.url("owner")) as conn:
            conn.execute("CREATE TABLE kept (x int)")
            conn.execute("INSERT INTO kept VALUES (7)")
        server.kill()
        server.restart()
        with psycopg.connect(server.url("owner")) as conn:
            assert conn.execute("SELECT x FROM kept").fetchone() == (7,)
    finally:
        server.close()


def test_the_application_role_cannot_enter_without_its_password(pg: Postgres) -> None:
    """Loopback is not trusted: a wrong password is refused."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(pg.url("app").replace(pg.secrets.app, "wrong"))


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """A taken port is refused in one sentence before anything is written."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for start in (Postgres, Nats):
            with pytest.raises(DomainError, match=f"port {port} for .* is in use"):
                start(tmp_path / "none", port)
    assert not (tmp_path / "none").exists()


def test_a_cluster_of_another_version_is_refused(servers_dir: Path) -> None:
    """Data of another PostgreSQL is named, not touched."""
    data = servers_dir / "old"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("16\n")
    (data / "secrets.json").write_text('{"superuser":"a","owner":"b","app":"c"}')
    with pytest.raises(DomainError, match="written by PostgreSQL 16, this is 18"):
        Postgres(data)


def test_a_database_without_its_passwords_is_kept(servers_dir: Path) -> None:
    """secrets.json lost, empty or rubbish: refused in one sentence, and the database is as it was
    once the file is back. A first start that was cut off begins again.
    """
    data = servers_dir / "keyless"
    (data / "postgres-unfinished").mkdir(parents=True)
    (data / "secrets.json").touch()
    server = Postgres(data)
    try:
        with psycopg.connect(server.url("owner")) as conn:
            conn.execute("CREATE TABLE kept (x int)")
        assert not (data / "postgres-unfinished").exists()
    finally:
        server.close()
    held = (data / "secrets.json").read_bytes()
    (data / "secrets.json").unlink()
    with pytest.raises(DomainError, match=r"secrets_missing.*secrets\.json back"):
        Postgres(data)
    for rubbish in (b"", b"{", b'{"superuser":"a"}', b"\xff"):
        (data / "secrets.json").write_bytes(rubbish)
        with pytest.raises(DomainError, match=r"secrets_unreadable.*a copy of it"):
            Postgres(data)
    (data / "secrets.json").write_bytes(held)
    server = Postgres(data)
    try:
        with psycopg.connect(server.url("owner")) as conn:
            assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        server.close()


def test_passwords_of_nats_that_are_rubbish_are_named(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    data = tmp_path / "nats"
    data.mkdir()
    (data / "nats-secrets.json").write_bytes(b"\x00")
    with pytest.raises(DomainError, match="does not hold the server's passwords"):
        Nats(data)


def test_parents_of_the_data_stay_closed(pg: Postgres, servers_dir: Path) -> None:
    """Starting the server opens no directory to others: only passing through stays possible."""
    assert servers_dir.stat().st_mode & 0o777 == 0o711
    assert (servers_dir / "postgres").stat().st_mode & 0o777 == 0o700
    assert (servers_dir / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_fresh_database_is_migrated(database: Database) -> None:
    """The application role reads what was applied and owns nothing of it."""
    with psycopg.connect(database.app_url) as conn:
        assert conn.execute("SELECT count(*) FROM gpuaas_migration").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM gpuaas_migration")


def test_nats_survives_kill_9(servers_dir: Path) -> None:
    """The server comes back on the same port after kill -9."""
    server = Nats(servers_dir / "natskill")
    try:
        server.kill()
        server.restart()
        with socket.create_connection(("127.0.0.1", server.port)) as probe:
            assert probe.recv(4) == b"INFO"
    finally:
        server.close()
