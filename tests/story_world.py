"""The whole embedded stack with real containers on a SIMULATED node, and one tenant's member."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import Struct

from agent import cdi, identity
from agent.engines import engine_of
from agent.simulated import inventory
from api.edge import instant, now_us
from api.embedded import children
from api.ssh.authority import Authority, authority
from api.supervisor import Stack, running
from contracts import ssh
from contracts.signing import public_hex
from domain import runtime, volume
from evidence.reader import READ_ENTRIES, Recorded, decode_entry
from tests.containers import REFERENCE, Image, podman, until
from tests.ssh_world import Key
from tests.terminal_stage import Office

PROCESSES = ("signer", "worker", "serve", "gateway")
PATIENCE_S = 240.0
# A microsecond of a whole GPU costs this, in pico-dollars: seconds show on an invoice.
RATE_PICO_HOUR = 90 * 10**12
HOUR_MILLI_US = 1000 * 3_600_000_000
STORAGE_PICO = 7  # of one MiB-us
VOLUME_MIB = 24


class Spell(Struct, frozen=True):
    """An account whose first period ends at `ends_us`, and a project that it pays for."""

    account: str
    project: str
    ends_us: int


class Scene:
    """`office` asks the API; `member` is the token of the one who owns what is launched."""

    def __init__(self, stack: Stack, image: Image, folder: Path) -> None:
        self.stack = stack
        self.image = image
        self.folder = folder
        self.office = Office(stack)
        self.org = self.department = ""

    @property
    def ca(self) -> Authority:
        return authority(self.stack.settings)

    def furnish(self) -> None:
        """An organization, the image, the meter of storage, prices, and a node that is ready for a
        launch.
        """
        office = self.office
        office.org = self.org = self.made("/v1/organizations", name="O")
        self.department = self.made("/v1/departments", organization=self.org, name="D")
        office.post("/v1/images", {"reference": REFERENCE, "digest": self.image.digest})
        price = {"amount": f"{RATE_PICO_HOUR // 10**12}.000000000000", "currency": "USD"}
        soon = datetime.now(UTC) + timedelta(seconds=3)
        office.post(
            "/v1/prices", {"model": "T4", "price": price, "effective_from": instant(_us(soon))}
        )
        office.post(
            "/v1/meters", {"meter": "storage.capacity", "unit": "MiB-us", "source": "lifecycle"}
        )
        storage = {
            "meter": "storage.capacity", "model": "local", "state": "existing", "divisor": 1,
            "price": {"amount": f"0.{STORAGE_PICO:012d}", "currency": "USD"},
            "effective_from": instant(_us(soon)),
        }  # fmt: skip
        answer = office.post("/v1/prices", storage)
        assert answer.status_code == 201, answer.text
        office.member = office.token()
        awaited(
            lambda: office.get("/v1/nodes").json()["items"],
            lambda nodes: bool(nodes) and nodes[0]["state"] == "reachable",
        )
        time.sleep(max(0.0, _us(soon) / 1e6 - time.time()))

    def made(self, path: str, **body: Any) -> str:
        answer = self.office.post(path, body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def spell(self, seconds: int) -> Spell:
        """A new account, its first period cut to so many seconds from now."""
        ends_us = now_us() + seconds * 1_000_000
        account = self.made(
            "/v1/accounts", organization=self.org, currency="USD", zone="UTC",
            first_period_end=instant(ends_us),
        )  # fmt: skip
        project = self.made("/v1/projects", department=self.department, account=account, name="P")
        return Spell(account, project, ends_us)

    def launch(self, spell: Spell, **more: Any) -> str:
        """A runtime that is usable."""
        body = {
            "project": spell.project, "name": "r", "devices": 2, "image": REFERENCE,
            "cpu_milli": 1000, "memory_bytes": 256 * 2**20, "pids": 128, **more,
        }  # fmt: skip
        answer = self.office.post("/v1/runtimes", body, self.office.member)
        assert answer.status_code == 201, answer.text
        found = str(answer.json()["id"])
        self.until_state(found, "usable")
        return found

    def volume(self, spell: Spell) -> str:
        """A volume that its node has made."""
        body = {"project": spell.project, "name": "data", "size_mib": VOLUME_MIB}
        answer = self.office.post("/v1/volumes", body, self.office.member)
        assert answer.status_code == 201, answer.text
        found = str(answer.json()["id"])
        self.until_volume(found, "ready")
        return found

    def until_volume(self, name: str, state: str) -> dict[str, Any]:
        found: dict[str, Any] = awaited(
            lambda: self.office.get(f"/v1/volumes/{name}", self.office.member).json(),
            lambda body: body.get("volume", {}).get("state") == state,
        )
        return found

    def wiped(self, name: str) -> dict[str, Any]:
        """The volume, deleted; asked for again where its node could not yet.

        A program elsewhere on this machine that copied the mounts while it was mounted keeps its
        device until it ends: until then the node refuses, as it must.
        """
        path, deadline = f"/v1/volumes/{name}", time.monotonic() + PATIENCE_S
        while True:
            answer = self.office.post(f"{path}/delete", None, self.office.member)
            assert answer.status_code == 200, answer.text
            asked = answer.json()["version"] or 0
            found: dict[str, Any] = awaited(
                lambda: self.office.get(path, self.office.member).json(),
                lambda body, asked=asked: body.get("volume", {}).get("version", 0) > asked,  # type: ignore[misc]
            )
            if found["volume"]["state"] == "deleted":
                return found
            assert found["volume"]["why"] == "volume.attached", found
            assert time.monotonic() < deadline, found
            time.sleep(1)

    def until_state(self, runtime_id: str, state: str) -> dict[str, Any]:
        found: dict[str, Any] = awaited(
            lambda: self.office.get(f"/v1/runtimes/{runtime_id}", self.office.member).json(),
            lambda body: body.get("state") == state,
        )
        return found

    def stop(self, runtime_id: str) -> None:
        path = f"/v1/runtimes/{runtime_id}/stop"
        answer = self.office.post(path, {"reason": "done"}, self.office.member)
        assert answer.status_code == 200, answer.text
        self.until_state(runtime_id, "stopped")

    def certificate(self, runtime_id: str, key: Key) -> dict[str, Any]:
        path = f"/v1/runtimes/{runtime_id}/ssh-certificates"
        answer = self.office.post(path, {"public_key": key.public}, self.office.member)
        assert answer.status_code == 201, answer.text
        given: dict[str, Any] = answer.json()
        key.certify(given["certificate"])
        return given

    def client(self, given: dict[str, Any], key: Key) -> list[str]:
        """`ssh` options as a client of that certificate is given them."""
        known = self.folder / "known_hosts"
        known.write_text(given["known_hosts"])
        entry = ssh.Entry(
            given["runtime"], given["principal"], given["gateway_host"], given["gateway_port"]
        )
        config = self.folder / f"config-{key.path.name}"
        text = ssh.client_config(entry, str(key.path), str(known))
        config.write_text(f"{text}  BatchMode yes\n  LogLevel ERROR\n  ConnectTimeout 60\n")
        return ["-F", str(config), given["runtime"]]

    def log(self) -> list[Recorded]:
        """The whole log, as it stands on disk."""
        with psycopg.connect(self.stack.settings.database_url, autocommit=True) as conn:
            rows = conn.execute(READ_ENTRIES, {"first": 0, "limit": 1_000_000}, binary=True)
            return [decode_entry(bytes(entry)) for _, entry in rows]

    def attested_us(self, runtime_id: str, ends_us: int) -> int:
        """How long the node attested it usable before `ends_us`, from its words alone."""
        since, total = None, 0
        for entry in self.log():
            if entry.stream != runtime_id:
                continue
            fact = entry.fact
            if isinstance(fact, runtime.Usable):
                since = fact.usable_us if since is None else since
            elif isinstance(fact, runtime.Degraded | runtime.Stopped) and since is not None:
                at = fact.degraded_us if isinstance(fact, runtime.Degraded) else fact.stopped_us
                total += max(0, min(at, ends_us) - since)
                since = None
        assert since is None, "it was stopped"
        return total

    def stored_us(self, volume_id: str, ends_us: int) -> int:
        """How long the node attested that the volume existed before `ends_us`, from its words."""
        said = [entry.fact for entry in self.log() if entry.stream == volume_id]
        [since] = [fact.formatted_us for fact in said if isinstance(fact, volume.Formatted)]
        [until] = [fact.wiped_us for fact in said if isinstance(fact, volume.Wiped)]
        return max(0, min(until, ends_us) - since)

    def bundle(self) -> Path:
        """An evidence bundle whose checkpoint covers everything appended so far."""
        last = len(self.log())
        awaited(
            lambda: int(self.office.get("/v1/checkpoint").content.split(b"\n")[1]),
            lambda size: size >= last,
        )
        path = self.folder / "bundle.tar"
        path.write_bytes(self.office.get("/v1/bundle").content)
        return path

    def verify(self, bundle: Path) -> "subprocess.CompletedProcess[str]":
        program = Path(sys.executable).parent / "gpuaas-verify"
        vkey = (self.stack.settings.storage / "vkey").read_text().strip()
        argv = [str(program), str(bundle), "--key", vkey]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def awaited(
    ask: Callable[[], Any], done: Callable[[Any], bool], within_s: float = PATIENCE_S
) -> Any:
    """What `ask` says once `done` holds of it."""
    deadline = time.monotonic() + within_s
    while not done(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def engine_options(image: Image) -> list[str]:
    """What makes an agent run containers of the image's Podman."""
    allowed = image.folder / "images.json"
    allowed.write_text(json.dumps(image.settings.images))
    settings = image.settings
    return [
        *("--engine", "podman", f"--podman={shlex.join(settings.podman)}"),
        *(f"--create={shlex.join(settings.create)}", "--images", str(allowed)),
    ]


