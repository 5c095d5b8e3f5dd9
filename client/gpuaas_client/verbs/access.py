"""`gpuaas role`, `guardrail`, `key`, `why`: who may do what, on whose word, and why not."""

import sys
from difflib import get_close_matches
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import exits, models, naming, operations
from gpuaas_client.command import ORGANIZATION, REASON, Verb, Verbs, as_of, asked
from gpuaas_client.errors import GpuaasError, Invalid, unheard_secret
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain
from gpuaas_client.verbs.members import ROLES, end

_SAME: Final = 3


@click.group("role", cls=Verbs, help="Who has which role where, and until when")
def role() -> None: ...


@role.command("list", help="Bindings of roles")
@click.option("--scope", type=naming.PLACE, help="For this scope alone.")
@click.option("--principal", type=naming.PRINCIPAL, help="Of this one alone.")
@ORGANIZATION
@as_of
@asked
def roles(
    session: Session, scope: str | None, principal: str | None, organization: str | None,
    as_of: str | None,
) -> None:  # fmt: skip
    call = operations.list_bindings(
        scope=scope, principal=principal, organization=organization, as_of=as_of
    )
    head = ("BINDING", "PRINCIPAL", "ROLE", "SCOPE", "ONLY", "UNTIL", "BY")
    session.tell_all(session.client.each(call), head, _bound)


def _bound(one: models.RoleBinding) -> tuple[str, ...]:
    only = [*(["with a second factor"] if one.mfa else []), *one.networks]
    return (
        *(one.id, one.principal, one.role, one.scope, listed(only)),
        *(plain(one.until), one.granted_by),
    )


@role.command("grant", short_help="A role to a principal or a group, for a scope or one resource")
@click.argument("principal", type=naming.PRINCIPAL)
@click.argument("role", type=click.Choice(ROLES), metavar="ROLE")
@click.argument("scope", type=naming.PLACE)
@click.option("--mfa", is_flag=True, help="Only with a second factor.")
@click.option("--network", multiple=True, metavar="CIDR", help="Only from there; many.")
@click.option(
    "--until", type=TIME, metavar="TIME",
    help="It ends by itself then: RFC 3339 in UTC, as 2026-05-01T10:00:00Z (default: never).",
)  # fmt: skip
@asked
def grant(
    session: Session, principal: str, role: str, scope: str, mfa: bool, network: tuple[str, ...],
    until: str | None,
) -> None:  # fmt: skip
    """A role to a principal or a group, for a scope or one resource.

    ROLE of a tenant's scope: admin, auditor, billing, member, owner, viewer. Of the platform's
    staff, with - as SCOPE: auditor, operator, support.
    """
    wanted = models.BindingNew(
        principal=principal,
        role=role,
        scope=scope,
        mfa=mfa or UNSET,
        networks=list(network) or UNSET,
        until=until or UNSET,
    )
    made = session.client.grant_binding(wanted)
    session.say(made, f"{made.id}: {principal} is {role} of {scope}")


@role.command("revoke", help="A binding, with effect within a second")
@click.argument("binding")
@ORGANIZATION
@REASON
@asked
def revoke(session: Session, binding: str, organization: str | None, reason: str | None) -> None:
    done = session.client.revoke_binding(binding, end(organization, reason))
    session.say(done, f"{binding} is revoked")


@click.group("guardrail", cls=Verbs, help="What nobody below a scope may do, whatever its roles")
def guardrail() -> None: ...


@guardrail.command("list", help="Those of an organization")
@ORGANIZATION
@as_of
@asked
def guardrails(session: Session, organization: str | None, as_of: str | None) -> None:
    def row(one: models.GuardrailGiven) -> tuple[str, ...]:
        unless = [*(["a second factor"] if one.unless_mfa else []), *one.unless_networks]
        return (one.id, one.scope, listed(one.actions), listed(unless))

    call = operations.list_guardrails(organization=organization, as_of=as_of)
    session.tell_all(session.client.each(call), ("GUARDRAIL", "SCOPE", "FORBIDS", "UNLESS"), row)


@guardrail.command("set", help="Forbid actions below a scope")
@click.argument("scope", type=naming.SCOPE)
@click.argument("actions", nargs=-1, required=True, metavar="ACTION...")
@click.option("--unless-mfa", is_flag=True, help="But with a second factor.")
@click.option("--unless-network", multiple=True, metavar="CIDR", help="But from there; many.")
@REASON
@asked
def forbid(
    session: Session, scope: str, actions: tuple[str, ...], unless_mfa: bool,
    unless_network: tuple[str, ...], reason: str | None,
) -> None:  # fmt: skip
    wanted = models.GuardrailNew(
        scope=scope,
        actions=list(actions),
        reason=reason or UNSET,
        unless_mfa=unless_mfa or UNSET,
        unless_networks=list(unless_network) or UNSET,
    )
    made = session.client.set_guardrail(wanted)
    session.say(made, made.id)


@guardrail.command("lift", help="It forbids no more")
@click.argument("guardrail")
@ORGANIZATION
@REASON
@asked
def lift(session: Session, guardrail: str, organization: str | None, reason: str | None) -> None:
    done = session.client.lift_guardrail(guardrail, end(organization, reason))
    session.say(done, f"{guardrail} is lifted")


@click.group("key", cls=Verbs, help="API keys, one's own or of service accounts")
def key() -> None: ...


