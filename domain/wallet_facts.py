"""What a prepaid wallet's stream says (part of `wallet`; contracts/rating.md section 9).

Every fact ends with what stands after it: `balance_pico`, all credit that is not spent, of which
`held_pico` is held for runtimes. Both are >= 0 and `held_pico <= balance_pico`, always.
"""

from typing import Final, NamedTuple

from msgspec import Struct

PAID: Final = "paid"
PROMO: Final = "promo"
BUCKETS: Final = frozenset({PAID, PROMO})
LEVELS: Final = (50, 80)  # percent of what was there after a grant
USED_UP: Final = 100
USAGE: Final = "usage"  # what nothing is held for, among the holds of a wallet
EXHAUSTED: Final = "wallet.exhausted"  # the reason of a `runtime.stopping` for want of credit


class Held(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is held for one runtime."""

    runtime: str
    amount_pico: int


class CreditGranted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.credit_granted.v1"
):
    """`expires_us`: not usable from then on; 0 = never."""

    grant: str
    bucket: str
    amount_pico: int
    expires_us: int
    reference: str
    decided_us: int
    balance_pico: int
    held_pico: int


class CreditExpired(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.credit_expired.v1"
):
    """What was left of the grant, neither spent nor held; what is held and comes back, later."""

    grant: str
    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class HoldPlaced(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.hold_placed.v1"
):
    """With the runtime's admission, for `[from_us, until_us)`; nothing after it is billed."""

    runtime: str
    amount_pico: int
    from_us: int
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class HoldsRenewed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.holds_renewed.v1"
):
    """With the lease of a node: its runtimes' holds are of that much each, until `until_us`."""

    node: str
    holds: tuple[Held, ...]
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class HoldCaptured(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.hold_captured.v1"
):
    """Spent, out of the hold: what was charged for the runtime and not met yet; < 0: given back.

    What is charged from now on begins at `from_us` at the earliest.
    """

    runtime: str
    amount_pico: int
    from_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class HoldReleased(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.hold_released.v1"
):
    """The runtime has ended and all its charges are met: the rest of the hold."""

    runtime: str
    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class HoldExpired(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.hold_expired.v1"
):
    """The end of the hold is over and nobody has said how the runtime ended."""

    runtime: str
    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ChargeRecovered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.charge_recovered.v1"
):
    """A charge that no hold met: from what was available, and the rest is the provider's."""

    runtime: str
    recovered_pico: int
    unrecovered_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class VolumeHeld(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.volume_held.v1"
):
    """With the volume's creation, or its unlocking, for `[from_us, until_us)`: days ahead."""

    volume: str
    amount_pico: int
    from_us: int
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class VolumeRenewed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.volume_renewed.v1"
):
    """Its hold is of that much in all: until later, or for a volume that grows."""

    volume: str
    amount_pico: int
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class VolumeCaptured(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.volume_captured.v1"
):
    """As `HoldCaptured`."""

    volume: str
    amount_pico: int
    from_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class VolumeReleased(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.volume_released.v1"
):
    """The volume is over, or locked, and all its charges are met: the rest of the hold."""

    volume: str
    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class VolumeRecovered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.volume_recovered.v1"
):
    """As `ChargeRecovered`."""

    volume: str
    recovered_pico: int
    unrecovered_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ReservationHeld(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.reservation_held.v1"
):
    """With the reservation, for `[from_us, until_us)`: all of it, idle or not, for a lease."""

    reservation: str
    amount_pico: int
    from_us: int
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ReservationRenewed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.reservation_renewed.v1"
):
    """Its hold is of that much in all, until later."""

    reservation: str
    amount_pico: int
    until_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ReservationCaptured(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.reservation_captured.v1"
):
    """As `HoldCaptured`."""

    reservation: str
    amount_pico: int
    from_us: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ReservationReleased(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.reservation_released.v1"
):
    """The reservation is over, and all its charges are met: the rest of the hold."""

    reservation: str
    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class ReservationRecovered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.reservation_recovered.v1"
):
    """As `ChargeRecovered`."""

    reservation: str
    recovered_pico: int
    unrecovered_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class UsageRecovered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.usage_recovered.v1"
):
    """Of what nothing is held for (readings, commitments), from what was available; < 0: given
    back. What is not there stays owed, and the next credit meets it first.
    """

    recovered_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


class LevelReached(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.level_reached.v1"
):
    """So much of what was there after the last grant is used or held; 100: a lease was not paid.

    Once each after every grant.
    """

    percent: int
    decided_us: int
    balance_pico: int
    held_pico: int


class CreditChargedBack(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.credit_charged_back.v1"
):
    """The payer's bank took so much of the grant's payment back; `taken_pico` of it was still
    there. The rest is in arrears until credit that is paid for meets it.
    """

    grant: str
    amount_pico: int
    taken_pico: int
    reference: str
    decided_us: int
    balance_pico: int
    held_pico: int


class CreditRefunded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.credit_refunded.v1"
):
    """So much of the grant's payment was given back: neither spent nor held."""

    grant: str
    amount_pico: int
    reference: str
    decided_us: int
    balance_pico: int
    held_pico: int


class ArrearsMet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.wallet.arrears_met.v1"
):
    """So much of what chargebacks left owing, out of credit that was paid for."""

    amount_pico: int
    decided_us: int
    balance_pico: int
    held_pico: int


type Event = (
    CreditGranted | CreditExpired | HoldPlaced | HoldsRenewed | HoldCaptured | HoldReleased
    | HoldExpired | ChargeRecovered | LevelReached | VolumeHeld | VolumeRenewed | VolumeCaptured
    | VolumeReleased | VolumeRecovered | UsageRecovered | CreditChargedBack | CreditRefunded
    | ArrearsMet | ReservationHeld | ReservationRenewed | ReservationCaptured
    | ReservationReleased | ReservationRecovered
)  # fmt: skip
type Placed = HoldPlaced | VolumeHeld | ReservationHeld
type Renewed = VolumeRenewed | ReservationRenewed
type Captured = HoldCaptured | VolumeCaptured | ReservationCaptured
type Released = HoldReleased | VolumeReleased | ReservationReleased
type Recovered = ChargeRecovered | VolumeRecovered | ReservationRecovered


class Words(NamedTuple):
    """The facts of a hold of one kind."""

    placed: type[Placed]
    captured: type[Captured]
    recovered: type[Recovered]
    released: type[Released]


_OF_RUNTIMES: Final = Words(HoldPlaced, HoldCaptured, ChargeRecovered, HoldReleased)
_OF: Final = {
    "volume": Words(VolumeHeld, VolumeCaptured, VolumeRecovered, VolumeReleased),
    "reservation": Words(
        ReservationHeld, ReservationCaptured, ReservationRecovered, ReservationReleased
    ),
}


def words_of(name: str) -> Words:
    """Of holds of what has that id."""
    return _OF.get(name.partition("-")[0], _OF_RUNTIMES)


def held_for(fact: Placed | Renewed | Captured | Released | Recovered) -> str:
    """The runtime, volume or reservation that the hold is of."""
    name: str = getattr(fact, fact.__struct_fields__[0])
    return name


def is_reservation(name: str) -> bool:
    return name.startswith("reservation-")
