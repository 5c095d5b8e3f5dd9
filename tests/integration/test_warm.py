"""A program that a template became is what the same program is that began the plain way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.machine import need
from tests.warm_machine import Inside

pytestmark = pytest.mark.slow

PLAIN: Any = warm.Popen.__base__
TOLD = [sys.executable, "-m", "tests.warm_told"]


@pytest.mark.parametrize("session", [False, True])
def test_it_finds_itself_as_any_other(tmp_path: Path, session: bool) -> None:
    """Arguments, environment, folder, open files, signals, session, parent, input, output, exit status."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(warm.ROOT),
        "A": "b",
        **warm.early(os.environ),
    }
    said = []
    for way in (PLAIN, warm.Popen):
        with way(
            [*TOLD, "all", "two words"], cwd=tmp_path, env=env, start_new_session=session,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            out, err = child.communicate("to be repeated\n", timeout=60)
        assert child.returncode == 7
        said.append((json.loads(out), err))
    assert said[0] == said[1]
    assert said[1][0]["parent"] == os.getpid()


@pytest.mark.machine
def test_inside_a_machine_it_finds_the_same(tmp_path: Path) -> None:
    """Network, boot id and boot clock are the machine's, whichever way it began; ours stay ours."""
    need("ip", "unshare", root=True)
    boot_file = tmp_path / "boot-id"
    boot_file.write_text("0123")
    space, said = f"gpuaas-w{os.getpid()}", []
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        program = Inside(space, boot_file, 1_000_000, [*TOLD, "place"])
        for way in (PLAIN, warm.Popen):
            with way(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                said.append(json.loads(child.stdout.readline()))
    finally:
        subprocess.run(["ip", "netns", "del", space], check=True)
    began, began_warm = (one.pop("boottime_s") for one in said)
    assert said[0] == said[1]
    assert said[0]["boot"] == "0123"
    assert 1_000_000 < began <= began_warm < began + 600
    assert said[0]["net"] != str(Path("/proc/self/ns/net").readlink())


def test_no_two_have_the_same_chance() -> None:
    """What is random in one says nothing of the next, whichever source it is drawn from."""
    argv = [*TOLD, "chance"]
    drawn = [
        json.loads(subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout)
        for _ in range(4)
    ]  # fmt: skip
    assert all(len(set(source)) == 4 for source in zip(*drawn, strict=True))


def test_it_is_killed_and_reaped_by_who_started_it() -> None:
    """Kill -9 reaches it by its number; nobody else waits for it."""
    child = subprocess.Popen([*TOLD, "wait"], stdout=subprocess.PIPE)
    assert type(child) is warm.Popen
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(20) == -signal.SIGKILL
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, 0)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """What a stack starts is told of the stack's end by the kernel, and so is what a program starts."""
    program = (
        "import sys, time; from pathlib import Path; from api.embedded import children; from tests import warm; "
        "warm.install(); one = children.start(sys.argv[2:], Path(sys.argv[1])); print(one.pid, flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "log"), *TOLD, "wait"]
    with PLAIN(argv, stdout=subprocess.PIPE, cwd=warm.ROOT) as parent:
        pid = int(parent.stdout.readline())
        within = time.monotonic() + 30
        while not (tmp_path / "log").read_text():
            assert time.monotonic() < within
            time.sleep(0.02)
        parent.kill()
    while _runs(pid):
        assert time.monotonic() < within
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


_GIVEN = (None, 0, False, -1, -1, -1, -1, -1, -1, True, None, None, None, -1, False, -1)


@pytest.mark.parametrize(
    ("argv", "env", "given"),
    [
        ([sys.executable, "-c", "pass"], {}, _GIVEN),
        ([sys.executable, "-m", "json.tool"], {}, _GIVEN),
        (["true"], {}, _GIVEN),
        ([*TOLD, "all"], {"PYTHONHASHSEED": "1"}, _GIVEN),
        ([*TOLD, "all"], {"LD_PRELOAD": "/lib/none.so"}, _GIVEN),
        ([*TOLD, "all", "x" * warm.ROOM], {}, _GIVEN),
        ([*TOLD, "all"], {}, (*_GIVEN[:12], 65534, *_GIVEN[13:])),
        ([*TOLD, "all"], {}, (*_GIVEN[:13], 0o77, *_GIVEN[14:])),
    ],
)
def test_what_a_clone_could_not_be_told_begins_the_plain_way(
    argv: list[str], env: dict[str, str], given: tuple[Any, ...]
) -> None:
    """Other programs and users, and what Python or the loader reads before the first line."""
    assert warm.ordered([*TOLD, "all"], None, None, os.environ, _GIVEN) is not None
    assert warm.ordered(argv, None, None, {**os.environ, **env}, given) is None


def test_what_does_not_begin_is_refused_as_ever(tmp_path: Path) -> None:
    """A folder that is not there."""
    with pytest.raises(FileNotFoundError):
        subprocess.run([*TOLD, "all"], cwd=tmp_path / "none", check=False)
