"""A history of money facts, as stored: what both sets of books are fed.

Everything is decided here by hand (instants by the sentence in facts.md, invoices by whoever asks),
so that neither the platform's books nor the auditor's are used to make their own input.
"""

import base64
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from msgspec import Struct

from domain import (
    account,
    department,
    invoice,
    meter,
    moving,
    node,
    period,
    price_facts,
    pricebook,
    quota,
    runtime,
    sealing,
    volume,
)
from domain.facts import encode_fact, tag_of
from domain.price_facts import Tier
from domain.project import Created as ProjectCreated
from domain.project import Moved as ProjectMoved
from domain.words import Attested, Gpu, Private, Share
from gpuaas_verify.books import Books

HOUR_US = 3_600_000_000
PER_GPU_HOUR = 3_600_000_000_000  # milli-GPU-us in a GPU-hour
STORAGE = ("storage.capacity", "local", "existing")  # meter, model, state
MIB = volume.MIB
PLATFORM = (
    *("log-", "node-", "pricebook-", "ledger-", "rating-", "files-", "seller-", "suspense-"),
)
ORG = "organization-00000000-0000-7000-8000-000000000000"


def stream(kind: str, number: int) -> str:
    """A well-formed stream id that repeats from run to run."""
    return f"{kind}-{uuid.UUID(int=(7 << 76) | (2 << 62) | number)}"


@dataclass
class Live:
    """What the history must know of a runtime to say its next instant."""

    node: str
    previous: int
    lease: int | None = None


@dataclass
class Kept:
    """Likewise of a volume; `size` in MiB."""

    node: str
    previous: int
    size: int
    made: bool = False

    def instant(self, at: int, decided: int) -> int:
        """The instant facts.md gives a word about `at`, logged at `decided`."""
        return max(self.previous, min(at, decided))


