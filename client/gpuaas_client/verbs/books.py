"""`gpuaas usage`, `invoice`, `bill`: what was used, what it costs, and papers that prove it."""

from pathlib import Path
from typing import Final

import click

from gpuaas_client import downloads, models, operations
from gpuaas_client.command import Verb, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import money, plain

_USAGE: Final = ("PROJECT", "METER", "MODEL", "QUANTITY", "AMOUNT", "PERIOD")
_INVOICES: Final = ("NUMBER", "STATE", "TOTAL", "FINALIZED", "LINES", "ID")
_PATH: Final = click.Path(path_type=Path)


@click.command("usage", cls=Verb, help="What was charged, by project, meter and model")
@click.option("--project", metavar="ID")
@click.option("--department", metavar="ID")
@click.option("--account", metavar="ID")
@click.option("--start", metavar="TIME", help="RFC 3339.")
@click.option("--end", metavar="TIME", help="RFC 3339.")
@asked
def usage(
    session: Session, project: str | None, department: str | None, account: str | None,
    start: str | None, end: str | None,
) -> None:  # fmt: skip
    call = operations.list_usage(
        project=project, department=department, account=account, start=start, end=end
    )
    session.tell_all(session.client.each(call), _USAGE, _used)


def _used(one: models.Usage) -> tuple[str, ...]:
    return (one.project, one.meter, one.model, one.quantity, money(one.amount), one.period)


@click.group("invoice", cls=Verbs, help="Invoices: listed, shown, fetched, proved")
def invoice() -> None: ...


@invoice.command("list", help="Every invoice, newest first")
@click.option("--account", metavar="ID")
@as_of
@asked
def listed(session: Session, account: str | None, as_of: str | None) -> None:
    found = session.client.each(operations.list_invoices(account=account, as_of=as_of))
    session.tell_all(found, _INVOICES, _row)


def _row(one: models.Invoice) -> tuple[str, ...]:
    return (
        *(one.number, one.state, money(one.total), one.finalized_at),
        *(str(one.line_count), one.id),
    )


@invoice.command("show", help="One invoice, by number or id")
@click.argument("number")
@as_of
@asked
def shown(session: Session, number: str, as_of: str | None) -> None:
    one = session.client.show_invoice(number, as_of=as_of)
    pairs = [
        *zip(_INVOICES, _row(one), strict=True),
        ("EXACT", money(one.exact)),
        ("NET", money(one.net)),
        ("TAX", money(one.tax)),
        ("SELLER", plain(one.seller)),
        ("ACCOUNT", one.account),
        ("PERIOD", one.period),
        ("MISSING", ", ".join(one.missing) or "nobody: all had told all"),
        ("SHA-256", one.sha256),
    ]
    session.tell(one, pairs)


@click.command("get", cls=Verb, help="An invoice or a credit note as a file")
@click.argument("number", metavar="NUMBER")
@click.option(
    "--as", "form", required=True, type=click.Choice(("ubl", "cii", "pdf", "page", "file"))
)
@click.option("--out", type=_PATH, required=True, metavar="FILE")
@asked
def get(session: Session, number: str, form: str, out: Path) -> None:
    size = downloads.fetch(session.client, downloads.paper(number, form), out, session.progress)
    session.say({"file": str(out), "bytes": size}, f"{out}: {size} bytes")


@click.command("proof", cls=Verb)
@click.argument("number", metavar="NUMBER")
@click.argument("file", type=_PATH, metavar="FILE")
@click.option(
    "--line", type=click.IntRange(0), metavar="N",
    help="Of this line alone, counted from 0 in the order of the invoice's file.",
)  # fmt: skip
@asked
def proof(session: Session, number: str, file: Path, line: int | None) -> None:
    """What an invoice or a credit note rests on, to be verified offline.

    `gpuaas-verify invoice FILE --key VKEY`, or `gpuaas evidence verify invoice FILE --key VKEY`.
    """
    size = downloads.fetch(session.client, downloads.proof(number, line), file, session.progress)
    sentence = f"{file}: {size} bytes; gpuaas-verify invoice {file} --key VKEY"
    session.say({"file": str(file), "bytes": size}, sentence)


@click.group("bill", cls=Verbs, help="An account's books as files")
def bill() -> None: ...


@bill.command("export")
@click.argument("form")
@click.option("--account", required=True, metavar="ID")
@click.option("--out", type=_PATH, required=True, metavar="FILE")
@click.option("--start", metavar="TIME", help="Periods booked from then, RFC 3339; of no journal.")
@click.option("--end", metavar="TIME", help="Until before then.")
@click.option("--as-of", metavar="POSITION", help="As the books stood then (default: now).")
@asked
def export(
    session: Session, form: str, account: str, out: Path, start: str | None, end: str | None,
    as_of: str | None,
) -> None:  # fmt: skip
    """An account's books as a file; said again after a break, it goes on where it stopped.

    FORM: hledger, beancount, or focus, focus-1.4, charges with .csv or .parquet.
    """
    order = downloads.Order(form, account, start, end, as_of)
    position = downloads.export(session.client, order, out, session.progress)
    size = out.stat().st_size
    sentence = f"{out}: {size} bytes, everything sealed up to position {position}"
    session.say({"file": str(out), "bytes": size, "position": int(position)}, sentence)


for _one in (get, proof):
    bill.add_command(_one)
    invoice.add_command(_one)

VERBS: Final = (usage, invoice, bill)
