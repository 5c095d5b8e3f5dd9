"""Many clients at once on one three-level tree, through the admission writer and a real database.

Each client launches, ends, reserves and gives back; a keeper of the house moves shares and limits,
claims and gives up. Then the log itself is read: no position is above a limit, and nothing was
refused that fitted at the position its refusal names.
"""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import nats
import psycopg

from api.admission.wire import (
    Admitted,
    Ask,
    ClaimAsk,
    LaunchAsk,
    LimitAsk,
    ReserveAsk,
    ShareAsk,
    UnclaimAsk,
    UnreserveAsk,
    end_ask,
)
from api.admission.writer import Writer
from domain import account, lending, node, organization, period, pricebook, project
from domain.errors import DomainError
from domain.launch import Launch
from domain.runtime import Cancelled
from domain.together import Reserve
from domain.words import Gpu
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.private import private_value
from evidence.wake import HeadWake
from gpuaas_verify.books import Books
from tests.api_stage import open_log
from tests.quota_oracle import Oracle

DEPARTMENTS, PROJECTS, NODES, GPUS = 3, 4, 64, 8  # projects of each department
WHOLE = 96_000  # what the organization is guaranteed, in milli: less than the nodes have
MODEL = "T4"
NOTICED_S = 2.5  # at the latest by then whom a claim named has been told to stop
HOUR_US = 3_600_000_000


def _command() -> str:
    return f"cmd:{secrets.token_hex(32)}"


def _now() -> int:
    return time.time_ns() // 1000


@dataclass
class Refusal:
    """What was asked for, and the refusal's own numbers."""

    project: str
    milli: int
    facts: dict[str, int | str]


@dataclass
class Crowd:
    """The tree, and what came of the asks; `done` counts answers by what they were."""

    org: str = field(default_factory=lambda: new_id("organization"))
    above: dict[str, str] = field(default_factory=dict)  # project -> department
    refusals: list[Refusal] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    told: set[str] = field(default_factory=set)  # to stop, for a claim

    @property
    def departments(self) -> list[str]:
        return list(dict.fromkeys(self.above.values()))

    def shares(self) -> Iterator[tuple[str, str, int, int, int]]:
        """(scope, parent, guaranteed, lendable, limit): two thirds are guaranteed, half is lent."""
        yield self.org, "", WHOLE, 0, WHOLE
        each = WHOLE // DEPARTMENTS
        for department in self.departments:
            yield department, self.org, each, each // 2, WHOLE
        for name, department in self.above.items():
            mine = each * 2 // 3 // PROJECTS
            yield name, department, mine, mine // 2, each

    def writes(self) -> list[Write]:
        """A tenant that may launch and machines that have more room than its quota."""
        for _ in range(DEPARTMENTS):
            department = new_id("department")
            self.above |= {new_id("project"): department for _ in range(PROJECTS)}
        now, paying = _now(), new_id("account")
        name, _ = private_value(self.org, "crowd")
        price = (*("default", "gpu.time", MODEL, "-", "usable", "USD"), now, now, 10**12)
        begun = period.Opened(paying, 1, 0, 4 * 10**15, "UTC", "x", now)
        opened = account.Opened(self.org, "USD", 2, "UTC", "x", now)
        gpus = [tuple(Gpu(i, f"GPU-{n}-{i}") for i in range(GPUS)) for n in range(NODES)]
        return [
            Write(self.org, self.org, 0, (organization.Created(name, now),)),
            *(
                Write(one, self.org, 0, (project.Created(self.org, of, paying, name, now),))
                for one, of in self.above.items()
            ),
            Write(paying, self.org, 0, (opened,)),
            Write(new_id("period"), self.org, 0, (begun,)),
            Write(
                *(new_id("pricebook"), "-", 0),
                (pricebook.EntryPublished(*price, 1000 * HOUR_US),),
            ),
            *(
                Write(
                    *(new_id("node"), "-", 0),
                    (
                        node.Invited(name, MODEL, "0" * 64, now + 1, now),
                        node.Enrolled("0" * 64, MODEL, True, gpus[n], "s", now),
                    ),
                )
                for n in range(NODES)
            ),
        ]


class Asked(Protocol):
    """Whoever decides."""

    async def ask(self, ask: Ask) -> Admitted: ...


