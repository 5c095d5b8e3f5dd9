"""The catalogue of facts an auditor knows (contracts/facts.md): stream kind, fields in order."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.fact_forms import KINDS, is_continued
from gpuaas_verify.note import Vkey

# Areas of tags, and kinds of streams, in which a fact nobody knows cannot move money nor the state
# that it rests on (contracts/facts.md): such facts are counted, unknown tags elsewhere refused.
OPEN_AREAS = frozenset(
    {"access", "app", "department", "image", "incident", "organization", "project", "token"}
)
PLATFORM_KINDS = frozenset(
    {
        *("incident", "log", "node", "meter", "pricebook", "ledger", "rating", "files", "image"),
        *("seller", "suspense", "usage", "call"),
    }
)
LOG_FORMAT = "gpuaas-log/1"
_ORIGIN = re.compile(r"[^\s+/][^\s+]*/[0-9a-f]{16}")

# Field types: int by default where the name is followed by nothing; the rest by a suffix.
#   $ text   ! true or false   ? int or null   # 64 hex   @ Private   * Attested   [… lists
_TABLE = """
log.opened.v1            log           format$ origin$ vkey$
log.heartbeat.v1         log
evidence.file_sealed.v1  files         name$ sha256# bytes as_of_size supersedes?
evidence.downloaded.v1   files         what$ size index?
rating.batch_sealed.v1   rating        table$ first_row count root# prev_seal? through quantity_sum
ledger.batch_sealed.v1   ledger        table$ first_row count root# prev_seal? through \
 amount_sum_pico
