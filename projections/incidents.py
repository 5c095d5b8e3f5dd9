"""Incidents: what they are about, the facts tied to them, notes, and credits proposed."""

from typing import Final

from domain import incident
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "incident",
        ("incident",),
        "incident, from_position, to_position, what, subject, title, opened_us",
    ),
    Shape("incident_end", ("incident",), "incident, from_position, to_position, decided_us"),
    Shape("incident_tie", (), "from_position, to_position, incident, at, decided_us"),
    Shape("incident_note", (), "from_position, to_position, incident, note, actor, noted_us"),
    Shape(
        "credit_proposal",
        (),
        "from_position, to_position, incident, runtime, account, quantity, from_us, to_us, "
        "reason, decided_us",
    ),
)


def _opened(b: Batch, e: Entry, f: incident.Opened) -> None:
    tail = f"{text(f.what)}\t{text(f.subject)}\t{text(f.title.private)}\t{f.opened_us}"
    head = f"{e.stream}\t{e.position}"
    b["incident"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _resolved(b: Batch, e: Entry, f: incident.Resolved) -> None:
    b["incident_end"].open(e.stream, e.position, f"{e.stream}\t{e.position}", str(f.decided_us))


def _tied(b: Batch, e: Entry, f: incident.Tied) -> None:
    b["incident_tie"].add(str(e.position), f"{e.stream}\t{f.at}\t{f.decided_us}")


def _noted(b: Batch, e: Entry, f: incident.Noted) -> None:
    tail = f"{e.stream}\t{text(f.note.private)}\t{text(e.actor)}\t{f.noted_us}"
    b["incident_note"].add(str(e.position), tail)


def _proposed(b: Batch, e: Entry, f: incident.CreditProposed) -> None:
    tail = (
        f"{e.stream}\t{text(f.runtime)}\t{text(f.account)}\t{f.quantity}\t{f.from_us}\t{f.to_us}\t"
        f"{text(f.reason)}\t{f.decided_us}"
    )
    b["credit_proposal"].add(str(e.position), tail)


APPLY: Final[dict[type, Apply]] = {
    incident.Opened: _opened,
    incident.Resolved: _resolved,
    incident.Tied: _tied,
    incident.Noted: _noted,
    incident.CreditProposed: _proposed,
}
