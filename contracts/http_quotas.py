"""What a quota's shares and claims take and give; as http.py, whose terms they use."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Reason, ScopeId, Taken, Word

type Milli = Annotated[int, Meta(ge=0, le=10**12)]
type Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]


class ShareNew(Taken, frozen=True):
    """What a scope is sure of, how much of that it lends while unused, and the most it may have."""

    scope: ScopeId
    model: Word
    guaranteed_milli: Milli
    lendable_milli: Milli
    limit_milli: Milli


class Share(Given, frozen=True):
    """`borrowed_milli`: its use above its guarantee. Nulls: not counted for this answer."""

    organization: str
    scope: str
    parent: str | None
    model: str
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    used_milli: int | None
    borrowed_milli: int | None
    claimed_milli: int | None


class ClaimNew(Taken, frozen=True):
    """So much of its guarantee in all, used or not. Whoever borrows it is told to stop after
    `notice_s`; it is kept for the scope for `hold_s` after that.
    """

    scope: ScopeId
    model: Word
    gpu_milli: Annotated[int, Meta(ge=1, le=10**12)]
    notice_s: Seconds = 60
    hold_s: Annotated[int, Meta(ge=1, le=31_536_000)] = 3600


class ClaimEnd(Taken, frozen=True):
    scope: ScopeId
    model: Word
    reason: Reason


class Claim(Given, frozen=True):
    """`runtimes`: named by this answer's decision, the newest first; null where not looked up."""

    organization: str
    scope: str
    model: str
    gpu_milli: int | None
    stop_at: Instant | None
    until: Instant | None
    ended: str | None
    runtimes: list[str] | None


class Reclaim(Given, frozen=True):
    """A decision to take back: these runtimes were told to stop at `stop_at`."""

    organization: str
    scope: str
    model: str
    runtimes: list[str]
    stop_at: Instant
    decided_at: Instant
