"""What a crowd has done, counted."""

from collections import Counter


class Figures:
    """Counts since the start, and how long each granted lease took, s, since `fresh`."""

    def __init__(self) -> None:
        self.beats = 0
        self.asked = 0
        self.said = 0
        self.entered = 0
        self.waits_s: list[float] = []
        self.counts: Counter[str] = Counter()

    def count(self, what: str) -> None:
        """One more of `what`."""
        self.counts[what] += 1

    def leased(self, wait_s: float) -> None:
        """A renewal was granted so long after it was first asked for."""
        self.waits_s.append(wait_s)

    def fresh(self) -> None:
        """Waits of before count no more."""
        self.waits_s.clear()


def quantile(waits_s: list[float], share: float) -> float:
    """The wait that this share of them does not exceed; 0 of none."""
    ordered = sorted(waits_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
