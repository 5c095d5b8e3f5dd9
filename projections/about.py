"""What an entry is about, as ids that a person knows; what it begins, and what begun it ends.

Told a second time in SQL, for entries of before there was this: `migrations/0123_audit_about.sql`.
"""

import re
from typing import Final

from msgspec import Struct

from domain.authority import authority_stream
from projections.entries import Entry

_POLICIES: Final = re.compile(rb'"policies":\[[^\]]*\]')
_IDS: Final = re.compile(
    rb'"([a-z_]{1,20}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
    rb'|(?:user|service)-[A-Za-z0-9_.-]{1,92})"'
)
_DENIED: Final = "gpuaas.access.denied.v1"
# Streams that are of a whole organization or account, and of the same UUID.
_WHOSE: Final = {"quota": "organization", "budget": "organization", "wallet": "account"}
# What makes the name of a thing that begins and ends: fields of the fact, `stream` its stream.
_STREAM: Final = ("stream",)
_BEGINS: Final[dict[str, tuple[str, ...]]] = {
    "gpuaas.access.binding_granted.v1": ("binding",),
    "gpuaas.access.break_glass_requested.v1": ("grant",),
    "gpuaas.access.granted.v1": _STREAM,
    "gpuaas.access.group_created.v1": ("group",),
    "gpuaas.access.group_joined.v1": ("group", "principal"),
    "gpuaas.access.guardrail_set.v1": ("guardrail",),
    "gpuaas.access.invited.v1": ("invitation",),
    "gpuaas.access.member_added.v1": ("stream", "principal"),
    "gpuaas.access.service_account_created.v1": ("account",),
    "gpuaas.access.sso_required.v1": _STREAM,
    "gpuaas.budget.set.v1": ("stream", "scope"),
    "gpuaas.network.created.v1": _STREAM,
    "gpuaas.quota.claimed.v1": ("stream", "scope", "model"),
    "gpuaas.reservation.made.v1": _STREAM,
    "gpuaas.runtime.requested.v1": _STREAM,
    "gpuaas.source.registered.v1": _STREAM,
    "gpuaas.token.issuer_trusted.v1": _STREAM,
    "gpuaas.token.key_created.v1": _STREAM,
    "gpuaas.token.session_opened.v1": _STREAM,
    "gpuaas.volume.created.v1": _STREAM,
    "gpuaas.webhook.registered.v1": _STREAM,
}
_ENDS: Final[dict[str, tuple[str, ...]]] = {
    "gpuaas.access.binding_revoked.v1": ("binding",),
    "gpuaas.access.break_glass_approved.v1": ("grant",),
    "gpuaas.access.break_glass_ended.v1": ("grant",),
    "gpuaas.access.break_glass_refused.v1": ("grant",),
    "gpuaas.access.break_glass_used.v1": ("grant",),
    "gpuaas.access.group_deleted.v1": ("group",),
    "gpuaas.access.group_left.v1": ("group", "principal"),
    "gpuaas.access.guardrail_lifted.v1": ("guardrail",),
    "gpuaas.access.invitation_withdrawn.v1": ("invitation",),
    "gpuaas.access.member_removed.v1": ("stream", "principal"),
    "gpuaas.access.revoked.v1": _STREAM,
    "gpuaas.access.service_account_deleted.v1": ("account",),
    "gpuaas.access.sso_lifted.v1": _STREAM,
    "gpuaas.budget.cleared.v1": ("stream", "scope"),
    "gpuaas.network.deleted.v1": _STREAM,
    "gpuaas.quota.unclaimed.v1": ("stream", "scope", "model"),
    "gpuaas.reservation.ended.v1": _STREAM,
    "gpuaas.runtime.stopping.v1": _STREAM,
    "gpuaas.source.revoked.v1": _STREAM,
    "gpuaas.token.issuer_distrusted.v1": _STREAM,
    "gpuaas.token.key_revoked.v1": _STREAM,
    "gpuaas.token.session_ended.v1": _STREAM,
    "gpuaas.volume.wipe_requested.v1": _STREAM,
    "gpuaas.webhook.deleted.v1": _STREAM,
}


def about(entry: Entry) -> list[str]:
    """Its ids, the nearest first, each once: its stream, then what the fact names, in its order;
    where nobody knows the stream, that comes last, behind whose it is. Policies are not among them.
    """
    said = _IDS.findall(_POLICIES.sub(b"", bytes(entry.fact)))
    named = [one.decode() for one in said]
    return [*dict.fromkeys(_with_stream(entry, named))]


def _with_stream(entry: Entry, named: list[str]) -> list[str]:
    kind, _, own = entry.stream.partition("-")
    if kind in _WHOSE:
        return [*named, f"{_WHOSE[kind]}-{own}", entry.stream]
    if entry.stream == authority_stream(entry.org):
        return [*named, *([entry.org] if entry.org != "-" else []), entry.stream]
    if kind == "pricebook" or entry.tag == _DENIED:
        return [*named, entry.stream]
    return [entry.stream, *named]


def begins(entry: Entry, fact: Struct) -> str:
    """The name of what it begins; empty for nothing."""
    return _named(_BEGINS, entry, fact)


def ends(entry: Entry, fact: Struct) -> str:
    """The name of what it ends, or decides on; empty for nothing."""
    return _named(_ENDS, entry, fact)


def _named(of: dict[str, tuple[str, ...]], entry: Entry, fact: Struct) -> str:
    fields = of.get(entry.tag, ())
    return " ".join(
        entry.stream if field == "stream" else str(getattr(fact, field)) for field in fields
    )
