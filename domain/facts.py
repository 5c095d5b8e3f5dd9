"""Every permanent tag and its struct; a fact's stored bytes and back (contracts/facts.md)."""

from typing import Final

import msgspec
from msgspec import Struct

from domain import (
    access,
    account,
    block,
    budget,
    canary,
    department,
    device,
    grant,
    identity,
    image,
    incident,
    invoice,
    lending,
    log,
    meter,
    network,
    node,
    node_facts,
    organization,
    period,
    price_facts,
    pricebook,
    project,
    quota,
    reservation,
    runtime,
    sealing,
    seller,
    source,
    storage_quota,
    stray,
    terminal,
    volume,
    wallet_facts,
)
from domain.errors import DomainError

TAGS: Final[dict[str, type[Struct]]] = {
    "gpuaas.log.opened.v1": log.Opened,
    "gpuaas.log.heartbeat.v1": log.Heartbeat,
    "gpuaas.evidence.file_sealed.v1": sealing.FileSealed,
    "gpuaas.evidence.downloaded.v1": sealing.Downloaded,
    "gpuaas.rating.batch_sealed.v1": sealing.IntervalsSealed,
    "gpuaas.ledger.batch_sealed.v1": sealing.TransfersSealed,
    "gpuaas.usage.batch_sealed.v1": sealing.ReadingsSealed,
    "gpuaas.usage.reading_quarantined.v1": sealing.ReadingQuarantined,
    "gpuaas.usage.source_completed.v1": sealing.SourceCompleted,
    "gpuaas.access.token_issued.v1": access.TokenIssued,
    "gpuaas.access.granted.v1": grant.Granted,
    "gpuaas.access.certificate_issued.v1": grant.CertificateIssued,
    "gpuaas.access.pass_issued.v1": grant.PassIssued,
    "gpuaas.access.revoked.v1": grant.Revoked,
    "gpuaas.access.host_certificate_issued.v1": access.HostCertificateIssued,
    "gpuaas.access.session_opened.v1": access.SessionOpened,
    "gpuaas.access.session_closed.v1": access.SessionClosed,
    "gpuaas.access.terminal_opened.v1": terminal.Opened,
    "gpuaas.access.terminal_closed.v1": terminal.Closed,
    "gpuaas.access.recording_sealed.v1": terminal.RecordingSealed,
    "gpuaas.access.recording_played.v1": terminal.RecordingPlayed,
    "gpuaas.organization.created.v1": organization.Created,
    "gpuaas.organization.suspended.v1": organization.Suspended,
    "gpuaas.organization.reactivated.v1": organization.Reactivated,
    "gpuaas.organization.closing_started.v1": organization.ClosingStarted,
    "gpuaas.organization.closing_withdrawn.v1": organization.ClosingWithdrawn,
    "gpuaas.organization.closed.v1": organization.ClosedForGood,
    "gpuaas.department.created.v1": department.Created,
    "gpuaas.project.created.v1": project.Created,
    "gpuaas.account.opened.v1": account.Opened,
    "gpuaas.account.invoiced.v1": account.Invoiced,
    "gpuaas.account.taxed.v1": account.Taxed,
    "gpuaas.seller.registered.v1": seller.Registered,
    "gpuaas.seller.rate_set.v1": seller.RateSet,
    "gpuaas.seller.invoiced.v1": seller.Invoiced,
    "gpuaas.seller.credited.v1": seller.Credited,
    "gpuaas.account.terms_set.v1": account.TermsSet,
    "gpuaas.period.opened.v1": period.Opened,
    "gpuaas.period.sources_missing.v1": period.SourcesMissing,
    "gpuaas.period.closed.v1": period.Closed,
    "gpuaas.invoice.finalized.v1": invoice.Finalized,
    "gpuaas.invoice.issued.v1": invoice.Issued,
    "gpuaas.invoice.paid.v1": invoice.Paid,
    "gpuaas.invoice.finalized.v2": invoice.TaxedFinalized,
    "gpuaas.credit_note.ordered.v1": invoice.CreditOrdered,
    "gpuaas.credit_note.issued.v1": invoice.Credited,
    "gpuaas.image.registered.v1": image.Registered,
    "gpuaas.meter.registered.v1": meter.Registered,
    "gpuaas.meter.registered.v2": meter.ReadingsRegistered,
    "gpuaas.source.registered.v1": source.Registered,
    "gpuaas.source.revoked.v1": source.Revoked,
    "gpuaas.price.entry_published.v1": pricebook.EntryPublished,
    "gpuaas.price.entry_published.v2": price_facts.ShapedEntry,
    "gpuaas.price.book_published.v1": price_facts.BookPublished,
    "gpuaas.price.commitment_made.v1": price_facts.CommitmentMade,
    "gpuaas.price.rerating_decided.v1": price_facts.ReratingDecided,
    "gpuaas.price.rerating_decided.v2": price_facts.Rerated,
    "gpuaas.network.created.v1": network.Created,
    "gpuaas.network.policy_changed.v1": network.PolicyChanged,
    "gpuaas.network.deleted.v1": network.Deleted,
    "gpuaas.quota.limit_set.v1": quota.LimitSet,
    "gpuaas.quota.committed.v1": quota.Committed,
    "gpuaas.quota.released.v1": quota.Released,
    "gpuaas.quota.reserved.v1": quota.Reserved,
    "gpuaas.quota.drawn.v1": quota.Drawn,
    "gpuaas.quota.unreserved.v1": quota.Unreserved,
    "gpuaas.quota.share_set.v1": lending.ShareSet,
    "gpuaas.quota.claimed.v1": lending.Claimed,
    "gpuaas.quota.reclaim_decided.v1": lending.ReclaimDecided,
    "gpuaas.quota.unclaimed.v1": lending.Unclaimed,
    "gpuaas.budget.set.v1": budget.BudgetSet,
    "gpuaas.budget.cleared.v1": budget.Cleared,
    "gpuaas.budget.reached.v1": budget.Reached,
    "gpuaas.budget.forecast.v1": budget.Forecast,
    "gpuaas.quota.storage_limit_set.v1": storage_quota.LimitSet,
    "gpuaas.quota.storage_committed.v1": storage_quota.Committed,
    "gpuaas.node.invited.v1": node.Invited,
    "gpuaas.node.enrolled.v1": node.Enrolled,
    "gpuaas.node.anchored.v1": node.Anchored,
    "gpuaas.node.allocated.v1": node.Allocated,
    "gpuaas.node.released.v1": node.Released,
    "gpuaas.node.lease_renewed.v1": node.LeaseRenewed,
    "gpuaas.node.unreachable.v1": node.Unreachable,
    "gpuaas.node.reachable.v1": node.Reachable,
    "gpuaas.node.cordoned.v1": node.Cordoned,
    "gpuaas.node.uncordoned.v1": node.Uncordoned,
    "gpuaas.node.revoked.v1": identity.Revoked,
    "gpuaas.node.reinvited.v1": identity.Reinvited,
    "gpuaas.node.doubled.v1": identity.Doubled,
    "gpuaas.node.certified.v1": identity.Certified,
    "gpuaas.node.hardware_expected.v1": identity.HardwareExpected,
    "gpuaas.node.hardware_stated.v1": identity.HardwareStated,
    "gpuaas.node.hardware_differs.v1": identity.HardwareDiffers,
    "gpuaas.node.device_described.v1": device.DeviceDescribed,
    "gpuaas.node.device_probed.v1": device.DeviceProbed,
    "gpuaas.node.device_reported.v1": device.DeviceReported,
    "gpuaas.node.device_xid.v1": device.DeviceXid,
    "gpuaas.node.device_test_requested.v1": device.DeviceTestRequested,
    "gpuaas.node.device_tested.v1": device.DeviceTested,
    "gpuaas.node.drain_started.v1": node_facts.DrainStarted,
    "gpuaas.node.drained.v1": node_facts.Drained,
    "gpuaas.node.drain_ended.v1": node_facts.DrainEnded,
    "gpuaas.node.quarantined.v1": node_facts.Quarantined,
    "gpuaas.node.sanitization_required.v1": node_facts.SanitizationRequired,
    "gpuaas.node.sanitize_requested.v1": node_facts.SanitizeRequested,
    "gpuaas.node.canary_looked.v1": canary.CanaryLooked,
    "gpuaas.node.sanitized.v1": node_facts.Sanitized,
    "gpuaas.node.returned.v1": node_facts.Returned,
    "gpuaas.node.retired.v1": node_facts.Retired,
    "gpuaas.node.topology_set.v1": node_facts.TopologySet,
    "gpuaas.node.reserved.v1": node_facts.Reserved,
    "gpuaas.node.unreserved.v1": node_facts.Unreserved,
    "gpuaas.node.volume_wipe_requested.v1": stray.VolumeWipeRequested,
    "gpuaas.node.volume_wipe_refused.v1": stray.VolumeWipeRefused,
    "gpuaas.node.volume_wiped.v1": stray.VolumeWiped,
    "gpuaas.reservation.made.v1": reservation.Made,
    "gpuaas.reservation.ended.v1": reservation.Over,
    "gpuaas.block.placed.v1": block.Placed,
    "gpuaas.incident.opened.v1": incident.Opened,
    "gpuaas.incident.tied.v1": incident.Tied,
    "gpuaas.incident.noted.v1": incident.Noted,
    "gpuaas.incident.resolved.v1": incident.Resolved,
    "gpuaas.incident.credit_proposed.v1": incident.CreditProposed,
    "gpuaas.runtime.requested.v1": runtime.Requested,
    "gpuaas.runtime.allocated.v1": runtime.Allocated,
    "gpuaas.runtime.configured.v1": runtime.Configured,
    "gpuaas.runtime.networked.v1": runtime.Networked,
    "gpuaas.runtime.egress_counted.v1": runtime.EgressCounted,
    "gpuaas.runtime.idle_limited.v1": runtime.IdleLimited,
    "gpuaas.runtime.idle.v1": runtime.Idle,
    "gpuaas.runtime.busy.v1": runtime.Busy,
    "gpuaas.runtime.starting.v1": runtime.Starting,
    "gpuaas.runtime.routed.v1": runtime.Routed,
    "gpuaas.runtime.usable.v1": runtime.Usable,
    "gpuaas.runtime.degraded.v1": runtime.Degraded,
    "gpuaas.runtime.stopping.v1": runtime.Stopping,
    "gpuaas.runtime.stopped.v1": runtime.Stopped,
    "gpuaas.runtime.failed.v1": runtime.Failed,
    "gpuaas.runtime.cancelled.v1": runtime.Cancelled,
    "gpuaas.runtime.lost.v1": runtime.Lost,
    "gpuaas.volume.created.v1": volume.Created,
    "gpuaas.volume.formatted.v1": volume.Formatted,
    "gpuaas.volume.attached.v1": volume.Attached,
    "gpuaas.volume.detached.v1": volume.Detached,
    "gpuaas.volume.grow_requested.v1": volume.GrowRequested,
    "gpuaas.volume.grown.v1": volume.Grown,
    "gpuaas.volume.snapshot_requested.v1": volume.SnapshotRequested,
    "gpuaas.volume.snapshotted.v1": volume.Snapshotted,
    "gpuaas.volume.restore_requested.v1": volume.RestoreRequested,
    "gpuaas.volume.restored.v1": volume.Restored,
    "gpuaas.volume.wipe_requested.v1": volume.WipeRequested,
    "gpuaas.volume.wiped.v1": volume.Wiped,
    "gpuaas.volume.deleted.v1": volume.Deleted,
    "gpuaas.volume.lost.v1": volume.Lost,
    "gpuaas.volume.order_refused.v1": volume.OrderRefused,
    "gpuaas.volume.lock_noticed.v1": volume.LockNoticed,
    "gpuaas.volume.locked.v1": volume.Locked,
    "gpuaas.volume.unlocked.v1": volume.Unlocked,
    "gpuaas.wallet.credit_granted.v1": wallet_facts.CreditGranted,
    "gpuaas.wallet.credit_expired.v1": wallet_facts.CreditExpired,
    "gpuaas.wallet.hold_placed.v1": wallet_facts.HoldPlaced,
    "gpuaas.wallet.holds_renewed.v1": wallet_facts.HoldsRenewed,
    "gpuaas.wallet.hold_captured.v1": wallet_facts.HoldCaptured,
    "gpuaas.wallet.hold_released.v1": wallet_facts.HoldReleased,
    "gpuaas.wallet.hold_expired.v1": wallet_facts.HoldExpired,
    "gpuaas.wallet.charge_recovered.v1": wallet_facts.ChargeRecovered,
    "gpuaas.wallet.level_reached.v1": wallet_facts.LevelReached,
    "gpuaas.wallet.volume_held.v1": wallet_facts.VolumeHeld,
    "gpuaas.wallet.volume_renewed.v1": wallet_facts.VolumeRenewed,
    "gpuaas.wallet.volume_captured.v1": wallet_facts.VolumeCaptured,
    "gpuaas.wallet.volume_released.v1": wallet_facts.VolumeReleased,
    "gpuaas.wallet.volume_recovered.v1": wallet_facts.VolumeRecovered,
    "gpuaas.wallet.usage_recovered.v1": wallet_facts.UsageRecovered,
}

