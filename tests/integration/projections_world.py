"""A small platform written straight into the log: one organization, nodes, and runtimes' lives."""

import base64
import hashlib
import json
from collections.abc import Iterator

from domain import (
    account,
    department,
    meter,
    node,
    node_facts,
    organization,
    period,
    pricebook,
    project,
    quota,
    runtime,
    volume,
)
from domain import log as log_facts
from domain.words import Attested, Gpu, Private, Share
from evidence.ids import new_id
from evidence.log import Append, Write, private_value
from projections.months import period_id

HOUR_US = 3_600_000_000
T0 = 1_700_000_000_000_000
PRICE_PICO = 3_490_000_000_000
DIVISOR = 3_600_000_000_000
ACTOR = "user-test"


def command() -> str:
    return "cmd:" + hashlib.sha256(new_id("command").encode()).hexdigest()


def attested(node_id: str, tag: str = "", stream: str = "", boottime_us: int = 0) -> Attested:
    """A node's word with a body that says what the fact says; nobody checks the signature here."""
    body = {
        "format": "gpuaas-attest/1", "node": node_id, "boot": "0" * 32, "seq": 1,
        "tag": f"gpuaas.{tag}.v1", "stream": stream, "boottime_us": boottime_us, "said": {},
    }  # fmt: skip
    said = base64.b64encode(json.dumps(body, separators=(",", ":")).encode()).decode()
    return Attested(node_id, "0" * 64, "0" * 32, 1, said, "c2ln" * 22)


