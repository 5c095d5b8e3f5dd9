"""What wallets' facts post, and what of a prepaid runtime is left to be settled (rating.md 9)."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from domain import cover, wallet
from domain.charging import Payer, Resource
from domain.crediting import CreditLine
from domain.errors import DomainError
from domain.ledger import Ledger, Order, Transfer, post
from domain.purses import account_of, wallet_stream
from domain.statement import LineKey
from domain.tariff import Tariff
from domain.wallet import Wallet
from domain.wallet_facts import (
    PAID,
    USAGE,
    ArrearsMet,
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
    Released,
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

# kind, debit, credit; a negative amount swaps the two
GRANT: Final = ("grant", "cash", "wallet")
PROMOTION: Final = ("grant", "credits:promo", "wallet")
BREAKAGE: Final = ("breakage", "wallet", "breakage")
HOLD: Final = ("hold", "wallet", "hold")
RELEASE: Final = ("release", "hold", "wallet")
CAPTURE: Final = ("capture", "hold", "receivable")
RECOVER: Final = ("recover", "wallet", "receivable")
UNRECOVERED: Final = ("unrecovered", "provider:unrecovered", "receivable")
CHARGED_BACK: Final = ("chargeback", "wallet", "cash")
ARREARS: Final = ("arrears", "receivable", "cash")
ARREARS_MET: Final = ("arrears_met", "wallet", "receivable")
REFUND: Final = ("refund", "wallet", "cash")

type Leg = tuple[tuple[str, str, str], str, int]


class Settlement(Struct, frozen=True):
    """What was charged for a prepaid runtime or volume in all, since it is held for; `over`: it
    has ended. For `USAGE`: for what of the account nothing is held for.
    """

    wallet: str
    runtime: str
    charged_pico: int
    from_us: int
    over: bool


class Prepayments:
    """The wallets of one log, and the prepaid runtimes that are not settled; part of `Books`."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._wallets: dict[str, Wallet] = {}
        self._held: dict[str, tuple[str, Resource]] = {}  # by runtime, until its hold is resolved
        self._due: dict[str, int] = {}  # runtimes with charges to be met, and up to when charged
        self._over: set[str] = set()
        self._before: dict[str, int] = {}  # volumes: what was charged before they were held for
        self._released: dict[str, tuple[str, Resource]] = {}  # by what nothing is held for any more
        self._less: set[str] = set()  # of those, what costs less since
        self._payers: dict[str, Payer] = {}  # by wallet, of accounts that ever were prepaid
        self._credited: dict[str, int] = {}  # of what is or was held for, since it is
        self._taken: dict[tuple[str, int, str], int] = {}  # of a line of one of those, ever

    def owing(self, owner: Payer) -> None:
        """The account is prepaid, or was: what it uses without a hold is met from its wallet."""
        self._payers[wallet_stream(owner.ledger.account)] = owner

    def apply(
        self, position: int, stream: str, fact: Event, ledger: Ledger, held: dict[str, Resource]
    ) -> list[Transfer]:
        """What the fact posts, in order; the holds of `held` runtimes cover what it says.

        Raises: DomainError `rating.hold_unknown`, `rating.overflow`.
        """
        purse = self._wallets.setdefault(stream, Wallet())
        legs = self._legs(purse, stream, fact)
        self._cover(stream, fact, held)
        wallet.remember(purse, fact)
        if isinstance(fact, Released.__value__):
            name = held_for(fact)
            self._released[name] = self._held.pop(name)
            self._due.pop(name, None)
            self._over.discard(name)
        return [
            post(
                ledger,
                Order(position, kind, about, "-", None, "-", "-", debit, credit, amount, None),
            )
            for (kind, debit, credit), about, amount in legs
            if amount
        ]

    def charged(self, it: Resource, until_us: int) -> None:
        """What is held for was charged up to then, or back to then."""
        if it.id in self._held:
            self._due[it.id] = until_us

    def ended(self, it: Resource) -> None:
        """What is held for has ended: nothing more is charged for it."""
        if it.id in self._held:
            self._due.setdefault(it.id, 0)
            self._over.add(it.id)

    def repriced(self, it: Resource) -> None:
        """What is held for was charged, and has moved to other prices."""
        held = self._held.get(it.id)
        if held is not None:
            self._due.setdefault(it.id, self._wallets[held[0]].holds[it.id].from_us)
        elif it.id in self._released:
            self._less.add(it.id)

    def credited(self, owner: Payer, lines: Iterable[CreditLine]) -> None:
        """What a credit note takes of lines: whatever met it, it cost so much less."""
        known = sorted((self._held | self._released).items())
        mine = [it for _, (_, it) in known if it.account is owner]
        for line in lines:
            left = line.amount_pico
            for it in mine:
                if it.project == line.project:  # a price is of one sku
                    left -= self._less_by(it, (line.price, line.service_period), left)
            key = LineKey(line.project, line.sku, line.price, line.service_period)
            part = min(left, owner.owed.get(key, 0))
            if part > 0:
                owner.owed[key] -= part
                owner.usage_pico -= part

    def _less_by(self, it: Resource, where: tuple[int, str], most: int) -> int:
        """How much of it the resource's line had, and no credit note took before."""
        line, key = it.lines.get(where), (it.id, *where)
        has = 0 if line is None else line.amount_pico
        part = max(0, min(most, has - self._taken.get(key, 0)))
        if part:
            self._taken[key] = self._taken.get(key, 0) + part
            self._credited[it.id] = self._credited.get(it.id, 0) + part
            self.repriced(it)
        return part

    def _charged(self, it: Resource) -> int:
        """What it costs since it is held for."""
        return charged_pico(it) - self._before.get(it.id, 0) - self._credited.get(it.id, 0)

    def settlements(self) -> list[Settlement]:
        """What is charged and not met, and holds of what has ended."""
        found = list[Settlement]()
        for name, from_us in self._due.items():
            stream, it = self._held[name]
            hold = self._wallets[stream].holds[name]
            charged = self._charged(it)
            over = name in self._over
            onward = over or from_us > hold.from_us
            if charged != hold.met_pico or (hold.until_us and onward):
                found.append(Settlement(stream, name, charged, from_us, over))
        for name in sorted(self._less):
            stream, it = self._released[name]
            charged = self._charged(it)
            if charged < self._wallets[stream].released[name].met_pico:
                found.append(Settlement(stream, name, charged, 0, over=True))
            else:
                self._less.remove(name)
        for stream, owner in self._payers.items():
            purse = self._wallets.get(stream)
            if purse is not None and _is_owed(purse, owner.usage_pico):
                found.append(Settlement(stream, USAGE, owner.usage_pico, 0, False))
        return found

    def _legs(self, purse: Wallet, stream: str, fact: Event) -> list[Leg]:
        match fact:
            case CreditGranted():
                return [(GRANT if fact.bucket == PAID else PROMOTION, fact.grant, fact.amount_pico)]
            case CreditExpired():
                return [(BREAKAGE, fact.grant, fact.amount_pico)]
            case HoldPlaced() | VolumeHeld() | ReservationHeld():
                return [(HOLD, held_for(fact), fact.amount_pico)]
            case VolumeRenewed() | ReservationRenewed():
                name = held_for(fact)
                return [(HOLD, name, fact.amount_pico - _held(purse, name))]
            case HoldsRenewed():
                return [
                    (HOLD, one.runtime, one.amount_pico - _held(purse, one.runtime))
                    for one in fact.holds
                ]
            case HoldCaptured() | VolumeCaptured() | ReservationCaptured():
                return [(CAPTURE, held_for(fact), fact.amount_pico)]
            case HoldReleased() | VolumeReleased() | ReservationReleased():
                return [(RELEASE, held_for(fact), fact.amount_pico)]
            case HoldExpired():
                return [(RELEASE, fact.runtime, fact.amount_pico)]
            case ChargeRecovered() | VolumeRecovered() | ReservationRecovered():
                return [
                    (RECOVER, held_for(fact), fact.recovered_pico),
                    (UNRECOVERED, held_for(fact), fact.unrecovered_pico),
                ]
            case UsageRecovered():
                return [(RECOVER, account_of(stream), fact.recovered_pico)]
            case CreditChargedBack():
                rest = fact.amount_pico - fact.taken_pico
                return [(CHARGED_BACK, fact.grant, fact.taken_pico), (ARREARS, fact.grant, rest)]
            case CreditRefunded():
                return [(REFUND, fact.grant, fact.amount_pico)]
            case ArrearsMet():
                return [(ARREARS_MET, stream, fact.amount_pico)]
            case LevelReached():
                return []

    def _cover(self, stream: str, fact: Event, held: dict[str, Resource]) -> None:
        match fact:
            case HoldPlaced() | VolumeHeld() | ReservationHeld():
                name = held_for(fact)
                it = held.get(name)
                if it is None or it.account.ledger.account != account_of(stream):
                    raise DomainError("rating.hold_unknown", f"{name} is not of {stream}")
                of = (it.account.ledger.account, it.scope, it.size)
                it.cover = cover.begun(self._tariff, of, fact.from_us, fact.until_us)
                self._held[name] = (stream, it)
                self._less.discard(name)
                if isinstance(fact, VolumeHeld):
                    self._before[name] = charged_pico(it)
                    self._credited.pop(name, None)
            case HoldsRenewed():
                for one in fact.holds:
                    self._extend(held[one.runtime], fact.until_us)
            case VolumeRenewed() | ReservationRenewed():
                self._extend(held[held_for(fact)], fact.until_us)
            case _:
                pass

    def _extend(self, it: Resource, until_us: int) -> None:
        assert it.cover is not None, "what is renewed was placed"
        cover.extend(self._tariff, it.cover, until_us)


def _is_owed(purse: Wallet, charged: int) -> bool:
    """Something is to be met of what nothing is held for, and may be."""
    known = purse.holds.get(USAGE)
    due = charged - (0 if known is None else known.met_pico)
    return due < 0 or (due > 0 and purse.balance_pico > purse.held_pico)


def charged_pico(it: Resource) -> int:
    """All charges of the resource, net."""
    return sum([line.amount_pico for line in it.lines.values()])


def _held(purse: Wallet, runtime: str) -> int:
    hold = purse.holds.get(runtime)
    if hold is None:
        raise DomainError("rating.hold_unknown", f"nothing is held for {runtime}")
    return hold.amount_pico
