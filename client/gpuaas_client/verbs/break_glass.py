"""`gpuaas break-glass`: the platform's staff in a tenant, for a time, by two persons."""

from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations
from gpuaas_client.command import OF_ORGANIZATION, REASON, STATE, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain

ROLES: Final = ("auditor", "billing", "member", "support", "viewer")


@click.group(
    "break-glass", cls=Verbs, short_help="The platform's staff in an organization, for a time"
)
def break_glass() -> None:
    """The platform's staff in an organization, for a time.

    Who is of the staff: `gpuaas member add PRINCIPAL --organization -`, then
    `gpuaas role grant PRINCIPAL support -` (or operator, auditor).

    A grant that stands counts by itself: name the organization by --organization, not by
    GPUAAS_ORGANIZATION, which is for who belongs to it.
    """


_HEAD: Final = ("GRANT", "STATE", "WHO", "BY", "ROLE", "SCOPE", "UNTIL", "TICKET", "REASON", "USED")


@break_glass.command("list", help="What was asked for, by whom, and what it was used for")
@OF_ORGANIZATION
@STATE
@as_of
@asked
def grants(
    session: Session, organization: str | None, state: str | None, as_of: str | None
) -> None:
    call = operations.list_break_glass(organization=organization, state=state, as_of=as_of)
    session.tell_all(session.client.each(call), _HEAD, _row)


@break_glass.command("show", help="One, and what it was used for")
@click.argument("grant")
@as_of
@asked
def shown(session: Session, grant: str, as_of: str | None) -> None:
    found = session.client.show_break_glass(grant, as_of=as_of)
    session.tell(found, [*zip(_HEAD, _row(found), strict=True)])


def _row(one: models.BreakGlass) -> tuple[str, ...]:
    return (
        *(one.id, one.state, one.principal, plain(one.approver), one.role, one.scope),
        *(plain(one.until), one.ticket, plain(one.reason), listed(one.used)),
    )


@break_glass.command(
    "request", staff=True, help="Ask to act in a tenant; another person has to approve it"
)
@click.argument("scope", type=naming.SCOPE)
@click.option("--ticket", required=True, metavar="WORD", help="What it is for, elsewhere.")
@click.option("--reason", required=True, metavar="TEXT", help="For the tenant to read.")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="support",
    show_default=True,
    help="What it gives there.",
)
@click.option("--seconds", type=click.IntRange(60, 14_400), default=3_600, show_default=True)
@asked
def request(
    session: Session, scope: str, ticket: str, reason: str, role: str, seconds: int
) -> None:
    wanted = models.BreakGlassNew(
        scope=scope, ticket=ticket, reason=reason, role=role, seconds=seconds
    )
    made = session.client.request_break_glass(wanted)
    session.say(made, f"{made.id}: another person has to approve it within an hour")


@break_glass.command(
    "approve", staff=True, help="What another person asked for; it stands from now on"
)
@click.argument("grant")
@asked
def approve(session: Session, grant: str) -> None:
    done = session.client.approve_break_glass(grant)
    session.say(done, f"{grant} stands until {plain(done.until)}")


@break_glass.command("refuse", help="What was asked for, before anybody approves it")
@click.argument("grant")
@REASON
@asked
def refuse(session: Session, grant: str, reason: str | None) -> None:
    done = session.client.refuse_break_glass(grant, models.BreakGlassEnd(reason=reason or UNSET))
    session.say(done, f"{grant} is refused")


@break_glass.command("revoke", help="With effect within a second, open streams included")
@click.argument("grant")
@REASON
@asked
def revoke(session: Session, grant: str, reason: str | None) -> None:
    done = session.client.revoke_break_glass(grant, models.BreakGlassEnd(reason=reason or UNSET))
    session.say(done, f"{grant} is over")


VERBS: Final = (break_glass,)
