"""The wallets of prepaid accounts as the admission writer has them, and what their holds cover."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain import account, cover, credit, period, reservation, runtime, wallet
from domain.cover import Cover
from domain.instants import LEASE_US
from domain.node_facts import LeaseRenewed
from domain.node_state import Lease, Serving
from domain.stock import Kind
from domain.tariff import Scope, Tariff, gpu_scope, reserved_scope, storage_scope
from domain.wallet import Before, Wallet
from domain.wallet_facts import (
    ArrearsMet,
    CreditChargedBack,
    CreditGranted,
    Event,
    HoldCaptured,
    HoldExpired,
    HoldPlaced,
    HoldReleased,
    HoldsRenewed,
    ReservationCaptured,
    ReservationHeld,
    ReservationReleased,
    ReservationRenewed,
    VolumeCaptured,
    VolumeHeld,
    VolumeReleased,
    VolumeRenewed,
    held_for,
    is_reservation,
)
from domain.words import MILLI

UNDOABLE: Final = 16_384  # changes of all wallets kept for `undo`: far more than are in flight
UNDOABLE_LEASES: Final = 4  # of one node
UNDOABLE_ENDS: Final = 4  # of what one runtime is covered until
RETRY_US: Final = 1_000_000
GRACE_US: Final = LEASE_US  # so long after its end a hold waits for a word of the runtime's end


class Lapsed(Struct, frozen=True):
    """What a lease of a node replaced."""

    runtimes: tuple[str, ...]
    leases: dict[str, Lease]
    renewed_us: int
    seen_us: int


class Prepaid(Struct):
    """A runtime or volume that is paid for in advance. `closed_us`: when a runtime last stopped
    being usable. Of a volume the cover's size says nothing.
    """

    wallet: str
    cover: Cover
    closed_us: int = 0
    reached: tuple[int, ...] = ()  # until when it was covered before, for `undo`


class Purses:
    """Part of an `AdmissionState`; not shared between threads."""

    def __init__(self, tariff: Tariff, region: Callable[[str], str]) -> None:
        """`region`: of a node, or of a volume that stands."""
        self.terms: dict[str, account.TermsSet] = {}
        self.credit: dict[str, credit.Credit] = {}
        self.currencies: dict[str, str] = {}
        self.period_starts: dict[str, list[int]] = {}
        self.books: set[str] = set()  # streams of price entries
        self.wallets: dict[str, Wallet] = {}
        self.prepaid: dict[str, Prepaid] = {}
        self.kept: dict[str, str] = {}  # accounts of prepaid volumes; of some that are over, too
        self.idle: set[str] = set()  # reservations that are held for
        self._tariff = tariff
        self._coming: dict[str, runtime.Requested] = {}
        self._made: dict[str, tuple[Scope, int]] = {}  # reservations that may be held for at once
        self._region = region
        self._kinds: dict[str, Kind] = {}
        self._spot: set[str] = set()  # of those that are coming
        self._over: dict[str, Prepaid] = {}
        self._before: dict[str, deque[Before]] = {}
        self._order: deque[str] = deque()  # wallets of the changes kept, the oldest first
        self._armed: dict[str, int] = {}  # when each wallet is looked at next
        self._alarms: list[tuple[int, str]] = []  # a heap of those; outdated ones among them
        self._leases: dict[str, deque[Lapsed]] = {}
        self._credit_before: dict[tuple[str, credit.Event], credit.Credit] = {}

    def is_prepaid(self, account_id: str) -> bool:
        """Whether what is launched for the account now is paid for in advance."""
        terms = self.terms.get(account_id)
        return terms is not None and terms.terms == account.PREPAID

    def standing(self, account_id: str) -> None:
        """Nothing for an account that may begin something new. Raises: DomainError
        `account.suspended`, `account.over_limit`.
        """
        error = credit.barring(self.credit.get(account_id, credit.Credit()))
        if error is not None:
            raise error

    def credited(self, stream: str, fact: credit.Event) -> None:
        """What the account's stream says of its credit."""
        before = self.credit.get(stream, credit.Credit())
        self._credit_before[stream, fact] = before
        self.credit[stream] = credit.evolve(before, fact)

    def uncredited(self, stream: str, fact: credit.Event) -> None:
        """The account before the fact, which was its last."""
        self.credit[stream] = self._credit_before.pop((stream, fact))

    def wallet(self, account_id: str) -> Wallet:
        """The account's wallet, empty before its first grant."""
        return self.wallets.get(wallet_stream(account_id)) or Wallet()

    def starts(self, account_id: str) -> list[int]:
        return self.period_starts.get(account_id, [])

    def opened(self, stream: str, fact: account.Opened) -> None:
        self.currencies[stream] = fact.currency

    def period(self, fact: period.Opened) -> None:
        self.period_starts.setdefault(fact.account, []).append(fact.start_us)

    def says(self, stream: str, fact: runtime.Event) -> None:
        """A fact of a runtime, before the hold that its admission places with it."""
        match fact:
            case runtime.Requested() if self.is_prepaid(fact.account):
                self._coming[stream] = fact
            case runtime.Allocated() if stream in self._coming:
                self._kinds[stream] = (fact.model, self._region(fact.node))
            case runtime.Spot() if stream in self._coming:
                self._spot.add(stream)
            case runtime.Degraded() if stream in self.prepaid:
                self.prepaid[stream].closed_us = fact.degraded_us
            case _:
                pass

    def reserves(self, stream: str, account_id: str, region: str, fact: reservation.Made) -> None:
        """A reservation of the account, which stands in this region, before its hold."""
        self._made.clear()  # what has no hold in its own append has none
        scope = reserved_scope(fact.model, self.currencies[account_id], region)
        self._made[stream] = (scope, fact.devices * MILLI)

    def renewing(self, stream: str, before: Serving, fact: LeaseRenewed) -> None:
        """Keeps what `unrenewed` would need of a lease that is decided here."""
        leases = {name: before.leases[name] for name in fact.runtimes if name in before.leases}
        kept = self._leases.setdefault(stream, deque(maxlen=UNDOABLE_LEASES))
        kept.append(Lapsed(fact.runtimes, leases, before.renewed_us, before.seen_us))

    def unrenewed(self, stream: str, state: Serving) -> Serving:
        """The node before its last renewal, when that was refused."""
        before = self._leases[stream].pop()
        leases = {name: one for name, one in state.leases.items() if name not in before.runtimes}
        leases |= {name: one for name, one in before.leases.items() if name in state.held}
        return replace(state, leases=leases, renewed_us=before.renewed_us, seen_us=before.seen_us)

    def remember(self, stream: str, fact: Event) -> None:
        """The wallet after the fact."""
        purse = self.wallets.setdefault(stream, Wallet())
        self._keep(stream, wallet.remember(purse, fact))
        match fact:
            case CreditGranted(expires_us=expires_us):
                if expires_us:
                    self.arm(stream, expires_us)
                if purse.arrears_pico:
                    self.arm(stream, fact.decided_us)
            case HoldPlaced():
                self._place(stream, fact)
            case VolumeHeld():
                self._keep_volume(stream, fact)
            case ReservationHeld():
                self._keep_reserved(stream, fact)
            case HoldsRenewed():
                for one in fact.holds:
                    self._extend(one.runtime, fact.until_us)
            case VolumeRenewed() | ReservationRenewed():
                self._extend(held_for(fact), fact.until_us)
            case HoldCaptured() | HoldExpired() | VolumeCaptured() | ReservationCaptured():
                self.arm(stream, fact.decided_us)
            case CreditChargedBack() | ArrearsMet():
                self.arm(stream, fact.decided_us)
            case HoldReleased() | VolumeReleased() | ReservationReleased():
                self.idle.discard(held_for(fact))
                self.arm(stream, fact.decided_us)  # what came back may be of a lot that is over
                self._over[held_for(fact)] = self.prepaid.pop(held_for(fact))
                if len(self._over) > UNDOABLE:
                    del self._over[next(iter(self._over))]
            case _:
                pass

    def _keep(self, stream: str, before: Before) -> None:
        self._before.setdefault(stream, deque()).append(before)
        self._order.append(stream)
        if len(self._order) > UNDOABLE:
            oldest = self._order.popleft()
            kept = self._before.get(oldest)
            if kept:
                kept.popleft()
            if not kept:
                self._before.pop(oldest, None)

    def arm(self, stream: str, at_us: int) -> None:
        """The wallet is looked at then, or before."""
        known = self._armed.get(stream)
        if known is None or at_us < known:
            self._armed[stream] = at_us
            heappush(self._alarms, (at_us, stream))

    def look(self, now_us: int) -> list[str]:
        """Wallets whose time has come, each once; each is armed again for its next time."""
        found = []
        while self._alarms and self._alarms[0][0] <= now_us:
            at_us, stream = heappop(self._alarms)
            if self._armed.get(stream) == at_us:
                del self._armed[stream]
                found.append(stream)
        for stream in found:
            purse = self.wallets.get(stream, Wallet())
            times = [one.expires_us for one in purse.lots.values() if one.left_pico > 0]
            times = [at for at in times if at]
            times += [
                one.until_us + GRACE_US
                for name, one in purse.holds.items()
                if one.until_us and name not in self.kept and name not in self.idle
            ]
            if purse.arrears_pico and purse.paid(now_us):
                times.append(now_us)
            if times:
                # What is due and not done a second later is found again.
                self.arm(stream, max(min(times), now_us + RETRY_US))
        return found

    def _place(self, stream: str, fact: HoldPlaced) -> None:
        asked, (model, region) = self._coming.pop(fact.runtime), self._kinds.pop(fact.runtime)
        spot = fact.runtime in self._spot
        self._spot.discard(fact.runtime)
        scope = gpu_scope(model, self.currencies[asked.account], spot=spot, region=region)
        of = (asked.account, scope, asked.gpu_milli)
        covered = cover.begun(self._tariff, of, fact.from_us, fact.until_us)
        self.prepaid[fact.runtime] = Prepaid(stream, covered)
        self.arm(stream, fact.until_us + GRACE_US)

    def _keep_volume(self, stream: str, fact: VolumeHeld) -> None:
        of = account_of(stream)
        scope = storage_scope(self.currencies[of], self._region(fact.volume))
        covered = cover.begun(self._tariff, (of, scope, 0), fact.from_us, fact.until_us)
        self.prepaid[fact.volume] = Prepaid(stream, covered)
        self.kept[fact.volume] = of

    def _keep_reserved(self, stream: str, fact: ReservationHeld) -> None:
        of = (account_of(stream), *self._made.pop(fact.reservation))
        covered = cover.begun(self._tariff, of, fact.from_us, fact.until_us)
        self.prepaid[fact.reservation] = Prepaid(stream, covered)
        self.idle.add(fact.reservation)

    def _extend(self, name: str, until_us: int) -> None:
        known = self.prepaid[name]
        known.reached = (*known.reached[1 - UNDOABLE_ENDS :], known.cover.until_us)
        cover.extend(self._tariff, known.cover, until_us)

    def _unextend(self, name: str) -> None:
        known = self.prepaid[name]
        *reached, until_us = known.reached
        known.reached, known.cover.until_us = tuple(reached), until_us
        known.cover.prices = [part for part in known.cover.prices if part[0] < until_us]

    def undo(self, stream: str, fact: Event) -> None:
        """The wallet before the fact, which was its last."""
        wallet.restore(self.wallets[stream], fact, self._before[stream].pop())
        match fact:
            case HoldPlaced() | VolumeHeld() | ReservationHeld():
                del self.prepaid[held_for(fact)]
                self.idle.discard(held_for(fact))
            case HoldsRenewed():
                for one in fact.holds:
                    self._unextend(one.runtime)
            case VolumeRenewed() | ReservationRenewed():
                self._unextend(held_for(fact))
            case HoldReleased() | VolumeReleased() | ReservationReleased():
                self.prepaid[held_for(fact)] = self._over.pop(held_for(fact))
                if is_reservation(held_for(fact)):
                    self.idle.add(held_for(fact))
            case _:
                pass


def wallet_stream(account_id: str) -> str:
    """The wallet's stream has the UUID of its account."""
    return "wallet-" + account_id.split("-", 1)[1]


def account_of(stream: str) -> str:
    """The account that the wallet is of."""
    return "account-" + stream.split("-", 1)[1]
