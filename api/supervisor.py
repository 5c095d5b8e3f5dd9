"""The embedded stack: servers and processes under one parent, from nothing to ready and back."""

import fcntl
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from api import agents
from api.config import (
    PRIVATE_NETWORKS,
    Settings,
    apps_url,
    data_directory,
    from_environment,
    gateway_name,
    keeping_of,
    leasing_of,
    signer_directory,
    unsigned_bound,
    urls,
)
from api.demands import glass_age_s, login_age_s, mfa_demanded
from api.embedded import children
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.limits import bounds_of, public_rate_of, rate_of
from api.origin import proxies_of
from api.tls import believing, ca_of, pair_of
from domain.errors import DomainError
from evidence.opening import open_log
from migrations.runner import migrate

PROCESSES = ("signer", "worker", "serve", "gateway", "agent")
_READY_S = 60
_RESTART_S = 5


class Stack:
    """Running servers and processes; whoever holds it may kill and restart any of them."""

    def __init__(self, settings: Settings, postgres: Postgres | None, nats: Nats | None) -> None:
        self.settings = settings
        self.postgres = postgres
        self.nats = nats
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._not_before: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.settings.api_url

    def start(self, name: str) -> None:
        """Starts one process of the platform; its output goes to `<data>/<name>.log`."""
        argv = [sys.executable, "-m", "api.cli", name]
        if name == "agent":
            # Once enrolled it need not be invited: it starts in half the time.
            known = agents.enrolled(self.settings)
            argv = agents.command(self.settings) if known else [*argv, "--simulated"]
        log = self.settings.data / f"{name}.log"
        log.touch(mode=0o600)
        self.children[name] = children.start(argv, log, env=self.settings.environment())

    def require_running(self) -> None:
        """Raises: DomainError stack.part_ended, naming the first process that ended by itself."""
        for name, child in self.children.items():
            if child.poll() is not None:
                log = self.settings.data / f"{name}.log"
                detail = (
                    f"{name} ended by itself (exit {child.returncode}): {children.last_word(log)}"
                )
                raise DomainError("stack.part_ended", detail)

    def kill(self, name: str) -> None:
        """Kill -9 of one process, for the tests of recovery."""
        self.children[name].kill()
        self.children[name].wait()

    def wait_for_api(self) -> None:
        """Returns when the API answers its health check.

        Raises:
            DomainError: `stack.start_failed` with the last word of the process that ended.
        """
        deadline = time.monotonic() + _READY_S
        tls = None if self.settings.tls is None else believing(self.settings.ca)
        while not self._healthy(tls):
            for name in ("serve", "signer", "worker"):
                child = self.children[name]
                if child.poll() is not None or time.monotonic() > deadline:
                    log = self.settings.data / f"{name}.log"
                    detail = f"{name} did not start: {children.last_word(log)} (more in {log})"
                    raise DomainError("stack.start_failed", detail)
            time.sleep(0.05)

    def _healthy(self, tls: ssl.SSLContext | None) -> bool:
        """Raises: DomainError api.impostor when its certificate is not one that callers believe."""
        asked = f"{self.url}/v1/health"
        try:
            with urllib.request.urlopen(asked, timeout=2, context=tls) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError as error:
            why = getattr(error, "reason", error)
            if isinstance(why, ssl.SSLCertVerificationError):
                detail = f"{self.url}: {why.verify_message}"
                raise DomainError("api.impostor", detail) from error
            return False

    def tend(self) -> list[str]:
        """Restarts what ended by itself, servers too, each at most once in 5 s; the names."""
        servers = {"postgres": self.postgres, "nats": self.nats}
        running = {name: server.child for name, server in servers.items() if server is not None}
        now = time.monotonic()
        ended = [
            name
            for name, child in {**running, **self.children}.items()
            if child.poll() is not None and self._not_before.get(name, 0) <= now
        ]
        for name in ended:
            self._not_before[name] = now + _RESTART_S
            server = servers.get(name)
            if server is None:
                self.start(name)
                continue
            # A full disk lets no server start: it is tried again until there is room.
            with suppress(DomainError):
                server.restart()
        return ended

    def close(self) -> None:
        """Ends every process in the order in which nothing is lost, with what the agent left, then
        the servers.
        """
        for name in reversed(PROCESSES):
            if name in self.children:
                children.stop(self.children[name], signal.SIGTERM, timeout_s=10)
            if name == "agent":
                agents.end_terminals(self.settings)
        if self.nats is not None:
            self.nats.close()
        if self.postgres is not None:
            self.postgres.close()


