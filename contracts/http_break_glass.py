"""What the front door takes and gives about break-glass: the platform's staff in a tenant."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Reason, ScopeId, Taken

type Why = Annotated[str, Meta(min_length=1, max_length=500)]
type Ticket = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[A-Za-z0-9._#/:-]+$")]
type GlassRole = Annotated[str, Meta(pattern="^(auditor|billing|member|support|viewer)$")]


class BreakGlassNew(Taken, frozen=True, kw_only=True):
    """`scope`: an organization, or a department or project of it. `reason`: for the tenant to read.
    Approved by another person within an hour, it stands for `seconds` from then on.
    """

    scope: ScopeId
    reason: Why
    ticket: Ticket
    role: GlassRole = "support"
    seconds: Annotated[int, Meta(ge=60, le=14_400)] = 3_600


class BreakGlassEnd(Taken, frozen=True, kw_only=True):
    reason: Reason = "done"


class BreakGlass(Given, frozen=True):
    """`state`: `requested`, `approved`, `refused`, `ended`. `used`: actions that it let, each once.
    `reason` null: erased.
    """

    id: str
    organization: str
    principal: str
    role: str
    scope: str
    reason: str | None
    ticket: str
    seconds: int
    state: str
    requested_at: Instant
    approver: str | None
    until: Instant | None
    why_ended: str | None
    used: list[str]
    policies: list[str]
    version: int | None


class BreakGlassDone(Given, frozen=True):
    """`until` null: it stands no more. `version` null: it was so already."""

    id: str
    organization: str
    state: str
    until: Instant | None
    version: int | None