_DECODERS: Final = {tag: msgspec.json.Decoder(kind) for tag, kind in TAGS.items()}
_TAG_OF: Final = {kind: tag for tag, kind in TAGS.items()}
_PREFIX: Final = {kind: len(b'{"type":"",') + len(tag) for kind, tag in _TAG_OF.items()}

_encode: Final = msgspec.json.Encoder().encode


def tag_of(fact: Struct) -> str:
    """The permanent tag of a fact. Raises KeyError for a struct that is no fact: a caller's bug."""
    return _TAG_OF[type(fact)]


def encode_fact(fact: Struct) -> bytes:
    """The fact's canonical JSON object, without its tag: the envelope's decides."""
    # msgspec writes `{"type":"<tag>"` first; what follows is `,` or, with no fields, `}`.
    fields = _encode(fact)[_PREFIX[type(fact)] :]
    return b"{" + fields if fields else b"{}"


def decode_fact(tag: str, raw: bytes) -> Struct:
    """The fact of these bytes, which must be exactly the canonical encoding of what they say.

    Comparing with the re-encoding refuses in one step other key orders, doubled keys, spaces,
    needless escapes and a `type` key of the fact's own.

    Raises:
        DomainError: `fact.unknown_tag`, `fact.malformed`.
    """
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise DomainError("fact.unknown_tag", f"no fact has the tag {tag[:200]!r}", {"tag": tag})
    try:
        fact = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DomainError("fact.malformed", f"{tag}: {error}", {"tag": tag}) from error
    if encode_fact(fact) != raw:
        raise DomainError("fact.malformed", f"{tag}: not in canonical form", {"tag": tag})
    return fact
