import argparse
import asyncio
import ipaddress
import os
import shlex
import signal
import sqlite3
import sys
from pathlib import Path

import msgspec

from agent.config import Config
from agent.engine import Settings
from agent.idle_bounds import Bounds
from agent.line import forget_lost
from agent.run import run
from agent.usage import SLICE_US
from agent.watchdog_device import Watchdog
from contracts import fleet
from contracts.signing import FleetError

_SECOND_US = 1_000_000
_HOUR_US = 3_600_000_000


def parsed(arguments: list[str]) -> Config:
    """The settings of one agent; the token comes from GPUAAS_ENROL_TOKEN, not from `ps`."""
    parser = argparse.ArgumentParser(
        prog="python -m agent", description="Node agent: real GPUs through NVML, or SIMULATED ones."
    )
    parser.add_argument("--state", type=Path, required=True, help="its only durable directory")
    parser.add_argument("--api", default="", help="URL of the control plane, to enrol")
    parser.add_argument("--ca", type=Path, help="CA certificate of the control plane")
    parser.add_argument("--nats", default="", help="NATS URL, where enrolment's is not reachable")
    parser.add_argument(
        "--devices", choices=("simulated", "nvml"), default="simulated", help="SIMULATED or real"
    )
    parser.add_argument("--nvml-library", type=Path, help="libnvidia-ml.so.1, absolute path")
    parser.add_argument("--cuda-library", type=Path, help="libcuda.so.1, absolute path")
    parser.add_argument("--model", default="T4", help="GPU model to simulate")
    parser.add_argument("--gpus", type=int, default=8, help="how many to simulate")
    parser.add_argument(
        "--usable-after-us", type=int, default=500_000, help="delay from start to usable, us"
    )
    parser.add_argument(
        "--lease-us", type=int, default=fleet.LEASE_US, help="end runtimes after so long alone, us"
    )
    parser.add_argument(
        "--renew-us", type=int, help="between renewals; a fifth of the lease unless given"
    )
    parser.add_argument(
        "--idle-after-us", type=int, default=600_000_000, help="unused for so long is idle, us"
    )
    parser.add_argument(
        "--idle-gpu-percent", type=int, default=5, help="a GPU at work up to this is not used"
    )
    parser.add_argument(
        "--usage-us", type=int, default=SLICE_US, help="between readings of a counter, us"
    )
    _engine_options(parser)
    _watchdog_options(parser)
    given = parser.parse_args(arguments)
    return Config(
        state=given.state,
        api_url=given.api,
        ca_file=given.ca,
        nats_url=given.nats,
        token=os.environ.get("GPUAAS_ENROL_TOKEN", ""),
        devices=given.devices,
        nvml_library=given.nvml_library,
        cuda_library=given.cuda_library,
        model=given.model,
        gpus=given.gpus,
        usable_after_us=given.usable_after_us,
        lease_us=_lease(given.lease_us),
        renew_us=_renewal(given.renew_us, given.lease_us),
        engine=_engine(given),
        tend_us=given.tend_us,
        usage_us=_slice(given.usage_us),
        idle=_idle(given),
        watchdog=_watchdog(given),
    )


def _engine_options(parser: argparse.ArgumentParser) -> None:
    engines = parser.add_argument_group("containers", "instead of SIMULATED runtimes")
    engines.add_argument(
        "--engine", choices=("simulated", "podman", "bubblewrap"), default="simulated"
    )
    engines.add_argument("--images", type=Path, help="allow-list: JSON, reference -> digest")
    engines.add_argument("--rootfs", default="", help="unpacked images, by hex digest (bubblewrap)")
    engines.add_argument("--podman", default="podman", help="program and its global options")
    engines.add_argument("--create", default="", help="more options of podman create (ulimits)")
    engines.add_argument(
        "--network", default="", help="a Podman network instead of our own walls: denies NOTHING"
    )
    engines.add_argument("--range", default="10.213.0.0/16", help="addresses of runtimes (IPv4)")
    for flag, what in (
        ("--open", "a private range that policies may name"),
        ("--deny", "a range that no policy opens"),
        ("--gateway", "who besides this node may connect to runtimes"),
    ):
        engines.add_argument(flag, action="append", default=[], metavar="CIDR", help=what)
    engines.add_argument("--cdi", default="/var/run/cdi", help="where CDI specs are written")
    engines.add_argument("--probe-us", type=int, default=60_000_000, help="between probes")
    engines.add_argument("--tend-us", type=int, default=10_000_000, help="between rounds")


