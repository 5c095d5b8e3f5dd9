"""The `gpuaas` command of a server installation: each verb is one process or one errand."""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from api import options
from api.config import Settings, from_environment, port
from domain.errors import DomainError
from gpuaas_verify.errors import Invalid

type Verb = Callable[[argparse.Namespace], int]


def _say(text: str) -> None:
    print(f"  {text} ...", file=sys.stderr, flush=True)


def _port(text: str) -> int:
    try:
        return port(text, "--port")
    except DomainError as error:
        raise argparse.ArgumentTypeError(error.detail) from error


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


def _up(args: argparse.Namespace) -> int:
    from api.first_steps import hint
    from api.supervisor import running
    from api.tokens import developer_token

    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with running(_say, http_port=args.port) as stack:
        vkey = (stack.settings.storage / "vkey").read_text().strip()
        print(f"URL    {stack.url}")
        token = developer_token(stack.settings)
        print(f"token  {token}")
        print(f"vkey   {vkey}")
        print(f"ssh    {stack.settings.gateway_host}:{stack.settings.gateway_port}")
        print(f"apps   {stack.settings.apps_url}")
        print(hint(stack.url, token, stack.settings.ca, sys.argv[0]), end="")
        print("Ctrl-C stops it.", flush=True)
        while not stopping.wait(0.5):
            for name in stack.tend():
                _say(f"{name} ended by itself and was started again")
        _say("stopping")
    return 0


def _serve(_args: argparse.Namespace) -> int:
    from api.embedded.children import require_free
    from api.serve import run

    settings = from_environment()
    if settings.tls is not None:
        settings.tls.checked()
    _of_this_version(settings)
    # The server would share the port with whoever has it, another deployment's API included.
    require_free(settings.http_port, "the API", settings.http_host)
    return run(settings)


def _worker(_args: argparse.Namespace) -> int:
    from api.worker import run

    return run(_of_this_version(from_environment()))


def _signer(_args: argparse.Namespace) -> int:
    from evidence.signer import run

    settings = from_environment()
    return run(settings.signer_state, settings.signer_socket)


def _gateway(_args: argparse.Namespace) -> int:
    from api.gateway.run import run

    settings = from_environment()
    if settings.tls is not None:
        settings.tls.checked()
    return run(_of_this_version(settings))


def _ssh(args: argparse.Namespace) -> int:
    from api.login import keep, run

    if args.keep is not None:
        print(keep(args.runtime, args.keep))
        return 0
    return run(args.runtime, args.options, args.command)


def _node(args: argparse.Namespace) -> int:
    from api.node_verbs import listed, shown

    return listed() if args.what == "list" else shown(args.node)


def _bill(args: argparse.Namespace) -> int:
    from api.bill import Order, export, fetch, proof

    if args.what == "get":
        return fetch(args.number, args.form, args.out)
    if args.what == "proof":
        return proof(args.invoice, args.line, args.file)
    return export(Order(args.form, args.account, args.start, args.end, args.as_of), args.out)


def _budget(args: argparse.Namespace) -> int:
    from api.budget_verbs import cleared, listed, put, shown

    if args.what == "set":
        return put(args.scope, (args.amount, args.currency), args.mode, args.account)
    if args.what == "list":
        return listed()
    return {"clear": cleared, "show": shown}[args.what](args.scope)


def _bank(args: argparse.Namespace) -> int:
    from api.bank import resolve, take, waiting

    if args.what == "import":
        return take(args.file)
    if args.what == "aside":
        return waiting()
    if args.returned:
        return resolve(args.id, {"returned": True})
    wanted = {"account": args.account} if args.account else {"invoice": args.invoice}
    return resolve(args.id, wanted)


def _payments(args: argparse.Namespace) -> int:
    from api.paying.reconciling import reconcile

    return reconcile(args.statement, args.since)


def _list(_args: argparse.Namespace) -> int:
    from api.runtime_verbs import listed

    return listed()


def _show(args: argparse.Namespace) -> int:
    from api.runtime_verbs import shown

    return shown(args.runtime)


# Passed on to the agent as they are; `python -m agent --help` says what they mean.
_ENGINE = ("engine", "images", "rootfs", "podman", "create", "network")


def _agent(args: argparse.Namespace) -> int:
    from api.agents import run

    real = [] if args.devices != "nvml" else ["--devices", "nvml"]
    for name in ("nvml_library", "cuda_library", *_ENGINE):
        if getattr(args, name) is not None:
            real += [f"--{name.replace('_', '-')}={getattr(args, name)}"]
    return run(from_environment(), model=args.model, more=tuple(real))


def _nats_config(args: argparse.Namespace) -> int:
    from api.nats_verb import written

    return written(from_environment(), args)


def _certificate(args: argparse.Namespace) -> int:
    from api.config import data_directory
    from api.fleet.node_ca import written

    for path in written(data_directory(), tuple(args.name), args.out):
        print(path)
    return 0


def _migrate(_args: argparse.Namespace) -> int:
    from evidence.opening import open_log
    from migrations.runner import migrate

    settings = from_environment()
    for name in migrate(settings.owner_database_url):
        print(f"applied {name}")
    open_log(settings.database_url, settings.storage, settings.signer_state, settings.log_name)
    print("the database is current and the log is open")
    return 0


def _replay(args: argparse.Namespace) -> int:
    from api.replay.run import run

    return run(args)


def _fsck(_args: argparse.Namespace) -> int:
    from api.supervisor import database_alone
    from evidence.fsck import run

    with database_alone(_say) as settings:
        return run(settings.database_url, settings.storage)


