"""Whose clock bills: a node's boot clock, carried over to the platform's (contracts/facts.md)."""

from typing import Final

from msgspec import Struct

LEASE_US: Final = 600_000_000  # MONEY.md section 5, as are all of these
RENEW_US: Final = 120_000_000
DRIFT_US: Final = LEASE_US // 1000 + 1_000_000
STOP_US: Final = 30_000_000
DAY_US: Final = 86_400_000_000


class Keeping(Struct, frozen=True):
    """`hold_us`: volumes are held for so long ahead; `wipe_us`: so long after its lock at the
    earliest one is wiped.
    """

    hold_us: int = 3 * DAY_US
    wipe_us: int = 7 * DAY_US

    @property
    def renew_us(self) -> int:
        """So long after a hold was placed or renewed it is renewed."""
        return min(DAY_US, self.hold_us // 3)


KEEPING: Final = Keeping()


class Leasing(Struct, frozen=True):
    """How long a lease of a node lasts (at most `LEASE_US`), how far its clock may be off in it
    (so many millionths, and a second), and how long a stop takes (MONEY.md section 5).
    """

    lease_us: int = LEASE_US
    drift_ppm: int = 1000
    stop_us: int = STOP_US

    @property
    def grace_us(self) -> int:
        """So long after its lease nothing runs under it any more."""
        return self.lease_us * self.drift_ppm // 1_000_000 + 1_000_000 + self.stop_us

    def hold_end(self, until_us: int) -> int:
        """The instant after which nothing runs under a lease that ended at `until_us`."""
        return until_us + self.grace_us


LEASING: Final = Leasing()


class Anchor(Struct, frozen=True, gc=False):
    """One pair of instants of one boot: the node's boot clock and the platform's."""

    boot: str
    boottime_us: int
    anchor_us: int


def billable_instant(boottime_us: int, anchor: Anchor, previous_us: int, decided_us: int) -> int:
    """The platform's instant of an attested fact, us UTC: never before the runtime's previous one.

    It is not after the decision either, except that a decision before `previous_us` (a clock set
    back between two processes) yields `previous_us`. `anchor` is the latest of the fact's boot.
    """
    at = anchor.anchor_us + (boottime_us - anchor.boottime_us)
    return max(previous_us, min(at, decided_us))


def lost_instant(renewed_us: int | None, previous_us: int) -> int:
    """Where billing of a lost runtime ends: its last logged renewal, if it had a later one."""
    return previous_us if renewed_us is None else max(renewed_us, previous_us)


def hold_end(until_us: int) -> int:
    """As a deployment has it that sets nothing else."""
    return LEASING.hold_end(until_us)
