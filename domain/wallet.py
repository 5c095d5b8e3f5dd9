"""A prepaid account's wallet: credit in lots, and holds for what may still be charged.

    Grant -> a lot of credit -Expire-> what is left of it is gone
    ChargeBack, Refund -> less of it; what is not there any more is in arrears -MeetArrears->
    Place -> a hold -Renew-> -Settle-> captured in parts -> released | expired, exactly once
    Settle of what nothing is held for -> recovered, as far as there is credit

Which lots a hold takes: domain/wallet_state.py. Source: MONEY.md section 5, rating.md section 9.
"""

from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.wallet_facts import (
    BUCKETS,
    LEVELS,
    PAID,
    USAGE,
    USED_UP,
    ArrearsMet,
    CreditChargedBack,
    CreditExpired,
    CreditGranted,
    CreditRefunded,
    Event,
    Held,
    HoldExpired,
    HoldsRenewed,
    LevelReached,
    ReservationRenewed,
    UsageRecovered,
    VolumeRenewed,
    is_reservation,
    words_of,
)
from domain.wallet_state import Before, Lot, Wallet, remember, restore, usable

__all__ = [
    "Before", "Event", "GiveBack", "Grant", "Place", "Settle", "Wallet", "charge_back", "expire",
    "expire_hold", "grant", "lacking", "meet_arrears", "place", "refund", "remember", "renew",
    "renew_one", "restore", "settle", "used_up",
]  # fmt: skip

LIMIT: Final = 10**30  # of one grant, in pico: sums of a million of them stay below 10^38


class Grant(Struct, frozen=True):
    """`reference`: a repeat with it is the same grant."""

    grant: str
    bucket: str
    amount_pico: int
    expires_us: int
    reference: str
    now_us: int


class GiveBack(Struct, frozen=True):
    """To the payer of the grant of that `payment` (its reference); 0: all that still may.

    `reference`: a repeat with it is the same.
    """

    payment: str
    amount_pico: int
    reference: str
    now_us: int


class Place(Struct, frozen=True):
    """`runtime`: or the volume, or the reservation."""

    runtime: str
    amount_pico: int
    from_us: int
    until_us: int
    now_us: int


class Settle(Struct, frozen=True):
    """`charged_pico`: for the runtime, volume or reservation in all, so far; for `USAGE`, for what
    nothing is held for. `over`: it has ended, nothing more comes.
    """

    runtime: str
    charged_pico: int
    from_us: int
    over: bool
    now_us: int


def grant(wallet: Wallet, command: Grant) -> list[Event]:
    """The credit; none when its reference was granted before.

    Raises: DomainError `wallet.grant_invalid`, `wallet.reference_reused`.
    """
    fact = CreditGranted(
        *(command.grant, command.bucket, command.amount_pico, command.expires_us),
        *(command.reference, command.now_us),
        *(wallet.balance_pico + command.amount_pico, wallet.held_pico),
    )
    before = wallet.references.get(command.reference)
    if before is not None:
        if (before.bucket, before.amount_pico, before.expires_us) == (
            *(fact.bucket, fact.amount_pico, fact.expires_us),
        ):
            return []
        raise DomainError("wallet.reference_reused", "another grant has this reference")
    timely = command.expires_us == 0 or command.expires_us > command.now_us
    if not (command.bucket in BUCKETS and 0 < command.amount_pico <= LIMIT and timely):
        raise DomainError("wallet.grant_invalid", "an amount > 0, `paid` or `promo`, not expired")
    return [fact]


def charge_back(wallet: Wallet, command: GiveBack) -> list[Event]:
    """What the payer's bank took back; none when the reference was used for just that.

    Of the grant itself what is neither spent nor held, then of other credit that was paid for; what
    is not there any more is in arrears, and no wallet goes below zero by it.

    Raises: DomainError as `_returnable`.
    """
    lot = _returnable(wallet, command, CreditChargedBack)
    if lot is None:
        return []
    amount = command.amount_pico or lot.amount_pico - lot.gone_pico
    if not 0 < amount <= lot.amount_pico - lot.gone_pico:
        raise _not_returnable(lot.amount_pico - lot.gone_pico)
    there = sum([one.left_pico for one in wallet.paid(command.now_us, lot.grant)])
    taken = min(amount, there)
    return [
        CreditChargedBack(
            *(lot.grant, amount, taken, command.reference, command.now_us),
            *(wallet.balance_pico - taken, wallet.held_pico),
        )
    ]


