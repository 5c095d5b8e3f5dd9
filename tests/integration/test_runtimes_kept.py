"""Real containers under keepers: what the agent's source promises, with Podman and sshd."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.clock import boottime_us
from agent.cpu_time import cpu_times_us
from agent.idleness import ssh_peers
from agent.keeper import read_deadline
from contracts.fleet import Share
from contracts.signing import FleetError
from evidence.ids import new_id
from tests.containers import Image, podman, until
from tests.kept_world import (
    BOOT,
    WHOLE,
    S,
    Stage,
    alive,
    free,
    is_in,
    keepers,
    kill_keepers,
    restarts,
    seen,
    staged,
)

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with podman() as found:
        yield found


@pytest.fixture
def stage(image: Image, tmp_path: Path) -> Iterator[Stage]:
    with staged(image, tmp_path) as made:
        yield made


def test_usable_means_that_sshd_answers_with_the_key_that_is_said(stage: Stage) -> None:
    """The route is the runtime's own address and host key; its GPU (SIMULATED) is inside; a stop
    leaves nothing but its words.
    """
    source = stage.opened()
    name = stage.start(source)
    usable = is_in(source, name, "usable")
    assert usable.route is not None
    keys = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", usable.route.address], capture_output=True, check=True
    )
    assert usable.route.host_key in keys.stdout.decode()
    assert Path("/proc", str(stage.pid(name)), "root/dev/gpuaas-simulated0").is_char_device()
    assert source.stop(name, boottime_us())
    assert source.stop(new_id("allocation"), boottime_us()) is False
    ended = is_in(source, name, "stopped")
    assert ended.since_us <= boottime_us()
    assert stage.containers() == []
    assert b"listening on" in source.logs(name, 10_000)
    assert len(source.logs(name, 7)) == 7


def test_limits_are_in_force(stage: Stage) -> None:
    """Memory and pids end where the order says; the CPU gets its share and no more."""
    source = stage.opened()
    name = stage.start(source, memory_bytes=64 * 2**20, pids=32, cpu_milli=250)
    is_in(source, name, "usable")
    container = f"gpuaas-{name.removeprefix('allocation-')}-1"
    fork = "for i in $(seq 60); do sleep 3 & done 2>&1; wait"
    said = subprocess.run(
        (*stage.image.settings.podman, "exec", container, "sh", "-c", fork),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"fork" in said.stdout + said.stderr
    hog = subprocess.run(
        (*stage.image.settings.podman, "exec", container, "tail", "/dev/zero"),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert hog.returncode != 0
    made = json.loads(stage.image.say("container", "inspect", container))[0]["HostConfig"]
    assert (made["Memory"], made["MemorySwap"]) == (64 * 2**20, 64 * 2**20)
    assert (made["PidsLimit"], made["NanoCpus"]) == (32, 250_000_000)


def test_an_image_that_is_not_on_the_list_is_refused(stage: Stage) -> None:
    """Neither another reference, nor another digest under a listed one, nor none at all."""
    source = stage.opened()
    for spec in (
        stage.image.spec(image="localhost/other:1"),
        stage.image.spec(digest="sha256:" + "0" * 64),
    ):
        with pytest.raises(FleetError) as error:
            source.start("allocation-1", "runtime-1", 1, WHOLE, 0, S, spec)
        assert error.value.code == "image.refused"
    with pytest.raises(FleetError) as error:
        source.start("allocation-1", "runtime-1", 1, WHOLE, 0, S)
    assert error.value.code == "image.missing"
    assert list((stage.state / "runtimes").iterdir()) == []


def test_a_device_is_given_once(stage: Stage) -> None:
    """A share that does not fit, or a device that is not here, starts nothing."""
    source = stage.opened()
    stage.start(source)
    at, spec = boottime_us(), stage.image.spec()
    for share, code in ((Share(0, 1), "device.busy"), (Share(1, 1), "device.unknown")):
        with pytest.raises(FleetError) as error:
            source.start(new_id("allocation"), "runtime-2", 2, (share,), at, at + 60 * S, spec)
        assert error.value.code == code


def test_it_is_gone_by_its_deadline_and_not_before_one_that_was_renewed(stage: Stage) -> None:
    """Nobody calls anything after `start`: the keeper alone ends it. `arm` moves the deadline,
    and a deadline that has passed is never moved.
    """
    source = stage.opened()
    name = stage.start(source, 12)
    is_in(source, name, "usable", 11)
    first = read_deadline(source.folder / name)
    source.arm(first + 4 * S, boottime_us())
    pid = stage.pid(name)
    time.sleep(max(0.0, (first - boottime_us()) / 1e6))
    assert alive(pid)
    time.sleep(4)
    assert not alive(pid)
    ended = is_in(source, name, "stopped", 30)
    assert stage.containers() == []
    assert first < ended.since_us <= first + 4 * S
    source.arm(boottime_us() + 60 * S, boottime_us())
    assert read_deadline(source.folder / name) == first + 4 * S


def test_the_agent_starts_anew_and_what_runs_is_adopted(stage: Stage) -> None:
    """Same boot: same process inside, same keeper, no second start."""
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    before, kept = stage.pid(name), keepers(source.folder / name)
    source.close()
    again = stage.opened()
    again.tend(boottime_us())
    assert seen(again, name).state == "usable"
    assert (stage.pid(name), keepers(source.folder / name)) == (before, kept)


def test_a_keeper_that_is_killed_is_followed_by_another(stage: Stage) -> None:
    """The inner one by the outer one at once; both by the agent's next round. The runtime lives
    on, and its deadline holds.
    """
    source = stage.opened()
    name = stage.start(source, 40)
    is_in(source, name, "usable")
    before, folder = stage.pid(name), source.folder / name
    outer, inner = keepers(folder)
    os.kill(inner, signal.SIGKILL)
    until(lambda: len(keepers(folder)) == 2 and inner not in keepers(folder), "another inner")
    kill_keepers(folder)
    # A killed process loses its command line before its lock.
    until(lambda: free(folder), "both are gone")
    source.tend(boottime_us())
    until(lambda: len(keepers(folder)) == 2, "a keeper again")
    assert outer not in keepers(folder)
    assert stage.pid(name) == before
    left = (read_deadline(folder) - boottime_us()) / 1e6
    time.sleep(max(0.0, left))
    assert stage.containers() == []


def test_two_keepers_of_one_runtime_are_impossible(stage: Stage) -> None:
    """A second one leaves at once and changes nothing."""
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    folder = source.folder / name
    before = keepers(folder)
    second = subprocess.run(
        [sys.executable, "-m", "agent.keeper", str(folder)],
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=60,
    )
    assert second.returncode == 0
    assert keepers(folder) == before
    assert seen(source, name).state == "usable"


def test_an_orphan_is_ended_and_a_stranger_is_not(stage: Stage) -> None:
    """A container with our node's label that no order allows goes in one round; without, never."""
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    labels = [f"--label=gpuaas.{key}={value}" for key, value in (
        ("node", stage.node), ("boot", BOOT), ("allocation", "allocation-x"), ("epoch", "9"),
    )]  # fmt: skip
    common = ("run", "--detach", "--network", "none", *stage.image.settings.create)
    stage.image.say(*common, "--name", "orphan", *labels, stage.image.spec().image, "sleep", "900")
    stage.image.say(*common, "--name", "stranger", stage.image.spec().image, "sleep", "900")
    assert sorted(stage.containers()) == sorted([name, "allocation-x"])
    source.tend(boottime_us())
    assert stage.containers() == [name]
    assert "stranger" in stage.image.say("ps", "--format", "{{.Names}}")
    stage.image.say("rm", "--force", "--time", "0", "stranger")


