"""What is held for prepaid volumes: for days ahead, from their creation on (rating.md 9)."""

from msgspec import Struct

from domain import cover, volume, wallet
from domain.admission import AdmissionState
from domain.cover import Cover
from domain.errors import DomainError
from domain.purses import Prepaid, wallet_stream
from domain.tariff import storage_scope

type Writes = tuple[tuple[str, tuple[Struct, ...]], ...]


def placed(state: AdmissionState, stream: str, made: volume.Created) -> Writes:
    """The first hold of a new volume; none for one that is not metered, or paid for afterwards.

    Raises: DomainError as `wallet.lacking`.
    """
    if not (state.storage and state.purses.is_prepaid(made.account)):
        return ()
    of = (made.account, state.stock.region(made.node))
    return _held(state, stream, of, made.size_mib, made.created_us)


def grown(state: AdmissionState, stream: str, size_mib: int, now_us: int) -> Writes:
    """The larger hold of a volume that is asked to grow; none for one that is not prepaid.

    Raises: DomainError as `wallet.lacking`.
    """
    known = state.purses.prepaid.get(stream)
    if known is None:
        return ()
    purse = state.purses.wallets[known.wallet]
    hold = purse.holds[stream]
    amount = max(hold.amount_pico, needed(state, stream, known, size_mib, hold.until_us))
    facts = wallet.renew_one(purse, stream, amount, hold.until_us, now_us)
    return ((known.wallet, tuple(facts)),)


def reads(state: AdmissionState) -> tuple[str, ...]:
    """The streams of the prices that holds are rated by."""
    return tuple(sorted(state.purses.books))


def lacking(
    state: AdmissionState, stream: str, held: volume.Held, now_us: int
) -> DomainError | None:
    """Why it cannot be held for so long again, if so."""
    account = state.purses.kept[stream]
    purse, until_us = state.purses.wallet(account), now_us + state.keeping.hold_us
    known = state.purses.prepaid.get(stream)
    if known is None:
        more = _first(state, (account, state.region(stream)), size_of(held), now_us)[0]
    else:
        more = needed(state, stream, known, size_of(held), until_us)
        more -= purse.holds[stream].amount_pico
    return wallet.lacking(purse, more, now_us) if more > 0 else None


def held_anew(
    state: AdmissionState, stream: str, account: str, size_mib: int, now_us: int
) -> Writes:
    """A hold from now on. Raises: DomainError as `wallet.lacking`."""
    return _held(state, stream, (account, state.region(stream)), size_mib, now_us)


def _held(
    state: AdmissionState, stream: str, of: tuple[str, str], size_mib: int, now_us: int
) -> Writes:
    amount, until_us = _first(state, of, size_mib, now_us)
    command = wallet.Place(stream, amount, now_us, until_us, now_us)
    facts = tuple(wallet.place(state.purses.wallet(of[0]), command))
    return ((wallet_stream(of[0]), facts),)


def _first(
    state: AdmissionState, of: tuple[str, str], size_mib: int, now_us: int
) -> tuple[int, int]:
    """(what a hold from now on is of, when it ends), of (account, region)."""
    account, region = of
    until_us = now_us + state.keeping.hold_us
    scope = storage_scope(state.accounts[account].currency, region)
    covered = cover.begun(state.tariff, (account, scope, size_mib), now_us, until_us)
    starts = state.purses.starts(account)
    return cover.quote(state.tariff, covered, now_us, until_us, starts), until_us


def needed(state: AdmissionState, stream: str, known: Prepaid, size_mib: int, until_us: int) -> int:
    """All that its hold must be of to cover it until then: what is not charged and met yet, as if
    it had been of that size since then.
    """
    hold, covered = state.purses.wallets[known.wallet].holds[stream], known.cover
    sized = Cover(covered.account, covered.scope, size_mib, covered.until_us, covered.prices)
    until_us = max(until_us, covered.until_us)
    starts = state.purses.starts(covered.account)
    return cover.quote(state.tariff, sized, hold.from_us, until_us, starts)


def size_of(held: volume.Held) -> int:
    """What it has, or will have."""
    asked = held.asked
    return asked.size_mib if isinstance(asked, volume.GrowRequested) else held.size_mib


def per_hour(state: AdmissionState, stream: str, now_us: int) -> int:
    """What an hour of it costs now, pico; 0 when nothing of it is charged."""
    stored, known = state.volumes.get(stream), state.purses.prepaid.get(stream)
    if stored is None or known is None or stored.state.locked or not stored.state.formatted:
        return 0
    price, _ = state.tariff.at(known.cover.account, known.cover.scope, now_us)
    return 0 if price is None else cover.per_hour(price, stored.state.size_mib)
