"""What the verbs of `gpuaas` may be told beside their name, where that is more than a word."""

import argparse
from pathlib import Path

from api.urls import database_url
from domain.errors import DomainError


def ssh(login: argparse.ArgumentParser) -> None:
    """What `gpuaas ssh` takes."""
    login.epilog = "GPUAAS_URL and GPUAAS_TOKEN say where and who; `gpuaas up` prints both."
    text = "write config, key and certificate there, for `scp -F DIR/config RUNTIME:...`"
    login.add_argument("--keep", type=Path, metavar="DIR", help=text)
    login.add_argument("runtime", metavar="RUNTIME")
    text = "options of ssh, then -- and a command; or a command"
    login.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help=text)


def node(node: argparse.ArgumentParser) -> None:
    """What `gpuaas node` takes."""
    node.epilog = "GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_CA say where, who and whom to believe."
    verbs = node.add_subparsers(required=True, metavar="list | show NODE", dest="what")
    verbs.add_parser("list", help="every node, barred ones with since when")
    verbs.add_parser("show", help="one node, its devices, why it is barred").add_argument("node")


def bill(bill: argparse.ArgumentParser) -> None:
    """What `gpuaas bill` takes."""
    bill.epilog = "GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_CA say where, who and whom to believe."
    verbs = bill.add_subparsers(required=True, metavar="export | get | proof", dest="what")
    get = verbs.add_parser("get", help="an invoice or a credit note as a file")
    get.add_argument("number", metavar="NUMBER", help="its number or id")
    get.add_argument("--as", dest="form", required=True, choices=("ubl", "cii", "pdf", "file"))
    get.add_argument("--out", type=Path, required=True, metavar="FILE")
    export = verbs.add_parser("export", help="an account's books as a file")
    text = "hledger, beancount, or focus, focus-1.4, charges with .csv or .parquet"
    export.add_argument("form", metavar="FORM", help=text)
    export.add_argument("--account", required=True, metavar="ID")
    export.add_argument("--out", type=Path, required=True, metavar="FILE")
    text = "periods booked in [start, end), RFC 3339 (not of a journal)"
    export.add_argument("--start", metavar="TIME", help=text)
    export.add_argument("--end", metavar="TIME", help=text)
    text = "as the books stood at a position or time (default: now)"
    export.add_argument("--as-of", metavar="POSITION", help=text)
    text = "what an invoice rests on, for `gpuaas-verify invoice FILE --key VKEY`"
    proof = verbs.add_parser("proof", help=text)
    proof.add_argument("invoice", metavar="NUMBER", help="of an invoice or credit note, or its id")
    text = "of this line alone, counted from 0 in the order of the invoice's file"
    proof.add_argument("--line", type=int, metavar="N", help=text)
    proof.add_argument("file", type=Path, metavar="FILE")


def budget(budget: argparse.ArgumentParser) -> None:
    """What `gpuaas budget` takes."""
    budget.epilog = "GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_CA say where, who and whom to believe."
    verbs = budget.add_subparsers(
        required=True, metavar="set | clear | list | show SCOPE", dest="what"
    )
    put = verbs.add_parser("set", help="an amount for each billing period of an account")
    put.add_argument("scope", metavar="SCOPE", help="an organization, department or project")
    put.add_argument("amount", metavar="AMOUNT", help="decimal, as 1200.50")
    put.add_argument("currency", metavar="CURRENCY", help="the account's")
    text = "soft tells (default), refuse lets nothing new begin, stop stops what runs as well"
    put.add_argument("--mode", choices=("soft", "refuse", "stop"), default="soft", help=text)
    put.add_argument("--account", metavar="ID", help="default: the project's, or the only one")
    verbs.add_parser("clear", help="no budget any more").add_argument("scope", metavar="SCOPE")
    verbs.add_parser("list", help="every budget, spent and forecast")
    text = "one budget and what was told of it"
    verbs.add_parser("show", help=text).add_argument("scope", metavar="SCOPE")


