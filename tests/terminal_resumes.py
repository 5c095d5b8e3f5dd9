"""Thousands of resumes on one living stack: agents, APIs and NATS killed, lines cut, from a seed.

Every session echoes what is typed (`cat` on a raw tty), so one comparison shows both directions:
each byte that comes back must be the next one of the session's own endless text.
"""

import asyncio
import contextlib
import hashlib
import random
import time
from collections.abc import Awaitable

import websockets

from contracts import recording
from contracts import terminal_client as wire
from contracts.recording import read
from tests.terminal_stage import Office, Screen, office

_TEXT = 65_521  # a prime: no piece of any size lines up with the repetition
_BYTES = 3_000
_ROUND_S = 240.0


class Echo(Screen):
    """`base`: where its echo begins. Any other byte than the next one fails at once."""

    def __init__(self, office_: Office, session: str, ticket: str | None) -> None:
        super().__init__(office_, session, ticket)
        seed = hashlib.shake_128(session.encode()).digest(_TEXT)
        self.text = seed + seed
        self.base = -1
        self.given = 0

    def show(self, data: bytes) -> None:
        if self.base < 0:
            super().show(data)
            return
        at = (self.shown - self.base) % _TEXT
        assert data == self.text[at : at + len(data)], (self.session, self.shown - self.base)

    def next(self) -> bytes:
        at = self.given % _TEXT
        self.given += _BYTES
        return self.text[at : at + _BYTES]

    async def begin(self) -> None:
        await self.connect()
        await self.until(b"SIMULATED $ ")
        await self.type(b"stty raw -echo; echo g''o; exec cat\n")
        await self.until(b"go\n")
        self.base = self.shown

    async def round(self, drop_after_s: float) -> None:
        """Types, is cut off at that time, and comes back until everything was echoed."""
        await self._outlived(self.type(self.next()))
        began, dropped = time.monotonic(), False
        while not dropped or self.shown - self.base < self.given:
            assert time.monotonic() - began < _ROUND_S, (self.session, self.shown, self.given)
            if not dropped and time.monotonic() - began >= drop_after_s:
                dropped = True
                await self.resume()
            await self._outlived(self._some())

    async def _some(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.take()

    async def _outlived(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (websockets.WebSocketException, OSError):
            await self.resume()


def resumes_hold(seed: int, screens: int, rounds: int) -> str:
    """What held, in one line; an assertion that names the seed where it did not."""
    rng = random.Random(seed)
    with office() as (made, runtimes):
        counts = asyncio.run(_all(made, runtimes[0], rng, screens, rounds))
    return f"seed {seed}: {counts} resumes of {screens} terminals, no byte lost, none doubled"


async def _all(made: Office, runtime: str, rng: random.Random, screens: int, rounds: int) -> int:
    echoes, recorded = [], set()
    for number in range(screens):
        record = number % 5 == 0
        path = f"/v1/runtimes/{runtime}/terminals"
        answer = made.post(path, {"record": record}, made.member).json()
        echo = Echo(made, answer["id"], None)  # tickets live for 30 s
        echoes.append(echo)
        if record:
            recorded.add(echo.session)
    await asyncio.gather(*(echo.begin() for echo in echoes))
    faults = ["agent", "nats", "line", "serve"]
    for number in range(rounds):
        fault = faults[number % len(faults)]
        rng.shuffle(echoes)
        work = asyncio.gather(*(echo.round(rng.random() * 0.5) for echo in echoes))
        await asyncio.sleep(rng.random() * 0.3)
        _break(made, fault)
        await work
    await asyncio.gather(*(_finished(echo) for echo in echoes))
    for echo in echoes:
        if echo.session in recorded:
            _recorded(made, echo)
    return sum(echo.resumes for echo in echoes)


def _break(made: Office, fault: str) -> None:
    stack = made.stack
    if fault == "nats":
        assert stack.nats is not None
        stack.nats.kill()
        stack.nats.restart()
    elif fault != "line":  # there, the clients' own lines are cut, which they are each round
        stack.kill(fault)
        stack.start(fault)


async def _finished(echo: Echo) -> None:
    assert echo.shown - echo.base == echo.given
    assert not echo.gaps
    await echo.resume()  # the last fault may have come after its last byte
    assert echo.line is not None
    await echo.line.send(wire.message(wire.CLOSE))
    assert (await echo.closed())[0] == wire.OVER


def _recorded(made: Office, echo: Echo) -> None:
    """All output and input, once, in the recording."""
    path = made.stack.settings.recordings / f"{echo.session}.rec"
    found = read(path.read_bytes())
    shown = b"".join(one.data for one in found.records if one.kind == recording.OUTPUT)
    typed = b"".join(one.data for one in found.records if one.kind == recording.INPUT)
    assert len(shown) == echo.shown
    assert shown[echo.base :] == typed[-echo.given :]
    assert found.seals[-1].final
    assert not any(one.kind == recording.GAP for one in found.records)
