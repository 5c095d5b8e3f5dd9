"""`gpuaas api`, `events`, `explain`: what has no verb of its own, with all that verbs have."""

import sys
from difflib import get_close_matches
from typing import Final

import click
import msgspec

from gpuaas_client import operations, telling
from gpuaas_client.call import Call
from gpuaas_client.command import Verb, asked
from gpuaas_client.errors import GpuaasError
from gpuaas_client.own_codes import OWN
from gpuaas_client.session import Session
from gpuaas_client.telling import plain, shown


@click.command("api", cls=Verb, short_help="Any call of the API, as it is answered")
@click.argument("method", type=click.Choice(("GET", "POST"), case_sensitive=False))
@click.argument("path")
@click.option("--data", metavar="JSON", help="The body; `-` reads it from standard input.")
@click.option("--key", default="", metavar="WORD", help="An idempotency key (default: a new one).")
@click.option("--if-match", default="", metavar="VERSION", help="What it was decided on.")
@asked
def api(
    session: Session, method: str, path: str, data: str | None, key: str, if_match: str
) -> None:
    """Any call of the API, as it is answered: `gpuaas api GET /v1/webhooks`.

    A POST is sent under an idempotency key and repeated as verbs are.
    """
    if not path.startswith("/"):
        # A whole address could be another host's, and would get the token.
        raise click.BadParameter(f"no path of the API, as /v1/me: {path!r}", param_hint="PATH")
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
    telling.write(raw if raw[-1:] == b"\n" else raw + b"\n")


@click.command("events", cls=Verb, short_help="Facts of the log, a line each")
@click.option("--after", type=click.IntRange(-1), default=-1, metavar="POSITION", help="From then.")
@click.option("--follow", is_flag=True, help="Go on as facts are appended.")
@asked
def events(session: Session, after: int, follow: bool) -> None:
    """Facts of the log that the caller may see, a line each; with --json a CloudEvent a line."""
    for one in session.client.events(after, follow=follow):
        line = shown(f"{one.id:>8}  {one.time}  {one.type}  {plain(one.subject)}")
        if session.json:
            line = telling.escaped(msgspec.json.encode(one).decode())
        print(line, flush=follow)


@click.command("explain", cls=Verb, short_help="What a refusal means and what to do about it")
@click.argument("code")
@asked
def explain(session: Session, code: str) -> None:
    """What a refusal's CODE (as quota.exceeded) means and what to do about it.

    Whether one may do something: `gpuaas why ACTION SCOPE`.
    """
    if code in OWN:
        title, what = OWN[code]
        said = {"code": code, "title": title, "remedy": what}
        session.tell(said, [("CODE", code), ("TITLE", title), ("SAID BY", "gpuaas"), ("DO", what)])
        return
    known = {one.code: one for one in session.client.each(operations.list_problems())}
    if code not in known:
        near = ", ".join(get_close_matches(code, known)) or "`gpuaas api GET /v1/problems`"
        raise GpuaasError("problem.unknown", f"nothing is refused as {code}", f"Near it: {near}.")
    one = known[code]
    pairs = [("CODE", one.code), ("TITLE", one.title), ("STATUS", str(one.status))]
    session.tell(one, [*pairs, ("DO", one.remedy), ("PAGE", session.client.place.url + one.type)])


VERBS: Final = (api,)
EVIDENCE: Final = (events,)
REFUSED: Final = (explain,)
