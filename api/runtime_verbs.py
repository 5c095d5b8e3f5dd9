"""`gpuaas list` and `gpuaas show RUNTIME`: runtimes as their owner reads them, over HTTP."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from api.calling import api_of
from api.node_verbs import items, plain, say

_HEAD = ("RUNTIME", "NAME", "STATE", "SINCE", "MODEL", "GPUS", "IDLE SINCE")


def listed(env: Mapping[str, str] = os.environ) -> int:
    """Prints every runtime, newest first. Raises: DomainError as `Api.get`."""
    say([_HEAD, *(_row(one) for one in items(api_of(env), "/v1/runtimes"))])
    return 0


def shown(runtime: str, env: Mapping[str, str] = os.environ) -> int:
    """Prints one runtime and what happens next. Raises: DomainError as `Api.get`."""
    found = api_of(env).get(f"/v1/runtimes/{quote(runtime, safe='')}")
    limit = found["idle_stop_after_s"]
    for name, text in (
        *zip(_HEAD, _row(found), strict=True),
        ("STOPPED", "never for being idle" if limit is None else f"when idle for {limit} s"),
        ("NODE", found["node"] or "-"),
        ("IMAGE", (found["config"] or {}).get("image", "-")),
        ("NETWORK", found["network"] or "-"),
        ("EGRESS", _egress(found["egress"])),
        ("SIMULATED", {True: "yes", False: "no", None: "-"}[found["simulated"]]),
        ("WHY", plain(found["why"]) or "-"),
        ("NEXT", plain(found["next"])),
    ):
        print(f"{name.lower():10} {text}")
    return 0


def _egress(counted: Mapping[str, Any] | None) -> str:
    """What passed by its network's policy, as its node counted it."""
    if counted is None:
        return "-"
    sent, received, at = counted["sent_bytes"], counted["received_bytes"], counted["counted_at"]
    return f"{sent} bytes sent, {received} received until {at} (the node's word; not priced)"


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(one["id"], plain(one["name"] or "-"), one["state"], one["since"] or "-"),
        *(one["model"] or "-", str(len(one["devices"])), one["idle_since"] or "-"),
    )
