"""Acts as OCSF events, class API Activity (6003). Source: OCSF schema 1.3.0.

The log keeps no addresses of callers, so `src_endpoint`, which the class requires, says that.
"""

from typing import Any, Final

from msgspec.structs import asdict

from projections.audit_read import Act

VERSION: Final = "1.3.0"
_CLASS, _CATEGORY = 6003, 6
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_INFORMATIONAL, _LOW = 1, 2
_SUCCESS, _FAILURE = 1, 2
_OTHER = 99
_NAMES: Final = {
    _CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete", _OTHER: "Other",
}  # fmt: skip
# By the last word of a tag before its version: what begins a thing, and what ends one.
_BEGINS: Final = frozenset(
    {"created", "registered", "requested", "opened", "granted", "invited", "published", "made"}
)
_ENDS: Final = frozenset(
    {"deleted", "revoked", "removed", "closed", "retired", "withdrawn", "lifted", "ended"}
)


def event(act: Act, log: str) -> dict[str, Any]:
    """One event, ready for JSON. `log`: the log's name, of which `metadata.uid` is the position."""
    counted = act.number is not None
    denied = act.outcome == "denied"
    activity = _activity(act.tag)
    if counted:
        activity = _READ if act.outcome == "read" else _OTHER
    about = act.resources or [act.organization]
    return {
        "activity_id": activity,
        "activity_name": _NAMES[activity],
        "category_uid": _CATEGORY,
        "category_name": "Application Activity",
        "class_uid": _CLASS,
        "class_name": "API Activity",
        "type_uid": _CLASS * 100 + activity,
        "severity_id": _LOW if denied else _INFORMATIONAL,
        "status_id": _FAILURE if denied else _SUCCESS,
        "status_code": act.reason,
        "status_detail": act.why,
        "time": act.at_us // 1000,
        "start_time": act.since_us // 1000,
        "end_time": act.at_us // 1000,
        "count": act.calls,
        "actor": {"user": {"uid": act.actor, "type_id": 1}},
        "api": {"operation": act.tag, "service": {"name": "gpuaas"}},
        "src_endpoint": {"name": "not recorded"},
        "resources": [{"uid": one, "type": one.partition("-")[0]} for one in about],
        "metadata": {
            "version": VERSION,
            "uid": f"{act.from_position}-{act.place}" if counted else str(act.from_position),
            "log_name": log,
            "product": {"name": "GPUaaS", "vendor_name": "GPUaaS"},
            "tenant_uid": act.organization,
        },
        "unmapped": {
            "authority": act.authority,
            "outcome": act.outcome,
            "credential": act.credential,
            "fact": act.fact,
            "earlier": None if act.earlier is None else asdict(act.earlier),
        },
    }


def _activity(tag: str) -> int:
    word = tag.split(".")[-2].rpartition("_")[2]
    return _CREATE if word in _BEGINS else _DELETE if word in _ENDS else _UPDATE