@contextmanager
def database_alone(say: Callable[[str], None], *, fresh: bool = False) -> Iterator[Settings]:
    """The settings of an errand that needs the database and no other part of the platform.

    The server that GPUAAS_DATABASE_URL names, or the embedded one: started alone, under the lock
    of the data directory, so no writer runs meanwhile; stopped with the block. `fresh`: it may be
    made anew, and is brought to this version.

    Raises:
        DomainError: `stack.locked` while the stack runs, `config.missing` without any database.
    """
    if urls()[0]:
        yield from_environment(with_nats=False)
        return
    data = data_directory()
    if not fresh and not (data / "postgres").is_dir():
        detail = f"GPUAAS_DATABASE_URL is not set, and there is no embedded database in {data}"
        raise DomainError("config.missing", detail)
    with ExitStack() as exits:
        exits.enter_context(_only_one(data))
        say("starting PostgreSQL 18 alone")
        postgres = Postgres(data)
        exits.callback(postgres.close)
        own = {"GPUAAS_DATABASE_URL": postgres.url("app"), "GPUAAS_EMBEDDED": "1"}
        own["GPUAAS_OWNER_DATABASE_URL"] = postgres.url("owner")
        settings = from_environment({**os.environ, **own}, with_nats=False)
        if fresh:
            migrate(settings.owner_database_url)
        yield settings


@contextmanager
def running(
    say: Callable[[str], None],
    *,
    http_port: int | None = None,
    processes: tuple[str, ...] = PROCESSES,
) -> Iterator[Stack]:
    """The stack, ready to serve; everything it started ends with the block.

    Servers named by GPUAAS_DATABASE_URL and GPUAAS_NATS_URL are used as they are; the others are
    started under the data directory. Safe after a kill -9 of anything: what was left is ended
    first, PostgreSQL recovers, processes resume from their positions.

    Raises:
        DomainError: a port, the lock or a version is wrong; nothing was changed.
    """
    data = data_directory()
    urls()  # refused before a folder is made
    tls = pair_of(os.environ)
    if tls is not None:
        tls.checked()
    with ExitStack() as exits:
        exits.enter_context(_only_one(data))
        if http_port is not None:
            children.require_free(http_port, "the API")
        settings, postgres, nats = _servers(data, http_port, say)
        stack = Stack(settings, postgres, nats)
        exits.callback(stack.close)
        say("applying migrations")
        migrate(settings.owner_database_url)
        say("opening the log")
        open_log(settings.database_url, settings.storage, settings.signer_state, settings.log_name)
        for name in processes:
            say(f"starting {name}")
            stack.start(name)
        if "serve" in processes:
            stack.wait_for_api()
        yield stack


def _servers(
    data: Path, http_port: int | None, say: Callable[[str], None]
) -> tuple[Settings, Postgres | None, Nats | None]:
    env = os.environ
    postgres = nats = None
    database_url, owner_url, nats_url, node_url = urls(env)
    if not database_url:
        say("starting PostgreSQL 18")
        postgres = Postgres(data)
        database_url, owner_url = postgres.url("app"), postgres.url("owner")
    if not nats_url:
        say("starting NATS")
        nats = Nats(data, tls=env.get("GPUAAS_EMBEDDED_NATS_TLS") != "0")
        nats_url, node_url = nats.url(), nats.node_url()
    apps_port = children.kept_port(data, "apps")
    settings = Settings(
        data=data,
        signer_state=signer_directory(),
        database_url=database_url,
        owner_database_url=owner_url,
        nats_url=nats_url,
        nats_node_url=node_url,
        http_host="127.0.0.1",
        http_port=http_port or children.kept_port(data, "api"),
        log_name=env.get("GPUAAS_LOG_NAME") or "gpuaas.local",
        embedded=True,
        unsigned_bound_s=unsigned_bound(env),
        gateway_port=children.kept_port(data, "ssh"),
        apps_port=apps_port,
        apps_url=apps_url("", apps_port, secure=pair_of(env) is not None),
        tls=pair_of(env),
        ca=ca_of(env),
        gateway_name=gateway_name(env),
        # Nodes of the embedded stack are this machine.
        gateway_networks=f"127.0.0.0/8,{PRIVATE_NETWORKS}",
        webhook_networks=env.get("GPUAAS_WEBHOOK_NETWORKS") or "",
        keeping=keeping_of(env),
        leasing=leasing_of(env),
        rate=rate_of(env),
        public_rate=public_rate_of(env),
        proxies=proxies_of(env),
        bounds=bounds_of(env),
        mfa_demanded=mfa_demanded(env),
        login_age_s=login_age_s(env),
        glass_age_s=glass_age_s(env, embedded=True),
    )
    return settings, postgres, nats


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Holds the data directory's lock; the kernel frees it however the holder ends."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DomainError(
                "stack.locked",
                f"{data} is in use by process {lock.read().strip() or 'unknown'}; "
                "stop it or choose another GPUAAS_DATA",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
