"""`gpuaas member`, `group`, `service-account`: who belongs to an organization, by which name."""

import sys
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations
from gpuaas_client.command import ORGANIZATION, REASON, Verbs, as_of, asked, from_stdin
from gpuaas_client.errors import GpuaasError, Misconfigured
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain

TENANT_ROLES: Final = ("admin", "auditor", "billing", "member", "owner", "viewer")
ROLES: Final = (*TENANT_ROLES, "operator", "support")


def own(session: Session, named: str | None) -> str:
    """The organization named, or the one that the caller acts in, or the only one it sees.

    Raises: Misconfigured organization.unclear.
    """
    if named:
        return named
    acting = session.client.show_me().organization
    if acting:
        return acting
    found = list(session.client.each(operations.list_organizations()))
    if len(found) == 1:
        return found[0].id
    which = ", ".join(f"{one.id} ({plain(one.name)})" for one in found[:5]) or "none"
    why = f"there are {len(found)} organizations: {which}"
    raise Misconfigured("organization.unclear", why, "Say --organization ID.")


def end(organization: str | None, reason: str | None) -> models.AuthorityEnd:
    """What ends a thing of an organization's authority says beside its name."""
    return models.AuthorityEnd(organization=organization or UNSET, reason=reason or UNSET)


@click.group("member", cls=Verbs, help="Who belongs to an organization, and invitations to it")
def member() -> None: ...


@member.command("list", help="Members with their roles")
@ORGANIZATION
@as_of
@asked
def members(session: Session, organization: str | None, as_of: str | None) -> None:
    found = session.client.each(operations.list_members(organization=organization, as_of=as_of))
    head = ("PRINCIPAL", "ROLES", "ORGANIZATION")
    session.tell_all(found, head, lambda one: (one.principal, listed(one.roles), one.organization))


@member.command(
    "invite",
    help="A secret for an e-mail's owner, shown once. ROLE: " + ", ".join(TENANT_ROLES) + ".",
    short_help="A secret for an e-mail's owner, shown once",
)
@click.argument("email")
@click.argument("role", type=click.Choice(TENANT_ROLES), metavar="ROLE")
@click.option(
    "--scope", type=naming.SCOPE, help="What the role is for (default: the organization)."
)
@click.option("--days", type=click.IntRange(1, 30), help="It counts so long (default: 7).")
@ORGANIZATION
@asked
def invite(
    session: Session, email: str, role: str, scope: str | None, days: int | None,
    organization: str | None,
) -> None:  # fmt: skip
    wanted = models.InvitationNew(
        email=email,
        role=role,
        scope=scope or UNSET,
        days=days or UNSET,
        organization=organization or UNSET,
    )
    made = session.client.create_invitation(wanted)
    session.tell(
        made,
        (
            ("INVITATION", made.id),
            ("SECRET", made.secret or "was shown before"),
            ("UNTIL", made.until),
            ("THEN", f"gpuaas member accept {made.id} {made.organization}"),
        ),
    )


@member.command("accept", help="Become a member by an invitation; its secret is asked for")
@click.argument("invitation")
@click.argument("organization")
@click.option("--secret-stdin", is_flag=True, help="Read it from standard input.")
@click.option("--secret", help="Others on this machine can read it here: better asked for.")
@asked
def accept(
    session: Session, invitation: str, organization: str, secret_stdin: bool, secret: str | None
) -> None:
    if secret_stdin:
        secret = from_stdin()
    elif secret is None:
        secret = str(click.prompt("Secret", hide_input=True, err=True))
    wanted = models.InvitationAccept(organization=organization, secret=secret)
    made = session.client.accept_invitation(invitation, wanted)
    session.say(made, f"{made.principal} is a member of {made.organization}")


@member.command("add", help="A user by its id; it may nothing yet")
@click.argument("principal")
@ORGANIZATION
@asked
def member_add(session: Session, principal: str, organization: str | None) -> None:
    wanted = models.MemberNew(principal=principal, organization=organization or UNSET)
    made = session.client.add_member(wanted)
    session.say(made, f"{made.principal} is a member of {made.organization}")


