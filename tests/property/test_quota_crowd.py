"""A hundred thousand asks of one three-level quota, each judged as it is decided."""

import asyncio
import random
import time

import msgspec
import pytest

from api.admission.deciding import decide
from api.admission.due import due
from api.admission.wire import Admitted, Ask, ShareAsk
from domain import lending
from domain.admission import AdmissionState
from domain.facts import tag_of
from evidence.append import Appended
from tests.quota_crowd import MODEL, Client, Crowd, House, require_no_room
from tests.quota_oracle import Oracle

pytestmark = pytest.mark.slow

TURNS = 100_000
CLIENTS = 64
LOST = 0.03  # of what is decided: another writer's append came first


class Deciding:
    """The writer's decisions without its log; what is lost is taken back, as the writer does."""

    def __init__(self, crowd: Crowd, rng: random.Random) -> None:
        self.crowd, self.rng = crowd, rng
        self.state, self.oracle = AdmissionState(), Oracle()
        self.asked = self.lost = 0
        for write in crowd.writes():
            for number, fact in enumerate(write.facts, 1):
                self.state.apply(write.stream, write.expected + number, fact)

    async def ask(self, ask: Ask) -> Admitted:
        """Raises: AssertionError when a sum of the oracle is above a limit; DomainError."""
        self.asked += 1
        emits, append = decide(self.state, ask)
        while self.rng.random() < LOST:
            self.lost += 1
            self.state.undo(emits)
            emits, append = decide(self.state, ask)
        for emit in emits:
            for fact in emit.facts:
                tag = tag_of(fact)
                if tag.startswith("gpuaas.quota."):
                    said = self.oracle.judge(tag, self.crowd.org, msgspec.to_builtins(fact))
                    assert not said, f"ask {self.asked}: {said}"
        return Admitted(Appended(self.asked, self.asked, b""), append.writes)

    async def tend(self) -> None:
        """What nobody asks for: claims that are over, and who must stop for one."""
        for ask in due(self.state, time.time_ns() // 1000):
            await self.ask(ask)

    def judge_refusals(self) -> None:
        """Raises: AssertionError for one that fitted, or names another limit, use or room."""
        while self.crowd.refusals:
            require_no_room(self.oracle, self.crowd, self.crowd.refusals.pop())


async def crowded(seed: int, turns: int = TURNS) -> Deciding:
    """A crowd that asks once a turn, and more; every ask and refusal is judged. Raises: as `ask`."""
    rng, crowd = random.Random(seed), Crowd()
    desk = Deciding(crowd, rng)
    house = House(crowd, desk, rng)
    for scope, parent, sure, lent, most in crowd.shares():
        wanted = lending.SetShare(scope, parent, MODEL, sure, lent, most, time.time_ns() // 1000)
        await desk.ask(ShareAsk(crowd.org, wanted, "user-a", f"cmd:{rng.randbytes(32).hex()}"))
    many = [Client(crowd, desk, rng) for _ in range(CLIENTS)]
    for turn in range(turns):
        await rng.choice(many).turn()
        desk.judge_refusals()
        if turn % 100 == 0:
            await house.turn()
            await desk.tend()
            desk.judge_refusals()
    return desk


def decided(seed: int, turns: int) -> tuple[int, int, dict[str, int]]:
    """How much was asked, how much of it lost once, and what was answered."""
    desk = asyncio.run(crowded(seed, turns))
    return desk.asked, desk.lost, dict(desk.crowd.done)


def test_never_above_a_limit_and_what_fits_is_never_refused_of_a_hundred_thousand_asks() -> None:
    """After each ask the sums of an independent oracle hold, and every refusal says exactly what would
    have fitted; shares, limits and claims move meanwhile, and some of what is decided is lost. The
    same crowd through writer, log and database: test_quota_crowd in integration, and `make chaos`.
    """
    desk = asyncio.run(crowded(1))
    done = desk.crowd.done
    assert desk.asked > TURNS
    assert done["LaunchAsk"] > 10_000, done
    assert done["LaunchAsk quota.exceeded"] + done["LaunchAsk quota.lent"] > 10_000, done
    assert done["ReserveAsk"] > 200, done
    assert done["ClaimAsk"] > 200, done
    assert desk.lost > 500
