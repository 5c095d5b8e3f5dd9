"""Upkeep of nodes: who drains them, what is in quarantine, receipts and canaries as attested."""

from typing import Final

from domain import node_facts
from domain.canary import CanaryLooked
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "node_drain",
        ("node", "owner", "reason"),
        "node, owner, reason, from_position, to_position, decided_us",
        types=("text", "text", "text"),
        hashed=True,
    ),
    Shape(
        "node_quarantine",
        ("node", "device"),
        "node, device, from_position, to_position, reason, decided_us",
        types=("text", "numeric"),
    ),
    Shape("node_owes", ("node",), "node, from_position, to_position, decided_us"),
    Shape(
        "node_receipt",
        (),
        "from_position, to_position, node, devices, method, bytes_covered, duration_us, driver, "
        "ecc_uncorrected, residual_processes, boottime_us, decided_us",
    ),
    Shape(
        "node_canary",
        (),
        "from_position, to_position, node, devices, command, method, planted, looked, found, "
        "duration_us, decided_us",
    ),
    Shape("node_retired", ("node",), "node, from_position, to_position, reason, decided_us"),
)


def _drain_started(b: Batch, e: Entry, f: node_facts.DrainStarted) -> None:
    head = f"{e.stream}\t{text(f.owner)}\t{text(f.reason)}\t{e.position}"
    b["node_drain"].open((e.stream, f.owner, f.reason), e.position, head, str(f.decided_us))


def _drain_ended(b: Batch, e: Entry, f: node_facts.DrainEnded) -> None:
    b["node_drain"].close((e.stream, f.owner, f.reason), e.position)


def _quarantined(b: Batch, e: Entry, f: node_facts.Quarantined) -> None:
    for device in f.devices:
        head = f"{e.stream}\t{device}\t{e.position}"
        tail = f"{text(f.reason)}\t{f.decided_us}"
        b["node_quarantine"].open((e.stream, str(device)), e.position, head, tail)


def _returned(b: Batch, e: Entry, f: node_facts.Returned) -> None:
    for device in f.devices:
        b["node_quarantine"].close((e.stream, str(device)), e.position)


def _required(b: Batch, e: Entry, f: node_facts.SanitizationRequired) -> None:
    b["node_owes"].open(e.stream, e.position, f"{e.stream}\t{e.position}", str(f.decided_us))


def _sanitized(b: Batch, e: Entry, f: node_facts.Sanitized) -> None:
    ecc = "\\N" if f.ecc_uncorrected is None else str(f.ecc_uncorrected)
    tail = (
        f"{e.stream}\t{json(f.devices)}\t{text(f.method)}\t{f.bytes_covered}\t{f.duration_us}\t"
        f"{text(f.driver)}\t{ecc}\t{f.residual_processes}\t{f.boottime_us}\t{f.decided_us}"
    )
    b["node_receipt"].add(str(e.position), tail)


def _canary(b: Batch, e: Entry, f: CanaryLooked) -> None:
    tail = (
        f"{e.stream}\t{json(f.devices)}\t{f.command}\t{text(f.method)}\t{f.planted}\t{f.looked}\t"
        f"{f.found}\t{f.duration_us}\t{f.decided_us}"
    )
    b["node_canary"].add(str(e.position), tail)


def _retired(b: Batch, e: Entry, f: node_facts.Retired) -> None:
    tail = f"{text(f.reason)}\t{f.decided_us}"
    b["node_retired"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    node_facts.DrainStarted: _drain_started,
    node_facts.DrainEnded: _drain_ended,
    node_facts.Quarantined: _quarantined,
    node_facts.Returned: _returned,
    node_facts.SanitizationRequired: _required,
    node_facts.Sanitized: _sanitized,
    CanaryLooked: _canary,
    node_facts.Retired: _retired,
}
