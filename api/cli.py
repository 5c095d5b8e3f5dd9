"""The verbs that a server installation adds to `gpuaas`: each is one process or one errand.

Each is an entry point of `gpuaas.verbs` (pyproject.toml); `python -m api.cli` has them and the
client's, whatever is installed.
"""

import contextlib
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from api import options
from api.config import Settings, from_environment
from domain.errors import DomainError
from gpuaas_verify.errors import Invalid


def _say(text: str) -> None:
    print(f"  {text} ...", file=sys.stderr, flush=True)


class ServerVerb(click.Command):
    """A verb whose refusals are one sentence on stderr and exit status 1; 7 and 8 as the client's
    where it asks an API that does not answer, or is none.
    """

    def invoke(self, context: click.Context) -> Any:
        """The verb's exit status."""
        try:
            return super().invoke(context)
        except (DomainError, Invalid, OSError) as refused:
            return _refused(refused)
        except _of_databases() as refused:
            return _refused(refused)


def _of_databases() -> tuple[type[Exception], ...]:
    """What refuses of a database; asked when something did: most verbs start without psycopg."""
    import psycopg

    from migrations.runner import SchemaMismatch

    return SchemaMismatch, psycopg.OperationalError


def _refused(error: Exception) -> int:
    from gpuaas_client import exits, telling

    said = " ".join(str(error).split()) or type(error).__name__
    print(f"gpuaas: {telling.plain(said)}", file=sys.stderr)
    if not isinstance(error, DomainError):
        return exits.FAILED
    asked = {"api.unreachable": exits.NOT_NOW, "api.impostor": exits.IMPOSTOR}
    return (asked | {"platform.founded": exits.CONFLICT}).get(error.code, exits.FAILED)


class ServerVerbs(click.Group):
    """Several under one word."""

    command_class = ServerVerb


def _verb(text: str, name: str | None = None) -> Callable[[Callable[..., int]], click.Command]:
    def made(run: Callable[..., int]) -> click.Command:
        return click.command(name or run.__name__, cls=ServerVerb, help=text)(run)

    return made


def _of_this_version(settings: Settings) -> Settings:
    """The settings. Raises: SchemaMismatch when the database is of another version; DomainError
    config.missing when the data directory is not there: keys made anew would be nobody's.
    """
    import psycopg

    from migrations.runner import require_current

    # A database that is away is no mismatch: whoever is started meets it and waits or ends.
    with contextlib.suppress(psycopg.OperationalError):
        require_current(settings.database_url)
    if not settings.data.is_dir():
        detail = f"GPUAAS_DATA: there is no folder {settings.data}; `gpuaas migrate` makes it"
        raise DomainError("config.missing", detail)
    return settings


@_verb("the embedded stack until Ctrl-C")
@click.option("--port", type=options.PORT, help="HTTP port (default: the last, or a free one)")
def up(port: int | None) -> int:
    from api.first_steps import hint, on_path
    from api.supervisor import running
    from api.tokens import developer_token

    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with running(_say, http_port=port) as stack:
        vkey = (stack.settings.storage / "vkey").read_text().strip()
        print(f"URL    {stack.url}")
        token = developer_token(stack.settings)
        print(f"token  {token}")
        print(f"vkey   {vkey}")
        print(f"ssh    {stack.settings.gateway_host}:{stack.settings.gateway_port}")
        print(f"apps   {stack.settings.apps_url}")
        print(on_path(sys.argv[0]), end="")
        print(hint(stack.url, token, stack.settings.ca, sys.argv[0]), end="")
        print("Ctrl-C stops it.", flush=True)
        while not stopping.wait(0.5):
            for name in stack.tend():
                _say(f"{name} ended by itself and was started again")
        _say("stopping")
    return 0


@_verb("the HTTP API, the admission writer and the ingest of agents' messages")
def serve() -> int:
    from api.embedded.children import require_free
    from api.serve import run

    settings = from_environment()
    if settings.tls is not None:
        settings.tls.checked()
    _of_this_version(settings)
    # The server would share the port with whoever has it, another deployment's API included.
    require_free(settings.http_port, "the API", settings.http_host)
    return run(settings)