@dataclass
class History:
    """Facts in order, each with its stream and the envelope's cause."""

    facts: list[tuple[str, str, Struct]] = field(default_factory=list)
    live: dict[str, Live] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    anchors: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # node -> its last anchor or renewal
    seq: int = 0
    orgs: dict[str, str] = field(default_factory=dict)  # of streams that are not ORG's
    places: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)  # of projects
    _versions: Counter[str] = field(default_factory=Counter)  # of the first `_counted` facts
    _counted: int = 0

    def add(self, stream_id: str, fact: Struct, cause: str | None = None) -> int:
        """The position of the fact."""
        position = len(self.facts)
        self.facts.append((stream_id, cause or f"cmd:{position:064x}", fact))
        return position

    def place(self, project_id: str, account_id: str, at: int | None = None) -> tuple[str, str]:
        """Department and account of what begins in the project; `at`: where it was then."""
        known = self.places.get(project_id, [(0, stream("department", 1), account_id)])
        then = [one for one in known if at is None or one[0] <= at]
        return (then or known)[-1][1:]

    def move(self, project_id: str, to_department: int, account_id: str, at: int) -> int | None:
        """The project in another place, and its quota with it; None when it is there already."""
        to = (stream("department", to_department), account_id)
        if project_id not in self.places:
            for number in (1, 2, 3):
                made = department.Created(ORG, Private("0" * 64), 0)
                if (where := stream("department", number)) not in self.orgs:
                    self.orgs[where] = ORG
                    self.add(where, made)
            first = (stream("department", 1), account_id)
            self.add(project_id, ProjectCreated(ORG, *first, Private("0" * 64), 0))
            self.places[project_id] = [(0, *first)]
        since, *is_at = self.places[project_id][-1]
        if tuple(is_at) == to:
            return None
        at = max(at, since + 1)
        cause = f"cmd:{len(self.facts):064x}"
        self.places[project_id].append((at, *to))
        position = self.add(project_id, ProjectMoved(*to, at), cause)
        self.add(quota.quota_stream(ORG), moving.Moved(project_id, to[0], at), cause)
        return position

    def entry(self, position: int) -> dict[str, Any]:
        """The decoded envelope, as the verifier has it (hashes aside)."""
        stream_id, cause, fact = self.facts[position]
        return {
            "position": position,
            "stream": stream_id,
            "version": self._version(position, stream_id),
            "tag": tag_of(fact),
            "org": self.orgs.get(stream_id, "-" if stream_id.startswith(PLATFORM) else ORG),
            "cause": cause,
            "fact": json.loads(encode_fact(fact)),
        }

    def _version(self, position: int, stream_id: str) -> int:
        """Counted on where facts are asked for one after the other."""
        if position != self._counted or not position:
            before = (other for other, _, _ in self.facts[:position])
            self._versions = Counter(before)
        self._versions[stream_id] += 1
        self._counted = position + 1
        return self._versions[stream_id]

    def attested(self, node_id: str, tag: str, stream_id: str, boottime: int) -> Attested:
        """The node's word; the signature is another check's."""
        boot = self.anchors[node_id][0]
        self.seq += 1
        body = {
            "format": "gpuaas-attest/1",
            "node": node_id,
            "boot": boot,
            "seq": self.seq,
            "tag": tag,
            "stream": stream_id,
            "boottime_us": boottime,
            "said": {},
        }
        text = base64.b64encode(json.dumps(body, separators=(",", ":")).encode()).decode()
        return Attested(node_id, "0" * 64, boot, self.seq, text, "")

    def node(self, number: int, model: str, *, simulated: bool = True) -> str:
        """An enrolled node, anchored at 0 of its boot = instant 0."""
        node_id = stream("node", number)
        gpus = tuple(Gpu(index, f"GPU-{index}") for index in range(8))
        self.add(node_id, node.Enrolled("0" * 64, model, simulated, gpus, "1", 0))
        self.anchor(node_id, 1, 0, 0)
        return node_id

    def anchor(self, node_id: str, boot: int, boottime: int, at: int) -> None:
        """A boot of the node, whose clock said `boottime` at `at`."""
        self.anchors[node_id] = (f"{boot:032x}", boottime, at)
        self.seen[node_id] = max(at, self.seen.get(node_id, 0))
        said = self.attested(node_id, "gpuaas.node.anchored.v1", node_id, boottime)
        self.add(node_id, node.Anchored(f"{boot:032x}", boottime, at, said))

    def account(self, number: int, currency: str = "USD", digits: int = 2) -> str:
        """A billing account without periods."""
        account_id = stream("account", number)
        self.add(account_id, account.Opened(ORG, currency, digits, "UTC", "2025b", 0))
        return account_id

    def period(self, account_id: str, number: int, sequence: int, start: int, end: int) -> str:
        """A period of the account."""
        period_id = stream("period", number)
        self.add(period_id, period.Opened(account_id, sequence, start, end, "UTC", "2025b", 0))
        return period_id

    def price(
        self, pico: int, effective: int, *, model: str = "T4", whose: str = "default",
        published: int = 0, divisor: int = PER_GPU_HOUR, currency: str = "USD", region: str = "-",
    ) -> int:  # fmt: skip
        """A price entry's position; of storage for its one model."""
        of = STORAGE if model == STORAGE[1] else ("gpu.time", model, "usable")
        return self.add(
            stream("pricebook", 1),
            pricebook.EntryPublished(
                whose, *of[:2], region, of[2], currency, effective, published, pico, divisor
            ),
        )

    def shaped(
        self, tiers: tuple[Tier, ...], effective: int, *, free: int = 0, minimum: int = 0,
        model: str = "T4", whose: str = "default", published: int = 0, divisor: int = PER_GPU_HOUR,
        currency: str = "USD", named: tuple[str, int] = ("-", 0), region: str = "-",
    ) -> int:  # fmt: skip
        """The position of an entry of tiers, of the list or of an edition of a book."""
        of = STORAGE if model == STORAGE[1] else ("gpu.time", model, "usable")
        entry = price_facts.ShapedEntry(
            *(*named, whose, *of[:2], region, of[2], currency, effective, published, divisor),
            *(free, tiers, minimum),
        )
        return self.add(stream("pricebook", 1), entry)

    def book(self, name: str, edition: int, entries: int) -> int:
        """The edition is whole."""
        said = price_facts.BookPublished(name, edition, entries, 0)
        return self.add(stream("pricebook", 1), said)

    def commitment(
        self, account_id: str, start: int, end: int, quantity: int, pico: int, *,
        model: str = "T4", divisor: int = PER_GPU_HOUR, decided: int = 0, region: str = "-",
    ) -> int:  # fmt: skip
        """The account commits itself."""
        of = STORAGE if model == STORAGE[1] else ("gpu.time", model, "usable")
        said = price_facts.CommitmentMade(
            *(account_id, *of[:2], region, of[2], "USD", start, end, quantity, pico, divisor),
            decided,
        )
        return self.add(stream("pricebook", 1), said)

    def rerate(
        self, account_id: str, book: str, edition: int, start: int, end: int, *, first: bool = False
    ) -> int:
        """Its use in that range is priced by the edition; `first`: as earlier releases decided."""
        kind = price_facts.ReratingDecided if first else price_facts.Rerated
        said = kind(account_id, book, edition, start, end, 0)
        return self.add(stream("pricebook", 1), said)

    def metered(
        self, name: str = STORAGE[0], unit: str = "MiB-us", source: str = "lifecycle"
    ) -> int:
        """The meter is registered."""
        registered = meter.Registered(name, unit, source, "sum", 0)
        return self.add(stream("meter", len(self.facts)), registered)

    def volume(
        self, number: int, account_id: str, node_id: str, at: int, *, size: int = 64,
        project: int = 1,
    ) -> str:  # fmt: skip
        """A volume, created."""
        volume_id = stream("volume", number)
        of = stream("project", project)
        names = (of, *self.place(of, account_id), node_id)
        self.add(volume_id, volume.Created(*names, Private("0" * 64), size, at))
        self.kept[volume_id] = Kept(node_id, at, size)
        return volume_id

    def formatted(self, volume_id: str, at: int, decided: int | None = None) -> int:
        """Its node says that it made it, at boot time `at` of a boot anchored at 0."""
        kept, said = self.kept[volume_id], self._volume_word(volume_id, "formatted", at)
        decided = at if decided is None else decided
        kept.previous, kept.made = kept.instant(at, decided), True
        fact = volume.Formatted(0, "ext4_loop", kept.size * MIB, at, kept.previous, decided, said)
        return self.add(volume_id, fact)

    def grown(self, volume_id: str, size: int, at: int, decided: int | None = None) -> int:
        """Likewise, that it has that many MiB."""
        kept, said = self.kept[volume_id], self._volume_word(volume_id, "grown", at)
        decided = at if decided is None else decided
        kept.previous, kept.size = kept.instant(at, decided), size
        return self.add(volume_id, volume.Grown(0, size, at, kept.previous, decided, said))

    def wiped(self, volume_id: str, at: int, decided: int | None = None) -> int:
        """Likewise, that it is no more."""
        said, kept = self._volume_word(volume_id, "wiped", at), self.kept.pop(volume_id)
        decided = at if decided is None else decided
        end = kept.instant(at, decided)
        fact = volume.Wiped(0, "zero", kept.size * MIB, 1, at, end, decided, said)
        position = self.add(volume_id, fact)
        self.add(volume_id, volume.Deleted(decided), self.facts[-1][1])
        return position

    def volume_lost(self, volume_id: str, decided: int) -> int:
        """The volume is given up: it ends with the last that its node said."""
        kept = self.kept.pop(volume_id)
        end = max(kept.previous, self.seen.get(kept.node, 0))
        return self.add(volume_id, volume.Lost(end, decided))

    def _volume_word(self, volume_id: str, what: str, at: int) -> Attested:
        node_id = self.kept[volume_id].node
        return self.attested(node_id, f"gpuaas.volume.{what}.v1", volume_id, at)

    def start(
        self, number: int, account_id: str, node_id: str, at: int, *, milli: int = 1000,
        project: int = 1, model: str = "T4",
    ) -> str:  # fmt: skip
        """A runtime, requested and allocated."""
        runtime_id = stream("runtime", number)
        project_id = stream("project", project)
        size = max(1, -(-milli // 1000))
        requested = runtime.Requested(
            *(project_id, *self.place(project_id, account_id), Private("0" * 64)),
            *(size, milli, (), at),
        )
        self.add(runtime_id, requested)
        shares = tuple(Share(n, min(milli - 1000 * n, 1000)) for n in range(size))
        allocation = stream("allocation", number)
        self.add(runtime_id, runtime.Allocated(allocation, node_id, model, shares, 1, at))
        self.live[runtime_id] = Live(node_id, at)
        return runtime_id

    def say(self, what: type[Struct], runtime_id: str, at: int, decided: int | None = None) -> int:
        """An attested fact of the runtime at boot time `at`; the instant facts.md gives it."""
        live = self.live[runtime_id]
        _, anchor_boottime, anchor_us = self.anchors[live.node]
        decided = at if decided is None else decided
        meant = anchor_us + at - anchor_boottime
        instant = max(live.previous, min(max(meant, live.previous), decided))
        names = what.__struct_fields__
        tag = str(what.__struct_config__.tag)
        values = {
            "boottime_us": at,
            names[names.index("boottime_us") + 1]: instant,
            "decided_us": decided,
            "attested": self.attested(live.node, tag, runtime_id, at),
        }
        if "code" in names:
            values["code"] = "agent.failed"
        if what in {runtime.Usable, runtime.Degraded}:
            live.previous = instant
        else:
            del self.live[runtime_id]
        return self.add(runtime_id, what(**values))

    def lease(self, node_id: str, runtimes: list[str], at: int) -> int:
        """A renewal that names the runtimes."""
        for runtime_id in runtimes:
            if runtime_id in self.live and self.live[runtime_id].node == node_id:
                self.live[runtime_id].lease = at
        self.seen[node_id] = max(at, self.seen.get(node_id, 0))
        said = self.attested(node_id, "gpuaas.node.lease_renewed.v1", node_id, at)
        return self.add(node_id, node.LeaseRenewed(tuple(runtimes), at, at, at + 1, said))

    def lose(self, runtime_id: str, decided: int) -> int:
        """The runtime's node is gone: it ends at its last renewal."""
        live = self.live.pop(runtime_id)
        lost = max(live.previous, live.previous if live.lease is None else live.lease)
        return self.add(runtime_id, runtime.Lost(lost, decided))

    def close(self, account_id: str, period_id: str, start: int, end: int) -> int:
        """The period is closed; its position."""
        return self.add(period_id, period.Closed(account_id, start, end, end))

    def invoice(
        self, number: int, account_id: str, period_id: str, closed: int, data: bytes,
        totals: tuple[int, int, int], sequence: int = 1,
    ) -> int:  # fmt: skip
        """The finalized invoice with its file, in one append; totals = pico, minor, lines."""
        pico, minor, count = totals
        name, digest = f"invoice-inv-{number}.json", sha256(data).hexdigest()
        cause = f"cmd:{len(self.facts):064x}"
        position = self.add(
            stream("invoice", number),
            invoice.Finalized(
                f"INV-{number}", account_id, period_id, "USD", 2, pico, minor, count,
                name, digest, closed, 0,
            ),
            cause,
        )  # fmt: skip
        sealed = sealing.FileSealed(name, digest, len(data), 0, None)
        self.add(stream("files", 1), sealed, cause)
        self.add(account_id, account.Invoiced(stream("invoice", number), sequence), cause)
        return position

    def feed(self, books: Books, first: int = 0) -> None:
        """Every entry from `first` on."""
        for position in range(first, len(self.facts)):
            books.feed(position, self.entry(position))
