"""The node's last resort over a FIFO in a watchdog device's place, SIMULATED: nothing is reset."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import pytest
from msgspec.structs import replace

from agent import clock, identity
from agent.clock import boottime_us
from agent.files import replace_file
from agent.lives import Lives
from agent.node_watchdog import Word, ask_to_end, begin, cause_of_reset, read_word
from agent.watchdog_device import Watchdog
from contracts.enrolment import EnrolReply
from contracts.signing import FleetError
from tests.agent_world import AgentProgram
from tests.containers import Image, unpacked, until
from tests.kept_world import S, Stage, alive, free, is_in, keepers, kill_keepers, running, staged

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(300)]
TIMEOUT_S, GRACE_US = 1, 1 * S


class StandIn:
    """Counts what is written to it, as a watchdog device would take it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # For writing too: it never ends because a writer has.
        self._handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.written = b""
        self.last_us = 0

    def _read(self) -> None:
        while not self._over.is_set():
            if select.select([self._handle], [], [], 0.05)[0]:
                self.written += os.read(self._handle, 4096)
                self.last_us = boottime_us()

    def goes_on(self, times: int = 4) -> None:
        wanted = len(self.written) + times
        until(lambda: len(self.written) >= wanted, "it is petted", 20)

    def is_quiet(self) -> bool:
        """Whether nobody wrote for longer than its timeout."""
        before = self.written
        time.sleep(TIMEOUT_S + 0.3)
        return self.written == before

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._handle)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with unpacked() as found:
        yield found


@pytest.fixture
def stage(image: Image, tmp_path: Path) -> Iterator[Stage]:
    with staged(image, tmp_path) as made:
        yield made


