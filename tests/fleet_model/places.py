"""Where containers answer: few addresses and ports, given again as soon as nobody has them."""

import ipaddress
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.gateway.parts import Networks
from api.ssh.authority import public_text
from tests.fleet_model.parts import SECOND, Container
from tests.fleet_model.world import World

NETWORKS: Final[Networks] = (
    ipaddress.ip_network("10.9.0.0/24"),
    ipaddress.ip_network("127.0.0.0/8"),
)
HOST_KEYS: Final = tuple(
    public_text(Ed25519PrivateKey.from_private_bytes(bytes([at]) * 32).public_key())
    for at in range(1, 33)
)


class Places:
    """Behind walls each container has an address (agent/walls.py), without it a port of the machine
    (agent/bubblewrap.py). An engine that restarts one may put it somewhere else. `taken` hears of
    each container that comes to a place.
    """

    def __init__(
        self, world: World, containers: dict[str, Container], running: list[Container]
    ) -> None:
        self._world = world
        self._containers = containers
        self._running = running
        self._chance = world.chance_of_callers
        self.taken: Callable[[Container], None]
        walled = self._chance.random() < 0.5
        self._places = tuple(
            (f"10.9.0.{2 + at}", 22) if walled else ("127.0.0.1", 2_200 + at) for at in range(5)
        )

    def give(self, one: Container) -> None:
        """A place that no running container has."""
        one.place = self._free()
        one.answers_us = one.ready_us
        self.taken(one)
        if self._chance.random() < 0.3:
            self._world.at(self._chance.within(0, 300 * SECOND), self._move, one)

    def answering(self, address: str, port: int) -> Container | None:
        """Whose sshd answers there at this instant."""
        for one in self._running:
            if one.place == (address, port):
                return one if self._world.true_us >= one.answers_us else None
        return None

    def _move(self, one: Container) -> None:
        """It begins again elsewhere; with a neighbour that does so too, where that was."""
        if one.over_us or one.told != "usable":
            return
        other = next((other for other in self._running if other is not one), None)
        both = [one]
        if other is not None and other.told == "usable":
            one.place, other.place = other.place, one.place
            both.append(other)
        else:
            one.place = self._free()
        for moved in both:
            moved.answers_us = self._world.true_us + self._chance.within(0, 5 * SECOND)
            self.taken(moved)

    def _free(self) -> tuple[str, int]:
        # What was left last is taken first: the worst that can come.
        taken = {other.place for other in self._running}
        left = [one.place for one in reversed(self._containers.values()) if one.place not in taken]
        return next(iter(left), next(place for place in self._places if place not in taken))
