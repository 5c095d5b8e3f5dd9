"""Reservations, blocks and topology: what the facts of placement say themselves."""

from typing import Final

from domain import block, node_facts, reservation
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "node_topology", ("node",), 'node, from_position, to_position, zone, "group", decided_us'
    ),
    Shape("node_region", ("node",), "node, from_position, to_position, region, decided_us"),
    Shape(
        "node_claim",
        ("node", "device"),
        "node, device, from_position, to_position, reservation, organization, until_us",
        types=("text", "numeric"),
    ),
    Shape(
        "reservation",
        ("reservation",),
        "reservation, from_position, to_position, organization, project, model, devices, nodes, "
        "until_us, decided_us",
    ),
    Shape(
        "reservation_end",
        ("reservation",),
        "reservation, from_position, to_position, reason, decided_us",
    ),
    Shape(
        "block",
        (),
        "from_position, to_position, block, organization, project, policy, runtimes, decided_us",
    ),
)


def _topology(b: Batch, e: Entry, f: node_facts.TopologySet) -> None:
    tail = f"{text(f.zone)}\t{f.group}\t{f.decided_us}"
    b["node_topology"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _region(b: Batch, e: Entry, f: node_facts.RegionSet) -> None:
    head = f"{e.stream}\t{e.position}"
    b["node_region"].open(e.stream, e.position, head, f"{text(f.region)}\t{f.decided_us}")


def _reserved(b: Batch, e: Entry, f: node_facts.Reserved) -> None:
    tail = f"{text(f.reservation)}\t{text(f.organization)}\t{f.until_us}"
    for device in f.devices:
        head = f"{e.stream}\t{device}\t{e.position}"
        b["node_claim"].open((e.stream, str(device)), e.position, head, tail)


def _unreserved(b: Batch, e: Entry, f: node_facts.Unreserved) -> None:
    for device in f.devices:
        b["node_claim"].close((e.stream, str(device)), e.position)


def _made(b: Batch, e: Entry, f: reservation.Made) -> None:
    tail = (
        f"{e.org}\t{text(f.project)}\t{text(f.model)}\t{f.devices}\t{json(f.nodes)}\t"
        f"{f.until_us}\t{f.decided_us}"
    )
    head = f"{e.stream}\t{e.position}"
    b["reservation"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _over(b: Batch, e: Entry, f: reservation.Over) -> None:
    tail = f"{text(f.reason)}\t{f.decided_us}"
    b["reservation_end"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _block(b: Batch, e: Entry, f: block.Placed) -> None:
    tail = (
        f"{e.stream}\t{e.org}\t{text(f.project)}\t{text(f.policy)}\t{json(f.runtimes)}\t"
        f"{f.decided_us}"
    )
    b["block"].add(str(e.position), tail)


APPLY: Final[dict[type, Apply]] = {
    node_facts.TopologySet: _topology,
    node_facts.RegionSet: _region,
    node_facts.Reserved: _reserved,
    node_facts.Unreserved: _unreserved,
    reservation.Made: _made,
    reservation.Over: _over,
    block.Placed: _block,
}
