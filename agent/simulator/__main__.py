"""`python -m agent.simulator`: a crowd of SIMULATED nodes against a control plane of yours."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress

from agent.simulator.crowd import Crowd
from agent.simulator.enrolling import Front, enrolled
from agent.simulator.figures import quantile
from agent.simulator.member import Habits
from contracts import fleet
from contracts.signing import FleetError

_SAID_EACH_S = 5.0


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What the crowd is made of; the operator's token comes from GPUAAS_TOKEN, not from `ps`."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.simulator",
        description="Many agents in one program: real protocol, SIMULATED GPUs and runtimes.",
    )
    parser.add_argument("--api", required=True, help="URL of the control plane")
    parser.add_argument("--nats", default="", help="NATS URL, where enrolment's is not reachable")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--gpus", type=int, default=8, help="SIMULATED devices of each")
    parser.add_argument("--model", default="T4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--renew-us", type=int, default=fleet.RENEW_US)
    parser.add_argument("--heartbeat-us", type=int, default=fleet.HEARTBEAT_US)
    parser.add_argument("--seconds", type=float, default=0, help="end by itself; 0 = on Ctrl-C")
    parser.add_argument("--faults", type=float, default=0, help="cuts, kills, reboots a second")
    return parser.parse_args(arguments)


async def run(given: argparse.Namespace) -> None:
    """Enrols the crowd and lets it live until it is told to end. Raises: FleetError enrol.*."""
    front = Front(given.api.rstrip("/"), os.environ.get("GPUAAS_TOKEN", ""))
    who = await asyncio.to_thread(
        enrolled, front, given.seed, given.agents, given.model, given.gpus
    )
    habits = Habits(given.gpus, 500_000, given.heartbeat_us, given.renew_us)
    crowd = Crowd(who, habits, given.seed, given.nats)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if given.seconds:
        loop.call_later(given.seconds, stop.set)
    crowd.start()
    troubled = asyncio.create_task(_trouble(crowd, given.faults))
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_SAID_EACH_S):
                    await stop.wait()
            print(_line(crowd), flush=True)
    finally:
        troubled.cancel()
        crowd.stop()


async def _trouble(crowd: Crowd, faults: float) -> None:
    while faults > 0:
        await asyncio.sleep(1 / faults)
        crowd.disturb()


def _line(crowd: Crowd) -> str:
    figures = crowd.figures
    waits = figures.waits_s
    return (
        f"SIMULATED {crowd.entered()}/{len(crowd.members)} connected, {figures.beats} beats, "
        f"{len(waits)} leases (p50 {quantile(waits, 0.5):.3f} s, p99 {quantile(waits, 0.99):.3f} s)"
        f" {dict(figures.counts)}"
    )


def main(arguments: list[str] | None = None) -> int:
    """0 at the end, 1 with one sentence on stderr when the crowd could not be enrolled."""
    try:
        asyncio.run(run(parsed(sys.argv[1:] if arguments is None else arguments)))
    except FleetError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
