"""`gpuaas organization`, `department`, `project`, `account`, `quota`, `token`: who is who, who pays
for what, and how much of it each may use.
"""

from typing import Any, Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations
from gpuaas_client.command import (
    OF_ORGANIZATION,
    ORGANIZATION,
    REASON,
    REASON_NEEDED,
    STATE,
    Verbs,
    as_of,
    asked,
)
from gpuaas_client.errors import Misconfigured, unheard_secret
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain, rounded
from gpuaas_client.verbs.members import own

_NAMED: Final = ("ID", "NAME", "SINCE")
_MILLI: Final = 1000
TOKEN_ROLES: Final = ("admin", "auditor", "member", "platform-operator", "staff", "user")


def _named(one: Any) -> tuple[str, ...]:
    return (one.id, plain(one.name), plain(one.created_at))


@click.group("organization", cls=Verbs, help="What an organization is, and how its people sign in")
def organization() -> None: ...


@organization.command("list", help="Those that you see")
@STATE
@asked
def organizations(session: Session, state: str | None) -> None:
    found = session.client.each(operations.list_organizations(state=state))
    session.tell_all(found, (*_NAMED, "STATE"), lambda one: (*_named(one), one.state))


@organization.command("show", help="Its state, and the dates of a closing")
@click.argument("organization", type=naming.ORGANIZATION, required=False)
@as_of
@asked
def organization_shown(session: Session, organization: str | None, as_of: str | None) -> None:
    found = session.client.show_organization(own(session, organization), as_of=as_of)
    dates = (("STOPS", plain(found.stop_at)), ("WIPED", plain(found.wipe_at)))
    pairs = (*zip(_NAMED, _named(found), strict=True), ("STATE", found.state))
    session.tell(found, (*pairs, *(dates if found.stop_at else ())))


@organization.command("create", staff=True, help="Another tenant")
@click.argument("name")
@asked
def organization_new(session: Session, name: str) -> None:
    made = session.client.create_organization(models.OrganizationNew(name=name))
    session.say(made, made.id)


@organization.command(
    "suspend", staff=True, help="Nothing new begins, nobody enters; what runs goes on"
)
@click.argument("organization", type=naming.ORGANIZATION)
@REASON_NEEDED
@asked
def suspend(session: Session, organization: str, reason: str) -> None:
    done = session.client.suspend_organization(organization, models.Standing(reason=reason))
    session.say(done, f"{organization} is {done.state}")


@organization.command("reactivate", staff=True, help="It may begin anew")
@click.argument("organization", type=naming.ORGANIZATION)
@REASON_NEEDED
@asked
def reactivate(session: Session, organization: str, reason: str) -> None:
    done = session.client.reactivate_organization(organization, models.Standing(reason=reason))
    session.say(done, f"{organization} is {done.state}")


@organization.command(
    "close", staff=True, help="For good: runtimes stop, volumes are wiped, keys are revoked"
)
@click.argument("organization", type=naming.ORGANIZATION)
@REASON_NEEDED
@click.option(
    "--notice",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="Until runtimes are stopped (default: a day).",
)
@click.option(
    "--wipe-after",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="Until volumes are wiped (default: 30 days).",
)
@asked
def close(
    session: Session, organization: str, reason: str, notice: int | None, wipe_after: int | None
) -> None:
    wanted = models.ClosingNew(
        reason=reason,
        notice_s=UNSET if notice is None else notice,
        wipe_after_s=UNSET if wipe_after is None else wipe_after,
    )
    done = session.client.close_organization(organization, wanted)
    dates = f"; stops {plain(done.stop_at)}, wiped {plain(done.wipe_at)}" if done.stop_at else ""
    session.say(done, f"{organization} is {done.state}{dates}")


@organization.command("reopen", staff=True, help="The closing withdrawn, until volumes are wiped")
@click.argument("organization", type=naming.ORGANIZATION)
@REASON_NEEDED
@asked
def reopen(session: Session, organization: str, reason: str) -> None:
    done = session.client.reopen_organization(organization, models.Standing(reason=reason))
    session.say(done, f"{organization} is {done.state}")


@organization.command("effects", help="What becomes of each thing in each state: one table")
@click.option("--state", metavar="WORD", help="Of that state only.")
@asked
def effects(session: Session, state: str | None) -> None:
    found = session.client.each(operations.list_effects())
    rows = [one for one in found if state in (None, one.state)]
    head = ("STATE", "OBJECT", "EFFECT", "NOTICE", "PRICE")
    session.tell_all(
        rows, head, lambda one: (one.state, one.object, one.effect, one.notice, one.price)
    )


