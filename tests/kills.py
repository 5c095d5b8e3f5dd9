"""kill -9 of everything, from a seed: of a replay and its servers, and of a living stack under
load.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from api.embedded.postgres import Postgres
from api.supervisor import Stack, running
from api.tokens import developer_token
from evidence.fsck import check
from evidence.reader import decode_entry, read_entries
from evidence.storage import Storage
from gpuaas_verify import cli
from gpuaas_verify.note import Vkey
from projections.rebuild import rebuild
from projections.runner import catch_up
from tests.integration.replay_runs import ROOT, Inputs, command, environment

OUTPUTS = ("charges.csv", "invoices.json", "refused.csv")
CHILDREN = ("postgres", "evidence.signer", "replay.integrator")
_PATIENCE_S = 90
# How long each runs in an undisturbed replay of 300 tasks; beyond it a kill would hit nothing.
_LIFE_S = {"replay": 4.0, "postgres": 3.0, "evidence.signer": 1.5, "replay.integrator": 1.2}


# ---------------------------------------------------------------- a replay
def replay_under_fire(inputs: Inputs, out: Path, seed: int) -> list[str]:
    """The replay finished in spite of 2 to 4 kills; says what was killed.

    The target is chosen first and hit a moment after it began to run, so that each is hit in all of
    its life: chosen among those that run, the servers that start first would take most of the hits.
    """
    chance = random.Random(seed)
    killed = []
    child = _start(inputs, out)
    for _ in range(chance.randint(2, 4)):
        target = chance.choice(["replay", *CHILDREN])
        child = _begun(target, child, inputs, out)
        time.sleep(chance.uniform(0, _LIFE_S[target]))
        hit = [child.pid] if target == "replay" else _children_of(child.pid, target)
        if not hit or child.poll() is not None:
            killed.append(f"{target} had ended")
            continue
        for pid in hit:
            os.kill(pid, signal.SIGKILL)
        killed.append(target)
        if target == "replay":
            child.wait()
    _finish(child, inputs, out)
    return killed


def _begun(
    target: str, child: subprocess.Popen[bytes], inputs: Inputs, out: Path
) -> subprocess.Popen[bytes]:
    """The replay in which the target runs now, started again as often as it ended before that."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            child = _start(inputs, out)
        if target == "replay" or _children_of(child.pid, target):
            return child
        time.sleep(0.01)
    raise AssertionError(f"{target} does not start in {_PATIENCE_S} s")


def replay_holds(inputs: Inputs, reference: Path, folder: Path, seed: int) -> str:
    """One seed in a folder of its own: killed, finished, the same as the reference;
    says what was.
    """
    place = folder / f"replay-{seed}"
    place.mkdir(mode=0o711)
    killed = replay_under_fire(inputs, place / "out", seed)
    require_same(place / "out", reference)
    shutil.rmtree(place)
    return f"replay seed {seed}: {killed}"


def stack_holds(folder: Path, seed: int, *, runtimes: int = 12, kills: int = 6) -> str:
    """One seed of a living stack in a folder of its own."""
    place = folder / f"stack-{seed}"
    place.mkdir(mode=0o711)
    killed = stack_under_fire(place, seed, runtimes=runtimes, kills=kills)
    shutil.rmtree(place)
    return f"stack seed {seed}: {killed}"


def _finish(child: subprocess.Popen[bytes], inputs: Inputs, out: Path) -> None:
    """Runs to the end; a replay that lost its server ends with a sentence and is started again."""
    for _ in range(5):
        if child.wait(_PATIENCE_S) == 0:
            return
        child = _start(inputs, out)
    said = out.with_name("replay.log").read_text()[-3000:]
    raise AssertionError(f"the replay does not finish: {said}")


def _start(inputs: Inputs, out: Path) -> subprocess.Popen[bytes]:
    with out.with_name("replay.log").open("ab") as log:
        return subprocess.Popen(command(inputs, out), cwd=ROOT, stderr=log, env=environment())


