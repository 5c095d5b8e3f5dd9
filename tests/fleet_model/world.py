"""One true clock that nobody in it can read, a queue of what comes, and a network that fails."""

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from tests.fleet_model.parts import EPOCH_US, Found, Rules


class Chance(random.Random):
    """Draws from a seed."""

    def within(self, low: int, high: int) -> int:
        """As `randint`, in a third of its time; not so even that it would do for keys."""
        return low + int(self.random() * (high - low + 1))


class World:
    """`chance` decides all that happens to machines and messages, `chance_of_callers` what callers
    do. `calm`: only outages shorter than a lease, so nothing may die of them.
    """

    def __init__(self, seed: int, rules: Rules) -> None:
        self.chance = Chance(seed)
        self.chance_of_callers = Chance(~seed)
        self.rules = rules
        self.seed = seed
        self.found = Found()
        self.true_us = 0
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self.calm = self.chance.random() < 0.3  # only outages shorter than a lease may kill nobody
        self.settling = False
        self.cut_until_us = 0
        self.slow = self.chance.choice((1, 1, 10, 100))
        self.loss = self.chance.choice((0.0, 0.05, 0.3))

    def now_us(self) -> int:
        """The platform's clock: the true one."""
        return EPOCH_US + self.true_us

    def at(self, delay_us: int, what: Callable[..., None], *given: Any) -> None:
        self._count += 1
        heappush(self._queue, (self.true_us + delay_us, self._count, what, given))

    def again(self, low_us: int, high_us: int, what: Callable[[], None]) -> None:
        """Once more, between these two from now: `at` and `within`, for what ticks all the time."""
        self._count += 1
        wait_us = low_us + int(self.chance.random() * (high_us - low_us + 1))
        heappush(self._queue, (self.true_us + wait_us, self._count, what, ()))

    def go_on(self, until_us: int) -> None:
        """Everything that comes before that instant."""
        queue, pop = self._queue, heappop
        while queue and queue[0][0] < until_us:
            self.true_us, _, what, given = pop(queue)
            what(*given)

    def carry(self, deliver: Callable[..., None], *given: Any) -> None:
        """Late, lost or twice: as the network likes."""
        draw = self.chance.random
        if self.true_us < self.cut_until_us or draw() < self.loss:
            return
        for _ in range(2 if draw() < 0.1 else 1):
            self._count += 1
            late_us = (1_000 + int(draw() * 499_001)) * self.slow
            heappush(self._queue, (self.true_us + late_us, self._count, deliver, given))

    def mend(self) -> None:
        """A network without faults from now on."""
        self.cut_until_us = 0
        self.slow, self.loss, self.settling = 1, 0.0, True