@organization.command("require-mfa", help="Administrative actions are for who has a second factor")
@click.argument("organization", type=naming.ORGANIZATION)
@REASON
@asked
def require_mfa(session: Session, organization: str, reason: str | None) -> None:
    wanted = models.GuardrailNew(
        scope=organization,
        actions=["administrative"],
        unless_mfa=True,
        reason=reason or UNSET,
    )
    made = session.client.set_guardrail(wanted)
    session.say(made, f"demanded by {made.id}; `gpuaas guardrail lift {made.id}` takes it back")


@organization.command("require-sso", help="People act in sessions of its issuer alone")
@click.argument("organization", type=naming.ORGANIZATION)
@click.argument("issuer")
@click.option("--except", "exempt", multiple=True, required=True, metavar="PRINCIPAL",
              help="May come in another way, an owner among them; many.")  # fmt: skip
@asked
def require_sso(session: Session, organization: str, issuer: str, exempt: tuple[str, ...]) -> None:
    wanted = models.SsoNew(issuer=issuer, exempt=list(exempt), organization=organization)
    done = session.client.require_sso(wanted)
    session.say(done, f"people of {organization} sign in at {issuer}")


@organization.command("lift-sso", help="People sign in wherever they may")
@click.argument("organization", type=naming.ORGANIZATION)
@REASON
@asked
def lift_sso(session: Session, organization: str, reason: str | None) -> None:
    wanted = models.AuthorityEnd(organization=organization, reason=reason or UNSET)
    session.say(session.client.lift_sso(wanted), f"people of {organization} sign in anywhere")


@organization.command("sso", help="Where its people must sign in")
@click.argument("organization", type=naming.ORGANIZATION)
@as_of
@asked
def sso(session: Session, organization: str, as_of: str | None) -> None:
    found = session.client.show_sso(organization=organization, as_of=as_of)
    session.tell(found, (("ISSUER", plain(found.issuer)), ("EXEMPT", listed(found.exempt))))


@click.group("department", cls=Verbs, help="Parts of an organization")
def department() -> None: ...


@department.command("list", help="Those that the caller may see")
@OF_ORGANIZATION
@asked
def departments(session: Session, organization: str | None) -> None:
    found = session.client.each(operations.list_departments(organization=organization))
    session.tell_all(found, (*_NAMED, "ORGANIZATION"), lambda one: (*_named(one), one.organization))


@department.command("create", help="A part of an organization")
@click.argument("name")
@ORGANIZATION
@asked
def department_new(session: Session, name: str, organization: str | None) -> None:
    wanted = models.DepartmentNew(name=name, organization=own(session, organization))
    made = session.client.create_department(wanted)
    session.say(made, made.id)


def _only_account(session: Session) -> str:
    """Raises: Misconfigured account.unclear."""
    found = list(session.client.each(operations.list_accounts()))
    if len(found) == 1:
        return found[0].id
    which = ", ".join(one.id for one in found[:5]) or "none"
    why = f"there are {len(found)} accounts: {which}"
    raise Misconfigured("account.unclear", why, "Say --account ID.")


@click.group("project", cls=Verbs, help="Where things run, and which account pays for them")
def project() -> None: ...


@project.command("list", help="Those that the caller may see")
@OF_ORGANIZATION
@as_of
@asked
def projects(session: Session, organization: str | None, as_of: str | None) -> None:
    call = operations.list_projects(organization=organization, as_of=as_of)
    found = session.client.each(call)
    head = (*_NAMED, "DEPARTMENT", "ACCOUNT")
    session.tell_all(found, head, lambda one: (*_named(one), one.department, one.account))


@project.command("show", help="Its department, and who pays")
@click.argument("project", type=naming.PROJECT)
@as_of
@asked
def project_shown(session: Session, project: str, as_of: str | None) -> None:
    found = session.client.show_project(project, as_of=as_of)
    pairs = zip(_NAMED, _named(found), strict=True)
    session.tell(found, (*pairs, ("DEPARTMENT", found.department), ("ACCOUNT", found.account)))


@project.command("create", help="A project of a department, paid by an account")
@click.argument("name")
@click.option(
    "--department", type=naming.DEPARTMENT, help="Default: the only one, or one that is made."
)
@click.option("--account", metavar="ID", help="Default: the only one; `gpuaas account list`")
@asked
def project_new(session: Session, name: str, department: str | None, account: str | None) -> None:
    payer = account or _only_account(session)
    wanted = models.ProjectNew(name=name, department=department or UNSET, account=payer)
    made = session.client.create_project(wanted)
    session.say(made, made.id)


@project.command("move", help="To another department or account, with its use, without its charges")
@click.argument("project", type=naming.PROJECT)
@click.option("--department", type=naming.DEPARTMENT, help="Default: where it is.")
@click.option("--account", metavar="ID", help="Default: who pays now.")
@asked
def project_move(
    session: Session, project: str, department: str | None, account: str | None
) -> None:
    if not department and not account:
        raise click.UsageError("--department, --account, or both")
    wanted = models.ProjectMove(department=department or UNSET, account=account or UNSET)
    done = session.client.move_project(project, wanted)
    session.say(done, f"{project} is of {done.department}, paid by {done.account}")


