import asyncio
from pathlib import Path

from evidence.storage import Storage
from evidence.tail import UnsignedTail, published_size

SECOND_US = 1_000_000


class HandClock:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND_US

    def __call__(self) -> int:
        return self.now


class HandLog:
    """When each entry was appended, by position."""

    def __init__(self) -> None:
        self.at_us: list[int] = []

    async def appended_us(self, position: int) -> int | None:
        return self.at_us[position] if position < len(self.at_us) else None


def sign(storage: Storage, size: int) -> None:
    storage.write({"checkpoint": f"origin\n{size}\nroot\n\n— sig\n".encode()})


def look(gate: UnsignedTail, log: HandLog) -> None:
    asyncio.run(gate.look(log.appended_us))


def test_refuses_only_past_the_bound(tmp_path: Path) -> None:
    """An entry unsigned for more than 60 s closes the gate, whoever appended it, says how long, and
    a signature opens it.
    """
    clock, storage, log = HandClock(), Storage(tmp_path), HandLog()
    gate = UnsignedTail(storage, clock_us=clock)
    look(gate, log)
    assert gate() is None
    log.at_us.append(clock.now)
    look(gate, log)
    clock.now += 60 * SECOND_US
    assert gate() is None
    clock.now += 1 * SECOND_US
    refusal = gate()
    assert refusal is not None
    assert refusal.code == "log.unsigned_tail"
    assert refusal.facts == {"waited_s": 61}
    sign(storage, 1)
    assert gate() is None, "signed since the last look"
    look(gate, log)
    assert gate() is None


def test_the_oldest_unsigned_entry_counts(tmp_path: Path) -> None:
    """What is signed is forgotten; the age is that of the oldest entry still waiting."""
    clock, storage, log = HandClock(), Storage(tmp_path), HandLog()
    gate = UnsignedTail(storage, clock_us=clock)
    for _ in range(99):
        log.at_us.append(clock.now)
        clock.now += SECOND_US
    sign(storage, 60)
    look(gate, log)
    assert gate() is None
    clock.now += 30 * SECOND_US
    refusal = gate()
    assert refusal is not None
    assert refusal.facts["waited_s"] == 69


def test_the_published_size_of_nothing_is_zero(tmp_path: Path) -> None:
    """No checkpoint, or one that is no checkpoint, covers no entry."""
    storage = Storage(tmp_path)
    assert published_size(storage) == 0
    storage.write({"checkpoint": b"nonsense"})
    assert published_size(storage) == 0
