"""Nodes: who they are, what they have, whether they answer, and which devices are given away."""

from typing import Final

from domain import node
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "node",
        ("node",),
        "node, from_position, to_position, name, expected_model, expires_us, invited_us",
    ),
    Shape(
        "node_identity",
        ("node",),
        "node, from_position, to_position, key, model, simulated, serial, gpus, enrolled_us",
    ),
    Shape(
        "node_anchor", ("node",), "node, from_position, to_position, boot, boottime_us, anchor_us"
    ),
    Shape(
        "node_lease",
        ("node",),
        "node, from_position, to_position, runtimes, boottime_us, renewed_us, until_us",
    ),
    Shape("node_reach", ("node",), "node, from_position, to_position, reachable, since_us"),
    Shape("node_cordon", ("node",), "node, from_position, to_position, cordoned, decided_us"),
    Shape(
        "allocation",
        ("allocation",),
        "allocation, from_position, to_position, node, runtime, organization, devices, gpu_milli, "
        "epoch, decided_us",
        hashed=True,
    ),
)


def _invited(b: Batch, e: Entry, f: node.Invited) -> None:
    tail = f"{text(f.name.private)}\t{text(f.model)}\t{f.expires_us}\t{f.invited_us}"
    b["node"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _enrolled(b: Batch, e: Entry, f: node.Enrolled) -> None:
    tail = (
        f"{text(f.key)}\t{text(f.model)}\t{'t' if f.simulated else 'f'}\t{text(f.serial)}\t"
        f"{json([{'index': gpu.index, 'uuid': gpu.uuid} for gpu in f.gpus])}\t{f.enrolled_us}"
    )
    b["node_identity"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _anchored(b: Batch, e: Entry, f: node.Anchored) -> None:
    tail = f"{text(f.boot)}\t{f.boottime_us}\t{f.anchor_us}"
    b["node_anchor"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _lease(b: Batch, e: Entry, f: node.LeaseRenewed) -> None:
    tail = f"{len(f.runtimes)}\t{f.boottime_us}\t{f.renewed_us}\t{f.until_us}"
    b["node_lease"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _unreachable(b: Batch, e: Entry, f: node.Unreachable) -> None:
    head = f"{e.stream}\t{e.position}"
    b["node_reach"].open(e.stream, e.position, head, f"f\t{f.since_us}")


def _reachable(b: Batch, e: Entry, f: node.Reachable) -> None:
    head = f"{e.stream}\t{e.position}"
    b["node_reach"].open(e.stream, e.position, head, f"t\t{f.since_us}")


def _cordoned(b: Batch, e: Entry, f: node.Cordoned) -> None:
    head = f"{e.stream}\t{e.position}"
    b["node_cordon"].open(e.stream, e.position, head, f"t\t{f.decided_us}")


def _uncordoned(b: Batch, e: Entry, f: node.Uncordoned) -> None:
    head = f"{e.stream}\t{e.position}"
    b["node_cordon"].open(e.stream, e.position, head, f"f\t{f.decided_us}")


def _allocated(b: Batch, e: Entry, f: node.Allocated) -> None:
    milli = sum([share.milli for share in f.devices])
    tail = (
        f"{e.stream}\t{text(f.runtime)}\t{text(f.organization)}\t{json(f.devices)}\t{milli}\t"
        f"{f.epoch}\t{f.decided_us}"
    )
    head = f"{text(f.allocation)}\t{e.position}"
    b["allocation"].open(f.allocation, e.position, head, tail)


def _released(b: Batch, e: Entry, f: node.Released) -> None:
    b["allocation"].close(f.allocation, e.position)


APPLY: Final[dict[type, Apply]] = {
    node.Invited: _invited,
    node.Enrolled: _enrolled,
    node.Anchored: _anchored,
    node.LeaseRenewed: _lease,
    node.Unreachable: _unreachable,
    node.Reachable: _reachable,
    node.Cordoned: _cordoned,
    node.Uncordoned: _uncordoned,
    node.Allocated: _allocated,
    node.Released: _released,
}
