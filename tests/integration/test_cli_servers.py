"""Wrong and unreachable servers: one clear sentence within seconds, a non-zero exit, no traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from api.cli import main
from tests.conftest import Database

pytestmark = pytest.mark.slow

_NOBODY = "127.0.0.1:9"


def _started(tmp_path: Path, verb: Sequence[str], **urls: str) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GPUAAS_")}
    env = {**own, "GPUAAS_DATA": str(tmp_path / "data"), "HOME": str(tmp_path), **urls}
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *verb],
        env=env,
        cwd=Path(__file__).parents[2] if verb[0] != "demo" else tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _sentence(child: subprocess.Popen[str], timeout_s: int = 120) -> str:
    """The last line of a process that failed, which is all that it says of the failure."""
    _, said = child.communicate(timeout=timeout_s)
    assert "Traceback" not in said, said
    assert child.returncode in {1, 2}, (child.returncode, said)
    lines = [line for line in said.splitlines() if "gpuaas" in line]
    assert len(lines) == 1 or child.returncode == 2, said
    return lines[-1]


_GOOD = "postgresql://a:b@127.0.0.1:9/c"
_REPLAY = [
    "replay",
    *(f"--{name}=x" for name in ("nodes", "pods", "prices", "start", "zone", "out")),
]
_MALFORMED: list[tuple[list[str], dict[str, str], str]] = [
    *(
        ([verb], {"GPUAAS_DATABASE_URL": "secret", "GPUAAS_NATS_URL": "nats://x"}, "GPUAAS_DATABASE_URL")
        for verb in ("serve", "worker", "rebuild", "up", "demo")
    ),
    *(
        (["serve"], {"GPUAAS_DATABASE_URL": _GOOD, "GPUAAS_NATS_URL": text}, "GPUAAS_NATS_URL")
        for text in ("%%", "x", "nats://", "http://x", "nats://x:y")
    ),
    (["demo"], {"GPUAAS_NATS_URL": "%%"}, "GPUAAS_NATS_URL"),
    (["migrate"], {"GPUAAS_DATABASE_URL": _GOOD, "GPUAAS_OWNER_DATABASE_URL": "secret", "GPUAAS_NATS_URL": "nats://x"}, "GPUAAS_OWNER_DATABASE_URL"),
    ([*_REPLAY, "--database-url=secret"], {}, "--database-url"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "urls", "named"), _MALFORMED)
def test_malformed_urls_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: list[str],
    urls: dict[str, str],
    named: str,
) -> None:
    """By the variable, before anything is started; the text, which may hold a password, is not
    repeated.
    """
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GPUAAS_")]:
        monkeypatch.delenv(name)
    for name, text in {"GPUAAS_DATA": str(tmp_path / "data"), **urls}.items():
        monkeypatch.setenv(name, text)
    try:
        status = main(verb)
    except SystemExit as ended:  # argparse's way out
        status = int(str(ended.code))
    said = capsys.readouterr().err
    assert status in {1, 2}
    assert named in said
    assert "is no URL of" in said
    assert "secret" not in said


def test_unreachable_servers_are_named(database: Database, tmp_path: Path) -> None:
    """`serve` ends without its data directory, and when NATS does not answer; the worker says so and goes on trying; a database
    that does not answer ends `demo` and `migrate`.
    """
    alive = {"GPUAAS_DATABASE_URL": database.app_url, "GPUAAS_NATS_URL": f"nats://{_NOBODY}"}
    dead = {"GPUAAS_DATABASE_URL": f"postgresql://a:b@{_NOBODY}/c", "GPUAAS_NATS_URL": "nats://x"}
    assert "there is no folder" in _sentence(_started(tmp_path, ["serve"], **alive))
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    serve = _started(tmp_path, ["serve"], **alive, GPUAAS_HTTP_PORT="8499")
    worker = _started(tmp_path, ["worker"], **alive)
    try:
        assert f"NATS at {_NOBODY} cannot be reached" in _sentence(serve)
        assert worker.stderr is not None
        line = next(line for line in worker.stderr if line.startswith("projections: "))
        assert f"NATS at {_NOBODY} cannot be reached" in line
        assert worker.poll() is None
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)
    for verb in ("demo", "migrate"):
        assert "connection" in _sentence(_started(tmp_path, [verb], **dead))


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_a_demo_that_loses_a_part_fails(tmp_path: Path, name: str) -> None:
    """Kill -9 of a child in the middle: one sentence that names it, and nothing left running."""
    demo = _started(tmp_path, ["demo"])
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("4. "):
                break
        [child] = [pid for pid, verb in _children(demo.pid) if verb == name]
        os.kill(child, signal.SIGKILL)
        began = time.monotonic()
        said = _sentence(demo)
        assert f"{name} ended by itself (exit -9)" in said
        assert time.monotonic() - began < 60
        assert _children(demo.pid) == []
    finally:
        demo.kill()
        demo.wait()


def _children(parent: int) -> list[tuple[int, str]]:
    """(pid, last argument) of the direct children of a process."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            status = (place / "status").read_text()
            words = (place / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"\nPPid:\t{parent}\n" in status and len(words) > 1:
            found.append((int(place.name), words[-2].decode()))
    return found
