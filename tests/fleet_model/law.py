"""What must be true at every instant, looked at with the true clock and the whole log."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from api.fleet.state import FleetState
from api.gateway.doors import Entry
from contracts import ssh
from domain import grant, node, runtime, volume
from tests.fleet_model.parts import (
    EPOCH_US,
    MOST_DRIFT_PPM,
    ORPHAN_US,
    SECOND,
    VOLUME,
    BrokenError,
    Container,
)
from tests.fleet_model.world import World

_WATCHED: Final = frozenset(
    {
        *(node.Allocated, volume.Attached, runtime.Usable, runtime.Routed, runtime.Stopping),
        *(runtime.Stopped, runtime.Lost, runtime.Cancelled, grant.Granted, grant.Revoked),
    }
)
_BLIND_US: Final = 600 * SECOND  # a lease: then the runtime may be somebody else's


class Law:
    """Raises BrokenError, from whatever it is asked, where an invariant does not hold.

    `writers`: allocations that the volume was given to. `routes`: where the log says that a
    runtime answers, until its end. `barred_at`: since which position nobody new may enter a
    runtime, or enter by a grant.
    """

    def __init__(
        self,
        world: World,
        state: FleetState,
        containers: dict[str, Container],
        running: list[Container],
    ) -> None:
        self._world = world
        self._state = state
        self._containers = containers
        self._running = running
        self.writers: set[str] = set()
        self.anchor_delay_us: dict[str, int] = {}
        self.routes: dict[str, tuple[str, int]] = {}
        self.barred_at: dict[str, int] = {}
        self.barred_us: dict[str, int] = {}

    def is_writer(self, allocation: str) -> bool:
        return allocation in self.writers

    def _broken(self, what: str) -> BrokenError:
        return BrokenError(f"seed {self._world.seed}: {what}")

    def must_own(self, name: str, allocation: str) -> None:
        """Who starts physically is who the log names at this instant."""
        live = self._state.runtimes.get(name)
        if live is None or live.allocation != allocation:
            raise self._broken(f"{name} starts on a device it does not own")
        if allocation in self.writers and self._holder() != allocation:
            raise self._broken(f"{name} starts with a volume it does not own")

    def must_not_be_calm(self, what: str) -> None:
        """Nothing dies of outages that are all shorter than a lease."""
        if self._world.calm:
            raise self._broken(what)

    def must_have_no_orphan(self) -> None:
        for one in self._running:
            live = self._state.runtimes.get(one.runtime)
            if live is None or live.allocation != one.allocation:
                raise self._broken(f"{one.runtime} is an orphan after a minute")

    def _holder(self) -> str:
        stored = self._state.volumes.known[VOLUME].state
        assert isinstance(stored, volume.Held)
        return "" if stored.attached is None else stored.attached.allocation

    # ---------------------------------------------------------------- what a fact must not say

    def watch(self, stream: str, position: int, fact: Struct) -> None:
        """Right after the fact was applied."""
        if type(fact) not in _WATCHED:
            return
        match fact:
            case node.Allocated(allocation=allocation, devices=devices):
                given = {share.index for share in devices}
                self._must_run_nowhere(
                    stream, allocation, lambda one: bool(given & set(one.devices))
                )
            case volume.Attached(allocation=allocation):
                self._must_run_nowhere(stream, allocation, lambda one: one.writes)
            case runtime.Lost(lost_us=until_us):
                self._world.found.lost += 1
                self._must_be_off(stream)
                self.must_not_be_calm(f"a short outage lost {stream}")
                self._must_be_attested(stream, until_us)
                self._bar(stream, position)
            case runtime.Stopped(stopped_us=until_us):
                self._world.found.stopped += 1
                self._must_be_off(stream)
                self._must_be_attested(stream, until_us)
                self._bar(stream, position)
            case runtime.Usable(usable_us=since_us):
                self._world.found.usable += 1
                self._must_be_usable(stream, since_us)
            case runtime.Routed(address=address, port=port):
                self._world.found.routed += 1
                self.routes[stream] = (address, port)
                self._must_have_one_owner((address, port))
            case grant.Granted(until_us=until_us):
                self.barred_us[stream] = until_us - EPOCH_US
            case runtime.Stopping() | runtime.Cancelled() | grant.Revoked():
                self._bar(stream, position)
            case _:
                raise AssertionError(fact)

    def _bar(self, stream: str, position: int) -> None:
        now = self._world.true_us
        self.barred_at.setdefault(stream, position)
        self.barred_us[stream] = min(self.barred_us.get(stream, now), now)
        if stream not in self._state.runtimes:
            self.routes.pop(stream, None)

    def _must_run_nowhere(
        self, given: str, allocation: str, has_it: Callable[[Container], bool]
    ) -> None:
        for one in self._running:
            if one.allocation != allocation and has_it(one):
                raise self._broken(f"{one.runtime} runs, {given} is given away")

    def _container(self, name: str) -> Container | None:
        return next((one for one in self._containers.values() if one.runtime == name), None)

    def _must_be_off(self, name: str) -> None:
        one = self._container(name)
        if one is not None and not one.over_us:
            raise self._broken(f"{name} is over in the log and still runs")

    def _must_be_usable(self, name: str, since_us: int) -> None:
        ran = self._container(name)
        if ran is None or since_us < EPOCH_US + ran.began_us - _drifted(ran, ran.began_us):
            raise self._broken(f"{name} is charged before it ran")
        if name not in self.routes and name not in self.barred_at:
            raise self._broken(f"{name} is usable, and nobody knows where")

    def _must_be_attested(self, name: str, until_us: int) -> None:
        """Charged time ends no later than the container did, by the node's own clock."""
        one = self._container(name)
        if one is None or not one.usable_us:
            return
        # An anchor that came late shifts its boot's instants by its delay (agent/README.md).
        late_us = self.anchor_delay_us.get(one.boot, 0)
        latest = EPOCH_US + one.over_us + late_us + _drifted(one, one.over_us)
        if until_us > latest:
            raise self._broken(f"{name} is charged after it ended")

    # ---------------------------------------------------------------- routes

    def _must_have_one_owner(self, place: tuple[str, int]) -> None:
        """Of those that the log routes there, whom a caller would believe on arrival."""
        standing = [one for one in self._running if one.place == place]
        if len(standing) > 1:
            raise self._broken(f"{standing[0].runtime} and {standing[1].runtime} share a place")
        believed = [
            name
            for name, said in self.routes.items()
            if said == place and standing and self.believes(self._principal(name), standing[0])
        ]
        if len(believed) > 1:
            raise self._broken(f"{believed[0]} and {believed[1]} own one route")

    def believes(self, principal: str, met: Container) -> bool:
        """Whether a caller of that principal goes on with whom it met."""
        return not self._world.rules.identified or met.certificate == principal

    def _principal(self, name: str) -> str:
        live = self._state.runtimes[name]
        return ssh.principal(live.allocation, live.epoch)

    def must_lead(self, entry: Entry, met: Container, asked_at: int, asked_us: int) -> None:
        """Whoever asked when the log had come to position `asked_at`, and was let in, met whom it
        asked for, who runs, and whom it might enter then.
        """
        if ssh.principal(met.allocation, met.epoch) != entry.principal:
            raise self._broken(f"who asked for {entry.runtime} is let into {met.runtime}")
        if entry.runtime not in self._state.runtimes or met.over_us:
            raise self._broken(f"{entry.runtime} is entered after its end")
        for name in (entry.runtime, entry.grant):
            if self.barred_at.get(name, asked_at) < asked_at:
                raise self._broken(f"{entry.runtime} is entered though {name} was over")
        if self.barred_us[entry.grant] <= asked_us:
            raise self._broken(f"{entry.runtime} is entered by a grant that was over")

    def must_be_cut(self, entry: Entry, in_sight_us: int, fresh_us: int) -> None:
        """A connection that is still open: nothing of it was over a minute ago, in a log that the
        gateway saw since, and it saw the log within a lease and a minute.
        """
        now = self._world.true_us
        if now - fresh_us > _BLIND_US + ORPHAN_US:
            raise self._broken(f"{entry.runtime} is open to a gateway that is blind for too long")
        for name in (entry.runtime, entry.grant):
            over_us = self.barred_us.get(name, now)
            if now - over_us > ORPHAN_US and now - in_sight_us > ORPHAN_US:
                raise self._broken(f"{entry.runtime} is open though {name} was over")


def _drifted(one: Container, true_us: int) -> int:
    """How far the node's clock may have gone from the true one since it booted."""
    return (true_us - one.booted_us) * MOST_DRIFT_PPM // 1_000_000 + 1
