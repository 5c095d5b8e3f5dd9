"""Prepaid volumes whose credit runs out, carried out by the admission: notice, locked, wiped.

A hold is renewed before it ends. A volume that cannot be held for any longer is told of, locked
when its hold ends, and wiped from a date on; credit before that unlocks it, under a new hold.
Source: MONEY.md section 5.
"""

from domain import keeping, runtime, volume, wallet
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.keeping import Writes
from domain.launch import emitted
from domain.wallet_facts import EXHAUSTED


def due(state: AdmissionState, now_us: int) -> list[str]:
    """Volumes of which something is to be decided by now."""
    return [name for name in state.purses.kept if _next(state, name, now_us)]


def carry_out(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """What is due of this volume; `()` when nothing is."""
    what = _next(state, stream, now_us)
    if not what:
        return ()
    held, account = state.volumes[stream].state, state.purses.kept[stream]
    org, terms = state.accounts[account].organization, state.keeping
    match what:
        case "renew":
            known = state.purses.prepaid[stream]
            purse, until_us = state.purses.wallets[known.wallet], now_us + terms.hold_us
            amount = keeping.needed(state, stream, known, keeping.size_of(held), until_us)
            facts = wallet.renew_one(purse, stream, amount, until_us, now_us)
            return emitted(state, org, (known.wallet, tuple(facts)))
        case "notice":
            known = state.purses.prepaid[stream]
            purse = state.purses.wallets[known.wallet]
            lock_us = purse.holds[stream].until_us
            notice = volume.NoticeLock(lock_us, lock_us + terms.wipe_us, now_us)
            told: Writes = ((stream, tuple(volume.decide(notice, held))),)
            level = tuple(wallet.used_up(purse, now_us))
            told += ((known.wallet, level),) if level else ()
            return emitted(state, org, *told)
        case "lock":
            return _lock(state, org, stream, held, now_us)
        case "unlock":
            unlocked = tuple(volume.decide(volume.Unlock(now_us), held))
            writes = keeping.held_anew(state, stream, account, keeping.size_of(held), now_us)
            return emitted(state, org, (stream, unlocked), *writes)
        case _:
            wiping = tuple(volume.decide(volume.Wipe(now_us), held))
            return emitted(state, org, (stream, wiping))


def _lock(
    state: AdmissionState, org: str, stream: str, held: volume.Held, now_us: int
) -> tuple[Emit, ...]:
    """The lock, and the stop of the runtime that has it. Who was not told before is told now."""
    known = state.purses.prepaid[stream]
    until_us = state.purses.wallets[known.wallet].holds[stream].until_us
    lock = volume.Lock(until_us, now_us + state.keeping.wipe_us, now_us)
    notice = volume.NoticeLock(lock.lock_us, lock.wipe_us, now_us)
    said = (*volume.decide(notice, held), *volume.decide(lock, held))
    writes: Writes = ((stream, said),)
    runs = None if held.attached is None else state.runtimes.get(held.attached.runtime)
    if held.attached is not None and runs is not None:
        stop = tuple(runtime.decide(runtime.Stop(EXHAUSTED, now_us), runs.state))
        writes += ((held.attached.runtime, stop),) if stop else ()
    return emitted(state, org, *writes)


def _next(state: AdmissionState, stream: str, now_us: int) -> str:
    """What is to be done with the volume now, if anything is."""
    stored = state.volumes.get(stream)
    if stored is None:
        return ""
    held, purses = stored.state, state.purses
    wiping = isinstance(held.asked, volume.WipeRequested)
    # What its node never made is not worth holding for.
    worth = not wiping and (held.formatted or held.asked is held.created)
    purse = purses.wallet(purses.kept[stream])
    if held.locked is not None:
        settled = worth and stream not in purse.holds
        if settled and keeping.lacking(state, stream, held, now_us) is None:
            return "unlock"
        late = now_us >= held.locked.wipe_us
        return "wipe" if late and not wiping and _may_wipe(held, now_us) else ""
    hold = purse.holds.get(stream)
    if hold is None or hold.until_us - now_us > state.keeping.hold_us - state.keeping.renew_us:
        return ""
    if (worth or wiping) and keeping.lacking(state, stream, held, now_us) is None:
        return "renew"
    if now_us >= hold.until_us:
        return "lock"
    return "notice" if held.noticed_us != hold.until_us else ""


def _may_wipe(held: volume.Held, now_us: int) -> bool:
    try:
        return bool(volume.decide(volume.Wipe(now_us), held))
    except DomainError:
        return False  # a runtime has it, or an order is under way: later