class Desk:
    """Who is asked: one writer, for a time a second one as if an election had failed, then that."""

    def __init__(self, url: str, log: EventLog, heads: HeadWake) -> None:
        self._of = (url, log, heads)
        self.writers: list[Writer] = []
        self._turn = 0

    async def open(self) -> None:
        one = Writer(*self._of)
        await one.load()
        one.start()
        self.writers.append(one)

    async def shut(self) -> None:
        """The first one goes, whatever waits for it."""
        await self.writers.pop(0).close()

    async def ask(self, ask: Ask) -> Admitted:
        """As a caller does: the same command again while it is told to repeat it."""
        while True:
            self._turn += 1
            try:
                return await self.writers[self._turn % len(self.writers)].ask(ask)
            except DomainError as error:
                if error.code not in ("admission.unavailable", "log.version_stale"):
                    raise


class Client:
    """One of many: what it holds it ends again, so that the tree stays about full."""

    def __init__(self, crowd: Crowd, desk: Asked, rng: random.Random) -> None:
        self.crowd, self.desk, self.rng = crowd, desk, rng
        self.held: list[str] = []
        self.reserved: list[str] = []

    async def turn(self) -> None:
        pick = self.rng.random()
        if pick < 0.04:
            await self.reserve()
        elif self.reserved and pick < 0.07:
            await self.said(
                UnreserveAsk(self.reserved.pop(), "unneeded", _now(), "user-a", _command())
            )
        elif self.held and pick < 0.45:
            await self.end(self.held.pop(self.rng.randrange(len(self.held))))
        else:
            await self.launch()

    async def launch(self) -> None:
        name, words = private_value(self.crowd.org, "r")
        of = self.somewhere()
        devices = self.rng.choice((1, 1, 1, 2, 4))
        milli = devices * 1000 if devices > 1 else self.rng.choice((200, 500, 1000))
        one = Launch(
            *(self.crowd.org, of, new_id("runtime"), new_id("allocation"), name),
            *(devices, milli, (MODEL,), _now()),
        )
        ask = LaunchAsk(one, "user-a", _command(), (words,))
        if await self.said(ask, of, milli) is not None:
            self.held.append(one.runtime)

    def somewhere(self) -> str:
        """A project: two thirds of the time one of those that use more than they are guaranteed."""
        every = list(self.crowd.above)
        return self.rng.choice(every[::PROJECTS] if self.rng.random() < 2 / 3 else every)

    async def reserve(self) -> None:
        of, devices = self.somewhere(), self.rng.randint(1, 4)
        ids = (new_id("reservation"), self.crowd.org, of, MODEL)
        wanted = Reserve(*ids, devices, _now() + HOUR_US, _now())
        ask = ReserveAsk(wanted, "user-a", _command())
        if await self.said(ask, of, devices * 1000) is not None:
            self.reserved.append(wanted.reservation)

    async def end(self, runtime: str) -> None:
        await self.said(end_ask(runtime, Cancelled("done", _now()), "user-a", _command()))

    async def said(self, ask: Ask, of: str = "", milli: int = 0) -> Admitted | None:
        kind = type(ask).__name__
        try:
            answer = await self.desk.ask(ask)
        except DomainError as error:
            self.crowd.done[f"{kind} {error.code}"] += 1
            if error.code in ("quota.exceeded", "quota.lent"):
                self.crowd.refusals.append(Refusal(of, milli, error.facts))
            return None
        self.crowd.done[kind] += 1
        return answer


class House(Client):
    """Whoever keeps the shares: they move while everybody launches."""

    claimed: list[str]

    def __init__(self, crowd: Crowd, desk: Asked, rng: random.Random) -> None:
        super().__init__(crowd, desk, rng)
        self.claimed = []

    async def turn(self) -> None:
        crowd, now, rng, pick = self.crowd, _now(), self.rng, self.rng.random()
        scope, parent, guaranteed, _, limit = rng.choice(list(crowd.shares())[1:])
        if pick < 0.15:
            lendable = rng.randint(0, guaranteed)
            low = limit if rng.random() < 2 / 3 else rng.randint(guaranteed, limit)
            wanted = lending.SetShare(scope, parent, MODEL, guaranteed, lendable, low, now)
            await self.said(ShareAsk(crowd.org, wanted, "user-a", _command()))
        elif pick < 0.25:
            model, milli = rng.choice((MODEL, "*")), rng.choice((guaranteed, limit, WHOLE))
            await self.said(LimitAsk(crowd.org, scope, model, milli, now, "user-a", _command()))
        elif pick < 0.7 or not self.claimed:
            milli = rng.choice((guaranteed, rng.randint(1, guaranteed)))
            claim = lending.Claim(scope, MODEL, milli, now, now + HOUR_US, now)
            await self.said(ClaimAsk(crowd.org, claim, "user-a", _command()))
            self.claimed.append(scope)
        else:
            of = self.claimed.pop(rng.randrange(len(self.claimed)))
            end = lending.Unclaim(of, MODEL, "unneeded", now)
            await self.said(UnclaimAsk(crowd.org, end, "user-a", _command()))


