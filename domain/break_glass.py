"""Break-glass: the platform's staff acts in an organization, for a time, by two persons' word.

(none) -Ask-> Asked -Approve-> Standing -Use-> Standing -End-> Over
              Asked -Refuse | End-> Over -Use-> Over

It stands on the organization's authority stream, so its own auditors see each step. A request that
nobody approved within an hour is over; a grant ends by itself at `until_us`, whether the fact that
says so has been written or not. A use is written down behind the end, too: of who was let in before
that was heard of, or while nothing could be written.
"""

import re
from collections.abc import Mapping
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.authority_commands import Approve, Ask, Glass, Put, Refuse, Use
from domain.authority_facts import (
    GlassApproved,
    GlassEnded,
    GlassEvent,
    GlassRefused,
    GlassRequested,
    GlassUsed,
)
from domain.binding import NEVER, SUPPORT, Binding
from domain.errors import DomainError

# None by which something would be left behind when it ends: no admin, no owner.
ROLES: Final = ("auditor", "billing", "member", SUPPORT, "viewer")
LONGEST_S: Final = 4 * 3_600
SHORTEST_S: Final = 60
LAPSE_US: Final = 3_600_000_000
EXPIRED, LAPSED, LEFT = "expired", "lapsed", "left"
MOST_OPEN: Final = 50
_TICKET: Final = re.compile(r"[A-Za-z0-9._#/:-]{1,100}")


class Grant(Struct, frozen=True):
    """`until_us`: when it is approved, else 0. `used`: actions that were used by it."""

    asked: GlassRequested
    approver: str = ""
    until_us: int = 0
    used: frozenset[str] = frozenset()
    over: bool = False
    refused: bool = False
    why: str = ""  # it is over

    def stands(self, now_us: int) -> bool:
        return not self.over and now_us < self.until_us

    def binding(self, base: Binding | None = None) -> Binding:
        """What it gives while it stands, to whom the `base` binds to the staff: under the same
        conditions, and no longer.
        """
        said = self.asked
        given = Binding(said.grant, said.principal, said.role, said.scope, until_us=self.until_us)
        if base is None:
            return given
        until_us = min(one for one in (self.until_us, base.until_us) if one != NEVER)
        return replace(given, mfa=base.mfa, networks=base.networks, until_us=until_us)

    def due(self, now_us: int) -> str:
        """Why it is over by itself by now, and no fact says so yet; empty when it is not."""
        if self.over:
            return ""
        if self.until_us:
            return EXPIRED if now_us >= self.until_us else ""
        return LAPSED if now_us >= self.asked.decided_us + LAPSE_US else ""


type Grants = Mapping[str, Grant]


def decide(wish: Glass, by: tuple[tuple[str, ...], int], grants: Grants) -> list[GlassEvent]:
    """`by`: the ids of the policies that let the caller, and now.

    Raises: DomainError `authority.unknown`, `authority.role_unknown`, `authority.too_many`,
        `break_glass.duration_invalid`, `break_glass.ticket_invalid`, `break_glass.same_person`,
        `break_glass.over`.
    """
    if isinstance(wish, Ask):
        return [_asked(wish, by, grants)]
    grant = grants.get(wish.grant)
    if grant is None:
        raise DomainError("authority.unknown", "there is no such grant in this organization")
    now_us = by[1]
    match wish:
        case Put(name, reason):
            return [] if grant.over else [GlassEnded(name, grant.due(now_us) or reason, *by)]
        case Use(name, action, scope):
            used = action in grant.used or not grant.approver
            return [] if used else [GlassUsed(name, action, scope, *by)]
        case Approve() | Refuse() if grant.over or grant.due(now_us):
            raise DomainError("break_glass.over", "it was refused, has ended or has lapsed")
        case Approve() if grant.approver:
            return []
        case Refuse(name, reason):
            if grant.approver:
                raise DomainError("break_glass.over", "it was approved: revoke it")
            return [GlassRefused(name, reason, *by)]
        case Approve(name, approver):
            if approver == grant.asked.principal:
                raise DomainError("break_glass.same_person", "another person has to approve it")
            until_us = now_us + grant.asked.seconds * 1_000_000
            return [GlassApproved(name, approver, until_us, *by)]
        case _:
            assert_never(wish)


def _asked(wish: Ask, by: tuple[tuple[str, ...], int], grants: Grants) -> GlassRequested:
    if wish.role not in ROLES:
        raise DomainError("authority.role_unknown", f"one of {', '.join(ROLES)}")
    if not SHORTEST_S <= wish.seconds <= LONGEST_S:
        facts: dict[str, int | str] = {"least": SHORTEST_S, "most": LONGEST_S}
        raise DomainError("break_glass.duration_invalid", "a minute to four hours", facts)
    if not _TICKET.fullmatch(wish.ticket):
        raise DomainError("break_glass.ticket_invalid", "a ticket is one word")
    if sum(not one.over for one in grants.values()) >= MOST_OPEN:
        detail = f"at most {MOST_OPEN} that are not over"
        raise DomainError("authority.too_many", detail, {"most": MOST_OPEN})
    return GlassRequested(
        *(wish.grant, wish.principal, wish.role, wish.scope, wish.reason, wish.ticket),
        wish.seconds,
        *by,
    )


def evolve(grants: Grants, event: GlassEvent) -> dict[str, Grant]:
    if isinstance(event, GlassRequested):
        return {**grants, event.grant: Grant(event)}
    before = grants[event.grant]
    match event:
        case GlassApproved(_, approver, until_us):
            after = replace(before, approver=approver, until_us=until_us)
        case GlassUsed(_, action):
            after = replace(before, used=before.used | {action})
        case GlassRefused(_, reason):
            after = replace(before, over=True, refused=True, why=reason)
        case GlassEnded(_, reason):
            after = replace(before, over=True, why=reason)
        case _:
            assert_never(event)
    return {**grants, event.grant: after}