@key.command(
    "list", help="Keys by their first characters, when each was used last, and who made it"
)
@click.option("--of", type=naming.SERVICE, help="What acts as this principal alone.")
@click.option("--made-by", metavar="ID", help="What this principal made alone.")
@ORGANIZATION
@asked
def keys(session: Session, of: str | None, made_by: str | None, organization: str | None) -> None:
    def row(one: models.ApiKey) -> tuple[str, ...]:
        state = "revoked" if one.revoked else plain(one.until)
        maker = one.made_by if one.maker_belongs else f"{one.made_by} (no member)"
        return (
            *(one.id, plain(one.name), one.prefix, one.principal, listed(one.scopes)),
            *(state, plain(one.last_used_at), maker),
        )

    call = operations.list_api_keys(organization=organization, principal=of, made_by=made_by)
    head = ("KEY", "NAME", "PREFIX", "PRINCIPAL", "SCOPES", "UNTIL", "LAST USED", "MADE BY")
    session.tell_all(session.client.each(call), head, row)


@key.command("create", help="A key, shown once")
@click.argument("name")
@click.option(
    "--for", "principal", type=naming.SERVICE, help="A service account (default: oneself)."
)
@click.option("--scope", multiple=True, metavar="ACTION", help="It may this alone; many.")
@click.option("--days", type=click.IntRange(1), help="It ends after so many days (default: never).")
@click.option(
    "--mfa",
    is_flag=True,
    help="It stands for your second factor: with --scope and --days, made by who has used one.",
)
@click.option(
    "--public-key", metavar="HEX", help="Ed25519: no secret; who has the private half signs JWTs."
)
@ORGANIZATION
@asked
def key_new(
    session: Session, name: str, principal: str | None, scope: tuple[str, ...], days: int | None,
    mfa: bool, public_key: str | None, organization: str | None,
) -> None:  # fmt: skip
    wanted = models.ApiKeyNew(
        name=name,
        principal=principal or UNSET,
        scopes=list(scope) or UNSET,
        days=days or UNSET,
        mfa=mfa or UNSET,
        public_key=public_key or UNSET,
        organization=organization or UNSET,
    )
    made = session.client.create_api_key(wanted)
    if made.key is None and not made.public_key:
        raise unheard_secret(made.id, f"`gpuaas key revoke {made.id}`, and create another.")
    if not session.json:
        until = f"ends {made.until}" if made.until else "has no end"
        shown = "it is shown this once"
        if made.public_key:
            shown = f"sign JWTs with kid {made.id}, iss and sub {made.principal}, aud gpuaas"
        print(plain(f"  {made.id} {until}; {shown}"), file=sys.stderr)
    session.say(made, made.key or made.id)


@key.command("revoke", help="With effect within a second everywhere")
@click.argument("key")
@ORGANIZATION
@REASON
@asked
def key_revoke(session: Session, key: str, organization: str | None, reason: str | None) -> None:
    done = session.client.revoke_api_key(key, end(organization, reason))
    session.say(done, f"{key} is revoked")


@click.command(
    "why", cls=Verb, short_help="Whether one may, by which policy, or what would let one"
)
@click.argument("action")
@click.argument("scope", type=naming.PLACE)
@click.option("--principal", type=naming.PRINCIPAL, help="Somebody else, for who may ask that.")
@click.option("--mfa", is_flag=True, help="As with a second factor.")
@click.option("--source", metavar="ADDRESS", help="As from there.")
@asked
def why(
    session: Session, action: str, scope: str, principal: str | None, mfa: bool, source: str | None
) -> int:
    """Whether a principal may do ACTION on SCOPE, which policies say so, and what would allow it.

    The exit status is 0 for allowed, 3 for denied. `gpuaas api GET /v1/authorization/actions`
    lists the actions.
    """
    wanted = models.ExplainNew(
        action=action,
        scope=scope,
        principal=principal or UNSET,
        mfa=mfa or UNSET,
        source=source or UNSET,
    )
    try:
        found = session.client.explain(wanted)
    except Invalid as refused:
        raise _meant(session, action, refused) from refused
    pairs = [
        ("PRINCIPAL", found.principal),
        ("ACTION", f"{found.action} on {found.scope}"),
        ("ALLOWED", "yes" if found.allowed else "no"),
        *(
            ("DECIDES" if one.decides else "CONCERNS", f"{one.id} ({one.effect}): {plain(one.why)}")
            for one in found.policies
        ),
        ("ROLES", listed(found.would_allow)),
    ]
    session.tell(found, pairs)
    return exits.DONE if found.allowed else exits.NOT_ALLOWED


def _meant(session: Session, action: str, refused: Invalid) -> GpuaasError:
    """That there is no such action, with those that are near; what was refused where there is."""
    try:
        known = [one.action for one in session.client.list_actions().items]
    except GpuaasError:
        return refused
    if action in known:
        return refused
    verb = action.rpartition(".")[2]
    same = [one for one in known if one.rpartition(".")[2] == verb]
    same = same if len(same) <= _SAME else []  # as there are many lists
    near = ", ".join(dict.fromkeys([*same, *get_close_matches(action, known)]))
    what = f"Near it: {near}." if near else "`gpuaas call list-actions` has them all."
    return GpuaasError("action.unknown", f"there is no action {action}", what)


VERBS: Final = (role, guardrail, key)
REFUSED: Final = (why,)
