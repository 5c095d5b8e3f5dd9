"""`gpuaas login`, `logout`, `profiles`, `use`: who one is, where, kept for the next command."""

import contextlib
import threading
import webbrowser
from pathlib import Path
from typing import Any, Final

import click

from gpuaas_client import models, profiles, telling
from gpuaas_client.client import Client
from gpuaas_client.command import Verb, asked, from_stdin
from gpuaas_client.errors import (
    Forbidden,
    Misconfigured,
    NotSignedIn,
    Unauthenticated,
    unheard_secret,
)
from gpuaas_client.models import SessionEnd, SessionNew
from gpuaas_client.place import place
from gpuaas_client.session import Session
from gpuaas_client.sign_in import in_browser, on_device

_HEAD: Final = ("PROFILE", "URL", "CA", "CURRENT")


def _known(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
    session = context.find_root().ensure_object(Session)
    return [name for name in profiles.names(session.env) if name.startswith(typed)]


@click.command("login", cls=Verb, short_help="Keep an address and a token for what follows")
@click.argument("url", required=False, envvar="GPUAAS_URL")
@click.option("--ca", type=click.Path(path_type=Path), envvar="GPUAAS_CA", help="A CA, PEM.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@click.option("--domain", help="Sign in where the addresses of this domain do, in a browser.")
@click.option("--issuer", help="Sign in at this issuer of identities, by its id, in a browser.")
@click.option("--device", is_flag=True, help="With either: by a code that is typed elsewhere.")
@click.option("--mfa", is_flag=True, help="With either: with a second factor, or not at all.")
@click.option("--again", is_flag=True, help="With either: the issuer asks anew who one is.")
@asked
def login(
    session: Session,
    url: str | None,
    ca: Path | None,
    token_stdin: bool,
    domain: str | None,
    issuer: str | None,
    device: bool,
    mfa: bool,
    again: bool,
) -> None:
    """Keep URL and a token as a profile, once the API has accepted them.

    With `--domain` or `--issuer` the organization's own issuer says who one is. Otherwise the token
    is asked for without showing it; it is in no argument, so that neither history nor the list of
    processes has it. `--profile NAME` names the profile (default: the current one).
    """
    if (device or mfa or again) and not (domain or issuer):
        raise click.UsageError("--device, --mfa and --again go with --domain or --issuer")
    name = session.profile or profiles.current(session.env)
    known = None
    with contextlib.suppress(Misconfigured):  # what cannot be used is replaced
        known = profiles.read(session.env, name)
    at = url or str(click.prompt("URL", default=known.url if known else None, err=True))
    place(at, "")  # an address that is none is refused before the token is typed
    opened: models.Session | None = None
    trust = str(ca.absolute()) if ca else known.ca if known and known.url == at else ""
    if domain or issuer:
        with Client(at, "", trust or None, patience=session.patience) as client:
            opened = _signed_in(client, domain, issuer, device=device, mfa=mfa, again=again)
        if opened.token is None:
            raise unheard_secret(
                f"session {opened.id}", "Sign in again; `gpuaas session end` ends it."
            )
        token = opened.token
    elif token_stdin:
        token = from_stdin()
    else:
        token = str(click.prompt("token", hide_input=True, err=True)).strip()
    with Client(at, token, trust or None, patience=session.patience) as client:
        _accepted(client)
        if mfa and opened is not None and not opened.mfa:
            client.end_session(opened.id, SessionEnd())
            raise NotSignedIn("no_second_factor", "the issuer does not say that there was one")
    name_of_session = "" if opened is None else opened.id
    path = profiles.keep(
        session.env, name, profiles.Profile(at.rstrip("/"), token, trust, name_of_session)
    )
    said = {"profile": name, "url": at, "file": str(path)}
    session.say(said, f"signed in at {at} as profile {name}; kept in {path}")
    _tell_what_counts(session)


def _tell_what_counts(session: Session) -> None:
    """On standard error, where the profile just chosen is not what the next command goes by."""
    if said := profiles.before_it(session.env):
        click.echo(f"  but {said}: unset that, or say --profile", err=True)


def _accepted(client: Client) -> None:
    """By what everybody may ask who is somebody. An API key that is for something else was known,
    too. Raises: GpuaasError.
    """
    try:
        client.show_me()
    except Forbidden as refused:
        if refused.facts.get("policy") != "key.scopes":
            raise


def _signed_in(
    client: Client,
    domain: str | None,
    issuer: str | None,
    *,
    device: bool,
    mfa: bool,
    again: bool,
) -> models.Session:
    """A session that was opened just now, with its token. Raises: NotSignedIn, GpuaasError."""
    at = client.where_to_sign_in(domain=domain, issuer=issuer)
    if device:
        said = on_device(at, _tell_code, mfa=mfa, again=again)
    else:
        said = in_browser(at, _tell_address, mfa=mfa, again=again)
    wanted = SessionNew(issuer=at.issuer, id_token=said.id_token, nonce=said.nonce)
    return client.open_session(wanted)


def _tell_code(address: str, code: str) -> None:
    said = f"Open {address} in a browser, on any device, and type the code {code}"
    click.echo(telling.shown(said), err=True)


def _tell_address(address: str) -> None:
    click.echo("Open this address in a browser on this machine:", err=True)
    click.echo(telling.shown(address), err=True)
    # Its return is not waited for: a browser without a window ends when its page is there.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


@click.command("logout", cls=Verb, short_help="End the session and forget the profile")
@click.option("--here", is_flag=True, help="Forget it on this machine alone; asks no API.")
@asked
def logout(session: Session, here: bool) -> None:
    """Forget a profile and its token. A session that `login` opened is ended, too, everywhere; a
    token that somebody gave lives until it expires or is revoked.

    Where the API does not answer any more, `--here` forgets the profile all the same.
    """
    name = session.profile or profiles.current(session.env)
    if here:
        profiles.forget(session.env, name)
        said = "what it was signed in with lives until it expires"
        session.say({"profile": name, "session": ""}, f"profile {name} is forgotten; {said}")
        return
    kept = profiles.read(session.env, name)
    said = "its token lives until it expires"
    if kept.session:
        said = "its session is over"
        with Client(kept.url, kept.token, kept.ca or None, patience=session.patience) as client:
            try:
                client.end_session(kept.session, SessionEnd())
            except Unauthenticated:
                said = "its session was over already"
    profiles.forget(session.env, name)
    session.say({"profile": name, "session": kept.session}, f"profile {name} is forgotten; {said}")


@click.command("profiles", cls=Verb, help="The profiles that are kept here")
@asked
def listed(session: Session) -> None:
    now = profiles.current(session.env)

    def told(name: str) -> dict[str, Any]:
        current = {"current": name == now}
        try:
            one = profiles.read(session.env, name)
        except Misconfigured as fault:
            return {"profile": name, "url": "", "ca": "", **current, "fault": fault.code}
        return {"profile": name, "url": one.url, "ca": one.ca, **current}

    def row(one: dict[str, Any]) -> tuple[str, ...]:
        at = one["url"] or one["fault"]
        return (one["profile"], at, one["ca"] or "-", "yes" if one["current"] else "")

    session.tell_all(map(told, profiles.names(session.env)), _HEAD, row)


@click.command("use", cls=Verb, help="The profile that counts from now on")
@click.argument("name", shell_complete=_known)
@asked
def use(session: Session, name: str) -> None:
    profiles.choose(session.env, name)
    session.say({"profile": name}, f"profile {name} counts now")
    _tell_what_counts(session)


@click.command("whoami", cls=Verb, help="Who one is there, and what for")
@asked
def whoami(session: Session) -> None:
    me = session.client.show_me()
    roles = ", ".join(f"{one.role} at {one.scope}" for one in me.roles)
    pairs = [
        ("PRINCIPAL", me.principal),
        ("IN", me.organization or "the platform"),
        ("ALSO", telling.listed([one for one in me.organizations if one != me.organization])),
        ("ROLES", telling.plain(roles)),
        ("TWO-FACTOR", "yes" if me.mfa else "no"),
        ("AT", session.client.place.url),
    ]
    session.tell(me, pairs)


@click.command("act-in", cls=Verb, short_help="The organization to act in from now on")
@click.argument("organization", metavar="[ID]", required=False)
@asked
def act_in(session: Session, organization: str | None) -> None:
    """Act in another organization that one belongs to, by this profile, until told otherwise;
    without ID in the one where the session was opened. GPUAAS_ORGANIZATION does it for one command.
    """
    name = session.profile or profiles.current(session.env)
    kept = profiles.read(session.env, name)
    acting = organization or ""
    with Client(
        kept.url, kept.token, kept.ca or None, patience=session.patience, organization=acting
    ) as client:
        me = client.show_me()
    profiles.update(session.env, name, kept, organization=acting)
    session.say(me, f"profile {name} acts in {me.organization} now")


VERBS: Final = (login, logout, whoami, listed, use, act_in)
