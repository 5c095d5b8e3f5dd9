"""What scopes of a quota are guaranteed and lend, what they claim, and whom a claim named."""

from typing import Final

from domain import lending
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "quota_share",
        ("scope", "model"),
        "scope, model, from_position, to_position, organization, parent, guaranteed_milli, "
        "lendable_milli, limit_milli, decided_us",
        types=("text", "text"),
        hashed=True,
    ),
    Shape(
        "quota_claim",
        ("scope", "model"),
        "scope, model, from_position, to_position, organization, gpu_milli, stop_us, until_us, "
        "decided_us",
        types=("text", "text"),
        hashed=True,
    ),
    Shape(
        "quota_reclaim",
        (),
        "from_position, to_position, organization, scope, model, runtimes, stop_us, decided_us",
    ),
)


def _share(b: Batch, e: Entry, f: lending.ShareSet) -> None:
    tail = (
        f"{e.org}\t{text(f.parent)}\t{f.guaranteed_milli}\t{f.lendable_milli}\t{f.limit_milli}\t"
        f"{f.decided_us}"
    )
    head = f"{text(f.scope)}\t{text(f.model)}\t{e.position}"
    b["quota_share"].open((f.scope, f.model), e.position, head, tail)


def _claimed(b: Batch, e: Entry, f: lending.Claimed) -> None:
    tail = f"{e.org}\t{f.gpu_milli}\t{f.stop_us}\t{f.until_us}\t{f.decided_us}"
    head = f"{text(f.scope)}\t{text(f.model)}\t{e.position}"
    b["quota_claim"].open((f.scope, f.model), e.position, head, tail)


def _unclaimed(b: Batch, e: Entry, f: lending.Unclaimed) -> None:
    b["quota_claim"].close((f.scope, f.model), e.position)


def _reclaim(b: Batch, e: Entry, f: lending.ReclaimDecided) -> None:
    tail = (
        f"{e.org}\t{text(f.scope)}\t{text(f.model)}\t{json(f.runtimes)}\t{f.stop_us}\t"
        f"{f.decided_us}"
    )
    b["quota_reclaim"].add(str(e.position), tail)


APPLY: Final[dict[type, Apply]] = {
    lending.ShareSet: _share,
    lending.Claimed: _claimed,
    lending.Unclaimed: _unclaimed,
    lending.ReclaimDecided: _reclaim,
}
