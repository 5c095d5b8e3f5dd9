"""Two of everything on one living deployment, and its signatures missing: clear words,
no damage.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.embedded.children import free_port
from api.supervisor import Stack, running
from api.tokens import developer_token
from evidence.fsck import check
from evidence.storage import Storage
from evidence.tail import published_size
from gpuaas_verify import cli
from gpuaas_verify.note import Vkey
from tests.integration.replay_runs import ROOT, environment

pytestmark = pytest.mark.slow
_PATIENCE_S = 20


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the servers' account may enter, and that is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """The whole stack on a free port, its unsigned tail bounded by two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUAAS_DATA", str(folder / "data"))
        patch.setenv("GPUAAS_SIGNER_STATE", str(folder / "signer"))
        patch.setenv("GPUAAS_UNSIGNED_BOUND_S", "2")
        with running(lambda _: None) as stack:
            yield stack
            require_sound(stack, folder)


def require_sound(stack: Stack, folder: Path) -> None:
    """After all of it the log is whole: fsck finds nothing and the bundle verifies."""
    vkey = (stack.settings.storage / "vkey").read_text().strip()
    with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
        head = conn.execute("SELECT next_position FROM log.head").fetchone()
        assert head is not None
        storage = Storage(stack.settings.storage)
        until(lambda: published_size(storage) >= head[0], "the last signature")
        assert not check(conn, storage, Vkey.parse(vkey)).findings
    with client(stack) as http:
        (folder / "bundle.tar").write_bytes(http.get("/v1/bundle", timeout=30).content)
    assert cli.run([str(folder / "bundle.tar"), "--key", vkey]) == 0


def until(ready: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := ready()):
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s for {what}"
        time.sleep(0.05)
    return found


@contextmanager
def client(stack: Stack, url: str | None = None) -> Iterator[httpx.Client]:
    """The operator's client of one of the API processes."""
    headers = {"Authorization": f"Bearer {developer_token(stack.settings)}"}
    with httpx.Client(base_url=url or stack.url, headers=headers, timeout=15) as http:
        yield http


def acted(http: httpx.Client, path: str, key: str, **body: Any) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def gpuaas(env: dict[str, str], *verb: str) -> subprocess.CompletedProcess[str]:
    """A verb that is expected to refuse at once."""
    argv = [sys.executable, "-m", "api.cli", *verb]
    return subprocess.run(
        argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )


def require_refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@contextmanager
def another(stack: Stack, verb: str, log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """One more process of the same deployment."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "api.cli", verb], cwd=ROOT, stdout=out, stderr=out,
            env={**stack.settings.environment(), **env},
        )  # fmt: skip
    try:
        yield child
        assert child.poll() is None, log.read_text()
    finally:
        child.terminate()
        child.wait(_PATIENCE_S)


def test_a_second_stack_on_the_same_data_is_refused(stack: Stack, folder: Path) -> None:
    """It names the process that holds the directory and disturbs nothing."""
    env = {**environment(), "GPUAAS_DATA": str(folder / "data")}
    env["GPUAAS_SIGNER_STATE"] = str(folder / "signer")
    require_refused(gpuaas(env, "up"), f"is in use by process {os.getpid()}")
    with client(stack) as http:
        assert http.get("/v1/health").status_code == 200


def test_a_port_in_use_is_refused_before_anything_starts(stack: Stack, folder: Path) -> None:
    """One sentence with the port; no server was initialized in the new directory."""
    env = {**environment(), "GPUAAS_DATA": str(folder / "other")}
    port = str(stack.settings.http_port)
    require_refused(gpuaas(env, "up", "--port", port), f"port {port} for the API is in use")
    assert not (folder / "other" / "postgres").exists()


def test_a_second_api_on_the_same_port_is_refused(stack: Stack) -> None:
    """The first one keeps the port; the second says whose fault it is and ends."""
    done = gpuaas(stack.settings.environment(), "serve")
    require_refused(done, f"port {stack.settings.http_port}")


def test_a_second_signer_is_refused(stack: Stack) -> None:
    """There is one signer: the second does not take the socket from the first."""
    require_refused(gpuaas(stack.settings.environment(), "signer"), "signer.second")
    before = published_size(Storage(stack.settings.storage))
    with client(stack) as http:
        assert acted(http, "/v1/organizations", "signer", name="s").status_code == 201
    until(lambda: published_size(Storage(stack.settings.storage)) > before, "a signature")


def test_a_second_worker_stands_by(stack: Stack, folder: Path) -> None:
    """Readiness stays green while two run; the second takes over when the first is killed."""
    storage = Storage(stack.settings.storage)

    def signs(http: httpx.Client, key: str) -> None:
        made = acted(http, "/v1/organizations", key, name="w")
        assert made.status_code == 201, made.text
        position = int(made.headers["Log-Position"])
        until(lambda: published_size(storage) > position, f"a signature after {key}")
        read = http.get("/v1/organizations", headers={"Min-Log-Position": str(position)})
        assert made.json()["id"] in read.text

    with client(stack) as http:
        until(lambda: http.get("/v1/readiness").json()["ready"], "readiness")
        try:
            with another(stack, "worker", folder / "worker-2.log"):
                for _ in range(25):
                    answer = http.get("/v1/readiness").json()
                    assert answer["ready"], answer["reasons"]
                    time.sleep(0.1)
                stack.kill("worker")
                signs(http, "taken-over")
        finally:
            stack.start("worker")
        signs(http, "alone-again")


def test_two_apis_serve_one_deployment(stack: Stack, folder: Path) -> None:
    """What one is told the other knows; a launch at either goes through the one
    admission writer.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        another(stack, "serve", folder / "serve-2.log", GPUAAS_HTTP_PORT=str(port)),
        client(stack) as first,
        client(stack, url) as second,
    ):
        until(lambda: _answers(second), "the second API")
        body = {"name": "two"}
        answers = [acted(each, "/v1/organizations", "two", **body) for each in (first, second)]
        assert {answer.status_code for answer in answers} == {201}
        assert answers[0].json() == answers[1].json(), "one key is one organization"
        project = _project(first, answers[0].json()["id"])
        until(lambda: first.get("/v1/capacity").json()["models"], "the node")
        launch = {"project": project, "devices": 1, "models": ["T4"]}
        made = [
            acted(each, "/v1/runtimes", f"launch-{n}", name=f"r{n}", **launch)
            for n, each in enumerate((first, second, first, second))
        ]
        assert [answer.status_code for answer in made] == [201] * 4, [a.text for a in made]
        again = acted(first, "/v1/runtimes", "launch-1", name="r1", **launch)
        assert again.json() == made[1].json()
        for answer in made:
            path = f"/v1/runtimes/{answer.json()['id']}"
            until(partial(_usable, second, path), path)
            assert acted(second, f"{path}/stop", f"stop{path}", reason="done").status_code < 300


