"""What is held for prepaid reservations that cost while idle: as long as a lease, and renewed so.

Any of a reservation may fall idle at any moment, and nothing may be refused then. So all of it is
held for ahead, whatever runs on it; of the time before only what was idle. What cannot be held for
any longer ends with its hold, as a fact. Source: rating.md section 9, ADR 43.
"""

from typing import Final

from msgspec import Struct

from domain import cover, quota, reservation, wallet
from domain.admission import AdmissionState
from domain.cover import Cover
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import emitted
from domain.purses import Prepaid, wallet_stream
from domain.tariff import reserved_scope
from domain.words import MILLI

END: Final = "end"

type Writes = tuple[tuple[str, tuple[Struct, ...]], ...]


def placed(state: AdmissionState, account: str, stream: str, made: reservation.Made) -> Writes:
    """The first hold of a new reservation; none of an account that pays afterwards.

    Raises: DomainError as `wallet.lacking`.
    """
    if not state.purses.is_prepaid(account):
        return ()
    now_us, until_us = made.decided_us, _until(state, made.until_us, made.decided_us)
    region = state.stock.region_of(made.nodes)
    scope = reserved_scope(made.model, state.accounts[account].currency, region)
    covered = cover.begun(state.tariff, (account, scope, made.devices * MILLI), now_us, until_us)
    starts = state.purses.starts(account)
    amount = cover.quote(state.tariff, covered, now_us, until_us, starts)
    command = wallet.Place(stream, amount, now_us, until_us, now_us)
    return ((wallet_stream(account), tuple(wallet.place(state.purses.wallet(account), command))),)


def due(state: AdmissionState, now_us: int) -> list[str]:
    """Reservations of which something is to be decided by now."""
    return [name for name in sorted(state.purses.idle) if due_of(state, name, now_us)]


def renew(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """It is held on, or it is told that it cannot be; `()` when nothing is due but its end."""
    what = due_of(state, stream, now_us)
    if what in {"", END}:
        return ()
    known = state.purses.prepaid[stream]
    purse, org = state.purses.wallets[known.wallet], _org(state, stream)
    if what == "renew":
        until_us = _until(state, _made(state, stream).until_us, now_us)
        amount = needed(state, stream, known, until_us, now_us)
        facts = wallet.renew_one(purse, stream, amount, until_us, now_us)
        return emitted(state, org, (known.wallet, tuple(facts)))
    told = tuple(wallet.used_up(purse, now_us))
    return emitted(state, org, (known.wallet, told))


def needed(state: AdmissionState, stream: str, known: Prepaid, until_us: int, now_us: int) -> int:
    """All that its hold must be of to cover it until then: what was idle and is not met yet, and
    all of it from now on.
    """
    hold, covered = state.purses.wallets[known.wallet].holds[stream], known.cover
    starts = state.purses.starts(covered.account)
    idle, since_us = _idle(state, stream)
    if since_us > hold.from_us:  # what was idle before is not met yet: it is held for already
        reached = max(covered.until_us, hold.from_us)
        return hold.amount_pico + cover.quote(state.tariff, covered, reached, until_us, starts)
    now_us = min(max(now_us, hold.from_us), until_us)
    sized = Cover(covered.account, covered.scope, idle, covered.until_us, covered.prices)
    before = cover.quote(state.tariff, sized, hold.from_us, now_us, starts)
    return before + cover.quote(state.tariff, covered, now_us, until_us, starts)


def per_hour(state: AdmissionState, stream: str, now_us: int) -> int:
    """What an hour of it costs now, pico; 0 when nothing of it is charged."""
    known, stands = state.purses.prepaid.get(stream), state.reservations.get(stream)
    if known is None or not isinstance(stands, reservation.Standing):
        return 0
    price, _ = state.tariff.at(known.cover.account, known.cover.scope, now_us)
    return 0 if price is None else cover.per_hour(price, _idle(state, stream)[0])


def due_of(state: AdmissionState, stream: str, now_us: int) -> str:
    """What is to be done with the reservation now, if anything is."""
    if not isinstance(state.reservations.get(stream), reservation.Standing):
        return ""
    known, last_us = state.purses.prepaid[stream], _made(state, stream).until_us
    purse = state.purses.wallets[known.wallet]
    until_us = purse.holds[stream].until_us
    terms = state.leasing
    if until_us >= last_us or until_us > terms.hold_end(now_us + terms.lease_us * 4 // 5):
        return ""
    if lacking(state, stream, now_us) is None:
        return "renew"
    if now_us >= until_us:
        return END
    return "notice" if wallet.used_up(purse, now_us) else ""


def lacking(state: AdmissionState, stream: str, now_us: int) -> DomainError | None:
    """Why it cannot be held for so long again, if so."""
    known = state.purses.prepaid[stream]
    purse = state.purses.wallets[known.wallet]
    until_us = _until(state, _made(state, stream).until_us, now_us)
    more = needed(state, stream, known, until_us, now_us) - purse.holds[stream].amount_pico
    return wallet.lacking(purse, more, now_us) if more > 0 else None


def _idle(state: AdmissionState, stream: str) -> tuple[int, int]:
    """How much of it nothing runs on, and no earlier than since when."""
    tree = state.quotas[quota.quota_stream(_org(state, stream))]
    of, drawing = tree.reserved[stream], quota.drawing(tree, stream)
    since = [of.decided_us, tree.eased.get(stream, 0), *(one.decided_us for one in drawing)]
    return of.gpu_milli - sum(one.gpu_milli for one in drawing), max(since)


def _until(state: AdmissionState, last_us: int, now_us: int) -> int:
    return min(last_us, state.leasing.hold_end(now_us + state.leasing.lease_us))


def _made(state: AdmissionState, stream: str) -> reservation.Made:
    return state.reservations[stream].made


def _org(state: AdmissionState, stream: str) -> str:
    return state.projects[_made(state, stream).project].organization