async def crowded(
    url: str, nats_url: str, *, clients: int, turns: int, seed: int, rivals: bool = False
) -> Crowd:
    """So many turns in all, of so many clients at once. `rivals`: in the middle a second writer
    begins while the first one goes on, and later stays alone.
    """
    log = await EventLog.open(url)
    await open_log(log)
    crowd = Crowd()
    await log.append(Append(tuple(crowd.writes()), "system-test", _command()))
    client = await nats.connect(nats_url)
    desk = Desk(url, log, HeadWake(client))
    await desk.open()
    rng = random.Random(seed)
    house = House(crowd, desk, random.Random(seed))
    for scope, parent, sure, lent, most in crowd.shares():
        wanted = lending.SetShare(scope, parent, MODEL, sure, lent, most, _now())
        await house.said(ShareAsk(crowd.org, wanted, "user-a", _command()))
    left, both = turns, asyncio.Event()

    async def works(one: Client) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if rivals and left == turns // 2:
                await desk.open()
                both.set()
            elif rivals and left == turns // 4:
                await both.wait()
                await desk.shut()
            await one.turn()

    async def keeps() -> None:
        while left > 0:
            await house.turn()
            await asyncio.sleep(0.01)

    began = time.perf_counter()
    many = [Client(crowd, desk, random.Random(rng.random())) for _ in range(clients)]
    await asyncio.gather(*(keeps() for _ in range(4)), *map(works, many))
    crowd.seconds = time.perf_counter() - began
    for scope, parent, sure, *_ in crowd.shares():
        if parent:
            now = _now()
            claim = lending.Claim(scope, MODEL, sure, now, now + HOUR_US, now)
            await house.said(ClaimAsk(crowd.org, claim, "user-a", _command()))
    await asyncio.sleep(NOTICED_S)
    await desk.shut()
    await client.close()
    await log.close()
    return crowd


def require_held(url: str, crowd: Crowd) -> str:
    """What was seen, in one line. Raises: AssertionError with the position of what broke, Invalid
    with what the auditor refuses.
    """
    waiting = sorted(crowd.refusals, key=lambda one: one.facts["position"], reverse=True)
    oracle, positions, quota = Oracle(), 0, 0
    with (
        Books(None) as books,
        psycopg.connect(url) as conn,
        conn.cursor("entries", binary=True) as cursor,
    ):
        cursor.execute("SELECT position, entry FROM log.entry ORDER BY position")
        for position, raw in cursor:
            while waiting and waiting[-1].facts["position"] == position:
                require_no_room(oracle, crowd, waiting.pop())
            entry = json.loads(raw)
            books.feed(position, entry)  # the auditor's word on all of it
            if entry["tag"].startswith("gpuaas.quota."):
                said = oracle.judge(entry["tag"], entry["org"], entry["fact"])
                assert not said, f"position {position}: {said}"
                quota += 1
            elif entry["tag"] == "gpuaas.runtime.stopping.v1":
                assert entry["fact"]["reason"] == lending.RECLAIMED
                crowd.told.add(entry["stream"])
            positions += 1
    while waiting:
        require_no_room(oracle, crowd, waiting.pop())
    left = {name for name in oracle.named if name in oracle.live} - crowd.told
    assert not left, f"named by a claim that stands, and not told to stop: {left}"
    return (
        f"{sum(crowd.done.values())} asks in {crowd.seconds:.1f} s, {positions} positions, {quota} of"
        f" quota, {len(crowd.refusals)} refused, {oracle.ever_named} named by claims, {len(crowd.told)} of them told before they ended: {dict(crowd.done)}"
    )


def require_no_room(oracle: Oracle, crowd: Crowd, one: Refusal) -> None:
    """It did not fit; what the refusal says would fit does; it says whose limit, and its use."""
    place = (crowd.org, crowd.above[one.project], one.project, MODEL)
    assert not oracle.fits(*place, one.milli), f"refused although it fitted: {one}"
    fits, scope = one.facts["fits_milli"], str(one.facts["scope"])
    assert isinstance(fits, int)
    assert fits == 0 or oracle.fits(*place, fits), f"does not fit: {one}"
    assert not oracle.fits(*place, fits + 1), f"more fits: {one}"
    where = (crowd.org if scope == "organization" else scope, str(one.facts["model"]))
    assert one.facts["used_milli"] == oracle.use[where], f"another use: {one}"