def refund(wallet: Wallet, command: GiveBack) -> list[Event]:
    """What is given back of a payment that was neither spent nor held; none when the reference
    was used for just that.

    Raises: DomainError as `_returnable`; `wallet.frozen`; `wallet.arrears`: what chargebacks left
        owing comes first.
    """
    lot = _returnable(wallet, command, CreditRefunded)
    if lot is None:
        return []
    if not wallet.sound:
        raise DomainError("wallet.frozen", "its books do not add up: an operator looks at them")
    if wallet.arrears_pico:
        owing: dict[str, int | str] = {"arrears_pico": wallet.arrears_pico}
        raise DomainError("wallet.arrears", "what chargebacks left owing comes first", owing)
    amount, left = command.amount_pico or lot.left_pico, lot.left_pico
    if not 0 < amount <= left or not usable(lot, command.now_us):
        raise _not_returnable(left if usable(lot, command.now_us) else 0)
    return [
        CreditRefunded(
            *(lot.grant, amount, command.reference, command.now_us),
            *(wallet.balance_pico - amount, wallet.held_pico),
        )
    ]


def _returnable(wallet: Wallet, command: GiveBack, kind: type[Event]) -> Lot | None:
    """The lot that the payment made; None when the reference was used before, for just this.

    Raises: DomainError `wallet.payment_unknown`, `wallet.reference_reused`,
        `wallet.not_returnable`.
    """
    paid = wallet.references.get(command.payment)
    if paid is None or paid.bucket != PAID:
        raise DomainError("wallet.payment_unknown", "no credit of it was paid so")
    before = wallet.returns.get(command.reference)
    if before is None:
        return wallet.lots[paid.grant]
    again = command.amount_pico in {0, before.amount_pico}
    if isinstance(before, kind) and before.grant == paid.grant and again:
        return None
    raise DomainError("wallet.reference_reused", "another return has this reference")


def _not_returnable(left_pico: int) -> DomainError:
    facts: dict[str, int | str] = {"left_pico": left_pico}
    return DomainError("wallet.not_returnable", "not so much of it can go back", facts)


def meet_arrears(wallet: Wallet, now_us: int) -> list[Event]:
    """What chargebacks left owing, as far as credit that was paid for is there."""
    met = min(wallet.arrears_pico, sum([lot.left_pico for lot in wallet.paid(now_us)]))
    balance = wallet.balance_pico - met
    return [ArrearsMet(met, now_us, balance, wallet.held_pico)] if met else []


def place(wallet: Wallet, command: Place) -> list[Event]:
    """The hold; none when the runtime has it. Raises: DomainError as `lacking`."""
    if command.runtime in wallet.holds:
        return []
    error = lacking(wallet, command.amount_pico, command.now_us)
    if error is not None:
        raise error
    placed = words_of(command.runtime).placed(
        *(command.runtime, command.amount_pico, command.from_us, command.until_us),
        *(command.now_us, wallet.balance_pico, wallet.held_pico + command.amount_pico),
    )
    return [placed, *_levels(wallet, placed.held_pico, command.now_us, refused=False)]


def lacking(wallet: Wallet, amount_pico: int, now_us: int) -> DomainError | None:
    """Why so much cannot be held, if so: `wallet.frozen`; `wallet.insufficient`, what is there in
    its facts.
    """
    if not wallet.sound:
        return DomainError("wallet.frozen", "its books do not add up: an operator looks at them")
    available = wallet.available_pico(now_us)
    if amount_pico <= available:
        return None
    facts: dict[str, int | str] = {"available_pico": available, "needed_pico": amount_pico}
    return DomainError("wallet.insufficient", "the credit does not cover what must be held", facts)


def renew(
    wallet: Wallet, node: str, wanted: dict[str, int], until_us: int, now_us: int
) -> list[Event]:
    """The holds that may be of the amount wanted until then, in the order in which they were
    placed; what is left out cannot be paid for, and keeps the hold that it has.
    """
    available = wallet.available_pico(now_us) if wallet.sound else 0
    renewed, held, refused = list[Held](), wallet.held_pico, False
    for runtime, hold in wallet.holds.items():
        amount = wanted.get(runtime)
        if amount is None or not hold.until_us:
            continue
        more = amount - hold.amount_pico
        if more <= max(available, 0):
            # What one gives back may be of a lot that has expired: it is nobody's in this event.
            available -= max(more, 0)
            held += more
            renewed.append(Held(runtime, amount))
        else:
            refused = True
    facts: list[Event] = []
    if renewed:
        balance = wallet.balance_pico
        facts.append(HoldsRenewed(node, tuple(renewed), until_us, now_us, balance, held))
    return [*facts, *_levels(wallet, held, now_us, refused=refused)]


def renew_one(
    wallet: Wallet, name: str, amount_pico: int, until_us: int, now_us: int
) -> list[Event]:
    """The hold of a volume, or a reservation, of that amount in all, until then.

    Raises: DomainError as `lacking`.
    """
    more = amount_pico - wallet.holds[name].amount_pico
    error = lacking(wallet, more, now_us) if more > 0 else None
    if error is not None:
        raise error
    held = wallet.held_pico + more
    said = (name, amount_pico, until_us, now_us, wallet.balance_pico, held)
    renewed = ReservationRenewed(*said) if is_reservation(name) else VolumeRenewed(*said)
    return [renewed, *_levels(wallet, held, now_us, refused=False)]


