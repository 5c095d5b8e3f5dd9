"""GPUs as a service: launch, enter, watch and pay; every answer also as --json."""

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click
import msgspec

from gpuaas_client import exits, telling
from gpuaas_client.command import SHORT, STAFF, Verbs
from gpuaas_client.errors import GpuaasError, NotFound, Refused
from gpuaas_client.session import Session
from gpuaas_client.verbs import (
    access,
    books,
    break_glass,
    budgets,
    calls,
    capacity,
    completion,
    cost_centres,
    entering,
    evidence,
    factors,
    long_work,
    members,
    names,
    nodes,
    prices,
    profiles,
    raw,
    runtimes,
    sessions,
    tenancy,
    volumes,
    webhooks,
)

GROUP: Final = "gpuaas.verbs"
# As the API says that one does not belong there.
_NO_ORGANIZATION: Final = "there is no such organization here"


class Everything(Verbs):
    """Our verbs, and those that other distributions add: an entry point each, loaded when it is
    called or listed. Ours win where names meet.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """All of them, in order."""
        return sorted({*super().list_commands(context), *_added()})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """None for a verb that nobody has."""
        own = super().get_command(context, name)
        if own is not None or name not in _added():
            return own
        try:
            found = _added()[name].load()
        except ImportError as error:
            raise click.ClickException(f"`gpuaas {name}` cannot be loaded: {error}") from error
        assert isinstance(found, click.Command), f"{GROUP}: {name} is no click.Command"
        return found

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """In sections, by what people come for."""
        own = {str(one.name): (title, one) for title, verbs in SECTIONS for one in verbs}
        width = max(map(len, self.list_commands(context)))
        more = [("For who runs this installation", name) for name in _added() if name not in own]
        titles = [*(title for title, _ in SECTIONS), *dict.fromkeys(title for title, _ in more)]
        for title in titles:
            names = [name for name, (of, _) in own.items() if of == title]
            names += sorted(name for of, name in more if of == title)
            rows = []
            for name in names:
                found = self.get_command(context, name)
                assert found is not None, name
                rows.append((name.ljust(width), _sentence(found.get_short_help_str(SHORT))))
            with formatter.section(title):
                formatter.write_dl(rows)


def _sentence(text: str) -> str:
    """In one manner, whoever wrote it: a capital letter first, no full stop at its end."""
    text = text if text.endswith("..") else text.removesuffix(".")
    return text[:1].upper() + text[1:]


def _added() -> dict[str, EntryPoint]:
    return {one.name: one for one in entry_points(group=GROUP)}


@click.group(
    cls=Everything,
    help=__doc__,
    epilog="Exit status: 0 done, 1 failed, 2 usage, 3 not allowed, 4 not found, 5 conflict,"
    " 6 no capacity or over a limit, 7 not now, 8 an impostor."
    " `gpuaas completion` completes words.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gpuaas-client", prog_name="gpuaas")
def gpuaas() -> None: ...


# What `gpuaas --help` says, in this order; what others add comes last.
SECTIONS: Final = (
    (
        "Every day",
        (*capacity.VERBS, *runtimes.VERBS, *entering.VERBS, *volumes.VERBS, *long_work.VERBS),
    ),
    ("Who you are", (*profiles.VERBS, *factors.VERBS)),
    (
        "Your organization",
        (
            *names.VERBS,
            *tenancy.VERBS,
            *members.VERBS,
            *access.VERBS,
            *sessions.VERBS,
            *webhooks.VERBS,
        ),
    ),
    ("Money", (*books.VERBS, *budgets.VERBS, *cost_centres.VERBS, *tenancy.MONEY, *prices.VERBS)),
    ("Evidence", (*evidence.VERBS, *raw.EVIDENCE, *break_glass.VERBS)),
    ("When something is refused", (*raw.REFUSED, *access.REFUSED)),
    ("Programs and shells", (*calls.VERBS, *raw.VERBS, *completion.VERBS)),
    (STAFF, (*nodes.VERBS, *tenancy.STAFF)),
)
for _, _verbs in SECTIONS:
    for _verb in _verbs:
        gpuaas.add_command(_verb)


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Exit status, see gpuaas_client/exits.py; a refusal is one sentence on stderr."""
    session = Session(env)
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What this terminal has no letters for is told by numbers, not by a failure.
        with contextlib.suppress(OSError):  # opened as a file that it is not
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = gpuaas.main(words, "gpuaas", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except click.exceptions.Abort as over:
        if isinstance(over.__context__, EOFError):
            said = "there is nobody to ask: standard input is at its end"
            print(f"\ngpuaas: {said} (--help: the option that answers)", file=sys.stderr)
            return exits.USAGE
        print("gpuaas: interrupted", file=sys.stderr)
        return exits.INTERRUPTED
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except GpuaasError as refused:
        return _refused(refused, session)
    except BrokenPipeError:
        _unwritten()  # whoever read has enough
        return exits.FAILED
    except OSError as error:
        print(f"gpuaas: {telling.plain(error)}", file=sys.stderr)
        _unwritten()
        return exits.FAILED
    except UnicodeEncodeError:
        print("gpuaas: what was typed is not UTF-8", file=sys.stderr)
        return exits.USAGE
    finally:
        session.close()
    return status if isinstance(status, int) else exits.DONE


def _unwritten() -> None:
    """What could not be written is not tried again: Python would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(refused: GpuaasError, session: Session) -> int:
    if session.json:
        said = {"code": refused.code, "detail": refused.detail, "remedy": refused.remedy}
        more: dict[str, object] = {}
        if isinstance(refused, Refused):
            more = {
                "facts": dict(refused.facts),
                "errors": refused.errors,
                "correlation_id": refused.correlation_id,
            }
        text = msgspec.json.encode({**said, **more}).decode()
        print(telling.escaped(text), file=sys.stderr)
    else:
        print(f"gpuaas: {' '.join(telling.plain(refused).split())}", file=sys.stderr)
        if session.acting and isinstance(refused, NotFound) and refused.detail == _NO_ORGANIZATION:
            print(
                f"  asked as one who belongs to {telling.plain(session.acting)}"
                " (GPUAAS_ORGANIZATION, `gpuaas act-in`); break-glass goes without either",
                file=sys.stderr,
            )
    return exits.status_of(refused)
