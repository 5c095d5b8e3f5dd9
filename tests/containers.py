"""A small image with sshd, and a Podman of the tests' own: storage and locks, all removed.

The image's root is bootstrapped once into `build/` (some 100 MB) and stays there.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from agent import cdi
from agent.engine import Settings
from contracts.spec import Spec
from tests.machine import PATH, need

REFERENCE = "localhost/gpuaas-test/ssh:1"
_TAR = Path(__file__).parents[1] / "build" / "rootfs-sshd.tar"
_LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")
# What the development machines need (FLEET.md): limits cannot be raised there.
_ULIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000")


class Image(Struct, frozen=True):
    """The image in a storage of its own; `settings` runs it, `say` asks that Podman something."""

    settings: Settings
    digest: str
    folder: Path

    def say(self, *arguments: str) -> str:
        argv = (*self.settings.podman, *arguments)
        done = subprocess.run(argv, capture_output=True, check=True, env=_env(), timeout=120)
        return done.stdout.decode()

    def spec(self, **changes: object) -> Spec:
        fields: dict[str, object] = {
            "image": REFERENCE, "digest": self.digest, "cpu_milli": 500,
            "memory_bytes": 128 * 2**20, "pids": 64, **changes,
        }  # fmt: skip
        return Spec(**fields)  # type: ignore[arg-type]


def rootfs_tar() -> Path:
    """A Debian with sshd and ip, bootstrapped when it is not in `build/` yet."""
    if not _TAR.exists():
        need("debootstrap", "tar", root=True)
        _TAR.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="gpuaas-rootfs-") as place:
            include = "--include=openssh-server,iproute2"
            argv = ["debootstrap", "--variant=minbase", include, _suite(), f"{place}/root"]
            subprocess.run(argv, check=True, capture_output=True, env=_env())
            left_out = [f"--exclude=./{name}" for name in _LEFT_OUT]
            fresh = _TAR.with_suffix(f".{os.getpid()}")
            argv = ["tar", "-C", f"{place}/root", *left_out, "-cf", str(fresh), "."]
            subprocess.run(argv, check=True, env=_env())
            fresh.rename(_TAR)
    return _TAR


@contextmanager
def podman() -> Iterator[Image]:
    """Podman with the image, in a folder of its own; nothing is left behind."""
    need("podman", "runc", root=True)
    tar = rootfs_tar()
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-podman-"))
    conf = folder / "containers.conf"
    conf.write_text(f'[engine]\nlock_type = "file"\ntmp_dir = "{folder}/libpod"\n')
    settings = Settings(
        kind="podman",
        podman=(
            *("env", f"CONTAINERS_CONF={conf}", "podman", "--runtime", "runc"),
            *("--root", f"{folder}/store", "--runroot", f"{folder}/run"),
            *("--tmpdir", f"{folder}/libpod", "--network-config-dir", f"{folder}/networks"),
        ),
        create=_ULIMITS,
        probe_us=300_000,
    )
    image = Image(settings, "", folder)
    try:
        image.say("import", "--quiet", str(tar), REFERENCE)
        digest = json.loads(image.say("image", "inspect", REFERENCE))[0]["Digest"]
        yield Image(allowing(settings, {REFERENCE: digest}), digest, folder)
    finally:
        _emptied(image)
        shutil.rmtree(folder)


def _emptied(image: Image) -> None:
    """No container and no image is left.

    Podman's own cleanup of a container that just ended may stand in the way of its removal
    ("container state improper: stopped"): it is asked again, as an operator would.
    """
    for left in (2, 1, 0):
        try:
            image.say("rm", "--all", "--force", "--time", "0")
            break
        except subprocess.CalledProcessError as refused:
            if not left or b"state improper" not in refused.stderr:
                raise
            time.sleep(1)
    image.say("rmi", "--all", "--force")


@contextmanager
def unpacked() -> Iterator[Image]:
    """The same root for bubblewrap, unpacked in a folder of its own."""
    need("bwrap", root=True)
    tar = rootfs_tar()
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-rootfs-"))
    digest = "sha256:" + "1" * 64
    root = folder / ("1" * 64)
    root.mkdir()
    try:
        subprocess.run(["tar", "-C", str(root), "-xf", str(tar)], check=True)
        settings = Settings(
            kind="bubblewrap",
            images={REFERENCE: digest},
            rootfs=str(folder),
            probe_us=300_000,
        )
        yield Image(settings, digest, folder)
    finally:
        shutil.rmtree(folder)


def allowing(settings: Settings, images: dict[str, str]) -> Settings:
    """The settings with this allow-list."""
    from msgspec.structs import replace

    return replace(settings, images=images)


@contextmanager
def devices(count: int) -> Iterator[tuple[cdi.Device, ...]]:
    """So many SIMULATED devices of nobody else, with their CDI specs where Podman 4.3 looks."""
    folder = Path(Settings(kind="podman").cdi)
    found = tuple(
        cdi.simulated(index, f"GPU-SIMULATED-{secrets.token_hex(8)}") for index in range(count)
    )
    for device in found:
        cdi.write(folder, device)
    try:
        yield found
    finally:
        for device in found:
            cdi.remove(folder, device.uuid)
        if not any(folder.iterdir()):
            folder.rmdir()


def until(law: Callable[[], bool], what: str, within_s: float = 60) -> float:
    """Returns when `law` holds, after how many seconds; fails with `what`."""
    began = time.monotonic()
    while not law():
        assert time.monotonic() - began < within_s, what
        time.sleep(0.05)
    return time.monotonic() - began


def _suite() -> str:
    found = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return found.get("VERSION_CODENAME", "stable").strip('"')


def _env() -> dict[str, str]:
    return {**os.environ, "PATH": PATH}
