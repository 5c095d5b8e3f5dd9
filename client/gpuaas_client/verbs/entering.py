"""`gpuaas ssh` and `terminal`: into a runtime.

For `ssh` a key and a certificate of minutes are fetched, then it takes over, through the gateway.
Needs an API's address and a token, no server of the platform's on this machine.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from gpuaas_client import completing, exits, models, ssh
from gpuaas_client.command import Verb, asked
from gpuaas_client.errors import Forbidden, GpuaasError, Unreachable
from gpuaas_client.naming import runtime_id
from gpuaas_client.session import Session

_LOOK_S: Final = 0.5
_ROUTE_LOOKS: Final = 4


@click.command(
    "ssh",
    cls=Verb,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="DIR",
    help="Write config, key and certificate there, for `scp -F DIR/config RUNTIME:...`.",
)  # fmt: skip
@click.argument("runtime", shell_complete=completing.runtime)
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF SSH] [-- COMMAND]")
@asked
def enter(session: Session, runtime: str, keep: Path | None, more: Sequence[str]) -> None:
    """A shell, a command or forwardings in a runtime.

    After RUNTIME come options of ssh, then -- and a command; or a command at once.
    """
    runtime = runtime_id(session, runtime)
    if keep is not None:
        config, name = ssh.entered(session.client, runtime, session.env, keep.absolute())
        session.say({"config": str(config), "host": name}, str(config))
        return
    argv = _split(more)
    _has_ssh(session, runtime)
    config, name = ssh.entered(session.client, runtime, session.env)
    sys.stdout.flush()
    session.close()
    # ssh replaces this process.
    os.execvp("ssh", ["ssh", "-F", str(config), *argv[0], name, *argv[1]])  # noqa: S606


def _has_ssh(session: Session, runtime: str) -> None:
    """Raises: GpuaasError ssh.simulated: what is SIMULATED as a whole has nothing that listens.

    SIMULATED GPUs in a real container have a route, told soon after it is usable.
    """
    looks = 0
    while True:
        try:
            found = session.client.show_runtime(runtime)
        except Forbidden:
            return  # a key may be for entering alone
        if not found.simulated or found.route is not None or found.state != "usable":
            return
        looks += 1
        if looks == 1:
            session.progress(f"{runtime} is SIMULATED: whether ssh answers there is looked up")
        if looks > _ROUTE_LOOKS:
            why = f"{runtime} is SIMULATED: no ssh answers there"
            raise GpuaasError("ssh.simulated", why, f"Use `gpuaas terminal {runtime}`.")
        time.sleep(_LOOK_S)


def _split(more: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Options of ssh, and the command with its mark.

    As with ssh, a word that is no option begins a command: so `rsync -e "gpuaas ssh"` works.
    """
    at = more.index("--") if "--" in more else len(more)
    options, command = more[:at], more[at + 1 :]
    if options and not options[0].startswith("-"):
        options, command = (), (*options, *command)
    return options, ("--", *command) if command else ()


@click.command("terminal", cls=Verb)
@click.argument("runtime", shell_complete=completing.runtime)
@click.option("--session", "entered", metavar="ID", help="One that goes on, entered again.")
@click.option("--record", is_flag=True, help="What is shown and typed is kept as evidence.")
@asked
def open_terminal(session: Session, runtime: str, entered: str | None, record: bool) -> int:
    """A shell in a runtime without ssh, over the API. `Enter ~ .` leaves it, and it goes on.

    The exit status is the shell's.
    """
    import asyncio

    from gpuaas_client import terminal
    from gpuaas_client.terminal_wire import bounded

    if not terminal.can_type():
        raise click.UsageError("standard input is no terminal and no pipe: nothing can be typed")
    runtime = runtime_id(session, runtime)
    name, ticket = entered, None
    if name is None:
        columns, rows = bounded(*shutil.get_terminal_size())
        wanted = models.TerminalNew(columns=columns, rows=rows, record=record)
        opened = session.client.open_terminal(runtime, wanted)
        name, ticket = opened.id, opened.ticket

    async def run() -> int | None:
        return await terminal.Screen(session.client, name, ticket).run()

    try:
        with terminal.raw():
            status = asyncio.run(run())
    except BaseException as error:
        # What cannot be reached, or is entered from another place, goes on.
        goes_on = isinstance(error, Unreachable) or getattr(error, "code", "") == "terminal.taken"
        if entered is None and not goes_on:
            with contextlib.suppress(GpuaasError):
                session.client.close_terminal(name)
        raise
    if status is None:
        again = f"gpuaas terminal {runtime} --session {name}"
        print(f"\nleft; it goes on: {again}", file=sys.stderr)
        return exits.DONE
    return status


VERBS: Final = (enter, open_terminal)
