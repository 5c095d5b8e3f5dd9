"""One schedule: a world, a node, a control plane, callers, and what goes wrong among them."""

from api.fleet.state import FleetState
from domain.errors import DomainError
from tests.fleet_model.callers import Callers
from tests.fleet_model.law import Law
from tests.fleet_model.machine import Machine
from tests.fleet_model.parts import (
    HORIZON_US,
    ORPHAN_US,
    RIGHT,
    SECOND,
    BrokenError,
    Found,
    Rules,
)
from tests.fleet_model.plane import Plane
from tests.fleet_model.world import World


class Schedule:
    """One seed from beginning to end; `run` raises BrokenError where an invariant does not hold."""

    def __init__(self, seed: int, rules: Rules = RIGHT) -> None:
        self.world = world = World(seed, rules)
        self.chance = world.chance
        state = FleetState()
        self.machine = machine = Machine(world)
        devices = 4 if seed % 32 == 0 else 2 if seed % 4 == 0 else 1
        self.plane = plane = Plane(world, state, devices)
        self.law = law = machine.law = plane.law = Law(
            world, state, machine.containers, machine.running
        )
        self.callers = Callers(world, plane, machine, law)
        plane.told = self.callers.told
        plane.orders, plane.answers_word = machine.ordered, machine.obey
        machine.hears_beat, machine.hears_word = plane.beaten, plane.heard
        machine.hears_ask = self.callers.certify
        machine.places.taken = self.callers.tempted
        plane.enrol()

    def run(self) -> Found:
        """What happened, when every invariant held."""
        world, machine = self.world, self.machine
        machine.announce()
        nonce = self.plane.anchored_long_ago(machine.spool.pop(), machine.booted_us)
        machine.nonces.append(nonce)
        world.at(0, machine.tick)
        world.at(SECOND, self.plane.tick)
        world.at(SECOND, self.callers.call)
        if world.calm:
            world.slow = min(world.slow, 10)
            for begin in range(0, HORIZON_US, 800 * SECOND):
                world.at(begin + self.chance.within(0, 200 * SECOND), self._trouble)
        else:
            for _ in range(self.chance.within(2, 6)):
                world.at(self.chance.within(0, HORIZON_US), self._trouble)
        world.go_on(HORIZON_US)
        self._settle()
        return world.found

    def _settle(self) -> None:
        """Everything reachable: a minute later nothing runs that the log does not allow."""
        self.world.mend()
        self.machine.boot_again()
        self.plane.up = self.machine.agent_up = True
        self.world.go_on(self.world.true_us + ORPHAN_US + 15 * SECOND)
        self.law.must_have_no_orphan()

    def _trouble(self) -> None:
        world, machine, plane = self.world, self.machine, self.plane
        if world.settling:
            return
        short = 240 * SECOND  # with a renewal every 120 s no lease ends in it
        longest = short if world.calm else 900 * SECOND
        lasting = self.chance.within(SECOND, longest)
        kinds = ("cut", "agent", "plane") if world.calm else ("cut", "agent", "plane", "reboot")
        match self.chance.choice(kinds):
            case "cut":
                world.found.cuts += 1
                world.cut_until_us = max(world.cut_until_us, world.true_us + lasting)
            case "agent":
                world.found.crashes += 1
                machine.agent_up = False
                world.at(lasting, machine.begin_agent)
            case "plane":
                world.found.crashes += 1
                plane.up = False
                world.at(lasting, plane.begin)
            case _:
                world.found.reboots += 1
                machine.power_off()
                world.at(lasting // 4, machine.boot_again)
        if not world.calm:
            world.at(self.chance.within(SECOND, HORIZON_US), self._trouble)


def explored(seeds: range, rules: Rules = RIGHT) -> dict[str, int]:
    """Sums over all schedules of what they went through. Raises: BrokenError with the seed."""
    total: dict[str, int] = {}
    for seed in seeds:
        found = Schedule(seed, rules).run()
        for name in found.__struct_fields__:
            total[name] = total.get(name, 0) + getattr(found, name)
    return total


def broken_by(rules: Rules, seeds: range) -> str:
    """The first invariant that these rules break; empty when none of these seeds shows one."""
    for seed in seeds:
        try:
            Schedule(seed, rules).run()
        except (BrokenError, DomainError) as broken:
            return str(broken)
    return ""
