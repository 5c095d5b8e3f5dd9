"""`gpuaas usage`, `invoice`, `bill`: what was used, what it costs, and papers that prove it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click
from msgspec import MsgspecError, Struct, json

from gpuaas_client import downloads, models, naming, operations
from gpuaas_client.command import STATE, Verb, Verbs, as_of, asked
from gpuaas_client.errors import Forbidden, GpuaasError, NotFound
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session
from gpuaas_client.telling import METERED, money, plain, quantity, rounded, rounded_pico, table

_USAGE: Final = ("PROJECT", "METER", "MODEL", "USED", "CHARGED", "PERIOD")
_RUNNING: Final = ("PROJECT", "RUNTIME", "MODEL", "USED", "ESTIMATE", "SINCE")
_ESTIMATED: Final = "running, not charged yet: an estimate by the price list"
_INVOICES: Final = ("NUMBER", "STATE", "TOTAL", "FINALIZED", "LINES", "ID")
_TABLES: Final = ("focus", "focus-1.4", "charges")
_FORMS: Final = (
    *("hledger", "beancount"),
    *(f"{one}.{form}" for one in _TABLES for form in ("csv", "parquet")),
)
_LINES: Final = ("PROJECT", "WHAT", "USED", "AMOUNT", "PRICE AT")
_MOST_LINES: Final = 20
_PATH: Final = click.Path(path_type=Path)


@click.command("usage", cls=Verb, short_help="What was charged, and what runs uncharged as yet")
@click.option("--project", type=naming.PROJECT, help="Of this project alone.")
@click.option(
    "--department", type=naming.DEPARTMENT, help="While projects were in this department."
)
@click.option("--account", metavar="ID", help="Paid by this account alone.")
@click.option("--start", type=TIME, metavar="TIME", help="Periods that end after then, RFC 3339.")
@click.option("--end", type=TIME, metavar="TIME", help="Periods that begin before then, RFC 3339.")
@click.option("--running", is_flag=True, help="Only what runs and is not charged yet.")
@asked
def usage(
    session: Session, project: str | None, department: str | None, account: str | None,
    start: str | None, end: str | None, running: bool,
) -> None:  # fmt: skip
    """What was charged, by project, meter and model; below it what runs and is not charged yet.

    A runtime is charged when it ends and when a billing period closes; what it costs until then is
    an estimate by the price list, without the tiers that others fill, commitments and holds, and
    of runtimes alone: volumes and what is metered otherwise are not in it.

    Tables are rounded. --json is exact, and tells what was charged; with --running what runs.
    """
    if running and (start or end):
        raise click.UsageError("--running is of now: leave --start and --end out")
    of = {"project": project, "department": department, "account": account}
    if not running:
        charged = list(session.client.each(operations.list_usage(**of, start=start, end=end)))
        units = {} if session.json else _units(session, charged)
        session.tell_all(charged, _USAGE, lambda one: _used(one, units))
    if running or not (start or end or session.json):
        _uncharged(session, of, alone=running)


def _units(session: Session, charged: Sequence[models.Usage]) -> dict[str, str]:
    """What each meter counts in; that of the platform's own is fixed, others are asked for."""
    if {one.meter for one in charged} <= METERED.keys():
        return METERED
    found = session.client.each(operations.list_meters())
    return {**{one.meter: one.unit for one in found}, **METERED}


def _used(one: models.Usage, units: Mapping[str, str]) -> tuple[str, ...]:
    used = quantity(one.quantity, units.get(one.meter, "of its unit"))
    return (one.project, one.meter, one.model, used, rounded(one.amount), one.period)


def _uncharged(session: Session, of: Mapping[str, str | None], *, alone: bool) -> None:
    try:
        found = list(session.client.each(operations.list_running_usage(**of)))
    except (Forbidden, NotFound) as refused:
        if alone:
            raise
        session.progress(f"what runs and is not charged yet is not shown: {refused.code}")
        return
    if found and not session.json:
        sys.stdout.write(f"{'' if alone else chr(10)}{_ESTIMATED}\n")
    if alone or found:
        session.tell_all(found, _RUNNING, _runs)


