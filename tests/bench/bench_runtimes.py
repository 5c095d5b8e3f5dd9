"""A launch until its sshd answers, beside a bare `podman run` of the same image in the same run."""

import asyncio
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent import probing
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from tests.agent_world import World, story
from tests.bench.bench_log import Measured, fresh_database, row
from tests.conftest import Database
from tests.containers import Image, podman
from tests.crew import Crew, crew_of

ROUNDS = 5


def launch(server: Postgres) -> list[Measured]:
    """Median seconds from the launch's append to `usable` in the log, and of the bare container
    until its sshd greets, one after the other. Floor 3 x, goal 1.5 x (issue 3).
    """
    ours: list[float] = []
    bare: list[float] = []

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            for _ in range(ROUNDS):
                ours.append(await _launched(world, crew))
                bare.append(await asyncio.to_thread(_bare, image, network))
        finally:
            await asyncio.to_thread(crew.clear)

    with (
        podman() as image,
        _network(image) as network,
        fresh_database(server) as urls,
        tempfile.TemporaryDirectory(prefix="gpuaas-bench-") as place,
    ):
        Path(place).chmod(0o711)
        with closing(Nats(Path(place))) as nats:
            story(law, Database(server, urls["name"]), nats, Path(place))
    name = f"launch to usable with sshd answering, median of {ROUNDS}"
    base = "podman run of the same image until sshd answers"
    return [row(name, statistics.median(ours), "s", base, statistics.median(bare))]


@contextmanager
def _network(image: Image) -> Iterator[str]:
    """A network of a free range; one that another Podman of this machine has is passed over."""
    network = f"gpuaas-{secrets.token_hex(4)}"
    for left in reversed(range(5)):
        subnet = f"10.231.{secrets.randbelow(250)}.0/24"
        try:
            image.say("network", "create", "--subnet", subnet, network)
        except subprocess.CalledProcessError:
            if not left:
                raise
        else:
            break
    yield network
    image.say("network", "rm", "--force", network)


async def _launched(world: World, crew: Crew) -> float:
    began = time.perf_counter()
    one = await world.launch(crew.node, 0, crew.image.spec())
    await world.until(one, "runtime.usable", 90)
    took = time.perf_counter() - began
    await world.stop(one)
    await world.until(one, "runtime.stopped", 60)
    return took


def _bare(image: Image, network: str) -> float:
    settings = image.settings
    began = time.perf_counter()
    image.say(
        *("run", "--detach", "--name", "bare", "--network", network, *settings.create),
        *("--tmpfs", "/run/sshd:mode=0755", image.spec().image),
        *("sh", "-c", "ssh-keygen -A >/dev/null; exec /usr/sbin/sshd -D"),
    )
    address = image.say(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "bare"
    ).strip()
    while not probing.banner(address, 22):
        time.sleep(0.01)
    took = time.perf_counter() - began
    image.say("rm", "--force", "--time", "0", "bare")
    return took


BENCHES: list[Callable[[Postgres], list[Measured]]] = [launch]