@pytest.fixture
def dog(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path / "device") as made:
        yield made
    for pid in running("agent.node_watchdog", tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def agent(stage: Stage, dog: StandIn) -> Iterator[AgentProgram]:
    """An agent of the stage's node whose control plane never answers, not yet started."""
    state, allowed = stage.state, stage.state / "images.json"
    (state / "agent.db").touch()
    identity.event_key(state)
    identity.keep_enrolment(
        state, EnrolReply(stage.node, 0, "00" * 32, "nats://127.0.0.1:9", "", "")
    )
    allowed.write_text(json.dumps(stage.image.settings.images))
    made = AgentProgram(
        state,
        *("--engine", "bubblewrap", "--rootfs", stage.image.settings.rootfs, "--gpus", "1"),
        *("--images", str(allowed), "--cdi", str(state / "cdi"), "--watchdog-stand-in"),
        *("--watchdog-device", str(dog.path), "--watchdog-timeout-s", str(TIMEOUT_S)),
        *("--watchdog-grace-us", str(GRACE_US)),
    )
    yield made
    if made.child is not None and made.child.poll() is None:
        made.kill()


def word(state: Path) -> Word:
    found = read_word(state / "watchdog")
    assert found is not None
    return found


def boot_of(stage: Stage) -> str:
    return clock.boot_of(stage.node, clock.machine_boot())


def wanted(dog: StandIn) -> Watchdog:
    return Watchdog(device=str(dog.path), timeout_s=TIMEOUT_S, grace_us=GRACE_US, stand_in=True)


def test_what_nobody_ends_ends_with_the_machine(
    stage: Stage, dog: StandIn, agent: AgentProgram
) -> None:
    """Agent and keepers are stopped, their container goes on. The device is petted through the
    renewal of its lease, its deadline and the grace, and then never again, though the container
    ends after all. Why is on disk: no agent of this boot goes on, the next boot's tells it once.
    """
    source = stage.opened(boot_of(stage))
    agent.start()
    name = stage.start(source)
    folder = source.folder / name
    is_in(source, name, "usable")
    dog.goes_on()
    assert agent.child is not None
    pid, stopped = stage.pid(name), [agent.child.pid, *keepers(folder)]
    try:
        for one in stopped:
            os.kill(one, signal.SIGSTOP)
        first_us = boottime_us() + 3 * S // 2
        replace_file(folder / "deadline", str(first_us).encode())
        source.arm(deadline_us := first_us + GRACE_US + S // 2, boottime_us())
        until(lambda: word(stage.state).state == "expired", "it lets go")
        assert boottime_us() >= deadline_us + GRACE_US
        assert dog.last_us >= deadline_us
        assert alive(pid)
        assert name in word(stage.state).why
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)
    assert dog.is_quiet()
    until(lambda: not alive(pid), "its keeper ends it")
    with pytest.raises(FleetError) as error:
        begin(stage.state, wanted(dog))
    assert error.value.code == "watchdog.expired"
    assert cause_of_reset(stage.state) == ""
    earlier = msgspec.json.encode(replace(word(stage.state), machine="another boot"))
    (stage.state / "watchdog" / "word.json").write_bytes(earlier)
    assert name in cause_of_reset(stage.state)
    assert cause_of_reset(stage.state) == ""
    assert b"V" not in dog.written


def test_it_outlives_agents_and_keepers_and_is_closed_when_nothing_runs(
    stage: Stage, dog: StandIn, agent: AgentProgram
) -> None:
    """Kill -9 of agent and keepers stops no pet, and what no keeper saw is known all the same. The
    next agent has the same program. One that is stopped for good leaves it while a container
    lives; after that the device is closed by `V`, the last that is written to it.
    """
    source = stage.opened(boot_of(stage))
    agent.start()
    name = stage.start(source)
    is_in(source, name, "usable")
    dog.goes_on()
    pid = word(stage.state).pid
    agent.kill()
    kill_keepers(source.folder / name)
    (source.folder / name / "seen.json").unlink()
    lives = Lives(source.folder)
    first = stage.pid(name)
    deadline_us = boottime_us() + 60 * S
    replace_file(source.folder / name / "deadline", str(deadline_us).encode())
    assert lives.look(deadline_us, 5.0) == (0.0, "")
    lives.look(deadline_us + S, 6.0)
    late_s, why = lives.look(deadline_us + 2 * S, 7.0)
    assert (late_s, why) == (1.0, f"{name} (pid {first}) runs 2.0 s past its deadline")
    dog.goes_on()
    agent.start()
    assert "armed: SIMULATED" in (said := agent.line()), said
    time.sleep(1)  # it tries a server that is not there, and ends all the same when it is told to
    status, said = agent.end()
    assert status == 0, said
    end = stage.state / "watchdog" / "end"
    assert end.exists()
    dog.goes_on()
    assert (word(stage.state).pid, word(stage.state).state) == (pid, "armed")
    source.stop(name, boottime_us())
    until(lambda: b"V" in dog.written, "it is closed")
    until(lambda: not alive(pid), "it has ended")
    assert (dog.written[-1:], word(stage.state).state) == (b"V", "closed")
    assert stage.containers() == []


def test_two_never_arm_and_a_killed_one_pets_no_more(tmp_path: Path, dog: StandIn) -> None:
    """A second begin adopts the first, on another device it is refused, a second program leaves.
    Kill -9: no pet, no `V`. The next one arms again; SIGTERM closes it, and so does the end of the
    node's state when nothing lives.
    """
    (tmp_path / "runtimes" / "allocation-of-nobody").mkdir(parents=True)
    armed = begin(tmp_path, wanted(dog))
    pid = word(tmp_path).pid
    assert armed == f"SIMULATED: {dog.path} resets nothing, {TIMEOUT_S} s"
    argv = [sys.executable, "-m", "agent.node_watchdog", str(tmp_path), str(dog.path)]
    second = subprocess.Popen([*argv, "--stand-in"])
    assert (begin(tmp_path, wanted(dog)), word(tmp_path).pid) == (armed, pid)
    with pytest.raises(FleetError) as error:
        begin(tmp_path, replace(wanted(dog), device="/dev/other"))
    assert error.value.code == "watchdog.elsewhere"
    assert second.wait(30) == 0
    dog.goes_on(2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert dog.is_quiet()
    assert b"V" not in dog.written
    begin(tmp_path, wanted(dog))
    assert word(tmp_path).pid != pid
    os.kill(word(tmp_path).pid, signal.SIGTERM)
    until(lambda: dog.written[-1:] == b"V", "it is closed")
    os.waitpid(word(tmp_path).pid, 0)
    begin(tmp_path, wanted(dog))
    pid, before = word(tmp_path).pid, len(dog.written)
    for name in ("runtimes", "watchdog"):
        shutil.rmtree(tmp_path / name)
    os.waitpid(pid, 0)
    until(lambda: dog.written[-1:] == b"V", "it is closed")
    assert len(dog.written) > before


def test_a_device_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """By name, and nothing is left running; what is no watchdog is not written to."""
    (tmp_path / "runtimes").mkdir()
    plain = tmp_path / "plain"
    plain.write_text("somebody's")
    for device, code in (
        (tmp_path / "none", "watchdog.missing"),
        (plain, "watchdog.not_one"),
        (Path("/dev/null"), "watchdog.not_one"),
    ):
        with pytest.raises(FleetError) as error:
            begin(tmp_path, Watchdog(device=str(device)))
        assert (error.value.code, code in error.value.detail) == (code, False)
        os.waitpid(word(tmp_path).pid, 0)
    assert plain.read_text() == "somebody's"
    ask_to_end(tmp_path)
    assert free(tmp_path / "watchdog")
