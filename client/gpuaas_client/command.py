"""The shape that all verbs share: `--json` and `--profile` wherever they are typed."""

import sys
from typing import Any, Final

import click

from gpuaas_client import naming, profiles
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session, session_of

SHORT: Final = 80  # of a line in a list of commands


def _json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).json = True


def _profile(context: click.Context, _option: click.Parameter, value: str) -> None:
    if value:
        session_of(context).profile = value


def _profiles(context: click.Context, _option: click.Parameter, typed: str) -> list[str]:
    return [name for name in profiles.names(session_of(context).env) if name.startswith(typed)]


def from_stdin() -> str:
    """What a program writes there, a line: in no argument, which others on the machine could read.

    Raises: click.UsageError.
    """
    said = "" if sys.stdin is None or sys.stdin.closed else sys.stdin.readline().strip()
    if not said:
        raise click.UsageError("there is nothing on standard input")
    return said


def _everywhere() -> list[click.Parameter]:
    """Of every verb, and of the words before it."""
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_json,
            help="For programs.",
        ),
        click.Option(
            ["--profile"],
            metavar="NAME",
            is_eager=True,  # names are looked up where it says
            expose_value=False,
            callback=_profile,
            shell_complete=_profiles,
            help="Whom to be, where (default: GPUAAS_URL and GPUAAS_TOKEN, else the current).",
        ),
    ]


class Verb(click.Command):
    """A command that asks an API. `staff`: only the platform's may, whatever else one is."""

    def __init__(self, *args: Any, staff: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.staff = staff
        self.params += _everywhere()


STAFF: Final = "For the platform's staff"


class Verbs(click.Group):
    """Commands that ask an API, under one word; what is the platform's staff's is told apart."""

    command_class = Verb

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += _everywhere()

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """In two sections, where there is something for either."""
        found = [(name, self.get_command(context, name)) for name in self.list_commands(context)]
        width = max((len(name) for name, _ in found), default=0)
        for title, staff in (("Commands", False), (STAFF, True)):
            rows = [
                (name.ljust(width), one.get_short_help_str(SHORT))
                for name, one in found
                if one is not None and getattr(one, "staff", False) is staff
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


Verbs.group_class = Verbs

as_of = click.option(
    "--as-of", type=TIME, metavar="POSITION|TIME", help="As it stood then, by today's permissions."
)
REASON = click.option(
    "--reason", metavar="WORD", help="For the log: lower-case letters, digits, _ . and -."
)
REASON_NEEDED = click.option(
    "--reason", required=True, metavar="WORD",
    help="For the log: lower-case letters, digits, _ . and -.",
)  # fmt: skip
# Of what is an organization's: staff of the platform has none of its own.
ORGANIZATION = click.option(
    "--organization", type=naming.ORGANIZATION,
    help="Default: the one that you act in; the platform's staff names one.",
)  # fmt: skip
STATE = click.option("--state", metavar="STATE", help="Only those in it, as they are shown.")
# Of lists that show all that the caller sees.
OF_ORGANIZATION = click.option(
    "--organization", type=naming.ORGANIZATION, help="Of this one alone, for who sees several."
)

asked = click.make_pass_decorator(Session, ensure=True)