def test_another_boot_or_a_lost_folder_ends_what_ran(stage: Stage) -> None:
    """Old epochs are void: their containers end although nobody orders it, each by its keeper or
    by the round that finds it.
    """
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    reborn = stage.opened("c" * 32)
    assert reborn.observe(boottime_us()) == []
    reborn.tend(boottime_us())
    until(lambda: stage.containers() == [], "the old boot's container is gone", 30)
    other = stage.start(reborn)
    is_in(reborn, other, "usable")
    (reborn.folder / other / "order.json").unlink()
    until(lambda: stage.containers() == [], "an order that is gone ends it", 30)


def test_degraded_and_back(stage: Stage) -> None:
    """A runtime whose sshd does not answer is not usable, since the probe that saw it."""
    source = stage.opened()
    name = stage.start(source)
    is_in(source, name, "usable")
    at = boottime_us()
    container = f"gpuaas-{name.removeprefix('allocation-')}-1"
    stage.image.say("pause", container)
    assert is_in(source, name, "degraded").since_us > at
    stage.image.say("unpause", container)
    is_in(source, name, "usable")


def test_use_is_seen_from_outside(stage: Stage) -> None:
    """CPU time of its own processes; who is connected to its sshd, for as long as that lasts; the
    keeper's probe is nobody. Once it is over nothing is known.
    """
    source = stage.opened()
    name = stage.start(source)
    one = is_in(source, name, "usable")
    assert one.route is not None
    assert one.devices == (0,)
    until(lambda: not ssh_peers(one), "nobody is in it", 10)
    with socket.create_connection((one.route.address, one.route.port)) as line:
        assert line.recv(4) == b"SSH-"
        mine = ssh_peers(one)
        time.sleep(1)
        assert len(mine & ssh_peers(one)) == 1
    until(lambda: not mine & ssh_peers(one), "it has left", 10)
    before = cpu_times_us({one.pid})[one.pid]
    container = f"gpuaas-{name.removeprefix('allocation-')}-1"
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    stage.image.say("exec", container, "sh", "-c", burn)
    assert cpu_times_us({one.pid})[one.pid] - before > 50_000
    source.stop(name, boottime_us())
    is_in(source, name, "stopped")
    assert (cpu_times_us({one.pid, 0}), ssh_peers(one)) == ({}, set())


def test_what_fails_is_started_again_as_often_as_ordered(stage: Stage) -> None:
    """Killed once: the same container runs anew. Killed twice with one restart: it has failed."""
    source = stage.opened()
    name = stage.start(source, restarts=1)
    is_in(source, name, "usable")
    first = stage.pid(name)
    os.kill(first, signal.SIGKILL)
    until(lambda: restarts(source.folder / name) == 1, "a restart")
    is_in(source, name, "usable")
    second = stage.pid(name)
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert is_in(source, name, "failed").code == "runtime.exited"
    assert stage.containers() == []


def test_an_image_that_is_not_stored_here_fails_by_name(stage: Stage) -> None:
    """Allowed, but not what Podman has: nothing runs, and the code says why."""
    wrong = "sha256:" + "0" * 64
    spec = stage.image.spec(digest=wrong)
    stage.image = replace(
        stage.image, settings=replace(stage.image.settings, images={spec.image: wrong})
    )
    source = stage.opened()
    name = stage.start(source, digest=wrong)
    assert is_in(source, name, "failed").code == "image.digest"
    assert stage.containers() == []
