"""The clocks an append is held against (EVIDENCE.md section 3): they agree within two seconds."""

import time
from typing import Final, Protocol

from domain.errors import DomainError

LIMIT_US: Final = 2_000_000


class Clock(Protocol):
    """Microseconds: the operating system's wall clock, and time since boot, sleep included."""

    def now_us(self) -> int: ...

    def boottime_us(self) -> int: ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def boottime_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


class ClockWatch:
    """Compares the clocks at each append with those of the last one this process appended.

    The mark moves only with an append that passed, so a stepped clock refuses until it is set
    right, or until someone who looked at it restarts the process.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mark: tuple[int, int] | None = None

    def read(self, last_at_us: int) -> int:
        """The wall clock now.

        Raises:
            DomainError: `clock.disagrees`: with the time since boot, or behind the last entry.
        """
        now, boot = self._clock.now_us(), self._clock.boottime_us()
        if self._mark is not None:
            apart = (now - self._mark[0]) - (boot - self._mark[1])
            if abs(apart) > LIMIT_US:
                raise _disagrees("the wall clock and the time since boot", apart)
        if now < last_at_us - LIMIT_US:
            raise _disagrees("the wall clock and the last entry", now - last_at_us)
        self._mark = (now, boot)
        return now

    def compare(self, database_us: int, sent_us: int) -> None:
        """Nothing when the database's clock lies between `sent_us` and now, two seconds allowed.

        Raises:
            DomainError: `clock.disagrees`.
        """
        now = self._clock.now_us()
        if database_us < sent_us - LIMIT_US:
            raise _disagrees("the database's clock and this machine's", database_us - sent_us)
        if database_us > now + LIMIT_US:
            raise _disagrees("the database's clock and this machine's", database_us - now)

    def now_us(self) -> int:
        return self._clock.now_us()


def _disagrees(what: str, apart_us: int) -> DomainError:
    return DomainError(
        "clock.disagrees",
        f"{what} are {abs(apart_us) // 1_000} ms apart; at most 2,000 are allowed",
        {"apart_us": apart_us, "limit_us": LIMIT_US},
    )