def _watchdog_options(parser: argparse.ArgumentParser) -> None:
    plain = Watchdog(device="")
    last = parser.add_argument_group("last resort", "for containers that no process can end")
    last.add_argument(
        "--watchdog-device", default="", help="/dev/watchdog: RESETS this machine when one is late"
    )
    last.add_argument(
        "--watchdog-timeout-s", type=int, default=plain.timeout_s, help="of the device, s"
    )
    last.add_argument(
        "--watchdog-grace-us", type=int, default=plain.grace_us, help="past a deadline, us"
    )
    last.add_argument(
        "--watchdog-stand-in", action="store_true", help="tests: a FIFO for a device, SIMULATED"
    )


def _watchdog(given: argparse.Namespace) -> Watchdog | None:
    if not given.watchdog_device:
        return None
    if given.engine == "simulated":
        raise FleetError("config.malformed", "--watchdog-device is for real containers: --engine")
    if given.watchdog_timeout_s < 1 or given.watchdog_grace_us < _SECOND_US:
        text = "--watchdog-timeout-s is 1 s or more, --watchdog-grace-us 1 s or more"
        raise FleetError("config.malformed", text)
    return Watchdog(
        device=given.watchdog_device,
        timeout_s=given.watchdog_timeout_s,
        grace_us=given.watchdog_grace_us,
        stand_in=given.watchdog_stand_in,
    )


def _lease(lease_us: int) -> int:
    if not _SECOND_US <= lease_us <= fleet.LEASE_US:
        raise FleetError(
            "config.malformed", f"--lease-us is 1 s to {fleet.LEASE_US // _SECOND_US} s"
        )
    return lease_us


def _idle(given: argparse.Namespace) -> Bounds:
    if given.idle_after_us < _SECOND_US or not 0 <= given.idle_gpu_percent < 100:
        text = "--idle-after-us is 1 s or more, --idle-gpu-percent 0 to 99"
        raise FleetError("config.malformed", text)
    return Bounds(given.idle_after_us, given.idle_gpu_percent)


def _slice(usage_us: int) -> int:
    if not _SECOND_US <= usage_us <= _HOUR_US:
        raise FleetError("config.malformed", "--usage-us is 1 s to an hour")
    return usage_us


def _renewal(renew_us: int | None, lease_us: int) -> int:
    asked_us = lease_us // 5 if renew_us is None else renew_us
    if not 0 < asked_us < lease_us:
        raise FleetError("config.malformed", "--renew-us is less than the lease")
    return asked_us


def _engine(given: argparse.Namespace) -> Settings | None:
    if given.engine == "simulated":
        return None
    images: dict[str, str] = {}
    if given.images is not None:
        try:
            images = msgspec.json.decode(given.images.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError) as error:
            raise FleetError("config.malformed", f"{given.images}: {error}") from error
    return Settings(
        kind=given.engine,
        podman=tuple(shlex.split(given.podman)),
        create=tuple(shlex.split(given.create)),
        network=given.network,
        range=_cidr(given.range),
        opened=tuple(_cidr(one) for one in given.open),
        denied=tuple(_cidr(one) for one in given.deny),
        gateways=tuple(_cidr(one) for one in given.gateway),
        images=images,
        rootfs=given.rootfs,
        cdi=given.cdi,
        probe_us=given.probe_us,
    )


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise FleetError("config.malformed", f"{text}: {error}") from error


async def _until_signal(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    forget_lost(loop)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(config, stop)


def main(arguments: list[str] | None = None) -> int:
    """0 after a clean stop, 1 with one sentence on stderr when the agent must not go on."""
    try:
        config = parsed(sys.argv[1:] if arguments is None else arguments)
    except FleetError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 1
    try:
        asyncio.run(_until_signal(config))
    except FleetError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 1
    except (sqlite3.OperationalError, OSError) as error:
        # A full disk: what it could not write down it has not done. Started again, it resumes.
        sys.stderr.write(f"agent: {config.state} cannot be written: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
