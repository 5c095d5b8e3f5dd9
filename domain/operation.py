"""Long work as facts tell of it: which fact begins an operation, goes on with it, and ends it.

An operation is no thing of its own: it is named by the position of the fact that began it, and is
over with the first fact after it that ends work of its kind on its resource.
"""

from typing import Final

from msgspec import Struct

from domain import invoice, node_facts, organization, period, runtime, volume

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
LOST: Final = "runtime.lost"  # the code of work that ended with its node
_ORDERS: Final = {"wipe": "delete"}  # a node's word for it, where ours differs


class Mark(Struct, frozen=True):
    """What a fact says of one kind of work on a resource: that it begins, a step, or its end.

    `what`: a word for people and programs. `ends`: how, empty for none; `code`: why it failed.
    """

    kind: str
    resource: str
    what: str
    at_us: int
    begins: bool = False
    ends: str = ""
    code: str = ""
    project: str = ""


def marks(stream: str, fact: Struct) -> tuple[Mark, ...]:
    """All that the fact says of operations; `()` for most facts."""
    match stream.partition("-")[0]:
        case "runtime":
            return _of_runtime(stream, fact)
        case "volume":
            return _of_volume(stream, fact)
        case "node":
            return _of_node(stream, fact)
        case "organization":
            return _of_organization(stream, fact)
        case "period" | "invoice":
            return _of_money(stream, fact)
        case _:
            return ()


def begins(stream: str, fact: Struct) -> bool:
    """Whether the fact begins an operation."""
    return any(one.begins for one in marks(stream, fact))


def _of_runtime(stream: str, fact: Struct) -> tuple[Mark, ...]:
    launch, stop = "runtime.launch", "runtime.stop"
    match fact:
        case runtime.Requested(project=project, requested_us=at):
            return (Mark(launch, stream, "requested", at, begins=True, project=project),)
        case runtime.Allocated(allocated_us=at):
            return (Mark(launch, stream, "allocated", at),)
        case runtime.Starting(decided_us=at):
            return (Mark(launch, stream, "starting", at),)
        case runtime.Usable(usable_us=at):
            return (Mark(launch, stream, "usable", at, ends=SUCCEEDED),)
        case runtime.Stopping(decided_us=at):
            return (Mark(stop, stream, "stopping", at, begins=True),)
        case runtime.Stopped(stopped_us=at):
            return _ended(stream, "stopped", at, CANCELLED, SUCCEEDED)
        case runtime.Cancelled(decided_us=at):
            return _ended(stream, "cancelled", at, CANCELLED, SUCCEEDED)
        case runtime.Failed(failed_us=at, code=code):
            return _ended(stream, "failed", at, FAILED, FAILED, code)
        case runtime.Lost(lost_us=at):
            return _ended(stream, "lost", at, FAILED, FAILED, LOST)
        case _:
            return ()


def _ended(
    stream: str, what: str, at_us: int, launch: str, stop: str, code: str = ""
) -> tuple[Mark, ...]:
    """A runtime's end is that of its launch, where it was not usable before, and of its stop."""
    return (
        Mark("runtime.launch", stream, what, at_us, ends=launch, code=code),
        Mark("runtime.stop", stream, what, at_us, ends=stop, code=code),
    )


