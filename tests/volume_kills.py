"""Prepaid volumes on a living stack, its parts killed with kill -9: held, locked, unlocked, wiped.

The agent is a real one with SIMULATED devices; days are seconds here.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from api.edge import instant, now_us
from api.supervisor import Stack, running
from domain import volume
from domain.wallet_facts import VolumeHeld, VolumeReleased, VolumeRenewed
from tests.crowd_stage import Hall
from tests.prepaid_account import Prepaid, pico, usd
from tests.terminal_stage import Office
from tests.wallet_kills import bundle_verifies

_HOLD_S, _WIPE_S, _PATIENCE_S = 12, 20, 300.0
_PER_GIB_S = 10**9  # pico
_TARGETS = ("serve", "worker", "agent", "signer")


def kept_hold(folder: Path, seed: int) -> Counter[str]:
    """One volume's life under fire: told of, locked when its hold ends and not charged beyond; with
    credit unlocked, held again, and at zero again wiped with a receipt; what was charged is what its
    holds cover; the bundle verifies. What its facts were. Raises: AssertionError.
    """
    place = folder / f"kept-{seed}"
    place.mkdir(mode=0o711)
    given = {
        "GPUAAS_DATA": str(place / "data"),
        "GPUAAS_SIGNER_STATE": str(place / "signer"),
        "GPUAAS_VOLUME_HOLD_S": str(_HOLD_S),
        "GPUAAS_VOLUME_WIPE_S": str(_WIPE_S),
    }
    os.environ.update(given)
    try:
        with running(lambda _: None) as stack:
            office = Office(stack)
            office.furnish(0)
            try:
                return _fight(Hall(stack, office), place, random.Random(seed))
            finally:
                office.close()
    finally:
        for name in given:
            del os.environ[name]
        shutil.rmtree(place, ignore_errors=True)


def _fight(here: Hall, folder: Path, chance: random.Random) -> Counter[str]:
    us = Prepaid(here)
    price = {"amount": f"0.{_PER_GIB_S:012d}", "currency": "USD"}
    priced = {
        "meter": "storage.capacity", "model": "local", "state": "existing", "divisor": 1024 * 10**6,
        "price": price, "effective_from": instant(now_us() + 2_000_000),
    }  # fmt: skip
    us.done("/v1/prices", priced)
    time.sleep(2.2)
    counted = {"meter": "storage.capacity", "unit": "MiB-us", "source": "lifecycle"}
    us.done("/v1/meters", counted)
    first = _HOLD_S * _PER_GIB_S
    us.grant(first + 6 * _PER_GIB_S, "first")
    body = {"project": us.project, "name": "data", "size_mib": 1024}
    made = {"Authorization": f"Bearer {here.office.operator}", "Idempotency-Key": "made"}
    post = here.office.http.post
    name = _until(
        here, lambda: post("/v1/volumes", json=body, headers=made).json().get("id"), chance
    )
    said = _Said(here, name)
    _until(here, lambda: said.last(volume.Locked), chance)
    _until(here, lambda: not pico(us.wallet()["held"]), chance)
    credit: dict[str, object] = {"amount": usd(first + 6 * _PER_GIB_S), "reference": "second"}
    _until(here, lambda: _granted(us, credit), chance)
    _until(here, lambda: said.last(volume.Unlocked), chance)
    _until(here, lambda: said.count(volume.Locked) == 2, chance)
    _until(here, lambda: said.last(volume.Wiped), chance)
    _until(here, lambda: not pico(us.wallet()["held"]), chance)
    facts = _judged(here, us, name)
    bundle_verifies(here, folder)
    return facts


def _granted(us: Prepaid, credit: dict[str, object]) -> bool:
    return us.office.http.post(
        f"{us.path}/grants",
        json=credit,
        headers={"Authorization": f"Bearer {us.office.operator}", "Idempotency-Key": "second"},
    ).status_code in (200, 201)


class _Said:
    """What the log says of a volume."""

    def __init__(self, here: Hall, name: str) -> None:
        self._here, self._name = here, name

    def count(self, kind: type) -> int:
        said = [one.fact for one in self._here.entries() if one.stream == self._name]
        return sum(isinstance(one, kind) for one in said)

    def last(self, kind: type) -> bool:
        return self.count(kind) > 0


def _until(here: Hall, ready: Callable[[], object], chance: random.Random) -> str:
    """What `ready` says at last, parts of the stack killed meanwhile."""
    deadline, next_kill = time.monotonic() + _PATIENCE_S, time.monotonic() + chance.uniform(1, 4)
    while not (found := _heard(here, ready)):
        if time.monotonic() > deadline:
            said = [type(one.fact).__name__ for one in here.entries() if "volume-" in one.stream]
            raise AssertionError(f"it takes too long: {said}")
        if time.monotonic() > next_kill:
            next_kill = time.monotonic() + chance.uniform(2, 6)
            _kill(here.stack, chance.choice(_TARGETS))
        here.stack.tend()
        time.sleep(0.3)
    return str(found)


def _heard(here: Hall, ready: Callable[[], object]) -> object:
    """What it says; nothing while nobody answers."""
    try:
        answers = here.office.get("/v1/health").status_code == 200
        return ready() if answers else None
    except (httpx.TransportError, KeyError):
        return None


def _kill(stack: Stack, name: str) -> None:
    if stack.children[name].poll() is None:
        stack.kill(name)


def _judged(here: Hall, us: Prepaid, name: str) -> Counter[str]:
    wallet = "wallet" + us.account.removeprefix("account")
    entries = here.entries()
    said = [one.fact for one in entries if one.stream == wallet]
    for fact in said:
        assert 0 <= fact.held_pico <= fact.balance_pico, fact  # type: ignore[attr-defined]
    own = [one.fact for one in entries if one.stream == name]
    spans = list[tuple[int, int]]()
    for one in said:
        if isinstance(one, VolumeHeld):
            spans.append((one.from_us, one.until_us))
        elif isinstance(one, VolumeRenewed):
            spans[-1] = (spans[-1][0], max(spans[-1][1], one.until_us))
    locks = [one for one in own if isinstance(one, volume.Locked)]
    notices = [one for one in own if isinstance(one, volume.LockNoticed)]
    assert {one.lock_us for one in notices} >= {one.locked_us for one in locks}
    assert [until for _, until in spans] == [one.locked_us for one in locks]
    [formatted] = [one for one in own if isinstance(one, volume.Formatted)]
    begun = [formatted.formatted_us, spans[1][0]]
    used = sum(end - start for start, (_, end) in zip(begun, spans, strict=True))
    spent = sum(-getattr(one, "amount_pico", 0) for one in said if "Captured" in type(one).__name__)
    assert abs(-spent - used * _PER_GIB_S // 10**6) <= 2
    assert sum(isinstance(one, VolumeReleased) for one in said) == 2
    [asked] = [one for one in own if isinstance(one, volume.WipeRequested)]
    assert asked.decided_us >= locks[-1].wipe_us
    [wiped] = [one for one in own if isinstance(one, volume.Wiped)]
    assert wiped.bytes_covered >= 1024 * volume.MIB
    return Counter(type(one).__name__ for one in (*said, *own))