def _children_of(parent: int, word: str) -> list[int]:
    """Direct children whose command line has the word."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if int(status[1]) == parent and word in line:
                found.append(int(folder.name))
    return found


def require_same(out: Path, reference: Path) -> None:
    """Outputs, entries, views and evidence are those of a run nobody disturbed."""
    for name in OUTPUTS:
        assert (out / name).read_bytes() == (reference / name).read_bytes(), name
    counts = [
        json.loads((each / "report.json").read_bytes())["entries"] for each in (out, reference)
    ]
    assert counts[0] == counts[1], "an acknowledged command is in the log exactly once"
    key = (out / "log.vkey").read_text().strip()
    assert cli.run([str(out / "bundle.tar"), "--key", key]) == 0
    with closing(Postgres(out / "server")) as server:
        require_views_equal_a_rebuild(server.url("app"), limit=777)


def require_views_equal_a_rebuild(app_url: str, limit: int = 5_000) -> None:
    """Views caught up in their own batches equal views rebuilt in others, byte for byte."""
    with (
        psycopg.connect(app_url, autocommit=True) as conn,
        psycopg.connect(app_url, autocommit=True) as reader,
    ):
        catch_up(conn, limit)
        assert rebuild(conn, reader) == []


# ---------------------------------------------------------------- a living stack
class Caller:
    """A client that repeats with the same key until it is answered: 2xx, or a refusal."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url
        self._token = developer_token(stack.settings)
        self._seen = 0  # the last Log-Position answered: reads are never older than own writes

    def post(self, path: str, key: str, **body: Any) -> dict[str, Any]:
        return self._until_answered("POST", path, key, body)

    def get(self, path: str) -> dict[str, Any]:
        return self._until_answered("GET", path, "", None)

    def bundle(self, to: Path) -> None:
        to.write_bytes(self._bytes("GET", "/v1/bundle", "", None))

    def _until_answered(
        self, method: str, path: str, key: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        found = json.loads(self._bytes(method, path, key, body))
        assert isinstance(found, dict)
        return found

    def _bytes(self, method: str, path: str, key: str, body: dict[str, Any] | None) -> bytes:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._once(method, path, key, body)
            except urllib.error.HTTPError as refused:
                said = refused.read().decode(errors="replace")
                again = refused.code >= 500 or refused.code == 409
                if not again or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {refused.code} {said}") from refused
            except OSError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: no answer: {error}") from error
            time.sleep(0.1)

    def _once(self, method: str, path: str, key: str, body: dict[str, Any] | None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        else:
            headers["Min-Log-Position"] = str(self._seen)
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            method=method,
        )
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            self._seen = max(self._seen, int(answer.headers.get("Log-Position") or 0))
            return bytes(answer.read())


def stack_under_fire(folder: Path, seed: int, *, runtimes: int, kills: int) -> list[str]:
    """Launches and stops while everything is killed in turn; then holds the log against the
    answers.
    """
    os.environ["GPUAAS_DATA"] = str(folder / "data")
    os.environ["GPUAAS_SIGNER_STATE"] = str(folder / "signer")
    try:
        with running(lambda _: None) as stack:
            return _fight(stack, folder, random.Random(seed), runtimes, kills)
    finally:
        del os.environ["GPUAAS_DATA"], os.environ["GPUAAS_SIGNER_STATE"]


def _fight(
    stack: Stack, folder: Path, chance: random.Random, runtimes: int, kills: int
) -> list[str]:
    caller = Caller(stack)
    project = _tenancy(caller)
    _wait(lambda: bool(caller.get("/v1/capacity")["models"]), "a node")
    killed: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        lives = [pool.submit(_life, caller, project, number) for number in range(runtimes)]
        # This thread starts every process: the kernel ends a child with the thread it came from.
        for _ in range(kills):
            _tend(stack, chance.uniform(0.3, 1.5))
            killed.append(_kill_one(stack, chance))
        while not all(life.done() for life in lives):
            _tend(stack, 0.2)
    acknowledged = [life.result() for life in lives]
    _settled(stack, caller, runtimes)
    _hold_against_the_log(stack, folder, caller, acknowledged)
    return killed


def _tenancy(caller: Caller) -> str:
    organization = caller.post("/v1/organizations", "org", name="Kills")["id"]
    department = caller.post("/v1/departments", "dep", organization=organization, name="d")["id"]
    account = caller.post(
        "/v1/accounts", "acc", organization=organization, currency="USD", zone="Europe/Berlin"
    )["id"]
    project = caller.post("/v1/projects", "pro", department=department, account=account, name="p")[
        "id"
    ]
    caller.post(
        "/v1/meters", "met", meter="gpu.time", unit="milli-GPU-us", source="lifecycle",
        aggregation="sum",
    )  # fmt: skip
    soon = datetime.now(UTC) + timedelta(seconds=2)
    caller.post(
        "/v1/prices", "pri", model="T4", price={"amount": "0.333333333333", "currency": "USD"},
        effective_from=soon.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )  # fmt: skip
    time.sleep(2.2)
    return str(project)


def _life(caller: Caller, project: str, number: int) -> str:
    """One runtime launched, usable, stopped; its id as acknowledged, the same on a repeat."""
    launch = {"project": project, "name": f"r{number}", "devices": 1, "models": ["T4"]}
    runtime = str(caller.post("/v1/runtimes", f"launch-{number}", **launch)["id"])
    again = caller.post("/v1/runtimes", f"launch-{number}", **launch)["id"]
    assert again == runtime, "a repeat of the key is the same runtime"
    path = f"/v1/runtimes/{runtime}"
    _wait(lambda: caller.get(path)["state"] in {"usable", "stopped"}, f"{runtime} to be usable")
    caller.post(f"{path}/stop", f"stop-{number}", reason="done")
    return runtime


def _kill_one(stack: Stack, chance: random.Random) -> str:
    """Kill -9 of one part; servers come back at once, processes by the supervisor's rule."""
    name = chance.choice(["serve", "worker", "signer", "agent", "postgres", "nats"])
    if name == "postgres":
        assert stack.postgres is not None
        stack.postgres.kill()
        time.sleep(chance.uniform(0, 0.5))
        stack.postgres.restart()
    elif name == "nats":
        assert stack.nats is not None
        stack.nats.kill()
        time.sleep(chance.uniform(0, 0.5))
        stack.nats.restart()
    else:
        stack.kill(name)
    return name


def _tend(stack: Stack, seconds: float) -> None:
    """Starts again what ended, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.tend()
        time.sleep(0.05)


def _settled(stack: Stack, caller: Caller, runtimes: int) -> None:
    """Every process runs and every runtime is at its end."""

    def done() -> bool:
        stack.tend()
        if any(child.poll() is not None for child in stack.children.values()):
            return False
        items = caller.get("/v1/runtimes?limit=500")["items"]
        return len(items) == runtimes and all(one["state"] == "stopped" for one in items)

    _wait(done, "every runtime to be stopped")


def _hold_against_the_log(
    stack: Stack, folder: Path, caller: Caller, acknowledged: list[str]
) -> None:
    assert len(set(acknowledged)) == len(acknowledged)
    url = stack.settings.database_url
    with psycopg.connect(url, autocommit=True) as conn:
        facts = [decode_entry(raw) for _, raw, _ in read_entries(conn, 0, 100_000)]
    for tag in ("requested", "allocated", "usable", "stopped"):
        seen = Counter(one.stream for one in facts if one.tag == f"gpuaas.runtime.{tag}.v1")
        assert seen == Counter(acknowledged), f"{tag}: exactly once for each acknowledged launch"
    causes = Counter(one.cause for one in facts if one.tag == "gpuaas.runtime.requested.v1")
    assert set(causes.values()) == {1}
    _wait(lambda: _signed(stack) >= len(facts), "the signed tail")
    vkey = (stack.settings.storage / "vkey").read_text().strip()
    caller.bundle(folder / "bundle.tar")
    assert cli.run([str(folder / "bundle.tar"), "--key", vkey]) == 0
    with psycopg.connect(url, autocommit=True) as conn:
        checked = check(conn, Storage(stack.settings.storage), Vkey.parse(vkey))
        assert not checked.findings, checked
    require_views_equal_a_rebuild(url)


def _signed(stack: Stack) -> int:
    return int((stack.settings.storage / "checkpoint").read_text().split("\n")[1])


def _wait(ready: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s for {what}"
        time.sleep(0.1)
