"""kill -9 of a living stack's parts while prepaid accounts launch all they can pay for, from a seed."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from msgspec import Struct

from agent.simulator.crowd import until
from agent.simulator.member import Habits
from domain.instants import LEASE_US, hold_end
from domain.wallet_facts import (
    ChargeRecovered,
    HoldExpired,
    HoldPlaced,
    HoldReleased,
    HoldsRenewed,
)
from tests.crowd_stage import Hall, gathered, hall
from tests.prepaid_account import PICO, Prepaid, pico

_HABITS = Habits(gpus=4, usable_after_us=100_000, heartbeat_us=500_000, renew_us=1_500_000)
_NODES, _ACCOUNTS, _CALLERS = 3, 4, 2
_TARGETS = ("serve", "serve", "worker", "signer")
_PATIENCE_S = 120.0
FIRST = -(-hold_end(LEASE_US) * PICO // 3_600_000_000)  # of one GPU at 1 USD an hour
SECOND = PICO // 3_600


class Fight(Struct, frozen=True):
    """What was killed, what launches heard, and what the wallets' facts were."""

    kills: dict[str, int]
    answers: dict[str, int]
    facts: dict[str, int]


def purses_hold(folder: Path, seed: int, seconds: float = 30.0) -> Fight:
    """No wallet below zero at any position, each hold resolved once, nothing recovered beside holds,
    and a bundle that verifies. Raises: AssertionError.
    """
    with hall() as here:
        return asyncio.run(_fight(here, folder, random.Random(seed), seconds))


async def _fight(here: Hall, folder: Path, chance: random.Random, seconds: float) -> Fight:
    crowd = gathered(here, _NODES, chance.randrange(1 << 30), _HABITS)
    crowd.start()
    them = [await asyncio.to_thread(Prepaid, here) for _ in range(_ACCOUNTS)]
    assert await until(lambda: crowd.entered() == _NODES, _PATIENCE_S)
    for number, us in enumerate(them):
        # Two first leases and some seconds: the third is refused, and the two run dry.
        await asyncio.to_thread(us.grant, 2 * FIRST + 12 * SECOND, f"seed-{number}")
    answers, kills, over = Counter[str](), Counter[str](), threading.Event()
    callers = [
        threading.Thread(target=_call, args=(us, answers, over))
        for us in them
        for _ in range(_CALLERS)
    ]
    for caller in callers:
        caller.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(0.5, 4))
            name = chance.choice(_TARGETS)
            kills[name] += 1
            here.stack.kill(name)
            await asyncio.to_thread(here.stack.tend)
    finally:
        over.set()
        for caller in callers:
            await asyncio.to_thread(caller.join)
    await asyncio.to_thread(_settled, here, them)
    crowd.stop()
    facts = Counter[str]()
    for us in them:
        facts += _judged(here, us)
    await asyncio.to_thread(bundle_verifies, here, folder)
    return Fight(dict(kills), dict(answers), dict(facts))


def _call(us: Prepaid, answers: Counter[str], over: threading.Event) -> None:
    """Launches again and again, beside another one who does the same."""
    while not over.is_set():
        answer = us.launch()
        answers[str(answer.json().get("code", answer.status_code))] += 1
        time.sleep(0.3)


def _settled(here: Hall, them: list[Prepaid]) -> None:
    """What still runs is told to stop; every hold is resolved by the workers."""
    for one in here.office.get("/v1/runtimes").json()["items"]:
        if one["state"] not in {"stopped", "failed", "lost", "cancelled"}:
            here.office.post(f"/v1/runtimes/{one['id']}/stop", {"reason": "over"})
    deadline = time.monotonic() + _PATIENCE_S
    while any(pico(us.wallet()["held"]) for us in them):
        assert time.monotonic() < deadline, [us.wallet() for us in them]
        here.stack.tend()
        time.sleep(0.5)


def _judged(here: Hall, us: Prepaid) -> Counter[str]:
    wallet = "wallet" + us.account.removeprefix("account")
    said = [one.fact for one in here.entries() if one.stream == wallet]
    for fact in said:
        assert 0 <= fact.held_pico <= fact.balance_pico, fact  # type: ignore[attr-defined]
    placed = sorted(one.runtime for one in said if isinstance(one, HoldPlaced))
    resolved = [one.runtime for one in said if isinstance(one, HoldReleased | HoldExpired)]
    assert placed == sorted(resolved)
    assert not [one for one in said if isinstance(one, ChargeRecovered)]
    assert [one for one in said if isinstance(one, HoldsRenewed)]
    return Counter(type(one).__name__ for one in said)


def bundle_verifies(here: Hall, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    size = len(here.entries())
    while int(here.office.get("/v1/checkpoint").text.split("\n")[1]) < size:
        assert time.monotonic() < deadline
        here.stack.tend()
        time.sleep(0.2)
    bundle = folder / "bundle.tar"
    bundle.write_bytes(here.office.get("/v1/bundle").content)
    vkey = (here.stack.settings.storage / "vkey").read_text().strip()
    program = Path(sys.executable).with_name("gpuaas-verify")
    done = subprocess.run(
        [program, bundle, "--key", vkey], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
