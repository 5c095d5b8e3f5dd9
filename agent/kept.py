"""Real runtimes: one folder and one keeper each; the agent writes orders and reads what was seen.

    <state>/runtimes/<allocation>/  order.json deadline stop policy.json seen.json lock ssh/ log …
    <state>/networks/<hash>.json    the newest policy of each network that was told to this node

The folder is the only thing agent and keeper share, so neither ever waits for the other.
"""

import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent import cdi, sshd, volume_mounts
from agent.cdi import Device
from agent.engine import EngineError, Order, Settings, detached, environment, read_order
from agent.engines import engine_of
from agent.files import replace_file
from agent.keeper import Seen, locked, read_deadline, read_seen
from agent.runtimes import Observed, Route
from contracts.fleet import Share
from contracts.network import Policy, fault_of
from contracts.signing import FleetError
from contracts.spec import Spec

_ALLOCATION = re.compile(r"allocation-[A-Za-z0-9-]{1,64}")
_OVER = ("stopped", "failed")
# How long after its end a runtime's words stay readable.
_KEPT_US = 86_400_000_000


class KeptRuntimes:
    """The source of real containers on one node, in one boot. As the Runtimes contract says.

    `devices` in order of their index. Opening it voids what another boot had: its keepers, if any
    live, end what they kept, and `tend` ends the rest.
    """

    def __init__(
        self, state: Path, node: str, boot: str, settings: Settings, devices: Sequence[Device]
    ) -> None:
        self.folder = state.absolute() / "runtimes"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._networks = state.absolute() / "networks"
        self._node = node
        self._boot = boot
        self._settings = settings
        self._devices = tuple(devices)
        self._state = state.absolute()
        self._children: list[int] = []
        volume_mounts.wake_all(self._state)
        for order, folder in self._orders():
            if order.boot != boot or order.node != node:
                forget(folder)
        for device in self._devices:
            cdi.write(Path(settings.cdi), device)

    def start(
        self,
        allocation: str,
        runtime: str,
        epoch: int,
        devices: tuple[Share, ...],
        now_us: int,
        deadline_us: int,
        spec: Spec | None = None,
    ) -> None:
        """As Runtimes.start; an image that the operator's allow-list lacks is refused."""
        # It names a folder and a container: nothing else may be meant by it.
        if not _ALLOCATION.fullmatch(allocation):
            raise FleetError("device.unknown", "not the name of an allocation")
        folder = self.folder / allocation
        if read_order(folder) is None:
            if spec is None:
                raise FleetError("image.missing", "this node runs images, and none was ordered")
            if spec.network is not None:
                self._enforceable(spec.network)
            if self._settings.images.get(spec.image) != spec.digest:
                raise FleetError("image.refused", f"{spec.image} {spec.digest} is not on the list")
            self._preflight(devices)
            self._volumes(spec, allocation, epoch, volume_mounts.may_hold)
            folder.mkdir(exist_ok=True)
            # A crash before the order is there leaves a folder that nobody obeys.
            order = Order(
                node=self._node,
                boot=self._boot,
                allocation=allocation,
                runtime=runtime,
                epoch=epoch,
                started_us=now_us,
                shares=tuple((share.index, share.milli) for share in devices),
                devices=tuple(self._devices[share.index] for share in devices),
                folder=str(folder),
                spec=spec,
                host_key=sshd.prepare(folder / "ssh", spec),
                settings=self._settings,
            )
            replace_file(folder / "deadline", str(deadline_us).encode())
            newest = None if spec.network is None else self._newest(spec.network.network)
            if newest is not None:
                replace_file(folder / "policy.json", msgspec.json.encode(newest))
            replace_file(folder / "order.json", msgspec.json.encode(order))
        found = read_order(folder)
        if found is not None:
            # After the order: whoever holds a volume without one is nobody, and loses it.
            self._volumes(found.spec, allocation, found.epoch, volume_mounts.hold)
        self._keep(folder)

    def stop(self, allocation: str, now_us: int) -> bool:
        """As Runtimes.stop; its keeper carries it out, however often it has to try."""
        folder = self.folder / allocation
        if read_order(folder) is None:
            return False
        replace_file(folder / "stop", str(now_us).encode())
        self._keep(folder)
        return True

    def obey(self, policy: Policy, now_us: int) -> None:  # noqa: ARG002  the contract's
        """As Runtimes.obey; each keeper sees its file change."""
        self._enforceable(policy)
        newest = self._newest(policy.network)
        if newest is None or newest.version < policy.version:
            self._networks.mkdir(exist_ok=True)
            replace_file(self._network(policy.network), msgspec.json.encode(policy))
            newest = policy
        for order, folder in self._orders():
            if order.spec.network is not None and order.spec.network.network == policy.network:
                replace_file(folder / "policy.json", msgspec.json.encode(newest))

    def arm(self, deadline_us: int, now_us: int) -> None:
        """As Runtimes.arm; a deadline that has passed stays where it is."""
        for _order, folder in self._orders():
            if now_us < read_deadline(folder) < deadline_us:
                replace_file(folder / "deadline", str(deadline_us).encode())

    def observe(self, now_us: int) -> list[Observed]:  # noqa: ARG002  the contract's
        """As Runtimes.observe; from files, never from the engine."""
        orders = sorted(self._orders(), key=lambda one: one[0].started_us)
        return [_observed(order, read_seen(folder)) for order, folder in orders]

    def tend(self, now_us: int) -> None:
        """As Runtimes.tend. Raises: EngineError when the engine does not answer: try again."""
        self._children = [one for one in self._children if not _has_ended(one)]
        for _order, folder in self._orders():
            seen = read_seen(folder)
            if seen is None or seen.state not in _OVER:
                self._keep(folder)
            elif now_us - seen.since_us > _KEPT_US:
                forget(folder)
                shutil.rmtree(folder)
        self._forget_networks()
        self.end_others()
        volume_mounts.tidy(self._state, self._lives)

    def end_others(self) -> int:
        """How many containers of this node were ended: those that no order here allows."""
        engine = engine_of(self._settings)
        count = 0
        for one in engine.list_all(self._node):
            # An order is there before its container: one without is nobody's, in any race.
            order = read_order(self.folder / one.allocation)
            if order is not None and (order.boot, order.epoch) == (one.boot, one.epoch):
                continue
            engine.remove(one)
            count += 1
        engine.clear(self._node, self._walled, self.folder)
        return count

    def _walled(self) -> list[str]:
        return [order.name for order, folder in self._orders() if not _is_over(folder)]

    def close(self) -> None:
        """As Runtimes.close."""
        self._children.clear()

    def logs(self, allocation: str, most_bytes: int) -> bytes:
        """As Runtimes.logs."""
        if not _ALLOCATION.fullmatch(allocation):
            return b""
        try:
            with (self.folder / allocation / "log").open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(0, size - most_bytes))
                return log.read(most_bytes)
        except OSError:
            return b""

    def terminal_argv(self, allocation: str) -> tuple[str, ...]:
        """A shell in the runtime, run on the node. Raises: FleetError terminal.not_running."""
        folder = self.folder / allocation
        order, seen = read_order(folder), read_seen(folder)
        if order is None or seen is None or seen.state in _OVER or not seen.pid:
            raise FleetError("terminal.not_running", f"{allocation} does not run here")
        return engine_of(self._settings).shell(order, seen.pid)

    def _enforceable(self, policy: Policy) -> None:
        """Raises: FleetError network.malformed | network.unenforced."""
        fault = fault_of(policy.egress)
        if fault:
            raise FleetError("network.malformed", fault)
        if self._settings.network or self._settings.kind != "podman":
            raise FleetError("network.unenforced", "this node has no walls: it keeps no policy")

    def _network(self, name: str) -> Path:
        return self._networks / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def _newest(self, name: str) -> Policy | None:
        try:
            return msgspec.json.decode(self._network(name).read_bytes(), type=Policy)
        except (OSError, msgspec.DecodeError):
            return None

    def _forget_networks(self) -> None:
        """Those that nothing here is in, a day after their change: no start is that late."""
        used = {order.spec.network.network for order, _ in self._orders() if order.spec.network}
        kept = {self._network(name) for name in used}
        for path in self._networks.iterdir() if self._networks.is_dir() else ():
            if path not in kept and time.time() - path.stat().st_mtime > _KEPT_US / 1e6:
                path.unlink()

    def _lives(self, allocation: str, epoch: int) -> bool:
        folder = self.folder / allocation
        order, seen = read_order(folder), read_seen(folder)
        over = seen is not None and seen.state in _OVER
        return order is not None and order.epoch == epoch and not over

    def _volumes(
        self, spec: Spec, allocation: str, epoch: int, act: Callable[[Path, Spec, str, int], None]
    ) -> None:
        """Raises: FleetError volume.*: nothing was started."""
        if spec.volumes and (self._settings.kind != "podman" or os.geteuid() != 0):
            raise FleetError("volume.unsupported", "volumes need Podman, run as root")
        try:
            act(self._state, spec, allocation, epoch)
        except EngineError as error:
            raise FleetError(error.code, error.detail) from error

    def _preflight(self, devices: tuple[Share, ...]) -> None:
        used: dict[int, int] = {}
        for order, folder in self._orders():
            seen = read_seen(folder)
            if seen is not None and seen.state in _OVER:
                continue
            for index, milli in order.shares:
                used[index] = used.get(index, 0) + milli
        for share in devices:
            if not 0 <= share.index < len(self._devices):
                raise FleetError("device.unknown", f"no device {share.index} here")
            if used.get(share.index, 0) + share.milli > 1000:
                raise FleetError("device.busy", f"device {share.index} is taken")

    def _orders(self) -> list[tuple[Order, Path]]:
        found = []
        for folder in sorted(self.folder.iterdir()):
            order = read_order(folder)
            if order is not None:
                found.append((order, folder))
        return found

    def _keep(self, folder: Path) -> None:
        """A keeper has the folder, or is on its way. Two at once: the lock lets one live."""
        handle = locked(folder)
        if handle < 0:
            return
        os.close(handle)
        argv = [sys.executable, "-m", "agent.keeper", str(folder)]
        env = {**environment(), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self._children.append(detached(argv, folder / "keeper.log", env))


def end_all(state: Path, node: str, settings: Settings) -> int:
    """How many containers were ended: every one of this node. For a journal that is lost.

    Raises: EngineError when the engine does not answer: some may run on until their deadline.
    """
    runtimes = KeptRuntimes(state, node, "", settings, ())
    count = runtimes.end_others()
    volume_mounts.tidy(state.absolute(), lambda *_: False)
    return count


def forget(folder: Path) -> None:
    """Nobody obeys the order any more: a keeper that lives ends what it keeps."""
    (folder / "order.json").unlink(missing_ok=True)
    for name in ("seen.json", "stop"):
        (folder / name).unlink(missing_ok=True)


def _is_over(folder: Path) -> bool:
    seen = read_seen(folder)
    return seen is not None and seen.state in _OVER


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True


def _observed(order: Order, seen: Seen | None) -> Observed:
    devices = tuple(index for index, _ in order.shares)
    if seen is None:
        name, at_us = order.runtime, order.started_us
        return Observed(order.allocation, name, "starting", at_us, devices=devices)
    route = None
    if seen.state == "usable":
        route = Route(seen.address, seen.port, order.host_key)
    return Observed(
        *(order.allocation, order.runtime, seen.state, seen.since_us, seen.code, route),
        *(seen.counted, devices, seen.pid),
    )
