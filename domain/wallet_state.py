"""What a prepaid wallet's facts amount to: lots of credit, and what holds have of them.

A hold takes lots in one order (promotional credit before paid, in each what expires first, then the
older) and gives back in the opposite one, each part to its own lot. What is held of a
lot when that expires stays held; what comes back of it later expires then. The state is mutable and
kept by one fold; `remember` says what it replaced, for `restore`.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.tariff import NEVER
from domain.wallet_facts import (
    PAID,
    PROMO,
    USAGE,
    ArrearsMet,
    Captured,
    ChargeRecovered,
    CreditChargedBack,
    CreditExpired,
    CreditGranted,
    CreditRefunded,
    Event,
    HoldCaptured,
    HoldExpired,
    HoldPlaced,
    HoldReleased,
    HoldsRenewed,
    LevelReached,
    Recovered,
    ReservationCaptured,
    ReservationHeld,
    ReservationRecovered,
    ReservationReleased,
    ReservationRenewed,
    UsageRecovered,
    VolumeCaptured,
    VolumeHeld,
    VolumeRecovered,
    VolumeReleased,
    VolumeRenewed,
    held_for,
)

DEBT: Final = ""  # the lot of what was never there: any of it trips the wire

type Parts = tuple[tuple[str, int], ...]  # (grant, pico), in the order they were taken


class Lot(Struct, frozen=True, gc=False):
    """Credit of one grant; `left_pico` of it is neither spent nor held, `gone_pico` was given back
    to the payer, or taken.
    """

    grant: str
    bucket: str
    amount_pico: int
    expires_us: int
    order: int
    left_pico: int
    gone_pico: int = 0


class Hold(Struct, frozen=True, gc=False):
    """`parts` are held, `spent` are captured. `met_pico` of charges are settled, however that was.

    `until_us` 0 once it expired: nothing is held then, and charges are met from what is there.
    """

    from_us: int
    until_us: int
    parts: Parts
    spent: Parts = ()
    met_pico: int = 0

    @property
    def amount_pico(self) -> int:
        return sum([pico for _, pico in self.parts])


class Before(Struct, frozen=True):
    """What one fact replaced; None where there was nothing."""

    lots: dict[str, Lot | None]
    holds: dict[str, Hold | None]
    balance_pico: int
    held_pico: int
    base_pico: int
    level: int
    arrears_pico: int
    released: "dict[str, Hold | None]"


class Wallet:
    """Not shared between threads. `base_pico` was neither used nor held after the last grant; since
    then `level` percent of it was reached. `arrears_pico`: what chargebacks left owing.
    """

    def __init__(self) -> None:
        self.lots: dict[str, Lot] = {}
        self.holds: dict[str, Hold] = {}
        self.released: dict[str, Hold] = {}  # what was met, should it cost less one day
        self.references: dict[str, CreditGranted] = {}
        self.returns: dict[str, CreditChargedBack | CreditRefunded] = {}
        self.balance_pico = 0
        self.held_pico = 0
        self.base_pico = 0
        self.level = 0
        self.arrears_pico = 0

    @property
    def sound(self) -> bool:
        """False: a tripwire; nothing but grants is decided on it any more."""
        return 0 <= self.held_pico <= self.balance_pico

    def available_pico(self, now_us: int) -> int:
        """What may be held or spent now."""
        return sum([lot.left_pico for lot in self.lots.values() if usable(lot, now_us)])

    def paid(self, now_us: int, first: str = "") -> list[Lot]:
        """Lots that were paid for and may be spent now, in order; that of the grant `first` first.

        None of a wallet that is not sound.
        """
        lots = [lot for lot in self.lots.values() if lot.bucket == PAID and usable(lot, now_us)]
        by = sorted(lots, key=lambda lot: (lot.grant != first, *_first(lot)))
        return [lot for lot in by if lot.left_pico > 0] if self.sound else []


def usable(lot: Lot, now_us: int) -> bool:
    return lot.expires_us == 0 or lot.expires_us > now_us


def _first(lot: Lot) -> tuple[bool, int, int]:
    return lot.bucket != PROMO, lot.expires_us or NEVER, lot.order


def remember(wallet: Wallet, event: Event) -> Before:
    """The wallet after the event; what it replaced."""
    change = _Change(wallet)
    match event:
        case CreditGranted():
            wallet.references[event.reference] = event
            lot = Lot(
                *(event.grant, event.bucket, event.amount_pico, event.expires_us),
                *(len(wallet.lots), event.amount_pico),
            )
            change.lot(event.grant, lot)
            wallet.base_pico = event.balance_pico - event.held_pico
            wallet.level = 0
        case CreditExpired():
            change.move(event.grant, -event.amount_pico)
        case HoldPlaced() | VolumeHeld() | ReservationHeld():
            parts = change.take(event.amount_pico, event.decided_us)
            change.hold(held_for(event), Hold(event.from_us, event.until_us, parts))
        case HoldsRenewed():
            for one in event.holds:
                change.resize(one.runtime, one.amount_pico, event.until_us, event.decided_us)
        case VolumeRenewed() | ReservationRenewed():
            change.resize(held_for(event), event.amount_pico, event.until_us, event.decided_us)
        case HoldCaptured() | VolumeCaptured() | ReservationCaptured():
            change.capture(event)
        case ChargeRecovered() | VolumeRecovered() | ReservationRecovered():
            change.recover(event)
        case UsageRecovered():
            wanted = wallet.holds.get(USAGE, Hold(0, 0, ()))
            change.spend(USAGE, wanted, (event.recovered_pico, 0), event.decided_us)
        case HoldReleased() | VolumeReleased() | ReservationReleased():
            released = wallet.holds[held_for(event)]
            change.give(released.parts)
            change.hold(held_for(event), None)
            change.release(held_for(event), replace(released, parts=(), until_us=0))
        case HoldExpired():
            hold = wallet.holds[event.runtime]
            change.give(hold.parts)
            change.hold(event.runtime, replace(hold, parts=(), until_us=0))
        case LevelReached():
            wallet.level = event.percent
        case CreditChargedBack():
            wallet.returns[event.reference] = event
            change.spend_paid(event.taken_pico, event.decided_us, event.grant)
            change.gone(event.grant, event.amount_pico)
            wallet.arrears_pico += event.amount_pico - event.taken_pico
        case CreditRefunded():
            wallet.returns[event.reference] = event
            change.move(event.grant, -event.amount_pico)
            change.gone(event.grant, event.amount_pico)
        case ArrearsMet():
            change.spend_paid(event.amount_pico, event.decided_us)
            wallet.arrears_pico -= event.amount_pico
        case _:
            assert_never(event)
    wallet.balance_pico, wallet.held_pico = event.balance_pico, event.held_pico
    return change.before


def restore(wallet: Wallet, event: Event, before: Before) -> None:
    """The wallet before the event; events after it are taken back first."""
    if isinstance(event, CreditGranted):
        del wallet.references[event.reference]
    elif isinstance(event, CreditChargedBack | CreditRefunded):
        del wallet.returns[event.reference]
    for name, lot in before.lots.items():
        if lot is None:
            del wallet.lots[name]
        else:
            wallet.lots[name] = lot
    for name, hold in before.holds.items():
        if hold is None:
            del wallet.holds[name]
        else:
            wallet.holds[name] = hold
    for name, hold in before.released.items():
        if hold is None:
            del wallet.released[name]
        else:
            wallet.released[name] = hold
    wallet.balance_pico, wallet.held_pico = before.balance_pico, before.held_pico
    wallet.base_pico, wallet.level = before.base_pico, before.level
    wallet.arrears_pico = before.arrears_pico


class _Change:
    """Moves credit between lots and holds, and keeps what it replaces."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self.before = Before(
            *({}, {}, wallet.balance_pico, wallet.held_pico),
            *(wallet.base_pico, wallet.level, wallet.arrears_pico, {}),
        )

    def lot(self, name: str, lot: Lot) -> None:
        self.before.lots.setdefault(name, self._wallet.lots.get(name))
        self._wallet.lots[name] = lot

    def hold(self, name: str, hold: Hold | None) -> None:
        self.before.holds.setdefault(name, self._wallet.holds.get(name))
        if hold is None:
            del self._wallet.holds[name]
        else:
            self._wallet.holds[name] = hold

    def release(self, name: str, hold: Hold) -> None:
        self.before.released.setdefault(name, self._wallet.released.get(name))
        self._wallet.released[name] = hold

    def move(self, name: str, pico: int) -> None:
        """More is left of the lot, or less."""
        lot = self._wallet.lots.get(name) or Lot(name, "", 0, 0, len(self._wallet.lots), 0)
        self.lot(name, replace(lot, left_pico=lot.left_pico + pico))

    def take(self, pico: int, now_us: int) -> Parts:
        """So much out of the lots that are usable now, in order; what they lack is debt."""
        parts = list[tuple[str, int]]()
        for lot in sorted(self._wallet.lots.values(), key=_first):
            part = min(pico, lot.left_pico) if usable(lot, now_us) else 0
            if part > 0:
                self.move(lot.grant, -part)
                parts.append((lot.grant, part))
                pico -= part
        if pico > 0:
            self.move(DEBT, -pico)
            parts.append((DEBT, pico))
        return tuple(parts)

    def spend_paid(self, pico: int, now_us: int, first: str = "") -> None:
        """So much out of what was paid for; what it lacks is debt."""
        for lot in self._wallet.paid(now_us, first):
            part = min(pico, lot.left_pico)
            if part:
                self.move(lot.grant, -part)
            pico -= part
        if pico > 0:
            self.move(DEBT, -pico)

    def gone(self, name: str, pico: int) -> None:
        """So much of the lot's payment is the payer's again."""
        lot = self._wallet.lots[name]
        self.lot(name, replace(lot, gone_pico=lot.gone_pico + pico))

    def give(self, parts: Parts) -> None:
        for name, pico in parts:
            self.move(name, pico)

    def resize(self, runtime: str, amount_pico: int, until_us: int, now_us: int) -> None:
        hold = self._wallet.holds[runtime]
        more = amount_pico - hold.amount_pico
        if more >= 0:
            parts = _joined(hold.parts, self.take(more, now_us))
        else:
            back, parts = _last(hold.parts, -more)
            self.give(back)
        self.hold(runtime, replace(hold, parts=parts, until_us=max(hold.until_us, until_us)))

    def capture(self, event: Captured) -> None:
        hold, pico = self._wallet.holds[held_for(event)], event.amount_pico
        if pico >= 0:
            rest, used = _last(hold.parts, hold.amount_pico - pico)
            parts, spent = rest, _joined(hold.spent, used)
        else:
            back, spent = _last(hold.spent, -pico)
            parts = _joined(back, hold.parts)
        met = hold.met_pico + pico
        self.hold(
            held_for(event),
            replace(hold, from_us=event.from_us, parts=parts, spent=spent, met_pico=met),
        )

    def recover(self, event: Recovered) -> None:
        name, moved = held_for(event), (event.recovered_pico, event.unrecovered_pico)
        hold = self._wallet.holds.get(name)
        if hold is None:
            hold = self._wallet.released[name]
        self.spend(name, hold, moved, event.decided_us)

    def spend(self, name: str, hold: Hold, moved: tuple[int, int], now_us: int) -> None:
        """So much of what is available, and of what nobody has, meets charges of `name`."""
        pico, lost = moved
        if pico >= 0:
            spent = _joined(hold.spent, self.take(pico, now_us))
        else:
            back, spent = _last(hold.spent, -pico)
            self.give(back)
        kept = replace(hold, spent=spent, met_pico=hold.met_pico + pico + lost)
        if name in self._wallet.released and name not in self._wallet.holds:
            self.release(name, kept)
        else:
            self.hold(name, kept)


def _joined(first: Parts, then: Parts) -> Parts:
    """One part a lot: how often a hold was renewed must not show in its size."""
    found = dict(first)
    for name, pico in then:
        found[name] = found.get(name, 0) + pico
    return tuple(found.items())


def _last(parts: Parts, pico: int) -> tuple[Parts, Parts]:
    """(the last `pico` of the parts, what stays), both in the order of the parts."""
    last, stay = list[tuple[str, int]](), list[tuple[str, int]]()
    for name, part in reversed(parts):
        taken = min(part, pico)
        pico -= taken
        if taken:
            last.append((name, taken))
        if part > taken:
            stay.append((name, part - taken))
    return tuple(reversed(last)), tuple(reversed(stay))
