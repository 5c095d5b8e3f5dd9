"""The shapes of the facts the books are derived from (contracts/facts.md), checked before use."""

from typing import Any

from gpuaas_verify.books_forms import CREDIT, LIST, OBJECT, POSITION_OR_NULL, YES_NO
from gpuaas_verify.books_forms import shaped as _shape
from gpuaas_verify.errors import Invalid

_SUMS = "decided_us balance_pico held_pico"
_SPOKEN = {"attested": OBJECT}

SHAPES: dict[str, dict[str, frozenset[type]]] = {
    **CREDIT,
    "gpuaas.evidence.file_sealed.v1": _shape(
        "bytes as_of_size",
        "name sha256 bytes as_of_size supersedes",
        supersedes=POSITION_OR_NULL,
    ),
    "gpuaas.rating.batch_sealed.v1": _shape(
        "first_row count through quantity_sum",
        "table first_row count root prev_seal through quantity_sum",
        prev_seal=POSITION_OR_NULL,
    ),
    "gpuaas.ledger.batch_sealed.v1": _shape(
        "first_row count through amount_sum_pico",
        "table first_row count root prev_seal through amount_sum_pico",
        prev_seal=POSITION_OR_NULL,
    ),
    "gpuaas.usage.batch_sealed.v1": _shape(
        "first_row count quantity_sum",
        "table first_row count root prev_seal quantity_sum",
        prev_seal=POSITION_OR_NULL,
    ),
    "gpuaas.usage.reading_quarantined.v1": _shape(
        "epoch sequence decided_us", "source epoch sequence kept refused reading decided_us"
    ),
    "gpuaas.usage.source_completed.v1": _shape(
        "epoch sequence until_us decided_us",
        "source epoch sequence chain until_us sig decided_us",
    ),
    "gpuaas.meter.registered.v2": _shape(
        "divisor registered_us",
        "meter unit divisor aggregation dimensions registered_us",
        dimensions=LIST,
    ),
    "gpuaas.source.registered.v1": _shape(
        "registered_us", "organization project key meters registered_us", meters=LIST
    ),
    "gpuaas.source.revoked.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.project.created.v1": _shape(
        "created_us", "organization department account name created_us", name=OBJECT
    ),
    "gpuaas.project.moved.v1": _shape("moved_us", "department account moved_us"),
    "gpuaas.department.created.v1": _shape(
        "created_us", "organization name created_us", name=OBJECT
    ),
    "gpuaas.quota.moved.v1": _shape("decided_us", "project department decided_us"),
    "gpuaas.node.revoked.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.node.doubled.v1": _shape("decided_us", "sign decided_us"),
    "gpuaas.account.opened.v1": _shape(
        "minor_digits opened_us", "organization currency minor_digits zone tzdata opened_us"
    ),
    "gpuaas.account.invoiced.v1": _shape("sequence", "invoice sequence"),
    "gpuaas.account.terms_set.v1": _shape(
        "credit_limit_pico decided_us", "terms credit_limit_pico decided_us"
    ),
    "gpuaas.wallet.credit_granted.v1": _shape(
        "amount_pico expires_us decided_us balance_pico held_pico",
        "grant bucket amount_pico expires_us reference decided_us balance_pico held_pico",
    ),
    "gpuaas.wallet.credit_expired.v1": _shape(
        "amount_pico decided_us balance_pico held_pico",
        "grant amount_pico decided_us balance_pico held_pico",
    ),
    "gpuaas.wallet.hold_placed.v1": _shape(
        "amount_pico from_us until_us decided_us balance_pico held_pico",
        "runtime amount_pico from_us until_us decided_us balance_pico held_pico",
    ),
    "gpuaas.wallet.holds_renewed.v1": _shape(
        "until_us decided_us balance_pico held_pico",
        "node holds until_us decided_us balance_pico held_pico",
        holds=LIST,
    ),
    "gpuaas.wallet.hold_captured.v1": _shape(
        "amount_pico from_us decided_us balance_pico held_pico",
        "runtime amount_pico from_us decided_us balance_pico held_pico",
    ),
    **dict.fromkeys(
        ("gpuaas.wallet.hold_released.v1", "gpuaas.wallet.hold_expired.v1"),
        _shape(
            "amount_pico decided_us balance_pico held_pico",
            "runtime amount_pico decided_us balance_pico held_pico",
        ),
    ),
    "gpuaas.wallet.level_reached.v1": _shape(
        "percent decided_us balance_pico held_pico", "percent decided_us balance_pico held_pico"
    ),
    "gpuaas.wallet.charge_recovered.v1": _shape(
        "recovered_pico unrecovered_pico decided_us balance_pico held_pico",
        "runtime recovered_pico unrecovered_pico decided_us balance_pico held_pico",
    ),
    **{
        f"gpuaas.wallet.{of}_{name}.v1": _shape(f"{fields} {_SUMS}", f"{of} {fields} {_SUMS}")
        for of in ("volume", "reservation")
        for name, fields in (
            ("held", "amount_pico from_us until_us"),
            ("renewed", "amount_pico until_us"),
            ("captured", "amount_pico from_us"),
            ("released", "amount_pico"),
            ("recovered", "recovered_pico unrecovered_pico"),
        )
    },
    "gpuaas.wallet.usage_recovered.v1": _shape(
        f"recovered_pico {_SUMS}", f"recovered_pico {_SUMS}"
    ),
    "gpuaas.period.opened.v1": _shape(
        "sequence start_us end_us opened_us",
        "account sequence start_us end_us zone tzdata opened_us",
    ),
    "gpuaas.period.sources_missing.v1": _shape("decided_us", "sources decided_us", sources=LIST),
    "gpuaas.period.closed.v1": _shape(
        "start_us end_us closed_us", "account start_us end_us closed_us"
    ),
    "gpuaas.invoice.finalized.v1": _shape(
        "minor_digits total_pico total_minor line_count closed finalized_us",
        "number account period currency minor_digits total_pico total_minor line_count"
        " file sha256 closed finalized_us",
    ),
    "gpuaas.invoice.paid.v1": _shape(
        "amount_minor due_minor paid_us decided_us",
        "amount_minor due_minor reference paid_us decided_us",
        reference=OBJECT,
    ),
    "gpuaas.invoice.finalized.v2": _shape(
        "minor_digits total_pico net_minor tax_minor total_minor line_count closed finalized_us",
        "number account seller period currency minor_digits total_pico net_minor tax_minor"
        " total_minor line_count file sha256 closed finalized_us",
    ),
    "gpuaas.credit_note.ordered.v1": _shape(
        "decided_us", "credit_note parts why decided_us", parts=LIST
    ),
    "gpuaas.credit_note.issued.v1": _shape(
        "net_minor tax_minor total_minor issued_us",
        "credit_note number account seller parts why net_minor tax_minor total_minor file sha256"
        " issued_us",
        parts=LIST,
    ),
    "gpuaas.seller.registered.v1": _shape(
        "terms_days registered_us", "party country prefix terms_days registered_us", party=OBJECT
    ),
    "gpuaas.seller.rate_set.v1": _shape(
        "rate_bp effective_from_us decided_us",
        "treatment country meter category rate_bp reason effective_from_us decided_us",
    ),
    "gpuaas.seller.invoiced.v1": _shape("sequence", "invoice sequence"),
    "gpuaas.seller.credited.v1": _shape("sequence", "credit_note sequence"),
    "gpuaas.account.taxed.v1": _shape(
        "decided_us", "seller party country treatment decided_us", party=OBJECT
    ),
    "gpuaas.invoice.issued.v1": _shape("issued_us", "issued_us"),
    "gpuaas.quota.limit_set.v1": _shape(
        "limit_milli decided_us", "scope model limit_milli decided_us"
    ),
    "gpuaas.quota.committed.v1": _shape(
        "gpu_milli decided_us", "runtime department project model gpu_milli decided_us"
    ),
    "gpuaas.quota.released.v1": _shape("decided_us", "runtime decided_us"),
    "gpuaas.quota.reserved.v1": _shape(
        "gpu_milli decided_us", "reservation department project model gpu_milli decided_us"
    ),
    "gpuaas.quota.drawn.v1": _shape("decided_us", "runtime reservation decided_us"),
    "gpuaas.quota.unreserved.v1": _shape("decided_us", "reservation decided_us"),
    "gpuaas.quota.share_set.v1": _shape(
        "guaranteed_milli lendable_milli limit_milli decided_us",
        "scope parent model guaranteed_milli lendable_milli limit_milli decided_us",
    ),
    "gpuaas.quota.claimed.v1": _shape(
        "gpu_milli stop_us until_us decided_us",
        "scope model gpu_milli stop_us until_us decided_us",
    ),
    "gpuaas.quota.reclaim_decided.v1": _shape(
        "stop_us decided_us", "scope model runtimes stop_us decided_us", runtimes=LIST
    ),
    "gpuaas.quota.unclaimed.v1": _shape("decided_us", "scope model reason decided_us"),
    "gpuaas.budget.set.v1": _shape(
        "amount_pico decided_us", "scope account currency amount_pico mode decided_us"
    ),
    "gpuaas.budget.cleared.v1": _shape("decided_us", "scope decided_us"),
    "gpuaas.budget.reached.v1": _shape(
        "until_us percent spent_pico decided_us",
        "scope period until_us percent spent_pico decided_us",
    ),
    "gpuaas.budget.forecast.v1": _shape(
        "until_us forecast_pico decided_us", "scope period until_us forecast_pico decided_us"
    ),
    "gpuaas.runtime.stopping.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.reservation.made.v1": _shape(
        "devices until_us decided_us",
        "project model devices nodes until_us decided_us",
        nodes=LIST,
    ),
    "gpuaas.reservation.ended.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.quota.storage_limit_set.v1": _shape(
        "limit_mib decided_us", "scope model limit_mib decided_us"
    ),
    "gpuaas.quota.storage_committed.v1": _shape(
        "size_mib decided_us", "volume department project model size_mib decided_us"
    ),
    "gpuaas.node.allocated.v1": _shape(
        "epoch decided_us",
        "allocation runtime organization devices epoch decided_us",
        devices=LIST,
    ),
    "gpuaas.node.released.v1": _shape("decided_us", "allocation runtime decided_us"),
    "gpuaas.node.cordoned.v1": _shape("decided_us", "decided_us"),
    "gpuaas.node.uncordoned.v1": _shape("decided_us", "decided_us"),
    "gpuaas.node.drain_started.v1": _shape("decided_us", "owner reason decided_us"),
    "gpuaas.node.drain_ended.v1": _shape("decided_us", "owner reason decided_us"),
    "gpuaas.node.quarantined.v1": _shape("decided_us", "devices reason decided_us", devices=LIST),
    "gpuaas.node.sanitization_required.v1": _shape("decided_us", "decided_us"),
    "gpuaas.node.canary_looked.v1": _shape(
        "command planted looked found duration_us boottime_us decided_us",
        "devices command method planted looked found duration_us boottime_us decided_us attested",
        devices=LIST,
        **_SPOKEN,
    ),
    "gpuaas.node.sanitized.v1": _shape(
        "bytes_covered duration_us residual_processes boottime_us decided_us",
        "devices method bytes_covered duration_us driver ecc_uncorrected residual_processes"
        " boottime_us decided_us attested",
        devices=LIST,
        ecc_uncorrected=POSITION_OR_NULL,
        **_SPOKEN,
    ),
    "gpuaas.node.returned.v1": _shape("decided_us", "devices decided_us", devices=LIST),
    "gpuaas.node.region_set.v1": _shape("decided_us", "region decided_us"),
    "gpuaas.node.retired.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.node.reserved.v1": _shape(
        "until_us decided_us",
        "reservation organization devices until_us decided_us",
        devices=LIST,
    ),
    "gpuaas.node.unreserved.v1": _shape(
        "decided_us", "reservation devices decided_us", devices=LIST
    ),
    "gpuaas.node.volume_wipe_requested.v1": _shape("decided_us", "volume decided_us"),
    "gpuaas.node.volume_wipe_refused.v1": _shape(
        "command decided_us", "volume command code decided_us"
    ),
    "gpuaas.node.volume_wiped.v1": _shape(
        "command bytes_covered duration_us boottime_us decided_us",
        "volume command method bytes_covered duration_us boottime_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.meter.registered.v1": _shape(
        "registered_us", "meter unit source aggregation registered_us"
    ),
    "gpuaas.price.entry_published.v1": _shape(
        "effective_from_us published_us price_pico divisor",
        "account meter model region state currency effective_from_us published_us"
        " price_pico divisor",
    ),
    "gpuaas.price.entry_published.v2": _shape(
        "edition effective_from_us published_us divisor free minimum_pico",
        "book edition account meter model region state currency effective_from_us published_us"
        " divisor free tiers minimum_pico",
        tiers=LIST,
    ),
    "gpuaas.price.book_published.v1": _shape(
        "edition entries published_us", "book edition entries published_us"
    ),
    "gpuaas.price.commitment_made.v1": _shape(
        "from_us until_us quantity price_pico divisor decided_us",
        "account meter model region state currency from_us until_us quantity price_pico divisor"
        " decided_us",
    ),
    **dict.fromkeys(
        ("gpuaas.price.rerating_decided.v1", "gpuaas.price.rerating_decided.v2"),
        _shape(
            "edition from_us until_us decided_us",
            "account book edition from_us until_us decided_us",
        ),
    ),
    "gpuaas.node.enrolled.v1": _shape(
        "enrolled_us",
        "key model simulated gpus serial enrolled_us",
        simulated=YES_NO,
        gpus=LIST,
    ),
    "gpuaas.node.anchored.v1": _shape(
        "boottime_us anchor_us", "boot boottime_us anchor_us attested", **_SPOKEN
    ),
    "gpuaas.node.lease_renewed.v1": _shape(
        "boottime_us renewed_us until_us",
        "runtimes boottime_us renewed_us until_us attested",
        runtimes=LIST,
        **_SPOKEN,
    ),
    "gpuaas.runtime.requested.v1": _shape(
        "devices gpu_milli requested_us",
        "project department account name devices gpu_milli models requested_us",
        name=OBJECT,
        models=LIST,
    ),
    "gpuaas.runtime.allocated.v1": _shape(
        "epoch allocated_us",
        "allocation node model devices epoch allocated_us",
        devices=LIST,
    ),
    "gpuaas.runtime.region_asked.v1": _shape("decided_us", "region decided_us"),
    "gpuaas.runtime.spot.v1": _shape("decided_us", "decided_us"),
    "gpuaas.runtime.usable.v1": _shape(
        "boottime_us usable_us decided_us",
        "boottime_us usable_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.runtime.degraded.v1": _shape(
        "boottime_us degraded_us decided_us",
        "boottime_us degraded_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.runtime.stopped.v1": _shape(
        "boottime_us stopped_us decided_us",
        "boottime_us stopped_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.runtime.failed.v1": _shape(
        "boottime_us failed_us decided_us",
        "code boottime_us failed_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.volume.created.v1": _shape(
        "size_mib created_us",
        "project department account node name size_mib created_us",
        name=OBJECT,
    ),
    "gpuaas.volume.formatted.v1": _shape(
        "command bytes boottime_us formatted_us decided_us",
        "command method bytes boottime_us formatted_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.volume.attached.v1": _shape(
        "epoch decided_us", "runtime allocation epoch path decided_us"
    ),
    "gpuaas.volume.detached.v1": _shape("epoch decided_us", "allocation epoch reason decided_us"),
    "gpuaas.volume.grow_requested.v1": _shape("size_mib decided_us", "size_mib decided_us"),
    "gpuaas.volume.locked.v1": _shape(
        "locked_us wipe_us decided_us", "locked_us wipe_us decided_us"
    ),
    "gpuaas.volume.unlocked.v1": _shape("unlocked_us", "unlocked_us"),
    "gpuaas.volume.lost.v1": _shape("lost_us decided_us", "lost_us decided_us"),
    "gpuaas.volume.order_refused.v1": _shape("command decided_us", "command order code decided_us"),
    "gpuaas.volume.grown.v1": _shape(
        "command size_mib boottime_us grown_us decided_us",
        "command size_mib boottime_us grown_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.volume.wiped.v1": _shape(
        "command bytes_covered duration_us boottime_us wiped_us decided_us",
        "command method bytes_covered duration_us boottime_us wiped_us decided_us attested",
        **_SPOKEN,
    ),
    "gpuaas.runtime.cancelled.v1": _shape("decided_us", "reason decided_us"),
    "gpuaas.runtime.lost.v1": _shape("lost_us decided_us", "lost_us decided_us"),
}


def check_shape(position: int, tag: str, fact: Any) -> dict[str, Any]:
    """The fact, its keys exactly those of its tag, in their order, each of its type.

    Raises:
        Invalid: `fact.malformed` with the first field that is missing, extra or of another type.
    """
    shape = SHAPES[tag]
    if not isinstance(fact, dict):
        raise Invalid("fact.malformed", f"{tag} is not an object", position=position, field="fact")
    names = list(fact)
    for name, types in shape.items():
        if name not in fact or type(fact[name]) not in types:
            raise Invalid(
                "fact.malformed",
                f"{tag}: {name} is missing or of another type",
                position=position,
                field=name,
            )
    if names != list(shape):
        wrong = next(name for name in [*names, "fact"] if name not in shape)
        raise Invalid(
            "fact.malformed",
            f"{tag} has other keys, or in another order",
            position=position,
            field=wrong,
        )
    return fact