@click.group("account", cls=Verbs, help="Billing accounts: currency, zone, balances")
def account() -> None: ...


@account.command("list", help="Those that the caller may see, with their balances")
@OF_ORGANIZATION
@as_of
@asked
def accounts(session: Session, organization: str | None, as_of: str | None) -> None:
    def row(one: models.Account) -> tuple[str, ...]:
        told = ", ".join(f"{held.ledger} {rounded(held.balance)}" for held in one.balances)
        return (one.id, one.currency, one.zone, one.organization, told or "-")

    found = session.client.each(operations.list_accounts(organization=organization, as_of=as_of))
    session.tell_all(found, ("ID", "CURRENCY", "ZONE", "ORGANIZATION", "BALANCES"), row)


@account.command("create", help="An account of an organization")
@ORGANIZATION
@click.option("--currency", required=True, metavar="USD")
@click.option("--zone", default="UTC", show_default=True, metavar="IANA", help="Of its months.")
@click.option(
    "--first-period-end", type=TIME, metavar="TIME", help="RFC 3339 (default: the month's end)."
)
@asked
def account_new(
    session: Session,
    organization: str | None,
    currency: str,
    zone: str,
    first_period_end: str | None,
) -> None:
    wanted = models.AccountNew(
        organization=own(session, organization),
        currency=currency,
        zone=zone,
        first_period_end=first_period_end or UNSET,
    )
    made = session.client.open_account(wanted)
    session.say(made, made.id)


@click.group("quota", cls=Verbs, help="How much of each model a scope may use")
def quota() -> None: ...


@quota.command("list", help="Limits and what is used of them")
@OF_ORGANIZATION
@as_of
@asked
def quotas(session: Session, organization: str | None, as_of: str | None) -> None:
    def row(one: models.Quota) -> tuple[str, ...]:
        return (
            *(one.scope, one.model, _gpus(one.limit_milli)),
            *(_gpus(one.used_milli), _gpus(one.reserved_milli)),
        )

    found = session.client.each(operations.list_quotas(organization=organization, as_of=as_of))
    session.tell_all(found, ("SCOPE", "MODEL", "GPUS", "USED", "RESERVED"), row)


def _gpus(milli: int | None) -> str:
    return "-" if milli is None else f"{milli // _MILLI}.{milli % _MILLI:03d}"


@quota.command(
    "set", staff=True, help="A limit for a scope in GPUs of a model (* for all), as 4 or 0.5"
)
@click.argument("scope", type=naming.SCOPE)
@click.argument("model")
@click.argument("gpus")
@asked
def quota_new(session: Session, scope: str, model: str, gpus: str) -> None:
    wanted = models.QuotaNew(scope=scope, model=model, limit_milli=_milli(gpus))
    made = session.client.set_quota(wanted)
    session.say(made, f"{scope}: {_gpus(made.limit_milli)} GPUs of {model}")


def _milli(text: str) -> int:
    whole, _, part = text.partition(".")
    if not (whole.isdecimal() and (part or "0").isdecimal() and len(part) <= len("000")):
        raise click.BadParameter(f"not a number of GPUs: {text!r}")
    return int(whole) * _MILLI + int(part.ljust(3, "0"))


@click.group("token", cls=Verbs, help="Tokens for anybody, where the stack is an embedded one")
def token() -> None: ...


@token.command("create", short_help="A token, shown once")
@click.option("--subject", required=True, metavar="WORD", help="Who: it acts as user-WORD.")
@click.option("--role", required=True, type=click.Choice(TOKEN_ROLES), metavar="ROLE", help="As.")
@click.option("--organization", type=naming.ORGANIZATION, help="Of admin, member and user.")
@click.option("--seconds", type=click.IntRange(1, 2_592_000), help="Default: a day.")
@asked
def token_new(
    session: Session, subject: str, role: str, organization: str | None, seconds: int | None
) -> None:
    """A token, shown once, of the embedded issuer.

    ROLE by the token itself: admin or member of --organization; auditor or platform-operator of
    the platform. user: what the organization bound user-WORD to (`gpuaas member add`, then `gpuaas
    role grant`), and only so it can have keys; staff: likewise of the platform's staff.
    """
    wanted = models.TokenNew(
        subject=subject, role=role, organization=organization or UNSET, seconds=seconds or UNSET
    )
    made = session.client.issue_token(wanted)
    if made.token is None:
        raise unheard_secret("a token", "Create another; that one ends by itself.")
    session.say(made, made.token)


VERBS: Final = (quota,)
MONEY: Final = (account,)
STAFF: Final = (token,)
