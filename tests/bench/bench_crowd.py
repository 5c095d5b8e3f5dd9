"""Thousands of SIMULATED agents on one control plane: beats, leases, and all of them coming back.

The control plane, its servers and the crowd share this machine's cores, so a number here is
worse than that of a control plane alone.
"""

import asyncio
import os
import time
from collections.abc import Callable

from agent.simulator.crowd import Crowd, until
from agent.simulator.figures import quantile
from agent.simulator.member import Habits, Member
from api.embedded.postgres import Postgres
from domain import node
from tests.bench.bench_log import Measured, row
from tests.crowd_stage import Hall, busy, gathered, hall

AGENTS = int(os.environ.get("GPUAAS_BENCH_AGENTS", "2000"))
SECONDS = 60
SEED = 7
RETURNS = 100  # members that fall silent, one after the other, and speak again
FLOOR_S, STORM_FLOOR_S = 5.0, 60.0  # issue 3; goals 1 s at 10,000 agents, 15 s
_PATIENCE_S = 600.0
_SILENT_S = 18.0  # more than the control lease of 15 s


def crowd(_server: Postgres) -> list[Measured]:
    """Beat and lease p99 in a minute of calm, then NATS killed with kill -9 and started again:
    seconds from the kill until the last agent holds a renewed lease. The baselines are floors.
    """
    with hall() as here:
        gathering = gathered(here, AGENTS, SEED, Habits(gpus=1))
        beats, leases, storm = asyncio.run(_measured(here, gathering))
    of = f"{AGENTS} SIMULATED agents"
    floor = f"the floor of {FLOOR_S:.0f} s (goal 1 s at 10,000)"
    return [
        row(f"beat of a returning node until it counts, p99, {of}", beats, "s", floor, FLOOR_S),
        row(f"lease asked until granted, p99, {of}", leases, "s", floor, FLOOR_S),
        row(
            f"reconnect storm after kill -9 of NATS until all leases are renewed, {of}",
            *(storm, "s", f"the floor of {STORM_FLOOR_S:.0f} s (goal 15)", STORM_FLOOR_S),
        ),
    ]


async def _measured(here: Hall, crowd: Crowd) -> tuple[float, float, float]:
    try:
        await busy(here, crowd, _PATIENCE_S)
        crowd.figures.fresh()
        first = len(here.entries())
        spoke = await _calm(crowd)
        leases = quantile(crowd.figures.waits_s, 0.99)
        assert len(crowd.figures.waits_s) > AGENTS * SECONDS // 240, "they did renew"
        beats = quantile(_answered(here, first, spoke), 0.99)
        return beats, leases, await _storm(here, crowd)
    finally:
        crowd.stop()


async def _calm(crowd: Crowd) -> dict[str, int]:
    """A minute of heartbeats and renewals; when each returning member spoke, us of the wall."""
    spoke: dict[str, int] = {}

    def speak(member: Member) -> None:
        spoke[member.who.node] = time.time_ns() // 1000
        member.speak()

    loop = asyncio.get_running_loop()
    window = SECONDS - _SILENT_S - 2
    some = crowd.members[:: max(1, AGENTS // RETURNS)][:RETURNS]
    for at, member in enumerate(some):
        when = window * at / len(some)
        loop.call_later(when, member.hush)
        loop.call_later(when + _SILENT_S, speak, member)
    await asyncio.sleep(SECONDS)
    return spoke


def _answered(here: Hall, first: int, spoke: dict[str, int]) -> list[float]:
    """From each return until its `reachable` fact was appended."""
    found = {
        one.stream: one.at_us
        for one in here.entries(first)
        if isinstance(one.fact, node.Reachable) and one.at_us > spoke.get(one.stream, one.at_us)
    }
    assert len(found) > len(spoke) // 2, (len(found), len(spoke))
    return [(found[stream] - spoke[stream]) / 1e6 for stream in found]


async def _storm(here: Hall, crowd: Crowd) -> float:
    nats = here.stack.nats
    assert nats is not None
    living = crowd.storm()
    began = time.monotonic()
    nats.kill()
    await asyncio.to_thread(nats.restart)
    renewed = await until(lambda: all(one.renewed_at for one in living), _PATIENCE_S)
    assert renewed, f"{sum(not one.renewed_at for one in living)} of {len(living)} came not back"
    assert len(living) == AGENTS
    return time.monotonic() - began


BENCHES: list[Callable[[Postgres], list[Measured]]] = [crowd]
