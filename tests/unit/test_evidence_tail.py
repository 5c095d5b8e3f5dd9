from pathlib import Path

from evidence.storage import Storage
from evidence.tail import UnsignedTail, published_size


class HandClock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def sign(storage: Storage, size: int) -> None:
    storage.write({"checkpoint": f"origin\n{size}\nroot\n\n— sig\n".encode()})


def test_refuses_only_past_the_bound(tmp_path: Path) -> None:
    """An entry unsigned for more than 60 s closes the gate, says how long, and a signature opens
    it.
    """
    clock, storage = HandClock(), Storage(tmp_path)
    gate = UnsignedTail(storage, clock_ms=clock)
    assert gate() is None
    gate.committed(5)
    clock.now += 60_000
    assert gate() is None
    clock.now += 1_000
    refusal = gate()
    assert refusal is not None
    assert refusal.code == "log.unsigned_tail"
    assert refusal.facts == {"waited_s": 61}
    sign(storage, 5)
    clock.now += 1_000
    assert gate() is None


def test_the_oldest_unsigned_entry_counts(tmp_path: Path) -> None:
    """What is signed is forgotten; the age is that of the oldest entry still waiting."""
    clock, storage = HandClock(), Storage(tmp_path)
    gate = UnsignedTail(storage, clock_ms=clock)
    for size in range(1, 100):
        gate.committed(size)
        clock.now += 1_000
    sign(storage, 60)
    assert gate() is None
    clock.now += 30_000
    refusal = gate()
    assert refusal is not None
    assert refusal.facts["waited_s"] == 69


def test_what_a_process_finds_unsigned_counts_from_the_start(tmp_path: Path) -> None:
    """A restart gives no fresh minute: the age of what was left is part of the bound."""
    clock, storage = HandClock(), Storage(tmp_path)
    gate = UnsignedTail(storage, clock_ms=clock)
    gate.found(7, 61_000)
    refusal = gate()
    assert refusal is not None
    assert refusal.code == "log.unsigned_tail"
    sign(storage, 7)
    clock.now += 1_000
    assert gate() is None


def test_the_published_size_of_nothing_is_zero(tmp_path: Path) -> None:
    """No checkpoint, or one that is no checkpoint, covers no entry."""
    storage = Storage(tmp_path)
    assert published_size(storage) == 0
    storage.write({"checkpoint": b"nonsense"})
    assert published_size(storage) == 0
