"""Networks with the policy in force, which runtimes are in them, and what they sent and got."""

from typing import Final

from domain import network, runtime
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "network",
        ("network",),
        "network, from_position, to_position, organization, project, name, created_us",
    ),
    Shape(
        "network_policy",
        ("network",),
        "network, from_position, to_position, version, state, internal, egress, changed_us",
    ),
    Shape(
        "runtime_network",
        ("runtime",),
        "runtime, from_position, to_position, version, network",
    ),
    Shape(
        "runtime_egress",
        ("runtime",),
        "runtime, from_position, to_position, version, sent_bytes, received_bytes, decided_us",
    ),
)


def _created(b: Batch, e: Entry, f: network.Created) -> None:
    tail = f"{e.org}\t{text(f.project)}\t{text(f.name.private)}\t{f.created_us}"
    b["network"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)
    _policy(b, e, "standing", f.internal, f.egress, f.created_us)


def _changed(b: Batch, e: Entry, f: network.PolicyChanged) -> None:
    _policy(b, e, "standing", f.internal, f.egress, f.decided_us)


def _deleted(b: Batch, e: Entry, f: network.Deleted) -> None:
    _policy(b, e, "deleted", False, (), f.decided_us)


def _policy(
    b: Batch,
    e: Entry,
    state: str,
    internal: bool,
    egress: tuple[network.Rule, ...],
    changed_us: int,
) -> None:
    tail = f"{e.version}\t{state}\t{'t' if internal else 'f'}\t{json(egress)}\t{changed_us}"
    head = f"{e.stream}\t{e.position}"
    b["network_policy"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _networked(b: Batch, e: Entry, f: runtime.Networked) -> None:
    tail = f"{e.version}\t{text(f.network)}"
    head = f"{e.stream}\t{e.position}"
    b["runtime_network"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _counted(b: Batch, e: Entry, f: runtime.EgressCounted) -> None:
    tail = f"{e.version}\t{f.sent_bytes}\t{f.received_bytes}\t{f.decided_us}"
    head = f"{e.stream}\t{e.position}"
    b["runtime_egress"].open(e.stream, e.position, head, tail, new=e.version == 1)


APPLY: Final[dict[type, Apply]] = {
    network.Created: _created,
    network.PolicyChanged: _changed,
    network.Deleted: _deleted,
    runtime.Networked: _networked,
    runtime.EgressCounted: _counted,
}