@member.command("remove", help="With all of its roles, keys and sessions")
@click.argument("principal")
@ORGANIZATION
@REASON
@asked
def member_remove(
    session: Session, principal: str, organization: str | None, reason: str | None
) -> None:
    done = session.client.remove_member(principal, end(organization, reason))
    session.say(done, f"{principal} is no member any more")
    if not session.json:
        _left_behind(session, principal, organization)


def _left_behind(session: Session, principal: str, organization: str | None) -> None:
    """Keys of programs that somebody made who is gone, who may have kept their secrets; nothing
    where that is not told.
    """
    call = operations.list_api_keys(organization=organization, made_by=principal)
    try:
        made = [one for one in session.client.each(call) if not one.revoked]
    except GpuaasError:
        return
    if made:
        which = ", ".join(plain(one.id) for one in made[:5])
        print(
            f"  {len(made)} keys that they made stand: {which} (`gpuaas key list --made-by"
            f" {plain(principal)}`)",
            file=sys.stderr,
        )


@click.group("group", cls=Verbs, help="Users and service accounts under one name")
def group() -> None: ...


@group.command("list", help="Groups and who is in them")
@ORGANIZATION
@as_of
@asked
def groups(session: Session, organization: str | None, as_of: str | None) -> None:
    found = session.client.each(operations.list_groups(organization=organization, as_of=as_of))
    head = ("GROUP", "NAME", "MEMBERS")
    session.tell_all(found, head, lambda one: (one.id, plain(one.name), listed(one.members)))


@group.command("create", help="An empty group")
@click.argument("name")
@ORGANIZATION
@asked
def group_new(session: Session, name: str, organization: str | None) -> None:
    made = session.client.create_group(
        models.GroupNew(name=name, organization=organization or UNSET)
    )
    session.say(made, made.id)


@group.command("add", help="A principal to a group")
@click.argument("group", type=naming.GROUP)
@click.argument("principal", type=naming.PRINCIPAL)
@ORGANIZATION
@asked
def group_add(session: Session, group: str, principal: str, organization: str | None) -> None:
    wanted = models.GroupMember(principal=principal, organization=organization or UNSET)
    session.say(session.client.add_group_member(group, wanted), f"{principal} is in {group}")


@group.command("remove", help="A principal from a group")
@click.argument("group", type=naming.GROUP)
@click.argument("principal", type=naming.PRINCIPAL)
@ORGANIZATION
@asked
def group_remove(session: Session, group: str, principal: str, organization: str | None) -> None:
    wanted = models.GroupMember(principal=principal, organization=organization or UNSET)
    done = session.client.remove_group_member(group, wanted)
    session.say(done, f"{principal} is not in {group}")


@group.command("delete", help="With the roles it gave")
@click.argument("group", type=naming.GROUP)
@ORGANIZATION
@REASON
@asked
def group_delete(
    session: Session, group: str, organization: str | None, reason: str | None
) -> None:
    done = session.client.delete_group(group, end(organization, reason))
    session.say(done, f"{group} is deleted")


@click.group("service-account", cls=Verbs, help="Principals of programs")
def service_account() -> None: ...


@service_account.command("list", help="Those of an organization")
@ORGANIZATION
@as_of
@asked
def service_accounts(session: Session, organization: str | None, as_of: str | None) -> None:
    call = operations.list_service_accounts(organization=organization, as_of=as_of)
    head = ("SERVICE ACCOUNT", "NAME", "ORGANIZATION")
    session.tell_all(
        session.client.each(call), head, lambda one: (one.id, plain(one.name), one.organization)
    )


@service_account.command("create", help="A principal; `gpuaas key create --for` gives it a key")
@click.argument("name")
@ORGANIZATION
@asked
def service_account_new(session: Session, name: str, organization: str | None) -> None:
    wanted = models.GroupNew(name=name, organization=organization or UNSET)
    made = session.client.create_service_account(wanted)
    session.say(made, made.id)


@service_account.command("delete", help="With its keys and roles")
@click.argument("account", type=naming.SERVICE)
@ORGANIZATION
@REASON
@asked
def service_account_delete(
    session: Session, account: str, organization: str | None, reason: str | None
) -> None:
    done = session.client.delete_service_account(account, end(organization, reason))
    session.say(done, f"{account} is deleted")


VERBS: Final = (member, group, service_account)