def bank(bank: argparse.ArgumentParser) -> None:
    """What `gpuaas bank` takes."""
    bank.epilog = "GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_CA say where, who and whom to believe."
    verbs = bank.add_subparsers(required=True, metavar="import | aside | resolve", dest="what")
    text = "camt.053, or CSV: line, amount, currency, text, between `opening` and `closing`"
    verbs.add_parser("import", help=text).add_argument("file", type=Path, metavar="FILE")
    verbs.add_parser("aside", help="lines that name nobody and wait")
    resolve = verbs.add_parser("resolve", help="what one of them is of")
    resolve.add_argument("id", metavar="ID")
    how = resolve.add_mutually_exclusive_group(required=True)
    how.add_argument("--account", metavar="ID", help="credit of this account")
    how.add_argument("--invoice", metavar="ID", help="pays this invoice")
    how.add_argument("--returned", action="store_true", help="it was sent back")


def payments(payments: argparse.ArgumentParser) -> None:
    """What `gpuaas payments` takes."""
    payments.epilog = "GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_STRIPE_KEY say where and as whom."
    verbs = payments.add_subparsers(required=True, metavar="reconcile", dest="what")
    both = verbs.add_parser("reconcile", help="0 if both sides agree, else 1 and what does not")
    both.add_argument("--statement", type=Path, metavar="FILE", help="a bank's; without it Stripe")
    both.add_argument("--since", type=int, default=0, metavar="SECONDS", help="of the epoch")


def agent(agent: argparse.ArgumentParser) -> None:
    """What `gpuaas agent` takes."""
    kind = agent.add_mutually_exclusive_group(required=True)
    kind.add_argument("--devices", choices=("simulated", "nvml"), help="SIMULATED or real GPUs")
    kind.add_argument("--simulated", action="store_true", help="the same as --devices simulated")
    agent.add_argument("--nvml-library", type=Path, metavar="PATH", help="libnvidia-ml.so.1")
    agent.add_argument("--cuda-library", type=Path, metavar="PATH", help="libcuda.so.1")
    agent.add_argument("--engine", choices=("simulated", "podman", "bubblewrap"))
    agent.add_argument("--images", type=Path, metavar="FILE", help="allow-list of images, JSON")
    agent.add_argument("--rootfs", type=Path, metavar="DIR", help="unpacked images (bubblewrap)")
    agent.add_argument("--podman", metavar="WORDS", help="podman and its global options")
    agent.add_argument("--create", metavar="WORDS", help="more options of podman create")
    agent.add_argument("--network", metavar="NAME", help="network of runtimes (podman)")
    agent.add_argument("--model", default="T4", help="the model that this node is expected to be")


def nats(nats: argparse.ArgumentParser) -> None:
    """What `gpuaas nats-config` takes."""
    nats.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    nats.add_argument("--listen", default="0.0.0.0:4222", metavar="HOST:PORT")
    nats.add_argument("--name", action="append", help="of the server in its certificate; many")
    nats.add_argument(
        "--tls", type=Path, metavar="DIR", help="its certificate, key and CA (default: beside FILE)"
    )
    nats.add_argument("--store", type=Path, default=Path("/data"), metavar="DIR")


def replay(replay: argparse.ArgumentParser) -> None:
    """What `gpuaas replay` takes."""
    replay.epilog = "A replay that was killed goes on; report.json counts all of its sessions."
    for name in ("nodes", "pods", "prices"):
        replay.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    replay.add_argument(
        "--start", required=True, metavar="RFC3339", help="instant of trace second 0"
    )
    replay.add_argument("--zone", required=True, metavar="IANA", help="time zone of billing months")
    replay.add_argument("--out", type=Path, required=True, metavar="DIR")
    replay.add_argument(
        "--database-url", type=_database_url, metavar="URL", help="default: an own server under DIR"
    )


def _database_url(text: str) -> str:
    try:
        return database_url(text, "--database-url")
    except DomainError as error:
        raise argparse.ArgumentTypeError(error.detail) from error
