"""The servers of a replay: its database, its signer and its integrator, all under one folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from api.embedded import children
from api.embedded.postgres import Postgres
from domain.errors import DomainError
from evidence.condition import Condition
from evidence.integrator import published
from evidence.opening import open_log
from evidence.signing import ask_status
from evidence.storage import Storage, hold_alone, replace
from gpuaas_verify.note import Vkey
from migrations.runner import SchemaMismatch, migrate, require_current

LOG_NAME = "replay.gpuaas.local"
_SIGNER_S = 5
_SOCKET_BYTES = 100  # of the 107 a Unix socket's path may have
_SIGNED_S = 300
_ROOM_S = 2

type Say = Callable[[str], None]


class Place(Struct, frozen=True):
    """Where a replay's log and evidence are; `socket` is the signer's."""

    database_url: str
    storage: Path
    socket: Path
    vkey: str
    running: dict[str, subprocess.Popen[bytes]]


@contextmanager
def stage(out: Path, database_url: str | None, say: Say) -> Iterator[Place]:
    """Database, signer and integrator running; all end with this process, however it ends.

    Raises:
        DomainError: `replay.busy` (another replay works in this folder), `stack.*`, `signer.*`,
            `log.lost`; SchemaMismatch: the database is of another version.
    """
    with ExitStack() as opened:
        opened.enter_context(_only_one(out))
        storage, signer_state = out / "evidence", out / "signer"
        if database_url is None:
            say("starting PostgreSQL")
            server = Postgres(out / "server")
            opened.callback(server.close)
            database_url = server.url("app")
            migrate(server.url("owner"))
        else:
            _bring_up_to_date(database_url)
        say("opening the log")
        vkey = open_log(database_url, storage, signer_state, LOG_NAME)
        place = Place(database_url, storage, _socket(opened, out), vkey, {})
        place.running["signer"] = _signer(opened, out / "signer.log", signer_state, place)
        # The last word of one before it, whose database went away, is no word of this one's.
        (storage / "status" / "integrator").unlink(missing_ok=True)
        integrator = _child(out / "integrator.log", _INTEGRATOR, place)
        place.running["integrator"] = opened.enter_context(integrator)
        yield place


_INTEGRATOR = [sys.executable, "-m", "api.replay.integrator"]


def _socket(opened: ExitStack, out: Path) -> Path:
    """Where the signer answers: under `out`, unless that path is longer than a socket's may be."""
    here = (out / "signer.sock").absolute()
    if len(os.fsencode(here)) <= _SOCKET_BYTES:
        return here
    short = Path(tempfile.mkdtemp(prefix="gpuaas-replay-"))
    opened.callback(shutil.rmtree, short, ignore_errors=True)
    return short / here.name


def _signer(opened: ExitStack, log: Path, state: Path, place: Place) -> subprocess.Popen[bytes]:
    """A signer that answers. That of a killed replay may hold the state for a moment more."""
    program = [sys.executable, "-m", "evidence.signer"]
    argv = [*program, "--state", str(state), "--socket", str(place.socket)]
    deadline = time.monotonic() + _SIGNER_S
    while True:
        child = opened.enter_context(_child(log, argv, place))
        try:
            children.wait_until(lambda: _answers(place.socket), child, log, "the signer")
        except DomainError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return child


def _answers(socket: Path) -> bool:
    try:
        ask_status(socket)
    except DomainError:
        return False
    return True


def _bring_up_to_date(database_url: str) -> None:
    """Migrates with the owner's URL when there is one; else the database must be current."""
    owner_url = os.environ.get("GPUAAS_OWNER_DATABASE_URL")
    if owner_url:
        migrate(owner_url)
        return
    try:
        require_current(database_url)
    except SchemaMismatch as error:
        detail = f"{error} (or name its owner in GPUAAS_OWNER_DATABASE_URL)"
        raise DomainError("replay.database", detail) from error


@contextmanager
def _only_one(out: Path) -> Iterator[None]:
    handle = hold_alone(out / "lock", "replay.busy", f"another replay works in {out}")
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def _child(log: Path, argv: list[str], place: Place) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "GPUAAS_DATABASE_URL": place.database_url,
        "GPUAAS_REPLAY_STORAGE": str(place.storage),
        "GPUAAS_REPLAY_SOCKET": str(place.socket),
    }
    child = children.start(argv, log, env=env, on_parent_death=signal.SIGKILL)
    try:
        yield child
    finally:
        children.stop(child, signal.SIGTERM)


def await_signed(place: Place, size: int) -> None:
    """The published checkpoint covers `size` entries.

    Raises: DomainError replay.not_signed with what the integrator found wrong, or who ended;
    OSError when the disk is full.
    """
    storage, vkey = Storage(place.storage), Vkey.parse(place.vkey)
    began = time.monotonic()
    look = began + _ROOM_S
    while published(storage, vkey).size < size:
        fault = _fault(storage) or _ended(place)
        if fault is not None or time.monotonic() > began + _SIGNED_S:
            raise DomainError("replay.not_signed", fault or "the checkpoint does not come")
        if time.monotonic() > look:
            look = time.monotonic() + _ROOM_S
            # On a full disk the integrator has no room for its word either.
            replace(place.storage / "room", bytes(4096))
        time.sleep(0.02)
    (place.storage / "room").unlink(missing_ok=True)


def _ended(place: Place) -> str | None:
    names = [name for name, child in place.running.items() if child.poll() is not None]
    return f"the {names[0]} ended by itself; run again to go on" if names else None


def _fault(storage: Storage) -> str | None:
    raw = storage.read("status/integrator")
    found = None if raw is None else msgspec.json.decode(raw, type=Condition).fault
    return None if found is None else f"{found.code}: {found.detail}"