def _usable(http: httpx.Client, path: str) -> bool:
    return bool(http.get(path).json().get("state") == "usable")


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False


def _project(http: httpx.Client, organization: str) -> str:
    department = acted(http, "/v1/departments", "d", organization=organization, name="d").json()
    account = acted(
        http, "/v1/accounts", "a", organization=organization, currency="USD", zone="Europe/Berlin"
    ).json()
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    price = {"amount": "1.000000000000", "currency": "USD"}
    priced = acted(http, "/v1/prices", "p", model="T4", price=price, effective_from=soon)
    assert priced.status_code == 201, priced.text
    body = {"department": department["id"], "account": account["id"], "name": "p"}
    project = acted(http, "/v1/projects", "project", **body)
    assert project.status_code == 201, project.text
    time.sleep(2.1)
    return str(project.json()["id"])


def test_without_signatures_appends_stop_and_come_back(stack: Stack) -> None:
    """Past the bound: 503 `log.unsigned_tail` with Retry-After; reads go on; the
    signer heals it.
    """
    with client(stack) as http:
        stack.kill("signer")
        number = 0

        def refused() -> httpx.Response | None:
            nonlocal number
            number += 1
            answer = acted(http, "/v1/organizations", f"tail-{number}", name="t")
            return answer if answer.status_code != 201 else None

        answer = until(refused, "a refusal")
        assert (answer.status_code, answer.json()["code"]) == (503, "log.unsigned_tail")
        assert answer.headers["Retry-After"]
        assert http.get("/v1/organizations").status_code == 200
        until(lambda: "signer" in json.dumps(http.get("/v1/readiness").json()["reasons"]), "a word")
        stack.start("signer")
        repeat = f"tail-{number}"
        until(
            lambda: acted(http, "/v1/organizations", repeat, name="t").status_code == 201,
            "appends",
        )
        until(lambda: http.get("/v1/readiness").json()["ready"], "readiness")


def test_a_server_that_ended_is_started_again(stack: Stack) -> None:
    """PostgreSQL and NATS killed: the supervisor brings them back, and callers are served."""
    assert stack.postgres is not None
    assert stack.nats is not None
    stack.postgres.kill()
    stack.nats.kill()
    assert {"postgres", "nats"} <= set(stack.tend())

    def served() -> bool:
        stack.tend()
        with client(stack) as http:
            try:
                return acted(http, "/v1/organizations", "back", name="b").status_code == 201
            except httpx.TransportError:
                return False

    until(served, "an append")
    assert stack.nats.answers()