usage.batch_sealed.v1    usage         table$ first_row count root# prev_seal? quantity_sum
usage.reading_quarantined.v1 usage     source$ epoch sequence kept# refused# reading$ decided_us
usage.source_completed.v1 usage        source$ epoch sequence chain# until_us sig$ decided_us
organization.created.v1      organization  name@ created_us
organization.suspended.v1    organization  reason$ decided_us
organization.reactivated.v1  organization  reason$ decided_us
organization.closing_started.v1  organization  reason$ stop_us wipe_us decided_us
organization.closing_withdrawn.v1 organization reason$ state$ decided_us
organization.closed.v1       organization  decided_us
organization.renamed.v1      organization  name@ renamed_us
department.created.v1    department    organization$ name@ created_us
department.renamed.v1    department    name@ renamed_us
cost_centre.created.v1   cost_centre   organization$ department$ name@ created_us
cost_centre.renamed.v1   cost_centre   name@ renamed_us
cost_centre.project_added.v1   cost_centre project$ added_us
cost_centre.project_removed.v1 cost_centre project$ removed_us
cost_centre.closed.v1    cost_centre   closed_us
attribution.set.v1       attribution   project$ cost_centre$ set_us
project.created.v1       project       organization$ department$ account$ name@ created_us
project.moved.v1         project       department$ account$ moved_us
project.renamed.v1       project       name@ renamed_us
account.opened.v1        account       organization$ currency$ minor_digits zone$ tzdata$ opened_us
account.invoiced.v1      account       invoice$ sequence
account.terms_set.v1     account       terms$ credit_limit_pico decided_us
account.suspended.v1     account       about$ reason$ decided_us
account.resumed.v1       account       about$ reason$ decided_us
account.credit_set.v1    account       limit_pico due_days remind_days[n suspend_days stop_days \
 decided_us
account.over_limit.v1    account       limit_pico used_pico decided_us
account.within_limit.v1  account       limit_pico used_pico decided_us
account.dunned.v1        account       invoice$ step$ days due_us due_minor decided_us
account.dunning_ended.v1 account       invoice$ decided_us
period.opened.v1         period        account$ sequence start_us end_us zone$ tzdata$ opened_us
period.sources_missing.v1 period       sources[s decided_us
period.closed.v1         period        account$ start_us end_us closed_us
invoice.finalized.v1     invoice       number$ account$ period$ currency$ minor_digits total_pico \
 total_minor line_count file$ sha256# closed finalized_us
invoice.issued.v1        invoice       issued_us
invoice.paid.v1          invoice       amount_minor due_minor reference@ paid_us decided_us
invoice.payment_returned.v1 invoice    amount_minor due_minor reference@ returned_us decided_us
invoice.refunded.v1      invoice       amount_minor due_minor reference@ refunded_us decided_us
suspense.received.v1     suspense      currency$ amount_pico line$ text@ why$ decided_us
suspense.resolved.v1     suspense      how$ about$ decided_us
invoice.finalized.v2     invoice       number$ account$ seller$ period$ currency$ minor_digits \
 total_pico net_minor tax_minor total_minor line_count file$ sha256# closed finalized_us
credit_note.ordered.v1   invoice       credit_note$ parts[c why$ decided_us
credit_note.issued.v1    invoice       credit_note$ number$ account$ seller$ parts[c why$ \
 net_minor tax_minor total_minor file$ sha256# issued_us
seller.registered.v1     seller        party@ country$ prefix$ terms_days registered_us
seller.rate_set.v1       seller        treatment$ country$ meter$ category$ rate_bp reason$ \
 effective_from_us decided_us
seller.invoiced.v1       seller        invoice$ sequence
seller.credited.v1       seller        credit_note$ sequence
account.taxed.v1         account       seller$ party@ country$ treatment$ decided_us
meter.registered.v1      meter         meter$ unit$ source$ aggregation$ registered_us
meter.registered.v2      meter         meter$ unit$ divisor aggregation$ dimensions[s registered_us
source.registered.v1     source        organization$ project$ key# meters[s registered_us
source.revoked.v1        source        reason$ decided_us
price.entry_published.v1 pricebook     account$ meter$ model$ region$ state$ currency$ \
 effective_from_us published_us price_pico divisor
price.entry_published.v2 pricebook     book$ edition account$ meter$ model$ region$ state$ \
 currency$ effective_from_us published_us divisor free tiers[t minimum_pico
price.book_published.v1  pricebook     book$ edition entries published_us
price.commitment_made.v1 pricebook     account$ meter$ model$ region$ state$ currency$ from_us \
 until_us quantity price_pico divisor decided_us
price.rerating_decided.v1 pricebook    account$ book$ edition from_us until_us decided_us
price.rerating_decided.v2 pricebook    account$ book$ edition from_us until_us decided_us
quota.limit_set.v1       quota         scope$ model$ limit_milli decided_us
quota.committed.v1       quota         runtime$ department$ project$ model$ gpu_milli decided_us
quota.released.v1        quota         runtime$ decided_us
quota.reserved.v1        quota         reservation$ department$ project$ model$ gpu_milli decided_us
quota.drawn.v1           quota         runtime$ reservation$ decided_us
quota.unreserved.v1      quota         reservation$ decided_us
quota.share_set.v1       quota         scope$ parent$ model$ guaranteed_milli lendable_milli \
 limit_milli decided_us
quota.claimed.v1         quota         scope$ model$ gpu_milli stop_us until_us decided_us
quota.reclaim_decided.v1 quota         scope$ model$ runtimes[s stop_us decided_us
quota.unclaimed.v1       quota         scope$ model$ reason$ decided_us
budget.set.v1           budget        scope$ account$ currency$ amount_pico mode$ decided_us
budget.cleared.v1       budget        scope$ decided_us
budget.reached.v1       budget        scope$ period$ until_us percent spent_pico decided_us
budget.forecast.v1      budget        scope$ period$ until_us forecast_pico decided_us
quota.moved.v1           quota         project$ department$ decided_us
quota.storage_limit_set.v1 quota       scope$ model$ limit_mib decided_us
quota.storage_committed.v1 quota       volume$ department$ project$ model$ size_mib decided_us
node.invited.v1          node          name@ model$ token_sha256# expires_us invited_us
node.enrolled.v1         node          key# model$ simulated! gpus[g serial$ enrolled_us
node.anchored.v1         node          boot$ boottime_us anchor_us attested*
node.allocated.v1        node          allocation$ runtime$ organization$ devices[i epoch decided_us
node.released.v1         node          allocation$ runtime$ decided_us
node.lease_renewed.v1    node          runtimes[s boottime_us renewed_us until_us attested*
node.unreachable.v1      node          since_us
node.reachable.v1        node          since_us
node.cordoned.v1         node          decided_us
node.uncordoned.v1       node          decided_us
node.revoked.v1          node          reason$ decided_us
node.reinvited.v1        node          token_sha256# expires_us invited_us
node.doubled.v1          node          sign$ decided_us
node.certified.v1        node          nkey$ public_sha256# certificate_sha256# not_before_us \
 not_after_us
node.hardware_expected.v1 node         fingerprint# decided_us
node.hardware_stated.v1  node          product$ serial$ machine$ fingerprint# stated_us
node.hardware_differs.v1 node          what$ before$ stated$ decided_us
node.drain_started.v1    node          owner$ reason$ decided_us
node.drained.v1          node          decided_us
node.drain_ended.v1      node          owner$ reason$ decided_us
node.quarantined.v1      node          devices[n reason$ decided_us
node.sanitization_required.v1  node    decided_us
node.sanitize_requested.v1     node    devices[n reason$ decided_us
node.canary_looked.v1    node          devices[n command method$ planted looked found duration_us \
 boottime_us decided_us attested*
node.sanitized.v1        node          devices[n method$ bytes_covered duration_us driver$ \
 ecc_uncorrected? residual_processes boottime_us decided_us attested*
node.returned.v1         node          devices[n decided_us
node.retired.v1          node          reason$ decided_us
node.topology_set.v1     node          zone$ group decided_us
node.region_set.v1       node          region$ decided_us
node.reserved.v1         node          reservation$ organization$ devices[n until_us decided_us
node.unreserved.v1       node          reservation$ devices[n decided_us
node.volume_wipe_requested.v1  node    volume$ decided_us
node.volume_wipe_refused.v1    node    volume$ command code$ decided_us
node.volume_wiped.v1           node    volume$ command method$ bytes_covered duration_us \
 boottime_us decided_us attested*
reservation.made.v1      reservation   project$ model$ devices nodes[s until_us decided_us
reservation.ended.v1     reservation   reason$ decided_us
block.placed.v1          block         project$ policy$ runtimes[s decided_us
node.device_described.v1       node    devices[n uuid$ product$ memory_bytes serial$ driver$ \
 library# boottime_us decided_us attested*
node.device_probed.v1          node    devices[n uuid$ method$ bytes duration_us boottime_us \
 decided_us attested*
node.device_reported.v1        node    devices[n uuid$ state$ cause$ xid ecc_uncorrected? \
 boottime_us decided_us attested*
node.device_xid.v1             node    devices[n uuid$ xid count boottime_us decided_us attested*
node.device_test_requested.v1  node    devices[n decided_us
node.device_tested.v1          node    devices[n command passed! method$ cause$ duration_us \
 boottime_us decided_us attested*
incident.opened.v1       incident      what$ subject$ title@ opened_us
incident.tied.v1         incident      at decided_us
incident.noted.v1        incident      note@ noted_us
incident.resolved.v1     incident      decided_us
incident.credit_proposed.v1  incident  runtime$ account$ quantity from_us to_us reason$ decided_us
runtime.requested.v1     runtime       project$ department$ account$ name@ devices gpu_milli \
 models[s requested_us
runtime.allocated.v1     runtime       allocation$ node$ model$ devices[i epoch allocated_us
runtime.configured.v1    runtime       image$ digest$ cpu_milli memory_bytes pids restarts \
 decided_us
runtime.networked.v1     runtime       network$ decided_us
runtime.egress_counted.v1 runtime      sent_bytes received_bytes boottime_us decided_us attested*
network.created.v1       network       project$ name@ internal! egress[r created_us
network.policy_changed.v1 network      internal! egress[r decided_us
network.deleted.v1       network       decided_us
webhook.registered.v1    webhook       organization$ url@ tags[s secret@ registered_us
webhook.changed.v1       webhook       url@ tags[s decided_us
webhook.secret_rotated.v1 webhook      secret@ decided_us
webhook.replay_asked.v1  webhook       from_position decided_us
webhook.disabled.v1      webhook       reason$ decided_us
webhook.paused.v1        webhook       decided_us
webhook.resumed.v1       webhook       decided_us
webhook.deleted.v1       webhook       decided_us
runtime.region_asked.v1  runtime       region$ decided_us
runtime.spot.v1          runtime       decided_us
runtime.idle_limited.v1  runtime       stop_after_us decided_us
runtime.idle.v1          runtime       idle_us boottime_us decided_us attested*
runtime.busy.v1          runtime       boottime_us decided_us attested*
runtime.starting.v1      runtime       command decided_us
runtime.routed.v1        runtime       boottime_us address$ port host_key$ decided_us attested*
runtime.usable.v1        runtime       boottime_us usable_us decided_us attested*
runtime.degraded.v1      runtime       boottime_us degraded_us decided_us attested*
runtime.stopping.v1      runtime       reason$ decided_us
runtime.stopped.v1       runtime       boottime_us stopped_us decided_us attested*
runtime.failed.v1        runtime       code$ boottime_us failed_us decided_us attested*
runtime.cancelled.v1     runtime       reason$ decided_us
runtime.lost.v1          runtime       lost_us decided_us
volume.created.v1        volume        project$ department$ account$ node$ name@ size_mib created_us
volume.formatted.v1      volume        command method$ bytes boottime_us formatted_us decided_us \
 attested*
volume.attached.v1       volume        runtime$ allocation$ epoch path$ decided_us
volume.detached.v1       volume        allocation$ epoch reason$ decided_us
volume.grow_requested.v1 volume        size_mib decided_us
volume.grown.v1          volume        command size_mib boottime_us grown_us decided_us attested*
volume.snapshot_requested.v1 volume    snapshot$ decided_us
volume.snapshotted.v1    volume        command snapshot$ bytes frozen_us boottime_us decided_us \
 attested*
volume.restore_requested.v1 volume     snapshot$ decided_us
volume.restored.v1       volume        command snapshot$ boottime_us decided_us attested*
volume.wipe_requested.v1 volume        decided_us
volume.wiped.v1          volume        command method$ bytes_covered duration_us boottime_us \
 wiped_us decided_us attested*
volume.deleted.v1        volume        decided_us
volume.lost.v1           volume        lost_us decided_us
volume.order_refused.v1  volume        command order$ code$ decided_us
volume.lock_noticed.v1   volume        lock_us wipe_us decided_us
volume.locked.v1         volume        locked_us wipe_us decided_us
volume.unlocked.v1       volume        unlocked_us
wallet.credit_granted.v1 wallet        grant$ bucket$ amount_pico expires_us reference$ decided_us \
 balance_pico held_pico
wallet.credit_expired.v1 wallet        grant$ amount_pico decided_us balance_pico held_pico
wallet.hold_placed.v1    wallet        runtime$ amount_pico from_us until_us decided_us \
 balance_pico held_pico
wallet.holds_renewed.v1  wallet        node$ holds[h until_us decided_us balance_pico held_pico
wallet.hold_captured.v1 wallet runtime$ amount_pico from_us decided_us balance_pico held_pico
wallet.hold_released.v1  wallet        runtime$ amount_pico decided_us balance_pico held_pico
wallet.hold_expired.v1   wallet        runtime$ amount_pico decided_us balance_pico held_pico
wallet.charge_recovered.v1 wallet      runtime$ recovered_pico unrecovered_pico decided_us \
 balance_pico held_pico
wallet.volume_held.v1    wallet        volume$ amount_pico from_us until_us decided_us \
 balance_pico held_pico
wallet.volume_renewed.v1 wallet volume$ amount_pico until_us decided_us balance_pico held_pico
wallet.volume_captured.v1 wallet volume$ amount_pico from_us decided_us balance_pico held_pico
wallet.volume_released.v1 wallet       volume$ amount_pico decided_us balance_pico held_pico
wallet.volume_recovered.v1 wallet      volume$ recovered_pico unrecovered_pico decided_us \
 balance_pico held_pico
wallet.reservation_held.v1    wallet        reservation$ amount_pico from_us until_us decided_us \
 balance_pico held_pico
wallet.reservation_renewed.v1 wallet        reservation$ amount_pico until_us decided_us \
 balance_pico held_pico
wallet.reservation_captured.v1 wallet       reservation$ amount_pico from_us decided_us \
 balance_pico held_pico
wallet.reservation_released.v1 wallet reservation$ amount_pico decided_us balance_pico held_pico
wallet.reservation_recovered.v1 wallet      reservation$ recovered_pico unrecovered_pico \
 decided_us balance_pico held_pico
wallet.usage_recovered.v1 wallet       recovered_pico decided_us balance_pico held_pico
wallet.level_reached.v1  wallet        percent decided_us balance_pico held_pico
wallet.credit_charged_back.v1 wallet   grant$ amount_pico taken_pico reference$ decided_us \
 balance_pico held_pico
wallet.credit_refunded.v1 wallet grant$ amount_pico reference$ decided_us balance_pico held_pico
wallet.arrears_met.v1    wallet        amount_pico decided_us balance_pico held_pico
image.registered.v1      image         reference$ digest$ registered_us
access.token_issued.v1   organization|log principal$ role$ expires_us
access.batch_sealed.v1   call          table$ first_row count root# prev_seal? calls_sum
access.granted.v1        access        runtime$ project$ user$ way$ until_us granted_us
access.obtained.v1       access        credential$ implied! obtained_us
access.certificate_issued.v1 access    serial principal$ key_sha256# sources@ after_us before_us
access.pass_issued.v1    access        principal$ port token_sha256$ issued_us
access.revoked.v1        access        reason$ decided_us
access.host_certificate_issued.v1 access runtime$ serial principal$ key_sha256# after_us before_us
access.session_opened.v1 access        grant$ runtime$ way$ gateway$ source@ opened_us
access.session_closed.v1 access        reason$ bytes_up? bytes_down? closed_us
access.terminal_opened.v1 access       runtime$ allocation$ node$ epoch columns rows recorded! \
 opened_us
access.terminal_closed.v1 access       reason$ shown_bytes? typed_bytes? closed_us
access.recording_sealed.v1 access      chunk head# size_bytes final! sealed_us
access.recording_played.v1 access      chunk head# cut! played_us
"""


class Shape(NamedTuple):
    kinds: frozenset[str]
    keys: tuple[str, ...]
    suffixes: tuple[str, ...]
    types: tuple[tuple[type, ...], ...]
    usual: tuple[type, ...]
    deep: tuple[tuple[str, Callable[[Any], bool]], ...]


def _shape(kinds: str, fields: list[str]) -> Shape:
    keys: list[str] = []
    suffixes: list[str] = []
    types: list[tuple[type, ...]] = []
    deep: list[tuple[str, Callable[[Any], bool]]] = []
    for field in fields:
        name = re.match(r"[a-z0-9_]+", field)
        assert name is not None
        accepted, check = KINDS[field[name.end() :]]
        keys.append(name.group())
        suffixes.append(field[name.end() :])
        types.append(accepted)
        if check is not None:
            deep.append((name.group(), check))
    usual = tuple(accepted[0] for accepted in types)
    streams = frozenset(kinds.split("|"))
    return Shape(streams, tuple(keys), tuple(suffixes), tuple(types), usual, tuple(deep))


def _read_table() -> dict[str, Shape]:
    rows = (line.split() for line in _TABLE.replace("\\\n", "").splitlines() if line)
    return {f"gpuaas.{tag}": _shape(kinds, fields) for tag, kinds, *fields in rows}


SHAPES = _read_table()
OPENED = "gpuaas.log.opened.v1"
_OPENED_AGAIN = _shape("log", ["format$", "origin$", "vkey$", "continues@"])
_CONTINUED = {OPENED: _OPENED_AGAIN._replace(deep=(("continues", is_continued),))}


def check_fact(entry: Entry) -> bool:
    """True when the tag is known and the fact has its shape, False for a tag that is merely
    counted.

    Raises: Invalid `entry.opened`, `entry.unknown_tag`, and as `find_shape`, `check_owner` and
    `check_shape`.
    """
    if (entry.tag == OPENED) != (entry.position == 0):
        raise Invalid("entry.opened", f"{OPENED} is entry 0 and no other", field="tag")
    shape = find_shape(entry.tag)
    if shape is None:
        if entry.stream[:-37] not in OPEN_AREAS:
            detail = f"{entry.tag} is not known to this verifier"
            raise Invalid("entry.unknown_tag", detail, field="tag")
        return False
    check_owner(shape, entry.tag, entry.stream, entry.org)
    check_shape(shape, entry.tag, entry.fact)
    return True


def find_shape(tag: str) -> Shape | None:
    """None for a tag that is merely counted. Raises: Invalid `entry.unknown_tag`."""
    shape = SHAPES.get(tag)
    if shape is None and tag.split(".", 2)[1] not in OPEN_AREAS:
        raise Invalid("entry.unknown_tag", f"{tag} is not known to this verifier", field="tag")
    return shape


def check_owner(shape: Shape, tag: str, stream: str, org: str) -> None:
    """Nothing when such facts belong in that stream, and it to that org.

    Raises: Invalid `entry.wrong_stream`, `entry.wrong_org`.
    """
    kind = stream[:-37]
    if kind not in shape.kinds:
        raise Invalid("entry.wrong_stream", f"{tag} in a {kind} stream", field="stream")
    if (org == "-") != (kind in PLATFORM_KINDS) or (kind == "organization" and org != stream):
        raise Invalid("entry.wrong_org", f"a {kind} stream of {org}", field="org")


def check_shape(shape: Shape, tag: str, fact: dict[str, Any]) -> None:
    """Nothing when the fact has the fields of its tag, each of its form. Raises: Invalid
    `fact.malformed`.
    """
    shape = _CONTINUED.get(tag, shape) if "continues" in fact else shape
    if tuple(fact) != shape.keys:
        raise Invalid("fact.malformed", f"not the fields of {tag}", field="fact")
    if tuple(map(type, fact.values())) != shape.usual:
        for name, accepted in zip(shape.keys, shape.types, strict=True):
            if type(fact[name]) not in accepted:
                raise Invalid("fact.malformed", f"{name} of {tag} has another type", field=name)
    for name, check in shape.deep:
        if not check(fact[name]):
            raise Invalid("fact.malformed", f"{name} of {tag} has not its form", field=name)


def check_origin(opened: Entry, origin: str) -> None:
    """Nothing when entry 0 opened the log of that origin. Raises: Invalid `checkpoint.origin`,
    `entry.opened`.
    """
    fact = opened.fact
    if fact["format"] != LOG_FORMAT or not _ORIGIN.fullmatch(fact["origin"]):
        raise Invalid("entry.opened", f"not a {LOG_FORMAT} log", position=0, field="fact")
    try:
        Vkey.parse(fact["vkey"])
    except Invalid as error:
        raise Invalid("entry.opened", error.detail, position=0, field="vkey") from error
    if fact["origin"] != origin:
        detail = f"the checkpoint is of {origin}, entry 0 of {fact['origin']}"
        raise Invalid("checkpoint.origin", detail, position=0, field="origin")


def check_opened_key(opened: Entry, keys: tuple[Vkey, ...]) -> None:
    """Nothing when entry 0 names a trusted key. Raises: Invalid `entry.opened_key`."""
    if opened.fact["vkey"] not in {key.format() for key in keys}:
        raise Invalid("entry.opened_key", "not a trusted key", position=0, field="vkey")
