"""`gpuaas session`, `issuer`, `identity`: who is signed in, and who says who one is."""

from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, operations, profiles
from gpuaas_client.command import OF_ORGANIZATION, ORGANIZATION, REASON, Verbs, asked
from gpuaas_client.errors import Misconfigured
from gpuaas_client.session import Session
from gpuaas_client.telling import listed
from gpuaas_client.verbs.members import own


@click.group("session", cls=Verbs, help="Who is signed in, and since when")
def session_() -> None: ...


@session_.command("list", help="One's own; all of an organization's for whoever may")
@OF_ORGANIZATION
@asked
def sessions(session: Session, organization: str | None) -> None:
    def row(one: models.Session) -> tuple[str, ...]:
        return (
            *(one.id, one.principal, one.issuer, "yes" if one.mfa else "no"),
            *(one.opened_at, one.expires_at),
        )

    call = operations.list_sessions(organization=organization)
    head = ("SESSION", "PRINCIPAL", "ISSUER", "TWO-FACTOR", "OPENED", "EXPIRES")
    session.tell_all(session.client.each(call), head, row)


@session_.command("end", help="Over within a second everywhere")
@click.argument("name", metavar="SESSION")
@REASON
@asked
def session_end(session: Session, name: str, reason: str | None) -> None:
    done = session.client.end_session(name, models.SessionEnd(reason=reason or UNSET))
    session.say(done, f"{name} is over")


@click.group("issuer", cls=Verbs, help="Whose word an organization takes for who one is")
def issuer() -> None: ...


@issuer.command("list", help="In order of first trust; those trusted no more too")
@OF_ORGANIZATION
@asked
def issuers(session: Session, organization: str | None) -> None:
    def row(one: models.Issuer) -> tuple[str, ...]:
        return (
            *(one.id, one.url, one.client_id, listed(one.domains)),
            *("yes" if one.trusted else "no", one.organization),
        )

    call = operations.list_issuers(organization=organization)
    head = ("ISSUER", "URL", "CLIENT", "DOMAINS", "TRUSTED", "ORGANIZATION")
    session.tell_all(session.client.each(call), head, row)


@issuer.command("trust", staff=True, help="Its people may sign in; what each may do, roles say")
@click.argument("url")
@ORGANIZATION
@click.option("--client-id", required=True, help="The platform's there, as a public client.")
@click.option("--domain", multiple=True, help="Whose addresses sign in there; once for each.")
@click.option("--algorithm", multiple=True, help="It signs with; many (default: RS256).")
@asked
def trust(
    session: Session, url: str, organization: str | None, client_id: str, domain: tuple[str, ...],
    algorithm: tuple[str, ...],
) -> None:  # fmt: skip
    wanted = models.IssuerNew(
        url=url,
        organization=own(session, organization),
        client_id=client_id,
        domains=list(domain) or UNSET,
        algorithms=list(algorithm) or UNSET,
    )
    made = session.client.trust_issuer(wanted)
    session.say(made, made.id)


@issuer.command("distrust", help="Nobody signs in there any more; its sessions are over")
@click.argument("issuer")
@REASON
@asked
def distrust(session: Session, issuer: str, reason: str | None) -> None:
    done = session.client.distrust_issuer(issuer, models.IssuerEnd(reason=reason or UNSET))
    session.say(done, f"{issuer} is trusted no more")


@issuer.command(
    "factors", help="Which of its words count as a second factor; none named: none does"
)
@click.argument("issuer")
@click.option("--amr", multiple=True, metavar="WORD", help="A means (RFC 8176); many.")
@click.option("--acr", multiple=True, metavar="WORD", help="A context; many.")
@asked
def factors(session: Session, issuer: str, amr: tuple[str, ...], acr: tuple[str, ...]) -> None:
    wanted = models.IssuerFactors(amr=list(amr), acr=list(acr))
    done = session.client.set_factors(issuer, wanted)
    session.say(done, f"{issuer}: {listed(done.amr or [])}; {listed(done.acr or [])}")


@click.group("identity", cls=Verbs, help="Other identities that sign in as oneself")
def identity() -> None: ...


@identity.command("list", help="In order of linking")
@asked
def identities(session: Session) -> None:
    def row(one: models.Identity) -> tuple[str, ...]:
        return (one.id, one.person, one.since)

    head = ("IDENTITY", "SIGNS IN AS", "SINCE")
    session.tell_all(session.client.each(operations.list_identities()), head, row)


@identity.command("link", short_help="Another profile's identity becomes one's own")
@click.argument("other", metavar="PROFILE")
@asked
def link(session: Session, other: str) -> None:
    """Whoever signs in as PROFILE did is the person of this profile from now on. Sign in as both
    first (`gpuaas login`, `gpuaas login --profile PROFILE`): each counts for ten minutes.
    """
    theirs = profiles.read(session.env, other)
    if not theirs.session:
        detail = f"profile {other} keeps a token that was given, not a sign-in at an issuer"
        what = f"gpuaas login --profile {other}, with --domain or --issuer"
        raise Misconfigured("profile.no_session", detail, what)
    here = session.client.place.url
    if theirs.url != here:
        # A kept token goes to its own URL only.
        detail = f"profile {other} is signed in at {theirs.url}, not at {here}"
        raise Misconfigured("profile.elsewhere", detail, f"gpuaas login {here} --profile {other}")
    made = session.client.link_identity(models.IdentityLink(session=theirs.token))
    session.say(made, f"{made.id} signs in as {made.person} now; its sessions are over")


@identity.command("unlink", help="It is somebody else again; one's sessions of its issuer are over")
@click.argument("name", metavar="IDENTITY")
@REASON
@asked
def unlink(session: Session, name: str, reason: str | None) -> None:
    done = session.client.unlink_identity(name, models.IdentityUnlink(reason=reason or UNSET))
    session.say(done, f"{name} is by itself")


VERBS: Final = (session_, issuer, identity)