def used_up(wallet: Wallet, now_us: int) -> list[Event]:
    """That something could not be held for any longer, unless it was said since the last grant."""
    return _levels(wallet, wallet.held_pico, now_us, refused=True)


def _levels(wallet: Wallet, held_pico: int, now_us: int, *, refused: bool) -> list[Event]:
    """The levels that holds of so much reach and that were not, since the last grant."""
    left = wallet.balance_pico - held_pico
    base = wallet.base_pico
    reached = [one for one in LEVELS if base and left * 100 <= (100 - one) * base]
    reached += [USED_UP] if refused else []
    said = (now_us, wallet.balance_pico, held_pico)
    return [LevelReached(one, *said) for one in reached if one > wallet.level]


def settle(wallet: Wallet, command: Settle) -> list[Event]:
    """What meets the runtime's charges, then, once it is over, the release of the rest.

    A hold is rated to cover all that can be charged within it; what it does not cover, or comes
    after it has expired, is met by what is available, and never by more than that.
    """
    if command.runtime == USAGE:
        return _recover(wallet, command)
    hold = wallet.holds.get(command.runtime)
    if hold is None:
        return _given_back(wallet, command)
    words = words_of(command.runtime)
    facts: list[Event] = []
    due = command.charged_pico - hold.met_pico
    balance, held = wallet.balance_pico, wallet.held_pico
    # What is given back was taken from somewhere: more than was spent cannot be.
    spent = sum([pico for _, pico in hold.spent])
    captured = max(min(due, hold.amount_pico), -spent) if hold.until_us else 0
    onward = hold.until_us and command.from_us > hold.from_us and not command.over
    if captured or onward:
        balance, held = balance - captured, held - captured
        facts.append(
            words.captured(
                *(command.runtime, captured, command.from_us, command.now_us, balance, held)
            )
        )
    if due != captured:
        most = max(0, wallet.available_pico(command.now_us)) if wallet.sound else 0
        recovered = max(min(due - captured, most), -spent if captured >= 0 else -spent - captured)
        balance -= recovered
        facts.append(
            words.recovered(
                *(command.runtime, recovered, due - captured - recovered),
                *(command.now_us, balance, held),
            )
        )
    if command.over and hold.until_us:
        rest = hold.amount_pico - captured
        facts.append(words.released(command.runtime, rest, command.now_us, balance, held - rest))
    return facts


def _recover(wallet: Wallet, command: Settle) -> list[Event]:
    """As much as is available of what is owed and nothing is held for; what is not stays owed."""
    known = wallet.holds.get(USAGE)
    met, spent = (0, ()) if known is None else (known.met_pico, known.spent)
    due = command.charged_pico - met
    most = max(0, wallet.available_pico(command.now_us)) if wallet.sound else 0
    pico = max(min(due, most), -sum([part for _, part in spent]))
    if not pico:
        return []
    left = wallet.balance_pico - pico
    return [UsageRecovered(pico, command.now_us, left, wallet.held_pico)]


def _given_back(wallet: Wallet, command: Settle) -> list[Event]:
    """What costs less than it did when its hold was released, to where it came from."""
    hold = wallet.released.get(command.runtime)
    due = 0 if hold is None else command.charged_pico - hold.met_pico
    if hold is None or due >= 0:
        return []
    back = max(due, -sum([pico for _, pico in hold.spent]))
    said = (command.now_us, wallet.balance_pico - back, wallet.held_pico)
    return [words_of(command.runtime).recovered(command.runtime, back, due - back, *said)]


def expire_hold(wallet: Wallet, runtime: str, now_us: int) -> list[Event]:
    """Everything it holds goes back. Raises: DomainError `wallet.hold_not_over`."""
    hold = wallet.holds.get(runtime)
    if hold is None or not hold.until_us:
        return []
    if now_us < hold.until_us:
        facts: dict[str, int | str] = {"until_us": hold.until_us}
        raise DomainError("wallet.hold_not_over", "it may still run until the hold is over", facts)
    held = wallet.held_pico - hold.amount_pico
    return [HoldExpired(runtime, hold.amount_pico, now_us, wallet.balance_pico, held)]


def expire(wallet: Wallet, now_us: int) -> list[Event]:
    """What is left of every lot whose time is over, in order of grant."""
    facts, balance = list[Event](), wallet.balance_pico
    for lot in wallet.lots.values():
        if lot.left_pico > 0 and not usable(lot, now_us):
            balance -= lot.left_pico
            facts.append(CreditExpired(lot.grant, lot.left_pico, now_us, balance, wallet.held_pico))
    return facts
