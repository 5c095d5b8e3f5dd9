"""Nodes and runtimes: whose clock bills, which instants, and what is charged when.

contracts/facts.md ("Agents' words") for the instants, contracts/rating.md sections 2 and 3 for
the intervals and causes. Signatures are checked before (attest.py); here the attested body's boot
time is read again from its bytes and every billable instant computed anew.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import Charging, bounded
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

ATTESTED_KEYS = ["node", "key", "boot", "seq", "body", "sig"]


class Lives:
    """Runtimes until they end, and what of each node their billing needs.

    A runtime's item: account, project, milli, model, node, simulated, requested (position),
    previous (instant), lease (last renewal that named it), start and done of the open interval.
    """

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.node.enrolled.v1": self._enrolled,
            "gpuaas.node.anchored.v1": self._anchored,
            "gpuaas.node.lease_renewed.v1": self._lease_renewed,
            "gpuaas.runtime.requested.v1": self._requested,
            "gpuaas.runtime.allocated.v1": self._allocated,
            "gpuaas.runtime.usable.v1": self._usable,
            "gpuaas.runtime.degraded.v1": self._degraded,
            "gpuaas.runtime.stopped.v1": self._stopped,
            "gpuaas.runtime.failed.v1": self._failed,
            "gpuaas.runtime.lost.v1": self._lost,
            "gpuaas.runtime.cancelled.v1": self._cancelled,
            "gpuaas.period.closed.v1": self._period_closed,
        }

    # -- nodes ---------------------------------------------------------------------------

    def _node(self, position: int, node: str) -> Row:
        item: Row | None = self._spill.get("node", "", node)
        if item is None:
            raise Invalid("books.node", f"{node} is not enrolled", position=position, field="node")
        return item

    def _enrolled(self, _position: int, entry: Row, fact: Row) -> None:
        item = self._spill.get("node", "", entry["stream"]) or {"anchor": None}
        item |= {
            "simulated": fact["simulated"],
            "model": fact["model"],
            "gpus": [gpu["index"] for gpu in fact["gpus"]],
        }
        self._spill.put("node", "", entry["stream"], item)

    def _anchored(self, position: int, entry: Row, fact: Row) -> None:
        item = self._node(position, entry["stream"])
        boottime = _spoken(position, entry, fact, entry["stream"], fact["boot"])
        # Only the latest is kept: an agent's word counts under the boot of the latest anchor.
        item["anchor"] = [fact["boot"], boottime, fact["anchor_us"]]
        self._spill.put("node", "", entry["stream"], item)

    def _lease_renewed(self, position: int, entry: Row, fact: Row) -> None:
        for runtime in fact["runtimes"]:
            item = self._spill.get("runtime", "", runtime) if type(runtime) is str else None
            # One that ended while the renewal was under way has nothing left to bill.
            if item is not None and item.get("node") == entry["stream"]:
                item["lease"] = fact["renewed_us"]
                self._spill.put("runtime", "", runtime, item)
        self._node(position, entry["stream"])

    # -- runtimes ------------------------------------------------------------------------

    def _runtime(self, position: int, entry: Row) -> Row:
        item: Row | None = self._spill.get("runtime", "", entry["stream"])
        if item is None:
            raise Invalid(
                "books.lifecycle", f"{entry['stream']} does not exist or has ended",
                position=position, field="stream",
            )  # fmt: skip
        return item

    def _placed(self, position: int, entry: Row) -> Row:
        item = self._runtime(position, entry)
        if "node" not in item:
            raise Invalid("books.lifecycle", "not allocated", position=position, field="stream")
        return item

    def _requested(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("runtime", "", entry["stream"]) is not None or entry["version"] != 1:
            raise Invalid("books.lifecycle", "requested twice", position=position, field="stream")
        self._charging.own_account(position, fact["account"], entry["org"])
        if fact["gpu_milli"] < 1:
            raise Invalid("books.lifecycle", "of no size", position=position, field="gpu_milli")
        item = {
            "account": fact["account"],
            "project": fact["project"],
            "milli": fact["gpu_milli"],
            "devices": fact["devices"],
            "models": fact["models"],
            "requested": position,
            "start": None,
        }
        self._spill.put("runtime", "", entry["stream"], item)

    def _allocated(self, position: int, entry: Row, fact: Row) -> None:
        item = self._runtime(position, entry)
        if "node" in item:
            raise Invalid("books.lifecycle", "allocated twice", position=position, field="stream")
        node = self._node(position, fact["node"])
        _check_place(position, fact, item, node)
        del item["devices"], item["models"]
        item |= {
            "node": fact["node"],
            "model": fact["model"],
            "simulated": node["simulated"],
            "previous": fact["allocated_us"],
            "lease": None,
        }
        self._spill.put("runtime", "", entry["stream"], item)

    def _instant(self, position: int, entry: Row, fact: Row, item: Row, field: str) -> int:
        """The billable instant of an attested fact, which its field must say."""
        anchor = self._node(position, item["node"])["anchor"]
        if anchor is None:
            raise Invalid("books.instant", "its node has no anchor", position=position, field=field)
        boot, anchor_boottime, anchor_us = anchor
        boottime = _spoken(position, entry, fact, item["node"], boot)
        meant = anchor_us + (boottime - anchor_boottime)
        instant = max(min(max(meant, item["previous"]), fact["decided_us"]), item["previous"])
        if fact[field] != instant:
            raise Invalid(
                "books.instant", f"{field} is {fact[field]}, derived {instant}",
                position=position, field=field,
            )  # fmt: skip
        return bounded(instant, position, field)

    def _usable(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        instant = self._instant(position, entry, fact, item, "usable_us")
        item["previous"] = instant
        if item["start"] is None:
            item["start"] = item["done"] = instant
            self._spill.put("open", item["account"], f"{item['requested']:020d}", entry["stream"])
        self._spill.put("runtime", "", entry["stream"], item)

    def _degraded(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        instant = self._instant(position, entry, fact, item, "degraded_us")
        self._end_interval(position, entry["stream"], item, instant)
        item["previous"] = instant
        self._spill.put("runtime", "", entry["stream"], item)

    def _stopped(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        self._end(position, entry, item, self._instant(position, entry, fact, item, "stopped_us"))

    def _failed(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        self._end(position, entry, item, self._instant(position, entry, fact, item, "failed_us"))

    def _lost(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        lease = item["previous"] if item["lease"] is None else item["lease"]
        instant = max(lease, item["previous"])
        if fact["lost_us"] != instant:
            raise Invalid(
                "books.instant", f"lost_us is {fact['lost_us']}, derived {instant}",
                position=position, field="lost_us",
            )  # fmt: skip
        self._end(position, entry, item, instant)

    def _cancelled(self, position: int, entry: Row, _fact: Row) -> None:
        item = self._runtime(position, entry)
        if item["start"] is not None:
            raise Invalid("books.lifecycle", "cancelled in use", position=position, field="stream")
        self._spill.delete("runtime", "", entry["stream"])
        self._spill.drop("line", entry["stream"])

    def _end(self, position: int, entry: Row, item: Row, instant: int) -> None:
        self._end_interval(position, entry["stream"], item, instant)
        self._spill.delete("runtime", "", entry["stream"])
        self._spill.drop("line", entry["stream"])

    def _end_interval(self, position: int, stream: str, item: Row, end: int) -> None:
        if item["start"] is None:
            return
        start, done = item["start"], item["done"]
        if end > done:
            self._charging.charge(position, stream, item, done, end, 1)
        elif end < done:
            self._charging.charge(position, stream, item, max(end, start), done, -1)
        item["start"] = item["done"] = None
        self._spill.delete("open", item["account"], f"{item['requested']:020d}")

    def _period_closed(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.own_account(position, fact["account"], entry["org"])
        period = self._charging.period(position, fact["account"], entry["stream"])
        for field, right in (
            ("start_us", fact["start_us"] == period[1]),
            ("end_us", fact["end_us"] == period[2]),
            ("closed_us", period[3] is None),
        ):
            if not right:
                raise Invalid("books.period", "not what was opened", position=position, field=field)
        for _, stream in self._spill.scan("open", fact["account"]):
            item = self._spill.get("runtime", "", stream)
            if item["done"] < fact["end_us"]:
                self._charging.charge(position, stream, item, item["done"], fact["end_us"], 1)
                item["done"] = fact["end_us"]
                self._spill.put("runtime", "", stream, item)
        self._charging.set_closed(position, fact["account"], entry["stream"])


def _check_place(position: int, fact: Row, item: Row, node: Row) -> None:
    """What is allocated is what was asked for, and what will be billed, on devices the node has."""
    shares = fact["devices"]
    accepted = item["models"]
    for code, field, right in (
        ("books.size", "devices", sum(share["milli"] for share in shares) == item["milli"]),
        ("books.size", "devices", len(shares) == item["devices"]),
        ("books.model", "model", fact["model"] == node["model"]),
        ("books.model", "model", not accepted or fact["model"] in accepted),
        ("books.device", "devices", all(share["index"] in node["gpus"] for share in shares)),
    ):
        if not right:
            raise Invalid(code, "not as asked for, or not there", position=position, field=field)


def _spoken(position: int, entry: Row, fact: Row, node: str, boot: str) -> int:
    """The boot time in the attested bytes, said by this node in this boot about this entry."""
    attested = fact["attested"]
    if list(attested) != ATTESTED_KEYS or type(attested["body"]) is not str:
        raise Invalid("fact.malformed", "attested", position=position, field="attested")
    try:
        body = json.loads(base64.b64decode(attested["body"], validate=True))
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            "books.attested", "its body is not JSON", position=position, field="attested"
        ) from error
    said = body if isinstance(body, dict) else {}
    for name, value in (
        ("node", node),
        ("boot", boot),
        ("tag", entry["tag"]),
        ("stream", entry["stream"]),
        ("boottime_us", fact["boottime_us"]),
    ):
        if said.get(name) != value or type(said[name]) is not type(value):
            raise Invalid(
                "books.attested", f"its body's {name} is not that of the fact",
                position=position, field=name,
            )  # fmt: skip
    boottime: int = said["boottime_us"]
    return boottime
