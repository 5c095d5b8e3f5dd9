"""What is told to the lending of a quota and what it says of itself; `lending.py` decides."""

from typing import Final

from msgspec import Struct

MOST_NAMED: Final = 512  # runtimes that one claim may name: a fact has at most 65,535 bytes
EXPIRED: Final = "expired"
RECLAIMED: Final = "quota.reclaimed"


class SetShare(Struct, frozen=True):
    """`parent`: the scope above, empty for an organization."""

    scope: str
    parent: str
    model: str
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    now_us: int


class Claim(Struct, frozen=True):
    """So much of its guarantee, used or not, until `until_us`; borrowers stop at `stop_us`."""

    scope: str
    model: str
    gpu_milli: int
    stop_us: int
    until_us: int
    now_us: int
    spot: frozenset[str] = frozenset()  # runtimes that go first


class Unclaim(Struct, frozen=True):
    """`reason`: `expired` (only when it is) or why it was given up before."""

    scope: str
    model: str
    reason: str
    now_us: int


type Command = SetShare | Claim | Unclaim


class ShareSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.share_set.v1"):
    scope: str
    parent: str
    model: str
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    decided_us: int

    @property
    def kept_milli(self) -> int:
        return self.guaranteed_milli - self.lendable_milli


class Claimed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.claimed.v1"):
    scope: str
    model: str
    gpu_milli: int
    stop_us: int
    until_us: int
    decided_us: int


class ReclaimDecided(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.reclaim_decided.v1"
):
    """After its `Claimed`: these borrow what was claimed and are told to stop at `stop_us`."""

    scope: str
    model: str
    runtimes: tuple[str, ...]
    stop_us: int
    decided_us: int


class Unclaimed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.quota.unclaimed.v1"):
    scope: str
    model: str
    reason: str
    decided_us: int


type Event = ShareSet | Claimed | ReclaimDecided | Unclaimed  # a part of quota.Event
type Where = tuple[str, str]  # scope, model
type Use = dict[Where, int]


class Sums(Struct, frozen=True):
    """By (scope, model), without zeros: what a scope, and those below it, keep (or claim) and do
    not use; and the sum of that of the scopes directly below it.
    """

    own: dict[Where, int]
    below: dict[Where, int]


class Lending(Struct, frozen=True):
    """Shares and claims by (scope, model); `below`: the scopes with a share under each scope;
    `named`: runtimes that must stop, of which claim and when, whether they have ended or not.
    `kept` and `pledged`: the sums, of which the latter are held only while something is claimed.
    """

    shares: dict[Where, ShareSet]
    below: dict[Where, tuple[str, ...]]
    claims: dict[Where, Claimed]
    named: dict[str, tuple[Where, int]]
    kept: Sums
    pledged: Sums


class Borrower(Struct, frozen=True):
    """A runtime that counts by itself in its department and project."""

    runtime: str
    department: str
    project: str
    gpu_milli: int
    decided_us: int


class Room(Struct, frozen=True):
    """What fits at `where`, by this limit; `held_milli`: kept or claimed there and not used."""

    left_milli: int
    where: Where
    limit_milli: int
    held_milli: int


class Before(Struct, frozen=True):
    """What stood where an event changes something, for `restore`."""

    share: ShareSet | None
    claim: Claimed | None
    named: dict[str, tuple[Where, int]]
