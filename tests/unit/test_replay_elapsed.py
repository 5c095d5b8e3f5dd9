from pathlib import Path

from api.replay.elapsed import Elapsed

SECOND_NS = 1_000_000_000


def test_a_resumed_replay_counts_on(tmp_path: Path) -> None:
    """The seconds of a report are those of every session, as its entries are; pauses are not."""
    now = [5 * SECOND_NS]
    first = Elapsed(tmp_path, 4 * SECOND_NS, lambda: now[0])
    assert first.micros() == 1_000_000
    first.keep()
    now[0] += SECOND_NS // 10
    first.keep()  # too soon after the last one: a kill now loses a tenth
    now[0] += 100 * SECOND_NS
    second = Elapsed(tmp_path, now[0], lambda: now[0])
    now[0] += 2 * SECOND_NS
    assert second.micros() == 3_000_000
    second.keep()
    assert Elapsed(tmp_path, now[0], lambda: now[0]).micros() == 3_000_000
