"""`gpuaas login`, `logout`, `profiles`, `use`: who one is, where, kept for the next command."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from gpuaas_client import profiles
from gpuaas_client.client import Client
from gpuaas_client.command import Verb, asked
from gpuaas_client.place import place
from gpuaas_client.session import Session

_HEAD: Final = ("PROFILE", "URL", "CA", "CURRENT")


def _known(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
    session = context.find_root().ensure_object(Session)
    return [name for name in profiles.names(session.env) if name.startswith(typed)]


@click.command("login", cls=Verb)
@click.argument("url", required=False, envvar="GPUAAS_URL")
@click.option("--ca", type=click.Path(path_type=Path), envvar="GPUAAS_CA", help="A CA, PEM.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@asked
def login(session: Session, url: str | None, ca: Path | None, token_stdin: bool) -> None:
    """Keep URL and a token as a profile, once the API has accepted them.

    The token is asked for without showing it; it is in no argument, so that neither history nor
    the list of processes has it. `--profile NAME` names the profile (default: the current one).
    """
    name = session.profile or profiles.current(session.env)
    known = profiles.read(session.env, name) if name in profiles.names(session.env) else None
    at = url or str(click.prompt("URL", default=known.url if known else None, err=True))
    place(at, "")  # an address that is none is refused before the token is typed
    if token_stdin:
        token = sys.stdin.readline().strip()
    else:
        token = str(click.prompt("token", hide_input=True, err=True)).strip()
    trust = str(ca.absolute()) if ca else known.ca if known and known.url == at else ""
    with Client(at, token, trust or None, patience=session.patience) as client:
        client.list_runtimes(limit=1)  # what everybody may ask who is somebody
    path = profiles.keep(session.env, name, profiles.Profile(at.rstrip("/"), token, trust))
    said = {"profile": name, "url": at, "file": str(path)}
    session.say(said, f"signed in at {at} as profile {name}; kept in {path}")


@click.command("logout", cls=Verb, help="Forget a profile and its token")
@asked
def logout(session: Session) -> None:
    name = session.profile or profiles.current(session.env)
    profiles.forget(session.env, name)
    session.say({"profile": name}, f"profile {name} is forgotten; its token lives until it expires")


@click.command("profiles", cls=Verb, help="The profiles that are kept here")
@asked
def listed(session: Session) -> None:
    now = profiles.current(session.env)

    def told(name: str) -> dict[str, Any]:
        one = profiles.read(session.env, name)
        return {"profile": name, "url": one.url, "ca": one.ca, "current": name == now}

    def row(one: dict[str, Any]) -> tuple[str, ...]:
        return (one["profile"], one["url"], one["ca"] or "-", "yes" if one["current"] else "")

    session.tell_all(map(told, profiles.names(session.env)), _HEAD, row)


@click.command("use", cls=Verb, help="The profile that counts from now on")
@click.argument("name", shell_complete=_known)
@asked
def use(session: Session, name: str) -> None:
    profiles.choose(session.env, name)
    session.say({"profile": name}, f"profile {name} counts now")


VERBS: Final = (login, logout, listed, use)
