"""`gpuaas api`, `events`: what has no verb of its own, with everything that verbs have."""

import sys
from typing import Any, Final

import click
import msgspec

from gpuaas_client.call import Call
from gpuaas_client.command import Verb, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import plain


@click.command("api", cls=Verb)
@click.argument("method", type=click.Choice(("GET", "POST"), case_sensitive=False))
@click.argument("path")
@click.option("--data", metavar="JSON", help="The body; `-` reads it from standard input.")
@click.option("--key", default="", metavar="WORD", help="An idempotency key (default: a new one).")
@click.option("--if-match", default="", metavar="VERSION", help="What it was decided on.")
@asked
def api(
    session: Session, method: str, path: str, data: str | None, key: str, if_match: str
) -> None:
    """Any call of the API, as it is answered: `gpuaas api GET /v1/wallets`.

    A POST is sent under an idempotency key and repeated as verbs are.
    """
    text = sys.stdin.read() if data == "-" else data
    try:
        body = None if text is None else msgspec.Raw(msgspec.json.format(text.encode()))
        if body is not None:
            msgspec.json.decode(body)
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--data") from error
    act = method == "POST"
    call = Call(method, path, bytes, body=body, acts=act, waits=not act)
    raw = session.client.do(call, key=key, if_match=if_match)
    sys.stdout.buffer.write(raw)
    if raw[-1:] != b"\n":
        sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()


@click.command("events", cls=Verb)
@click.option("--after", type=click.IntRange(-1), default=-1, metavar="POSITION", help="From then.")
@click.option("--follow", is_flag=True, help="Go on as facts are appended.")
@asked
def events(session: Session, after: int, follow: bool) -> None:
    """Facts of the log that the caller may see, a line each; with --json a CloudEvent a line."""
    for one in session.client.events(after, follow=follow):
        said: Any = msgspec.json.encode(one).decode()
        line = (
            said if session.json else f"{one.id:>8}  {one.time}  {one.type}  {plain(one.subject)}"
        )
        print(line, flush=follow)


VERBS: Final = (api, events)
