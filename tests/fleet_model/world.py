"""One true clock that nobody in it can read, a queue of what comes, and a network that fails."""

import heapq
import random
from collections.abc import Callable

from tests.fleet_model.parts import EPOCH_US, Found, Rules


class World:
    """`chance` decides all that happens to machines and messages, `chance_of_callers` what callers
    do. `calm`: only outages shorter than a lease, so nothing may die of them.
    """

    def __init__(self, seed: int, rules: Rules) -> None:
        self.chance = random.Random(seed)
        self.chance_of_callers = random.Random(~seed)
        self.rules = rules
        self.seed = seed
        self.found = Found()
        self.true_us = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.calm = self.chance.random() < 0.3  # only outages shorter than a lease may kill nobody
        self.settling = False
        self.cut_until_us = 0
        self.slow = self.chance.choice((1, 1, 10, 100))
        self.loss = self.chance.choice((0.0, 0.05, 0.3))

    def now_us(self) -> int:
        """The platform's clock: the true one."""
        return EPOCH_US + self.true_us

    def at(self, delay_us: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.true_us + delay_us, self._count, what))

    def go_on(self, until_us: int) -> None:
        """Everything that comes before that instant."""
        queue = self._queue
        while queue and queue[0][0] < until_us:
            self.true_us, _, what = heapq.heappop(queue)
            what()

    def carry(self, deliver: Callable[[], None]) -> None:
        """Late, lost or twice: as the network likes."""
        if self.true_us < self.cut_until_us or self.chance.random() < self.loss:
            return
        times = 2 if self.chance.random() < 0.1 else 1
        for _ in range(times):
            self.at(self.chance.randint(1_000, 500_000) * self.slow, deliver)

    def mend(self) -> None:
        """A network without faults from now on."""
        self.cut_until_us = 0
        self.slow, self.loss, self.settling = 1, 0.0, True