@_verb("integrator, heartbeat, scrubber, projections and reactions")
def worker() -> int:
    from api.worker import run

    return run(_of_this_version(from_environment()))


@_verb("the process that holds the log's key")
def signer() -> int:
    from evidence.signer import run

    settings = from_environment()
    return run(settings.signer_state, settings.signer_socket)


@_verb("the SSH gateway: the only way to runtimes")
def gateway() -> int:
    from api.gateway.run import run

    settings = from_environment()
    if settings.tls is not None:
        settings.tls.checked()
    return run(_of_this_version(settings))


@click.group(cls=ServerVerbs, help="transfers on a bank's statement become prepaid credit")
def bank() -> None: ...


@bank.command("import", help=options.STATEMENT)
@click.argument("file", type=options.PATH)
def _bank_import(file: Path) -> int:
    from api.bank import take

    return take(file)


@bank.command("aside", help="lines that name nobody and wait")
def _bank_aside() -> int:
    from api.bank import waiting

    return waiting()


@bank.command("resolve", help="what one of them is of: one of account, invoice, returned")
@click.argument("id")
@click.option("--account", metavar="ID", help="credit of this account")
@click.option("--invoice", metavar="ID", help="pays this invoice")
@click.option("--returned", is_flag=True, help="it was sent back")
def _bank_resolve(id: str, account: str | None, invoice: str | None, returned: bool) -> int:  # noqa: A002
    from api.bank import resolve

    said = {"account": account, "invoice": invoice, "returned": returned}
    wanted = {name: value for name, value in said.items() if value}
    if len(wanted) != 1:
        raise click.UsageError("one of --account, --invoice, --returned")
    return resolve(id, wanted)


@click.group(cls=ServerVerbs, help="what a provider says was paid, against credit")
def payments() -> None: ...


@payments.command("reconcile", help="0 if both sides agree, else 1 and what does not")
@click.option("--statement", type=options.PATH, metavar="FILE", help="a bank's; without, Stripe")
@click.option("--since", type=int, default=0, metavar="SECONDS", help="of the epoch")
def _reconcile(statement: Path | None, since: int) -> int:
    from api.paying.reconciling import reconcile

    return reconcile(statement, since)


# Passed on to the agent as they are; `python -m agent --help` says what they mean.
_ENGINE: Final = ("engine", "images", "rootfs", "podman", "create", "network")


@_verb("a node agent of the embedded stack")
@options.agent
def agent(devices: str | None, simulated: bool, model: str, **more: str | None) -> int:
    from api.agents import run

    if (devices is not None) == simulated:
        raise click.UsageError("one of --devices, --simulated")
    real = [] if devices != "nvml" else ["--devices", "nvml"]
    for name in ("nvml_library", "cuda_library", *_ENGINE):
        if more[name] is not None:
            real += [f"--{name.replace('_', '-')}={more[name]}"]
    return run(from_environment(), model=model, more=tuple(real))


@_verb("the configuration of a nats-server for this platform", "nats-config")
@options.nats
def nats_config(**given: Any) -> int:
    from api.nats_verb import written

    return written(from_environment(), Namespace(**given))


@_verb("a certificate of the node CA for API and apps")
@click.option("--name", multiple=True, required=True, help="DNS name or address; many")
@click.option("--out", type=options.PATH, required=True, metavar="DIR")
def certificate(name: tuple[str, ...], out: Path) -> int:
    from api.config import data_directory
    from api.fleet.node_ca import written

    for path in written(data_directory(), name, out):
        print(path)
    return 0


@_verb("bring the database to this version and open the log")
def migrate() -> int:
    from evidence.opening import open_log
    from migrations.runner import migrate as brought

    settings = from_environment()
    for name in brought(settings.owner_database_url):
        print(f"applied {name}")
    open_log(settings.database_url, settings.storage, settings.signer_state, settings.log_name)
    print("the database is current and the log is open")
    return 0