class World:
    """Ids of what the appends make; `opening()` comes first, then any `life(...)`."""

    def __init__(self, nodes: int = 1, period_us: int = 1000 * HOUR_US) -> None:
        self.org = new_id("organization")
        self.department = new_id("department")
        self.project = new_id("project")
        self.account = new_id("account")
        self.quota = quota.quota_stream(self.org)
        self.period = period_id(self.account, 1)
        self.next_period = period_id(self.account, 2)
        self.nodes = [new_id("node") for _ in range(nodes)]
        self.node_versions = dict.fromkeys(self.nodes, 3)
        self.quota_version = 0
        self.period_us = period_us

    def opening(self) -> Append:
        """Everything that must be there before a runtime can be."""
        org, private = private_value(self.org, "Acme é\\x")
        opened = account.Opened(self.org, "USD", 2, "Europe/Berlin", "2025b", T0)
        end = T0 + self.period_us
        writes = [
            Write(new_id("log"), "-", 0, (log_facts.Opened("gpuaas-log/1", "o/1", "v"),)),
            Write(self.org, self.org, 0, (organization.Created(org, T0),)),
            Write(self.department, self.org, 0, (department.Created(self.org, org, T0),)),
            Write(self.account, self.org, 0, (opened,)),
            Write(
                self.project, self.org, 0,
                (project.Created(self.org, self.department, self.account, org, T0),),
            ),
            Write(self.quota, self.org, 0, (quota.LimitSet(self.project, "*", 64_000, T0),)),
            Write(self.period, self.org, 0, (period.Opened(
                self.account, 1, T0, end, "Europe/Berlin", "2025b", T0),)),
            Write(self.next_period, self.org, 0, (period.Opened(
                self.account, 2, end, end + self.period_us, "Europe/Berlin", "2025b", T0),)),
            Write(new_id("pricebook"), "-", 0, (pricebook.EntryPublished(
                "default", "gpu.time", "T4", "-", "usable", "USD", T0, T0, PRICE_PICO, DIVISOR),)),
        ]  # fmt: skip
        self.quota_version = 1
        for node_id in self.nodes:
            gpus = tuple(Gpu(i, f"GPU-{i}") for i in range(8))
            writes.append(Write(node_id, "-", 0, (
                node.Invited(org, "T4", "0" * 64, T0, T0),
                node.Enrolled("0" * 64, "T4", True, gpus, "serial", T0),
                node.Anchored("0" * 32, 0, T0, attested(node_id, "node.anchored", node_id)),
            )))  # fmt: skip
        return Append(tuple(writes), ACTOR, command(), private=(private,))

    def life(self, node_id: str, start_us: int, end_us: int | None) -> Iterator[Append]:
        """Admission, start, use and (with `end_us`) stop of a runtime on half a device."""
        rid = new_id("runtime")
        allocation = new_id("allocation")
        shares = (Share(0, 500),)
        name = Private(hashlib.sha256(rid.encode()).hexdigest())
        yield self._append([
            (rid, self.org, 0, (
                runtime.Requested(
                    self.project, self.department, self.account, name, 1, 500, ("T4",), start_us),
                runtime.Allocated(allocation, node_id, "T4", shares, 1, start_us))),
            (self.quota, self.org, self.quota_version, (
                quota.Committed(rid, self.department, self.project, "T4", 500, start_us),)),
            (node_id, "-", self.node_versions[node_id], (
                node.Allocated(allocation, rid, self.org, shares, 1, start_us),)),
        ])  # fmt: skip
        self.quota_version += 1
        self.node_versions[node_id] += 1
        begun, ended = start_us - T0, (end_us or start_us) - T0
        yield self._append([(rid, self.org, 2, (runtime.Starting(1, start_us),))])
        yield self._append([(rid, self.org, 3, (
            runtime.Usable(
                begun, start_us, start_us, attested(node_id, "runtime.usable", rid, begun)),))])  # fmt: skip
        if end_us is None:
            return
        yield self._append([(rid, self.org, 4, (runtime.Stopping("asked", end_us),))])
        yield self._append([
            (rid, self.org, 5, (runtime.Stopped(
                ended, end_us, end_us, attested(node_id, "runtime.stopped", rid, ended)),)),
            (self.quota, self.org, self.quota_version, (quota.Released(rid, end_us),)),
            (node_id, "-", self.node_versions[node_id], (
                node.Released(allocation, rid, end_us),)),
        ])  # fmt: skip
        self.quota_version += 1
        self.node_versions[node_id] += 1

    def metering(self) -> Append:
        """The meter of storage is registered, and 3 pico is the price of a MiB-us."""
        return self._append([
            (new_id("meter"), "-", 0, (
                meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", T0),)),
            (new_id("pricebook"), "-", 0, (pricebook.EntryPublished(
                "default", "storage.capacity", "local", "-", "existing", "USD", T0, T0, 3, 1),)),
        ])  # fmt: skip

    def stands(self, node_id: str, region: str) -> Append:
        """The node in a region, from now on."""
        version = self.node_versions[node_id]
        self.node_versions[node_id] += 1
        return self._append([(node_id, "-", version, (node_facts.RegionSet(region, T0),))])

    def stored(self, node_id: str, size_mib: int, larger_mib: int, at: int) -> Append:
        """A volume made at `at`, grown an hour later, wiped an hour after that."""
        vid = new_id("volume")
        name = Private(hashlib.sha256(vid.encode()).hexdigest())
        begun, grown, gone = at, at + HOUR_US, at + 2 * HOUR_US

        def word(what: str, instant: int) -> Attested:
            return attested(node_id, f"volume.{what}", vid, instant - T0)

        return self._append([(vid, self.org, 0, (
            volume.Created(
                *(self.project, self.department, self.account, node_id, name, size_mib, at)),
            volume.Formatted(
                *(0, "ext4_loop", size_mib * volume.MIB, begun - T0, begun, begun),
                word("formatted", begun)),
            volume.GrowRequested(larger_mib, grown),
            volume.Grown(0, larger_mib, grown - T0, grown, grown, word("grown", grown)),
            volume.WipeRequested(gone),
            volume.Wiped(
                *(0, "zero", larger_mib * volume.MIB, 1, gone - T0, gone, gone),
                word("wiped", gone)),
            volume.Deleted(gone),
        ))])  # fmt: skip

    def close(self) -> Append:
        end = T0 + self.period_us
        closed = period.Closed(self.account, T0, end, end)
        return self._append([(self.period, self.org, 1, (closed,))])

    def _append(self, writes: list[tuple[str, str, int, tuple[object, ...]]]) -> Append:
        return Append(tuple(Write(*write) for write in writes), ACTOR, command())  # type: ignore[arg-type]
