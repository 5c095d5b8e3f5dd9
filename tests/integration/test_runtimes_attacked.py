"""What must not keep a container alive: a hanging engine, rubbish, a storm of kills, a full disk."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agent.clock import boottime_us
from agent.keeper import read_deadline, read_seen
from agent.lives import Lives
from tests.containers import Image, podman, until
from tests.kept_world import S, Stage, alive, is_in, keepers, kill_keepers, seen, staged

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with podman() as found:
        yield found


@pytest.fixture
def stage(image: Image, tmp_path: Path) -> Iterator[Stage]:
    with staged(image, tmp_path) as made:
        yield made


def to_the_deadline(folder: Path) -> None:
    time.sleep(max(0.0, (read_deadline(folder) - boottime_us()) / 1e6))


def test_an_engine_that_hangs_delays_no_end(stage: Stage, tmp_path: Path) -> None:
    """The kernel ends the runtime's processes at the deadline; when the engine answers again, the
    rest of it goes and `stopped` is said.
    """
    hang, plain = tmp_path / "hang", stage.image
    script = f'if [ -e "{hang}" ]; then sleep 3600; fi; exec "$@"'
    settings = plain.settings
    hanging = replace(settings, podman=("sh", "-c", script, "sh", *settings.podman))
    stage.image = replace(plain, settings=hanging)
    source = stage.opened()
    name = stage.start(source, 25)
    is_in(source, name, "usable", 24)
    pid = stage.pid(name)
    hang.touch()
    assert alive(pid)
    to_the_deadline(source.folder / name)
    assert not alive(pid)
    hang.unlink()
    stage.image = plain
    # The call that hangs is given up after a minute.
    is_in(source, name, "stopped", 120)
    assert stage.containers() == []


@pytest.mark.parametrize("rubbish", [b"", b"\x00\xff", b"{}", b"-1", b"9" * 5000 + b"x"])
@pytest.mark.parametrize("file", ["deadline", "order.json"])
def test_a_deadline_or_an_order_that_nobody_can_read_ends_it(
    stage: Stage, file: str, rubbish: bytes
) -> None:
    """Nobody can tell that it may run: it may not."""
    source = stage.opened()
    name = stage.start(source)
    until(lambda: stage.containers() == [name], "it is there")
    (source.folder / name / file).write_bytes(rubbish)
    until(lambda: stage.containers() == [], "it is gone", 30)


def test_what_was_seen_may_be_rubbish(stage: Stage) -> None:
    """A keeper that starts anew beside it finds the container by its name and says it again."""
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    before, folder = stage.pid(name), source.folder / name
    (folder / "seen.json").write_bytes(b"{rubbish")
    assert seen(source, name).state == "starting"
    _outer, inner = keepers(folder)
    os.kill(inner, signal.SIGKILL)
    is_in(source, name, "usable")
    assert stage.pid(name) == before


def test_what_cannot_be_written_down_ends_all_the_same(stage: Stage) -> None:
    """As on a full disk: nothing can be said of the runtime, and its deadline holds."""
    source = stage.opened()
    name = stage.start(source, 20)
    is_in(source, name, "usable", 19)
    folder = source.folder / name

    def tended() -> bool:
        source.tend(boottime_us())
        return seen(source, name).state == "stopped"

    pid = stage.pid(name)
    (folder / "seen.json").unlink()
    (folder / "seen.json").mkdir()
    _outer, inner = keepers(folder)
    os.kill(inner, signal.SIGKILL)
    to_the_deadline(folder)
    assert not alive(pid)
    until(lambda: stage.containers() == [], "it is gone", 30)
    (folder / "seen.json").rmdir()
    until(tended, "stopped is said", 30)


def test_a_container_that_no_keeper_saw_is_known_to_live(stage: Stage) -> None:
    """By its monitor, without asking Podman; once it is held, by itself, though its folder goes and
    its monitor dies. A folder that names somebody else's process claims nothing.
    """
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    folder, pid = source.folder / name, stage.pid(name)
    kill_keepers(folder)
    held = read_seen(folder)
    assert held is not None
    lies = msgspec.json.encode(replace(held, pid=os.getpid()))
    (folder / "seen.json").write_bytes(lies)
    lives, now_us = Lives(source.folder), read_deadline(folder) + 2 * S
    assert lives.look(now_us, 1.0) == (0.0, f"{name} (pid {pid}) runs 2.0 s past its deadline")
    kept = folder.rename(folder.with_name("elsewhere"))
    order = (kept / "order.json").rename(kept / "no-order")
    assert lives.look(now_us, 2.0) == (1.0, f"{name} (pid {pid}) runs without a deadline")
    order.rename(kept / "order.json")
    kept.rename(folder)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), "it ends")
    assert lives.look(now_us, 3.0) == (0.0, "")
    assert not lives.empty


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_kills(stage: Stage, seed: int) -> None:
    """Keepers die by kill -9 at random instants, the start included, while rounds begin them
    again: never two containers, never two lives of one, and gone by the deadline.
    """
    chance = random.Random(seed)
    source = stage.opened()
    name = stage.start(source, 30)
    folder, pids = source.folder / name, set[int]()
    while read_deadline(folder) - boottime_us() > 4 * S:
        time.sleep(chance.random() * 0.6)
        for pid in keepers(folder):
            if chance.random() < 0.5:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        source.tend(boottime_us())
        listed = stage.containers()
        assert listed in ([], [name])
        if listed:
            pids.add(stage.pid(name))
    source.tend(boottime_us())
    to_the_deadline(folder)
    assert not any(alive(pid) for pid in pids - {0})
    assert len(pids - {0}) <= 1
    until(lambda: stage.containers() == [], "it is gone", 30)
    is_in(source, name, "stopped", 30)