def _rebuild(args: argparse.Namespace) -> int:
    from api.supervisor import database_alone
    from projections.rebuild import run

    with database_alone(_say) as settings:
        return run(_of_this_version(settings).database_url, accept=args.accept)


def _restore(args: argparse.Namespace) -> int:
    from api.supervisor import database_alone
    from evidence.restore import refill
    from evidence.storage import Storage
    from gpuaas_verify.note import Vkey

    vkey = Vkey.parse(args.key)
    with database_alone(_say) as settings:
        back = refill(settings.owner_database_url, Storage(settings.storage), vkey)
    print(f"{back} entries came back from the entry bundles; now run `gpuaas fsck`")
    return 0


def _erase(args: argparse.Namespace) -> int:
    from api.erase import erase
    from api.supervisor import database_alone

    with database_alone(_say) as settings:
        gone = erase(settings.database_url, args.stream)
    print(f"{gone} texts of {args.stream} are erased; the log keeps their digests")
    return 0


def _continue_log(args: argparse.Namespace) -> int:
    from api.supervisor import database_alone
    from evidence.restore import continued, open_continuing
    from gpuaas_verify.note import Vkey

    continues = continued(args.note.read_bytes(), Vkey.parse(args.key), args.first_lost)
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


def _first_steps(_args: argparse.Namespace) -> int:
    from api.first_steps import first_steps

    return first_steps()


def _status(_args: argparse.Namespace) -> int:
    from api.status import status

    return status()


def _demo(_args: argparse.Namespace) -> int:
    from api.demo import run

    return run()


def build_parser() -> argparse.ArgumentParser:
    """The command line; every verb carries its function as `verb`."""
    parser = argparse.ArgumentParser(prog="gpuaas", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Verb, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(verb=run)
        return added

    up = verb("up", _up, "the embedded stack until Ctrl-C")
    up.add_argument("--port", type=_port, help="HTTP port (default: a free one)")
    verb("serve", _serve, "the HTTP API, the admission writer and the ingest of agents' messages")
    verb("worker", _worker, "integrator, heartbeat, scrubber, projections and reactions")
    verb("signer", _signer, "the process that holds the log's key")
    verb("gateway", _gateway, "the SSH gateway: the only way to runtimes")
    options.ssh(verb("ssh", _ssh, "a shell, a command or forwardings in a runtime"))
    verb("list", _list, "every runtime, newest first, with since when nobody uses it")
    verb("show", _show, "one runtime and what happens next").add_argument("runtime")
    options.node(verb("node", _node, "nodes as an operator reads them"))
    options.bill(verb("bill", _bill, "exports of a billing account's books"))
    options.budget(verb("budget", _budget, "budgets of organizations, departments and projects"))
    options.bank(verb("bank", _bank, "transfers on a bank's statement become prepaid credit"))
    options.payments(verb("payments", _payments, "what a provider says was paid, against credit"))
    options.agent(verb("agent", _agent, "a node agent of the embedded stack"))
    nats = verb("nats-config", _nats_config, "the configuration of a nats-server for this platform")
    options.nats(nats)
    own = verb("certificate", _certificate, "a certificate of the node CA for API and apps")
    own.add_argument("--name", action="append", required=True, help="DNS name or address; many")
    own.add_argument("--out", type=Path, required=True, metavar="DIR")
    verb("migrate", _migrate, "bring the database to this version and open the log")
    verb("fsck", _fsck, "re-read log and storage whole, name the first bad position")
    rebuild = verb("rebuild", _rebuild, "rebuild all views beside the live ones, compare, swap")
    rebuild.add_argument(
        "--accept",
        action="store_true",
        help="swap although they differ: this version's views differ",
    )
    restore = verb("restore", _restore, "refill a restored database from the entry bundles")
    restore.add_argument("--key", required=True, metavar="VKEY", help="the vkey you keep elsewhere")
    forget = verb("erase", _erase, "delete the texts (names) behind one stream's digests for good")
    forget.add_argument("--stream", required=True, metavar="ID")
    onward = verb("continue-log", _continue_log, "open a new log that names a lost one")
    onward.add_argument("--note", type=Path, required=True, help="the old log's last signed note")
    onward.add_argument("--key", required=True, metavar="VKEY", help="the old log's vkey")
    onward.add_argument("--first-lost", type=int, required=True, metavar="POSITION")
    text = "organization, project and an example price on SIMULATED GPUs, and how to launch"
    verb("first-steps", _first_steps, text)
    verb("status", _status, "ready or not, why, and which certificates end soon")
    verb("demo", _demo, "from an empty directory to a verified invoice")
    replay = verb("replay", _replay, "drive the platform with a recorded cluster trace")
    options.replay(replay)
    return parser


def _of_databases() -> tuple[type[Exception], ...]:
    """What refuses of a database; asked when something did: most verbs start without psycopg."""
    import psycopg

    from migrations.runner import SchemaMismatch

    return SchemaMismatch, psycopg.OperationalError


def _refused(error: Exception) -> int:
    said = " ".join(str(error).split()) or type(error).__name__
    print(f"gpuaas: {said}", file=sys.stderr)
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed with one sentence on stderr, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows `--` is another program's: argparse would take the mark away.
    at = words.index("--") if words[:1] == ["ssh"] and "--" in words else len(words)
    args = build_parser().parse_args(words[:at])
    args.command = words[at + 1 :]
    run: Verb = args.verb
    try:
        return run(args)
    except KeyboardInterrupt:
        print("gpuaas: interrupted", file=sys.stderr)
        return 130
    except (DomainError, Invalid, OSError) as refused:
        return _refused(refused)
    except _of_databases() as refused:
        return _refused(refused)


if __name__ == "__main__":
    raise SystemExit(main())