@_verb("the first operator, by an issuer that is trusted with it; beside the database")
@options.found
def found(issuer: str, client_id: str, subject: str, **words: tuple[str, ...]) -> int:
    from api.found import run

    settings = from_environment(with_nats=False)  # nothing of the data directory
    return run(settings, (issuer, client_id, subject), **words)


@_verb("re-read log and storage whole, name the first bad position")
def fsck() -> int:
    from api.supervisor import database_alone
    from evidence.fsck import run

    with database_alone(_say) as settings:
        return run(settings.database_url, settings.storage)


@_verb("rebuild all views beside the live ones, compare, swap")
@click.option("--accept", is_flag=True, help="swap although they differ: this version's differ")
def rebuild(accept: bool) -> int:
    from api.supervisor import database_alone
    from projections.rebuild import run

    with database_alone(_say) as settings:
        return run(_of_this_version(settings).database_url, accept=accept)


@_verb("refill a restored database from the entry bundles")
@click.option("--key", required=True, metavar="VKEY", help="the vkey you keep elsewhere")
def restore(key: str) -> int:
    from api.supervisor import database_alone
    from evidence.restore import refill
    from evidence.storage import Storage
    from gpuaas_verify.note import Vkey

    vkey = Vkey.parse(key)
    with database_alone(_say) as settings:
        back = refill(settings.owner_database_url, Storage(settings.storage), vkey)
    print(f"{back} entries came back from the entry bundles; now run `gpuaas fsck`")
    return 0


@_verb("delete the texts (names) behind one stream's digests for good")
@click.option("--stream", required=True, metavar="ID")
def erase(stream: str) -> int:
    from api.erase import erase as gone_of
    from api.supervisor import database_alone

    with database_alone(_say) as settings:
        gone = gone_of(settings.database_url, stream)
    print(f"{gone} texts of {stream} are erased; the log keeps their digests")
    return 0


@_verb("open a new log that names a lost one", "continue-log")
@click.option("--note", type=options.PATH, required=True, help="the old log's last signed note")
@click.option("--key", required=True, metavar="VKEY", help="the old log's vkey")
@click.option("--first-lost", type=int, required=True, metavar="POSITION")
def continue_log(note: Path, key: str, first_lost: int) -> int:
    from api.supervisor import database_alone
    from evidence.restore import continued, open_continuing
    from gpuaas_verify.note import Vkey

    continues = continued(note.read_bytes(), Vkey.parse(key), first_lost)
    with database_alone(_say, fresh=True) as settings:
        vkey = open_continuing(
            settings.database_url,
            settings.storage,
            settings.signer_state,
            settings.log_name,
            continues,
        )
    print(f"a new log is open; publish its vkey: {vkey}")
    return 0


@_verb(
    "an organization, its owner and an example price on SIMULATED GPUs; what to type", "first-steps"
)
def first_steps() -> int:
    from api.first_steps import first_steps as taken

    return taken()


@_verb("ready or not, why, and which certificates end soon")
def status() -> int:
    from api.status import status as told

    return told()


@_verb("from an empty directory to a verified invoice")
def demo() -> int:
    from api.demo import run

    return run()


@_verb("drive the platform with a recorded cluster trace; one that was killed goes on")
@options.replay
def replay(**given: Any) -> int:
    from api.replay.run import run

    return run(Namespace(**given))


VERBS: Final[tuple[click.Command, ...]] = (
    *(up, serve, worker, signer, gateway, bank, payments, agent, nats_config, certificate),
    *(
        migrate,
        found,
        fsck,
        rebuild,
        restore,
        erase,
        continue_log,
        first_steps,
        status,
        demo,
        replay,
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: the client's table (client/README.md); 1 with a sentence for a server's verb."""
    from gpuaas_client.cli import gpuaas
    from gpuaas_client.cli import main as client_main

    for one in VERBS:
        gpuaas.add_command(one)
    return client_main(argv)


if __name__ == "__main__":
    raise SystemExit(main())
