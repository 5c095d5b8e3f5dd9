"""Periods kept open ahead of the time, closed after a grace: a reaction to the clock."""

from typing import Final

from domain import period
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.log import EventLog
from projections.duties import Billed, Duties
from projections.months import TZDATA, command_id, month_after, period_id
from projections.sources import Silent, Sources

ACTOR: Final = "system-periods"
GRACE_US: Final = 3_600_000_000
_STALE: Final = "log.version_stale"


async def keep_periods(
    log: EventLog,
    duties: Duties,
    now_us: int,
    grace_us: int = GRACE_US,
    sources: Sources | None = None,
) -> int:
    """Opens and closes what is due at `now_us`; returns how many facts it appended.

    An account's first two periods are opened with the account. From there on the period of `now_us`
    and the one after it are always open, local months of the account's zone. A period is closed
    as soon as every source of its account has spoken after its end, at the latest `grace_us` after
    it: then the silent ones are named, and what they attest later lands in the next one, marked.
    Without `sources` the grace passes.

    Two at once are harmless: a period's stream follows from (account, sequence), so one loses by
    its expected version and finds the other's fact on the next fold.
    """
    done = 0
    needed: dict[str, int] = {}
    for account_id, billed in list(duties.accounts.items()):
        zone = billed.opened.zone
        if zone not in needed:
            # The month after the one of `now_us` is open too: a worker may be away for weeks.
            needed[zone] = month_after(month_after(now_us, zone), zone)
        if billed.last is not None and billed.last.end_us < needed[zone]:
            done += await _open_ahead(log, account_id, billed, needed[zone], now_us)
    for running in list(duties.running.values()):
        opened = running.opened
        if opened.end_us > now_us:
            continue
        missing: tuple[Silent, ...] = ()
        if sources is not None:
            missing = sources.silent(opened.account, opened.start_us, opened.end_us)
        whole = sources is not None and not missing
        if whole or opened.end_us + grace_us <= now_us:
            done += await close_period(log, duties, running.stream, now_us, missing)
    return done


async def close_period(
    log: EventLog,
    duties: Duties,
    stream: str,
    now_us: int,
    missing: tuple[Silent, ...] = (),
) -> int:
    """Closes a period that is over, without those that are missing, whose streams have come just so
    far; 0 when it is closed already, somebody was faster, or one of them spoke.

    Raises:
        DomainError: `period.not_over`.
    """
    running = duties.running.get(stream)
    if running is None:
        return 0
    later = duties.accounts[running.opened.account].last
    if later == running.opened:
        # Somebody else opened the next one just now: it is closed after the next fold.
        return 0
    command = period.Close(later, now_us, tuple(one.name for one in missing))
    facts = period.decide(command, period.Running(running.opened))
    write = Write(stream, running.org, running.version, tuple(facts))
    reads = tuple((one.stream, one.version) for one in missing)
    return await _append(log, write, f"close\n{stream}", reads)


async def _open_ahead(
    log: EventLog, account_id: str, billed: Billed, needed: int, now_us: int
) -> int:
    opened = billed.opened
    last, done = billed.last, 0
    while last is not None and last.end_us < needed:
        command = period.Open(
            account_id, last.end_us, month_after(last.end_us, opened.zone), opened.zone, TZDATA,
            last, now_us,
        )  # fmt: skip
        (fact,) = period.decide(command, period.Missing())
        assert isinstance(fact, period.Opened)
        stream = period_id(account_id, fact.sequence)
        if not await _append(log, Write(stream, billed.org, 0, (fact,)), f"open\n{stream}"):
            break
        billed.last, last, done = fact, fact, done + 1
    return done


async def _append(
    log: EventLog, write: Write, command: str, reads: tuple[tuple[str, int], ...] = ()
) -> int:
    try:
        done = await log.append(Append((write,), ACTOR, command_id(ACTOR, command), reads))
    except DomainError as error:
        if error.code == _STALE:
            return 0
        raise
    return 0 if done.repeated else len(write.facts)