def _runs(one: models.UsageRunning) -> tuple[str, ...]:
    used = quantity(one.quantity, METERED.get(one.meter, "of its unit"))
    cost = "no price" if one.estimate is None else f"about {rounded(one.estimate)}"
    return (one.project, one.runtime, one.model, used, cost, one.since)


@click.group("invoice", cls=Verbs, help="Invoices: listed, shown, fetched, proved")
def invoice() -> None: ...


@invoice.command("list", help="Every invoice, newest first")
@click.option("--account", metavar="ID", help="Of this one alone.")
@STATE
@as_of
@asked
def listed(session: Session, account: str | None, state: str | None, as_of: str | None) -> None:
    call = operations.list_invoices(account=account, state=state, as_of=as_of)
    session.tell_all(session.client.each(call), _INVOICES, _row)


def _row(one: models.Invoice) -> tuple[str, ...]:
    return (
        *(one.number, one.state, money(one.total), one.finalized_at),
        *(str(one.line_count), one.id),
    )


@invoice.command("show", help="One invoice, by number or id, and its lines")
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
    if not session.json:
        _tell_lines(session, one, as_of)


class _Line(Struct, frozen=True):
    project: str
    sku: str
    price: int
    quantity: int
    amount_pico: int


class _File(Struct, frozen=True):
    currency: str
    lines: tuple[_Line, ...]


def _tell_lines(session: Session, one: models.Invoice, as_of: str | None) -> None:
    """Those of the invoice's own file, the first of many; nothing where it is not there yet."""
    try:
        found = json.decode(session.client.invoice_file(one.id, as_of=as_of), type=_File)
    except (GpuaasError, MsgspecError):
        return

    def row(line: _Line) -> tuple[str, ...]:
        unit = METERED.get(line.sku.partition(":")[0], "of its unit")
        used = quantity(str(line.quantity), unit) if line.quantity >= 0 else "-"
        cost = f"{rounded_pico(line.amount_pico)} {plain(found.currency)}"
        return (plain(line.project), plain(line.sku), used, cost, str(line.price))

    sys.stdout.write("\n" + table([_LINES, *map(row, found.lines[:_MOST_LINES])]))
    if len(found.lines) > _MOST_LINES:
        more = len(found.lines) - _MOST_LINES
        print(f"and {more} more: gpuaas invoice get {plain(one.number)} --as pdf --out FILE")


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


@click.command("proof", cls=Verb, short_help="What an invoice or a credit note rests on")
@click.argument("number", metavar="NUMBER")
@click.argument("file", type=_PATH, metavar="[FILE]", required=False)
@click.option("--out", type=_PATH, metavar="FILE", help="In place of FILE, as other verbs take it.")
@click.option(
    "--line", type=click.IntRange(0), metavar="N",
    help="Of this line alone, counted from 0 in the order of the invoice's file.",
)  # fmt: skip
@asked
def proof(
    session: Session, number: str, file: Path | None, out: Path | None, line: int | None
) -> None:
    """What an invoice or a credit note rests on, to be verified offline.

    `gpuaas-verify invoice FILE --key VKEY`, or `gpuaas evidence verify invoice FILE --key VKEY`.
    """
    where = file or out
    if where is None or (file and out):
        raise click.UsageError("where to: FILE, or --out FILE")
    size = downloads.fetch(session.client, downloads.proof(number, line), where, session.progress)
    sentence = f"{where}: {size} bytes; gpuaas-verify invoice {where} --key VKEY"
    session.say({"file": str(where), "bytes": size}, sentence)


@click.group("bill", cls=Verbs, help="An account's books as files")
def bill() -> None: ...


@bill.command("export", short_help="For an accountant: hledger, beancount, FOCUS, charge lines")
@click.argument("form", type=click.Choice(_FORMS), metavar="FORM")
@click.option("--account", required=True, metavar="ID")
@click.option("--out", type=_PATH, required=True, metavar="FILE")
@click.option(
    "--start", type=TIME, metavar="TIME", help="Periods booked from then, RFC 3339; of no journal."
)
@click.option("--end", type=TIME, metavar="TIME", help="Until before then.")
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
