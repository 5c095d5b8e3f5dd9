"""Thousands of agents on one event loop, calm or disturbed, the same from the same seed."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final, Literal

from agent.simulator.figures import Figures
from agent.simulator.member import Habits, Identity, Member

type Fault = Literal["cut", "restart", "reboot", "silence"]
FAULTS: Final[tuple[Fault, ...]] = ("cut", "restart", "reboot", "silence")
# Longer than the control lease of 15 s, far shorter than an ownership lease.
SILENCE_S: Final = 20.0


class Crowd:
    """`seed` decides who connects when, who pauses how long, and what `disturb` does to whom.

    What the control plane and the network do in between is real, and not in the seed.
    """

    def __init__(
        self, who: Sequence[tuple[Identity, str]], habits: Habits, seed: int, nats_url: str = ""
    ) -> None:
        self.figures = Figures()
        self.members = [
            Member(one, habits, random.Random(f"{seed}/{at}"), self.figures, nats_url or url)  # noqa: S311
            for at, (one, url) in enumerate(who)
        ]
        self._chance = random.Random(seed)  # noqa: S311 - a run repeats from its seed

    def start(self) -> None:
        """Everybody connects within one heartbeat."""
        for member in self.members:
            member.start()

    def stop(self) -> None:
        """Nobody says anything any more."""
        for member in self.members:
            member.stop()

    def entered(self) -> int:
        """How many are connected and let in now."""
        return sum(one.line is not None and one.line.is_in for one in self.members)

    def living(self) -> list[Member]:
        """Those on which a runtime runs."""
        return [one for one in self.members if one.lives()]

    def storm(self) -> list[Member]:
        """Every connection is torn off at once, and every lease is due when they come back.

        Those who have a lease to renew: each is done when `renewed_at` is no more 0.
        """
        living = self.living()
        for member in living:
            member.hurry()
        for member in self.members:
            member.cut()
        return living

    def disturb(self) -> tuple[Fault, Member]:
        """The seed's next fault befalls the seed's next member; a silent one speaks again."""
        fault, member = self._chance.choice(FAULTS), self._chance.choice(self.members)
        self.figures.count(f"fault_{fault}")
        match fault:
            case "cut":
                member.cut()
            case "restart":
                member.restart()
            case "reboot":
                member.reboot()
            case "silence":
                member.hush()
                asyncio.get_running_loop().call_later(SILENCE_S, member.speak)
        return fault, member


async def until(ready: Callable[[], bool], within_s: float, look_s: float = 0.1) -> bool:
    """True once it is so; False when it was not within that time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not ready():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(look_s)
    return True