def _agent(stack: Stack, image: Image) -> "subprocess.Popen[bytes]":
    """The stack's own agent, over the image's Podman instead of SIMULATED runtimes."""
    argv = [sys.executable, "-m", "api.cli", "agent", "--devices", "simulated"]
    log = stack.settings.data / "agent.log"
    return children.start([*argv, *engine_options(image)], log, env=stack.settings.environment())


def clear(state: Path, image: Image, gpus: int = 8) -> None:
    """No orders, so keepers end what they keep; no terminals; no CDI specs of this node."""
    for order in (state / "runtimes").glob("*/order.json"):
        order.unlink()
    for pid in (state / "terminals").glob("access-*/pid"):
        try:
            os.killpg(int(pid.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            continue
    enrolled = identity.enrolment(state) if (state / "enrolment.json").exists() else None
    if enrolled is None:
        return
    engine = engine_of(image.settings)
    until(lambda: not engine.list_all(enrolled.node), "nothing is left", PATIENCE_S)
    engine.clear(enrolled.node, tuple, state / "runtimes")
    place = Path(image.settings.cdi)
    for gpu in inventory(public_hex(identity.event_key(state)), gpus):
        cdi.remove(place, gpu.uuid)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def _told(stack: Stack) -> None:
    """What agent and keepers said, for whoever reads a failure."""
    folder = stack.settings.data / "agent"
    logs = [stack.settings.data / "agent.log", stack.settings.data / "gateway.log"]
    for path in [*logs, *(folder / "runtimes").glob("*/keeper.log")]:
        if path.exists():
            print(f"{path.name}: {path.read_text(errors='replace')[-2000:]}")


@contextmanager
def scene() -> Iterator[Scene]:
    """Furnished, with an image, a network and a Podman of its own; afterwards nothing is left."""
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    folder.chmod(0o711)
    own = folder / "own"
    own.mkdir()
    try:
        with pytest.MonkeyPatch.context() as patch, podman() as image:
            patch.setenv("GPUAAS_DATA", str(folder / "data"))
            patch.setenv("GPUAAS_SIGNER_STATE", str(folder / "signer"))
            for name in ("GPUAAS_DATABASE_URL", "GPUAAS_NATS_URL"):
                patch.delenv(name, raising=False)
            with running(lambda _: None, processes=PROCESSES) as stack:
                agent = _agent(stack, image)
                made = Scene(stack, image, own)
                try:
                    made.furnish()
                    yield made
                except BaseException:
                    _told(stack)
                    raise
                finally:
                    made.office.close()
                    children.stop(agent, signal.SIGTERM)
                    clear(stack.settings.data / "agent", image)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
