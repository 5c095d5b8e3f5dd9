"""Nodes of their own on a living stack, one model each, and an outage of everything above them."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
from msgspec import Struct

from agent.clock import boottime_us
from agent.engines import engine_of
from agent.keeper import read_deadline
from api.agents import invite
from api.edge import instant, now_us
from api.embedded import children
from api.supervisor import Stack
from domain import node, runtime
from tests.containers import until
from tests.kills_money import sealed
from tests.story_world import PATIENCE_S, Scene, clear, engine_options

AHEAD_US = 3_000_000


class Alone(Struct, frozen=True):
    """A node by the model that only it has, and the agent that serves it."""

    model: str
    state: Path
    child: "subprocess.Popen[bytes]"


class Ran(Struct, frozen=True):
    """A usable runtime: its folder on the node, its first process."""

    runtime: str
    folder: Path
    pid: int

    def left_s(self) -> float:
        """Seconds until its deadline; negative once that has passed."""
        return (read_deadline(self.folder) - boottime_us()) / 1e6


@contextmanager
def nodes(place: Scene, lease_s: dict[str, int]) -> Iterator[dict[str, Alone]]:
    """One more node a model, which runs so long alone; afterwards nothing of them is left."""
    stack, made = place.stack, dict[str, Alone]()
    try:
        for model, seconds in lease_s.items():
            state = stack.settings.data / f"agent-{model}"
            token = invite(stack.url, place.office.operator, model, model)
            argv = [
                *(sys.executable, "-m", "agent", "--state", str(state), "--api", stack.url),
                *("--nats", stack.settings.nats_node_url, "--model", model, "--gpus", "2"),
                *("--lease-us", str(seconds * 1_000_000), "--renew-us", "1000000"),
                *("--tend-us", "1000000", *engine_options(place.image)),
            ]
            env = {**stack.settings.environment(), "GPUAAS_ENROL_TOKEN": token}
            child = children.start(argv, stack.settings.data / f"agent-{model}.log", env=env)
            made[model] = Alone(model, state, child)
        priced(place, [*lease_s])
        yield made
    finally:
        for one in made.values():
            children.stop(one.child, signal.SIGTERM)
            clear(one.state, place.image, 2)


def priced(place: Scene, models: list[str]) -> None:
    """Each has a price that is in effect, and devices that answer."""
    soon_us = now_us() + AHEAD_US
    for model in models:
        price = {"amount": "3.600000000000", "currency": "USD"}
        body = {"model": model, "price": price, "effective_from": instant(soon_us)}
        answer = place.office.post("/v1/prices", body)
        assert answer.status_code == 201, answer.text
    time.sleep(max(0, soon_us - now_us()) / 1e6)

    def offered() -> bool:
        known = place.office.get("/v1/capacity").json()["models"]
        return set(models) <= {one["model"] for one in known if one["free_devices"]}

    until(offered, "the nodes are there", PATIENCE_S)


def asked(place: Scene, project: str, at: Alone) -> str:
    """A launch of one whole device of the node."""
    body = {
        "project": project, "name": "r", "models": [at.model], "cpu_milli": 500,
        "image": next(iter(place.image.settings.images)), "memory_bytes": 128 * 2**20,
    }  # fmt: skip
    answer = place.office.post("/v1/runtimes", body, place.office.member)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ran(place: Scene, found: str, at: Alone) -> Ran:
    """That launch, once its container is usable."""
    place.until_state(found, "usable")
    engine = engine_of(place.image.settings)
    shown = place.office.get(f"/v1/runtimes/{found}", place.office.member).json()
    [box] = [
        one
        for one in engine.list_all(shown["node"])
        if one.allocation == shown["route"]["allocation"]
    ]
    return Ran(found, at.state / "runtimes" / box.allocation, box.pid)


def take_away(stack: Stack) -> None:
    """Kill -9 of NATS, PostgreSQL and the API."""
    assert stack.nats is not None
    assert stack.postgres is not None
    stack.nats.kill()
    stack.postgres.kill()
    stack.kill("serve")


def bring_back(stack: Stack) -> None:
    """Returns when the API answers; what ended with the servers is begun again."""
    assert stack.nats is not None
    assert stack.postgres is not None
    stack.postgres.restart()
    stack.nats.restart()

    def served() -> bool:
        stack.tend()
        with suppress(httpx.TransportError):
            return httpx.get(f"{stack.url}/v1/health", timeout=2).status_code == 200
        return False

    until(served, "the API answers", PATIENCE_S)


def renewals(place: Scene, name: str) -> list[int]:
    """Instants of the renewals that named this runtime, in order."""
    facts = [entry.fact for entry in place.log() if entry.stream.startswith("node-")]
    return [
        one.renewed_us
        for one in facts
        if isinstance(one, node.LeaseRenewed)
        if name in one.runtimes
    ]


def words(place: Scene, name: str) -> list[str]:
    """What became of a runtime since it was started, in order."""
    facts = [entry.fact for entry in place.log() if entry.stream == name]
    told = (runtime.Usable, runtime.Degraded, runtime.Stopping, *runtime.Final.__value__.__args__)
    return [type(one).__name__ for one in facts if isinstance(one, told)]


def charged(place: Scene, name: str, milli: int) -> None:
    """Every microsecond that its node attested is charged once, in pieces without a gap."""
    with psycopg.connect(place.stack.settings.database_url, autocommit=True) as conn:

        def pieces() -> list[tuple[int, int, int]]:
            return sorted(
                (row["start_us"], row["end_us"], row["quantity"])
                for row in sealed(conn, "rated_interval")
                if row["resource"] == name and row["sign"] == 1
            )

        until(lambda: bool(pieces()), "its charge is sealed", PATIENCE_S)
        found = pieces()
    facts = [entry.fact for entry in place.log() if entry.stream == name]
    [since] = [one.usable_us for one in facts if isinstance(one, runtime.Usable)]
    [ended] = [one.stopped_us for one in facts if isinstance(one, runtime.Stopped)]
    assert (found[0][0], found[-1][1]) == (since, ended)
    assert [one[0] for one in found[1:]] == [one[1] for one in found[:-1]]
    assert sum(one[2] for one in found) == milli * (ended - since)
