"""Bindings, guardrails and the tree as Cedar: policies parsed once, decided many times."""

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from cedarpy import PolicySet, _internal
from msgspec import Struct
from msgspec.structs import replace

from contracts.authorization.registry import HERE
from contracts.authorization.schema import parents_of
from domain.binding import NEVER, Binding, Guardrail

PLATFORM: Final = "-"
STATIC: Final = (HERE / "policies.cedar").read_text()
_SAFE: Final = re.compile(r"[A-Za-z0-9_.:*/-]{1,128}")
_PLACES, _PRINCIPALS = 100_000, 20_000  # of the tree, remembered
_ORGANIZATIONS: Final = 10_000
_CALLS: Final = 10_000
_FOR_EVER: Final = 1 << 62
_DESK: Final = (
    'when { resource == GPUaaS::Platform::"-" || action in GPUaaS::Action::"desk" || '
    '(!context.owned && action in GPUaaS::Action::"founding") } '
    'unless { action in GPUaaS::Action::"embedded" }'
)
_KINDS: Final = {
    "user": "User",
    "service": "Service",
    "group": "Group",
    "organization": "Organization",
    "department": "Department",
    "project": "Project",
    "runtime": "Runtime",
    "volume": "Volume",
    "network": "Network",
}

type Place = tuple[str, ...]  # the scope asked about, then what it lies in, up to the platform


class Call(Struct, frozen=True):
    """What conditions look at. `scopes`: what an API key is for; None for what is no key.
    `mfa_demanded`: by the platform, of administrative actions. `elsewhere`: than where the
    organization requires it, it signed in. `owned`: somebody owns the organization. `requester`:
    who asked for what is to be approved. `stale`: it showed who it is longer ago than the platform
    takes for administrative actions.
    """

    mfa: bool = False
    source: str = ""
    platform: bool = False
    scopes: tuple[str, ...] | None = None
    mfa_demanded: bool = False
    elsewhere: bool = False
    owned: bool = True
    requester: str = ""
    stale: bool = False


class Verdict(Struct, frozen=True):
    """`policies`: the ids that decided, in order; empty when nothing permits."""

    allowed: bool
    policies: tuple[str, ...]


class _Diagnostics(Struct, frozen=True):
    """Of an answer that is an error itself, the errors alone."""

    errors: tuple[str, ...]
    id_annotations_by_reason: dict[str, str] = {}


class _Answer(Struct, frozen=True):
    decision: str
    diagnostics: _Diagnostics


_ANSWER: Final = msgspec.json.Decoder(_Answer)


@lru_cache(_PRINCIPALS)
def entity(name: str) -> dict[str, str]:
    """The Cedar entity of an id, not to be changed.

    Raises AssertionError for text that no id of ours has.
    """
    assert _SAFE.fullmatch(name), name
    if name == PLATFORM:
        return {"type": "GPUaaS::Platform", "id": PLATFORM}
    return {"type": f"GPUaaS::{_KINDS[name.partition('-')[0]]}", "id": name}


def _written(name: str) -> str:
    one = entity(name)
    return f'{one["type"]}::"{one["id"]}"'


def _action(name: str) -> str:
    assert _SAFE.fullmatch(name), name
    return f'GPUaaS::Action::"{name}"'


def _in_networks(networks: tuple[str, ...]) -> str:
    assert all(_SAFE.fullmatch(one) for one in networks)
    parts = " || ".join(f'context.source.isInRange(ip("{one}"))' for one in networks)
    return f"context has source && ({parts})"


def permit(binding: Binding) -> str:
    """The policy of a binding, under its id."""
    clauses = []
    if binding.until_us != NEVER:
        clauses.append(f"when {{ context.now_us < {binding.until_us:d} }}")
    if binding.mfa:
        clauses.append("when { context.mfa }")
    if binding.networks:
        clauses.append(f"when {{ {_in_networks(binding.networks)} }}")
    if binding.desk:
        clauses.append(_DESK)
    head = (
        f"principal in {_written(binding.principal)}, "
        f"action in {_action(f'role:{binding.role}')}, resource in {_written(binding.scope)}"
    )
    return _policy(binding.id, f"permit ({head})", clauses)


def forbid(guardrail: Guardrail) -> str:
    """The policy of a guardrail, under its id; it does not bind the platform's own operators."""
    actions = ", ".join(_action(name) for name in guardrail.actions)
    head = f"principal, action in [{actions}], resource in {_written(guardrail.scope)}"
    met = []
    if guardrail.unless_mfa:
        met.append("context.mfa")
    if guardrail.unless_networks:
        met.append(f"({_in_networks(guardrail.unless_networks)})")
    clauses = ["unless { context.platform }"]
    if met:
        clauses.append(f"unless {{ {' && '.join(met)} }}")
    return _policy(guardrail.id, f"forbid ({head})", clauses)


def _policy(name: str, head: str, clauses: list[str]) -> str:
    assert _SAFE.fullmatch(name), name
    return "\n".join([f'@id("{name}")', head, *clauses]) + ";\n"


