"""The files a replay leaves: charges, invoices, refusals, and the report of the run."""

import csv
import io
import resource
from typing import Any

import msgspec
from msgspec import Struct

from api.replay import plan as words
from api.replay.drive import Drive
from domain.tariff import round_half_even

CHARGES = (
    "pod", "org", "department", "project", "node", "devices", "model", "gpu_milli",
    "period_start_us", "period_end_us", "start_us", "end_us", "price_effective_from_s",
    "pico_usd_per_gpu_hour", "quantity_milli_gpu_us", "amount_pico",
)  # fmt: skip
REFUSED = ("pod", "at_s", "code")


class Charge(Struct):
    """A charge line: what one task owes for one period under one price entry."""

    start_us: int
    end_us: int
    quantity: int
    amount_pico: int


def charges_csv(drive: Drive) -> bytes:
    """One row per charge line, by (pod, start)."""
    tasks = {placed.runtime: index for index, placed in drive.placed.items()}
    lines: dict[tuple[str, int, str], Charge] = {}
    for row in drive.rated:
        key = (row.resource, row.price, row.period)
        line = lines.setdefault(key, Charge(row.start_us, row.end_us, 0, 0))
        line.start_us = min(line.start_us, row.start_us)
        line.end_us = max(line.end_us, row.end_us)
        line.quantity, line.amount_pico = row.line_quantity, row.line_amount_pico
    rows = [
        _charge(drive, tasks[resource], price, period, line)
        for (resource, price, period), line in lines.items()
    ]
    rows.sort(key=lambda row: (row[0], row[CHARGES.index("start_us")]))
    return _table(CHARGES, rows)


def _charge(drive: Drive, index: int, price: int, period: str, line: Charge) -> list[Any]:
    plan = drive.plan
    task, placed, entry = plan.trace.tasks[index], drive.placed[index], drive.prices[price]
    month = drive.made.periods.index(period)
    return [
        task.name, words.ORGANIZATION, task.qos, plan.project_name(task), placed.node.sn,
        ";".join(map(str, placed.devices)), placed.node.model, task.gpus * task.milli_each,
        plan.months[month], plan.months[month + 1], line.start_us, line.end_us,
        (entry.effective_from_us - plan.trace.start_us) // 1_000_000, entry.price_pico,
        line.quantity, line.amount_pico,
    ]  # fmt: skip


def refused_csv(drive: Drive) -> bytes:
    """One row per task refused, in the order of refusal."""
    rows = [[each.task.name, each.task.start_s, each.code] for each in drive.refused]
    return _table(REFUSED, rows)


def invoices_json(drive: Drive) -> bytes:
    """The invoices in order of their periods, the total as its currency writes it."""
    found = []
    for each in drive.invoices:
        fact = each.finalized
        found.append(
            {
                "number": each.number,
                "organization": words.ORGANIZATION,
                "period_start_us": drive.plan.months[each.period],
                "period_end_us": drive.plan.months[each.period + 1],
                "currency": fact.currency,
                "total": decimal(fact.total_minor, fact.minor_digits),
                "total_pico": fact.total_pico,
                "line_count": fact.line_count,
            }
        )
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def decimal(minor: int, digits: int) -> str:
    """`1034217` of 2 digits -> `10342.17`."""
    sign, figures = "-" if minor < 0 else "", f"{abs(minor):0{digits + 1}}"
    return sign + (f"{figures[:-digits]}.{figures[-digits:]}" if digits else figures)


def report_json(drive: Drive, entries: int, micros: int) -> bytes:
    """What the run did: `entries` in the log and microseconds of all sessions, peak of this one."""
    report = {
        "entries": entries,
        "commands": drive.appends + len(drive.refused),
        "refused": len(drive.refused),
        "skipped": drive.plan.trace.skipped,
        "seconds": micros / 1_000_000,
        "entries_per_second": round_half_even(entries * 1_000_000, max(1, micros)),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _table(header: tuple[str, ...], rows: list[list[Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()