def _of_volume(stream: str, fact: Struct) -> tuple[Mark, ...]:
    match fact:
        case volume.Created(project=project, created_us=at):
            return (Mark("volume.create", stream, "requested", at, begins=True, project=project),)
        case volume.Formatted(formatted_us=at):
            return (Mark("volume.create", stream, "formatted", at, ends=SUCCEEDED),)
        case volume.GrowRequested(decided_us=at):
            return (Mark("volume.grow", stream, "requested", at, begins=True),)
        case volume.Grown(grown_us=at):
            return (Mark("volume.grow", stream, "grown", at, ends=SUCCEEDED),)
        case volume.SnapshotRequested(decided_us=at):
            return (Mark("volume.snapshot", stream, "requested", at, begins=True),)
        case volume.Snapshotted(decided_us=at):
            return (Mark("volume.snapshot", stream, "snapshotted", at, ends=SUCCEEDED),)
        case volume.RestoreRequested(decided_us=at):
            return (Mark("volume.restore", stream, "requested", at, begins=True),)
        case volume.Restored(decided_us=at):
            return (Mark("volume.restore", stream, "restored", at, ends=SUCCEEDED),)
        case volume.WipeRequested(decided_us=at):
            return (Mark("volume.delete", stream, "requested", at, begins=True),)
        case volume.Wiped(wiped_us=at):
            return (Mark("volume.delete", stream, "wiped", at),)
        case volume.Deleted(decided_us=at):
            return _over(stream, "deleted", at, SUCCEEDED, "volume.deleted")
        case volume.Lost(lost_us=at):
            return _over(stream, "lost", at, FAILED, "volume.missing")
        case volume.OrderRefused(order=order, code=code, decided_us=at):
            kind = f"volume.{_ORDERS.get(order, order)}"
            return (Mark(kind, stream, "refused", at, ends=FAILED, code=code),)
        case _:
            return ()


def _over(stream: str, what: str, at_us: int, deletion: str, code: str) -> tuple[Mark, ...]:
    """With a volume all work on it is over."""
    others = tuple(
        Mark(f"volume.{one}", stream, what, at_us, ends=FAILED, code=code)
        for one in ("create", "grow", "snapshot", "restore")
    )
    why = code if deletion == FAILED else ""
    return (Mark("volume.delete", stream, what, at_us, ends=deletion, code=why), *others)


def _of_node(stream: str, fact: Struct) -> tuple[Mark, ...]:
    match fact:
        case node_facts.DrainStarted(decided_us=at):
            return (Mark("node.drain", stream, "requested", at, begins=True),)
        case node_facts.Drained(decided_us=at):
            return (Mark("node.drain", stream, "drained", at, ends=SUCCEEDED),)
        case node_facts.DrainEnded(decided_us=at):
            return (Mark("node.drain", stream, "undrained", at, ends=CANCELLED),)
        case node_facts.SanitizeRequested(decided_us=at):
            return (Mark("node.sanitize", stream, "requested", at, begins=True),)
        case node_facts.Sanitized(decided_us=at):
            return (Mark("node.sanitize", stream, "sanitized", at, ends=SUCCEEDED),)
        case node_facts.Retired(decided_us=at):
            return (
                Mark("node.drain", stream, "retired", at, ends=CANCELLED),
                Mark("node.sanitize", stream, "retired", at, ends=CANCELLED),
            )
        case _:
            return ()


def _of_organization(stream: str, fact: Struct) -> tuple[Mark, ...]:
    match fact:
        case organization.ClosingStarted(decided_us=at):
            return (Mark("organization.close", stream, "requested", at, begins=True),)
        case organization.ClosingWithdrawn(decided_us=at):
            return (Mark("organization.close", stream, "withdrawn", at, ends=CANCELLED),)
        case organization.ClosedForGood(decided_us=at):
            return (Mark("organization.close", stream, "closed", at, ends=SUCCEEDED),)
        case _:
            return ()


def _of_money(stream: str, fact: Struct) -> tuple[Mark, ...]:
    """A period is closed with its invoice; a credit note has its number and file with its issue."""
    match fact:
        case period.Closed(closed_us=at):
            return (Mark("period.close", stream, "closed", at, begins=True),)
        case invoice.Finalized(period=of, finalized_us=at):
            return (Mark("period.close", of, "invoiced", at, ends=SUCCEEDED),)
        case invoice.TaxedFinalized(period=of, finalized_us=at):
            return (Mark("period.close", of, "invoiced", at, ends=SUCCEEDED),)
        case invoice.CreditOrdered(credit_note=note, decided_us=at):
            return (Mark("credit_note.issue", note, "ordered", at, begins=True),)
        case invoice.Credited(credit_note=note, issued_us=at):
            return (Mark("credit_note.issue", note, "issued", at, ends=SUCCEEDED),)
        case _:
            return ()