class Policies:
    """A set of policies, parsed once, and the groups of the principal whom it is for.

    What it decided is remembered as long as nothing in it ends. It rests on nothing but what it is
    made of and is asked: it stays right for as long as these bindings, guardrails and groups stand.
    """

    def __init__(
        self,
        bindings: tuple[Binding, ...],
        guardrails: tuple[Guardrail, ...],
        groups: tuple[str, ...] = (),
        *,
        remembering: int = 256,
    ) -> None:
        self.bindings = bindings
        self.guardrails = guardrails
        self._set = _ruled(guardrails)
        if bindings:
            self._set = self._set.with_added_str("\n".join(map(permit, bindings)))
        self._groups = groups
        self._ends = sorted({one.until_us for one in bindings} - {NEVER})
        self._sourced = any(one.networks for one in bindings) or any(
            one.unless_networks for one in guardrails
        )
        self._known: dict[tuple[str, str, Place, Call], tuple[Verdict, int, int]] = {}
        self._most = remembering

    def seen(self, call: Call) -> Call:
        """What these policies may see of the call: from where it comes only where one asks."""
        return replace(call, source="") if call.source and not self._sourced else call

    def decide(self, who: str, action: str, place: Place, call: Call, now_us: int) -> Verdict:
        """May `who` do the action at the place."""
        call = self.seen(call)
        key = (who, action, place, call)
        found = self._known.get(key)
        if found is not None and found[1] <= now_us < found[2]:
            return found[0]
        verdict = self._asked(who, action, place, call, now_us)
        until = next((one for one in self._ends if now_us < one), _FOR_EVER)
        if len(self._known) >= self._most:
            self._known.clear()
        if self._most:
            self._known[key] = (verdict, now_us, until)
        return verdict

    def _asked(self, who: str, action: str, place: Place, call: Call, now_us: int) -> Verdict:
        asked = {
            "principal": entity(who),
            "action": _action_entity(action),
            "resource": entity(place[0]),
            "context": f'{{"now_us":{now_us:d},{_conditions(call)}',
        }
        tree = self._tree(who, action, place)
        # cedarpy's own way to it (two lists, the standard JSON) takes an eighth of a decision.
        said = _ANSWER.decode(_internal.is_authorized(asked, self._set, tree))
        named = tuple(sorted(set(said.diagnostics.id_annotations_by_reason.values())))
        # A policy that cannot be evaluated is left out by Cedar: a forbid must not be.
        return Verdict(said.decision == "Allow" and not said.diagnostics.errors, named)

    def _tree(self, who: str, action: str, place: Place) -> _internal.Entities:
        """The action, parsed once for everybody, with the caller and what lies above the place."""
        added = f"[{_principal(who, self._groups)},{_above(place)}]"
        return _acting(action).with_added_json_str(added)


@lru_cache(_CALLS)
def _conditions(call: Call) -> str:
    """The call as the rest of a context's JSON, behind its first field."""
    context: dict[str, Any] = {
        "mfa": call.mfa, "platform": call.platform, "owned": call.owned,
        "mfa_demanded": call.mfa_demanded, "elsewhere": call.elsewhere, "stale": call.stale,
    }  # fmt: skip
    if call.requester:
        context["requester"] = {"__entity": entity(call.requester)}
    if call.source:
        context["source"] = {"__extn": {"fn": "ip", "arg": call.source}}
    if call.scopes is not None:
        context["scopes"] = [{"__entity": _action_entity(name)} for name in call.scopes]
    return msgspec.json.encode(context).decode()[1:]


@lru_cache(_ORGANIZATIONS)
def _ruled(guardrails: tuple[Guardrail, ...]) -> PolicySet:
    """What holds for everybody and what an organization forbids: shared by all whom it is for."""
    if guardrails:
        return _ruled(()).with_added_str("\n".join(map(forbid, guardrails)))
    return PolicySet.from_str(STATIC)


@lru_cache(_PLACES)
def _above(place: Place) -> str:
    """What lies in what, as the entities of a JSON document: a tree parsed ahead for each place is
    cold when it is asked for, and takes longer to copy than this to parse.
    """
    around = (*place[1:], "")
    return ",".join(
        _given(entity(below), [entity(above)] if above else [])
        for below, above in zip(place, around, strict=True)
    )


@lru_cache(_PRINCIPALS)
def _principal(who: str, groups: tuple[str, ...]) -> str:
    return _given(entity(who), [entity(name) for name in groups])


@lru_cache(None)
def _acting(action: str) -> _internal.Entities:
    """The action in its area and its other groups, and in what all areas are in."""
    parents = [_action_entity(name) for name in (*parents_of(action), "*")]
    return _internal.Entities.from_json_str(f"[{_given(_action_entity(action), parents)}]")


def _given(uid: dict[str, str], parents: list[dict[str, str]]) -> str:
    given = {"uid": uid, "attrs": {}, "parents": parents}
    return msgspec.json.encode(given).decode()


def _action_entity(name: str) -> dict[str, str]:
    return {"type": "GPUaaS::Action", "id": name}
