"""A small log with an invoice, and its proofs, chosen and put together by hand.

Two organizations share a node. Ours is charged for a runtime that stopped, one whose loss its
node's renewal shows, one whose renewal names a neighbour, one that ran on past the period's end
and a volume that grew; one that had stopped before the period is corrected in it. What each costs
is worked out below, not derived.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, Protocol

from gpuaas_verify import strict
from gpuaas_verify.books_invoice import invoice_bytes
from gpuaas_verify.merkle import leaf_hash, nodes_of, sparse_proof
from gpuaas_verify.source import frame
from tests.bundles import (
    ACCOUNT,
    BOOT,
    HOUR_US,
    NODE,
    NODE_KEY,
    ORG,
    PERIOD,
    PICO,
    START_US,
    LogDraft,
    attested,
    opened,
    private,
    public_key,
    signed_note,
    tar_of,
    uid,
)

FAR, PROJECT, OTHER_PROJECT = uid("node", 40), uid("project", 41), uid("project", 42)
NEIGHBOUR, NEIGHBOURS_ACCOUNT = uid("organization", 43), uid("account", 44)
NEIGHBOURS = uid("runtime", 45)
BRIEF, ALONE, BESIDE, RUNNING = (uid("runtime", number) for number in range(50, 54))
IDLE, LATE, VOLUME = uid("runtime", 54), uid("runtime", 64), uid("volume", 55)
EARLIER, NEXT = uid("period", 63), uid("period", 56)
INVOICE, FILES = uid("invoice", 57), uid("files", 58)
SELLER, EVER = uid("seller", 80), -62_135_596_800_000_000
NUMBER, FILE = "INV-000001", "invoice-inv-000001.json"
END_US = START_US + 100 * HOUR_US
GIB_HOUR = 1024 * HOUR_US
ZONE = {"zone": "Etc/UTC", "tzdata": "2025b"}


class Extra(Protocol):
    """What else happens in the world, before and after the lives told here, and what it makes of
    the lines.
    """

    def before(self, made: "World") -> None: ...

    def after(self, made: "World") -> None: ...

    def lines(self, made: "World") -> list[tuple[Any, ...]]: ...


@dataclass
class World:
    """The log, and the names of its positions."""

    log: LogDraft
    at: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[Any, ...]] = field(default_factory=list)
    simulated: bool = True
    taxed: bool = False
    named: bool = False  # its file names who had not told all


def world(
    edit: Callable[[World], object] | None = None, *, simulated: bool = True, taxed: bool = False,
    extra: Extra | None = None,
) -> World:  # fmt: skip
    """The right one; `edit` comes before the invoice is made of it. `taxed`: it has a seller."""
    if extra is not None:
        made = _lived(simulated, taxed, extra)
    else:
        made = pickle.loads(_plain(simulated, taxed))  # noqa: S301 - our own
    if edit is not None:
        edit(made)
    _closed(made)
    if extra is not None:
        made.lines = extra.lines(made)
    finish(made)
    _rebooted(made)
    made.at["beat"] = made.log.add(uid("log", 0), "log.heartbeat", {})
    return made


@cache
def _plain(simulated: bool, taxed: bool) -> bytes:
    """Made once: hundreds of cases each change a copy."""
    return pickle.dumps(_lived(simulated, taxed, None))


def _lived(simulated: bool, taxed: bool, extra: Extra | None) -> World:
    """All that comes before the invoice."""
    made = World(opened(), {"opened": 0}, simulated=simulated, taxed=taxed)
    people(made)
    prices(made)
    nodes(made)
    if extra is not None:
        extra.before(made)
    _lives(made)
    if extra is not None:
        extra.after(made)
    if taxed:
        sold(made)
    return made


def people(made: World) -> None:
    """Two organizations' accounts, our projects and everybody's periods."""
    log, at = made.log, made.at
    for org, account, name in (
        (ORG, ACCOUNT, "account"),
        (NEIGHBOUR, NEIGHBOURS_ACCOUNT, "neighbour"),
    ):
        fact = {"organization": org, "currency": "USD", "minor_digits": 2, **ZONE}
        at[name] = log.add(account, "account.opened", {**fact, "opened_us": START_US}, org=org)
    for project in (PROJECT, OTHER_PROJECT):
        fact = {"organization": ORG, "department": uid("department", 8), "account": ACCOUNT}
        fact |= {"name": private("p"), "created_us": START_US}
        at[project] = log.add(project, "project.created", fact, org=ORG)
    for name, period, account, org, number in (
        ("earlier", EARLIER, ACCOUNT, ORG, 1),
        ("first", PERIOD, ACCOUNT, ORG, 2),
        ("next", NEXT, ACCOUNT, ORG, 3),
        ("theirs", uid("period", 59), NEIGHBOURS_ACCOUNT, NEIGHBOUR, 1),
    ):
        start = START_US + (number - 2) * 100 * HOUR_US
        fact = {"account": account, "sequence": number, "start_us": start}
        fact |= {"end_us": start + 100 * HOUR_US, **ZONE, "opened_us": START_US}
        at[name] = log.add(period, "period.opened", fact, org=org)


def prices(made: World) -> None:
    """Prices of both, and two meters."""
    for name, account, model, pico, hour in (
        ("default", "default", "T4", 3 * PICO, 0),
        ("own", ACCOUNT, "T4", 2 * PICO, 10),
        ("foreign", NEIGHBOURS_ACCOUNT, "T4", PICO, 0),
        ("other", "default", "A100", 9 * PICO, 0),
        ("storage", "default", "local", PICO // 100, 0),
        ("old", "default", "T4", 4 * PICO, -100),
    ):
        storage = model == "local"
        fact: dict[str, Any] = {
            "account": account,
            "meter": "storage.capacity" if storage else "gpu.time",
        }
        fact |= {"model": model, "region": "-", "state": "existing" if storage else "usable"}
        fact |= {"currency": "USD", "effective_from_us": START_US + hour * HOUR_US}
        fact |= {"published_us": START_US + min(hour, 0) * HOUR_US, "price_pico": pico}
        fact |= {"divisor": GIB_HOUR if storage else 1000 * HOUR_US}
        made.at[name] = made.log.add(uid("pricebook", 6), "price.entry_published", fact)
    fact = {"meter": "storage.capacity", "unit": "MiB-us", "source": "lifecycle"}
    fact |= {"aggregation": "sum", "registered_us": START_US}
    made.at["meter"] = made.log.add(uid("meter", 60), "meter.registered", fact)
    fact = {**fact, "meter": "tokens", "unit": "token"}
    made.at["tokens"] = made.log.add(uid("meter", 61), "meter.registered", fact)


def nodes(made: World) -> None:
    """Two, anchored."""
    log, at = made.log, made.at
    for name, node, real in (("node", NODE, True), ("far", FAR, False)):
        fact: dict[str, Any] = {"key": public_key(NODE_KEY).hex(), "model": "T4"}
        fact |= {
            "simulated": real and made.simulated,
            "gpus": [{"index": n, "uuid": f"GPU-{n}"} for n in range(8)],
        }
        fact |= {"serial": "s", "enrolled_us": START_US}
        at[name] = log.add(node, "node.enrolled", fact)
        anchor = {"boot": BOOT, "boottime_us": 0, "anchor_us": START_US}
        at[f"{name} anchor"] = log.spoken(node, "node.anchored", anchor, node=node)


def requested(
    made: World, runtime: str, project: str, account: str = ACCOUNT, org: str = ORG, hour: int = 0,
    *, node: str = NODE, model: str = "T4", milli: int = 500,
) -> None:  # fmt: skip
    """Asked for and allocated on the node so many hours after START_US."""
    now_us = START_US + hour * HOUR_US
    fact: dict[str, Any] = {"project": project, "department": uid("department", 8)}
    fact |= {"account": account, "name": private("r"), "devices": 1, "gpu_milli": milli}
    fact |= {"models": [model], "requested_us": now_us}
    made.at[f"{runtime} requested"] = made.log.add(runtime, "runtime.requested", fact, org=org)
    place: dict[str, Any] = {"allocation": uid("allocation", 9), "node": node, "model": model}
    place |= {"devices": [{"index": 0, "milli": milli}], "epoch": 1, "allocated_us": now_us}
    made.at[f"{runtime} allocated"] = made.log.add(runtime, "runtime.allocated", place, org=org)


def said(made: World, stream: str, what: str, hours: int, *, node: str = NODE, **more: Any) -> int:
    """What the node says of the stream so many hours after START_US."""
    kind = stream.partition("-")[0]
    instant = START_US + hours * HOUR_US
    fact = {**more, "boottime_us": hours * HOUR_US, f"{what}_us": instant, "decided_us": instant}
    position = made.log.spoken(stream, f"{kind}.{what}", fact, more, node=node)
    made.at[f"{stream} {what}"] = position
    return position


def renewed(made: World, runtimes: list[str], hours: int) -> int:
    """The node's renewal that names them."""
    instant = START_US + hours * HOUR_US
    fact = {"runtimes": runtimes, "boottime_us": hours * HOUR_US, "renewed_us": instant}
    fact["until_us"] = instant + 1
    said: dict[str, Any] = {"runtimes": runtimes}
    return made.log.spoken(NODE, "node.lease_renewed", fact, said)


def lost(made: World, runtime: str, hours: int) -> int:
    """Its node was gone since."""
    fact = {"lost_us": START_US + hours * HOUR_US, "decided_us": START_US + 90 * HOUR_US}
    made.at[f"{runtime} lost"] = made.log.add(runtime, "runtime.lost", fact, org=ORG)
    return made.at[f"{runtime} lost"]


def _corrected(made: World) -> None:
    """Charged up to the end of the earlier period when that was closed, and stopped before it, as
    was told later.
    """
    requested(made, LATE, OTHER_PROJECT, hour=-20)
    said(made, LATE, "usable", -10)
    shut(made)
    said(made, LATE, "stopped", -4)


def shut(made: World) -> None:
    """The earlier period is closed."""
    fact = {"account": ACCOUNT, "start_us": START_US - 100 * HOUR_US, "end_us": START_US}
    fact |= {"closed_us": START_US}
    made.at["shut"] = made.log.add(EARLIER, "period.closed", fact, org=ORG)


def _lives(made: World) -> None:
    log, at = made.log, made.at
    _corrected(made)
    for runtime in (BRIEF, ALONE, BESIDE, RUNNING, IDLE):
        requested(made, runtime, OTHER_PROJECT if runtime == BRIEF else PROJECT)
    requested(made, NEIGHBOURS, uid("project", 62), NEIGHBOURS_ACCOUNT, NEIGHBOUR)
    fact: dict[str, Any] = {
        "project": PROJECT,
        "department": uid("department", 8),
        "account": ACCOUNT,
    }
    fact |= {"node": NODE, "name": private("v"), "size_mib": 1024, "created_us": START_US}
    at["volume"] = log.add(VOLUME, "volume.created", fact, org=ORG)
    said(made, VOLUME, "formatted", 1, command=1, method="ext4_loop", bytes=1024 << 20)
    for runtime in (BRIEF, ALONE, BESIDE, RUNNING):
        said(made, runtime, "usable", 2)
    at["renewed alone"] = renewed(made, [ALONE, BRIEF], 4)
    said(made, BRIEF, "stopped", 6)
    at["renewed beside"] = renewed(made, [BESIDE, NEIGHBOURS], 8)
    lost(made, ALONE, 4)
    lost(made, BESIDE, 8)
    said(made, VOLUME, "grown", 51, command=2, size_mib=2048)
    said(made, RUNNING, "degraded", 12)
    said(made, RUNNING, "usable", 90)
    said(made, RUNNING, "degraded", 104)


def sold(made: World) -> None:
    """A seller of Germany, our account its buyer there: 19 % from ever, storage 7 %; others' 0."""
    log, at = made.log, made.at
    fact: dict[str, Any] = {"party": private("s"), "country": "DE", "prefix": "INV"}
    fact |= {"terms_days": 14, "registered_us": START_US}
    for name, seller, prefix in (("seller", SELLER, "INV"), ("rival", uid("seller", 81), "E")):
        at[name] = log.add(seller, "seller.registered", {**fact, "prefix": prefix})
    for name, country, meter, points, from_us in (
        ("rate", "DE", "*", 1900, EVER), ("less", "DE", "storage.capacity", 700, START_US),
        ("abroad", "FR", "*", 2000, EVER),
    ):  # fmt: skip
        said: dict[str, Any] = {
            "treatment": "standard",
            "country": country,
            "meter": meter,
            "category": "S",
        }
        said |= {"rate_bp": points, "reason": "", "effective_from_us": from_us}
        at[name] = log.add(SELLER, "seller.rate_set", {**said, "decided_us": START_US})
    buyer = {"seller": SELLER, "party": private("b"), "country": "DE", "treatment": "standard"}
    at["taxed"] = log.add(ACCOUNT, "account.taxed", {**buyer, "decided_us": START_US}, org=ORG)
    silent(made)


def silent(made: World, *more: str) -> None:
    """The period is closed without the far node."""
    fact = {"sources": [FAR, *more], "decided_us": END_US}
    made.at["silent"] = made.log.add(PERIOD, "period.sources_missing", fact, org=ORG)


def named(made: World) -> None:
    """Likewise, and the file of an invoice without a seller says so."""
    silent(made)
    made.named = True


def _closed(made: World) -> None:
    log, at = made.log, made.at
    fact: dict[str, Any] = {"account": ACCOUNT, "start_us": START_US, "end_us": END_US}
    at["closed"] = log.add(PERIOD, "period.closed", {**fact, "closed_us": END_US}, org=ORG)
    half = 500 * HOUR_US
    # BRIEF 4 h, ALONE 2 h, BESIDE 6 h, RUNNING 8 h before and 2 + 10 h after the own price.
    made.lines = [
        (PROJECT, "gpu.time:T4", at["default"], PERIOD, 16 * half, 24 * PICO),
        (PROJECT, "gpu.time:T4", at["own"], PERIOD, 12 * half, 12 * PICO),
        (PROJECT, "storage.capacity:local", at["storage"], PERIOD, 148 * GIB_HOUR, 148 * PICO // 100),
        (OTHER_PROJECT, "gpu.time:T4", at["default"], PERIOD, 4 * half, 6 * PICO),
        (OTHER_PROJECT, "gpu.time:T4", at["old"], EARLIER, -4 * half, -8 * PICO),
    ]  # fmt: skip


def _rebooted(made: World) -> None:
    """The node's next boot, in which RUNNING is stopped: no proof of the invoice holds its anchor."""
    log, boot, now_us = made.log, "b1" * 16, START_US + 105 * HOUR_US
    for stream, what, fact in (
        (NODE, "node.anchored", {"boot": boot, "boottime_us": 7, "anchor_us": now_us}),
        (
            RUNNING,
            "runtime.stopped",
            {"boottime_us": 7, "stopped_us": now_us, "decided_us": now_us},
        ),
    ):
        log.seq += 1
        words = attested(stream, f"gpuaas.{what}.v1", 7, {}, seq=log.seq, boot=boot)
        org = "-" if stream == NODE else ORG
        made.at[what] = log.add(stream, what, {**fact, "attested": words}, org=org)


def head(made: World) -> dict[str, Any]:
    """What stands in the invoice's file before its lines."""
    named = {"missing": [FAR]} if made.named else {}
    return {
        "format": f"gpuaas-invoice/{3 if made.named else 1}", "number": NUMBER, "organization": ORG, "account": ACCOUNT,
        "period": PERIOD, "start_us": START_US, "end_us": END_US, "currency": "USD",
        "minor_digits": 2, "simulated": made.simulated, **named,
    }  # fmt: skip


def finish(made: World, data: bytes | None = None, **changes: Any) -> None:
    """The invoice, its file, and what its account counts, in one append."""
    total = sum(line[5] for line in made.lines)
    minor = total // (PICO // 100)
    totals = {"total_pico": total, "total_minor": minor}
    if made.taxed:
        totals = taxed_totals(made)
    if data is None and made.taxed:
        data = strict.encode(taxed_file(made))
    elif data is None:
        data = invoice_bytes(head(made), made.lines, minor, PICO // 100)
    made.log.files[FILE] = data
    cause = "cmd:" + "1f" * 32
    fact = {
        "number": NUMBER, "account": ACCOUNT, **({"seller": SELLER} if made.taxed else {}),
        "period": PERIOD, "currency": "USD", "minor_digits": 2, **totals,
        "line_count": len(made.lines), "file": FILE, "sha256": sha256(data).hexdigest(),
        "closed": made.at["closed"], "finalized_us": END_US,
    }  # fmt: skip
    fact |= changes
    made.at["invoice"] = made.log.add(INVOICE, "invoice.finalized", fact, org=ORG, cause=cause)
    if made.taxed:
        made.log.drafts[-1]["tag"] = "gpuaas.invoice.finalized.v2"
    made.at["file"] = made.log.seal_file(FILE, data)
    made.log.drafts[-1] |= {"stream": FILES, "version": 1, "cause": cause}
    counted = {"invoice": INVOICE, "sequence": 1 + made.at.get("before", 0)}
    if made.taxed:
        made.at["counted"] = made.log.add(SELLER, "seller.invoiced", counted, cause=cause)
    else:
        made.at["counted"] = made.log.add(
            ACCOUNT, "account.invoiced", counted, org=ORG, cause=cause
        )


def taxed_totals(made: World) -> dict[str, int]:
    """By hand: 34.00 at 19 % and 1.48 at 7 %."""
    total = sum(line[5] for line in made.lines)
    return {"total_pico": total, "net_minor": 3548, "tax_minor": 656, "total_minor": 4204}


def taxed_file(made: World) -> dict[str, Any]:
    """Likewise, all of it."""
    before, after = dict(list(head(made).items())[:4]), dict(list(head(made).items())[4:])
    names = ("project", "sku", "price", "service_period")
    lines = []
    for *key, quantity, amount in made.lines:
        points = 700 if key[1].startswith("storage") else 1900
        rate = {"category": "S", "rate_bp": points, "reason": ""}
        said = {"quantity": quantity, "amount_pico": amount, "shown_minor": amount * 100 // PICO}
        lines.append({**dict(zip(names, key, strict=True)), **rate, **said})
    totals = taxed_totals(made)
    return {
        **before, "format": "gpuaas-invoice/2",
        "seller": {"seller": SELLER, "party": private("s")["private"], "country": "DE",
                   "terms_days": 14},
        "buyer": {"party": private("b")["private"], "country": "DE", "treatment": "standard"},
        **after, "missing": [FAR], "lines": lines,
        "taxes": [
            {"category": "S", "rate_bp": points, "reason": "", "base_pico": minor * PICO // 100,
             "base_minor": minor, "tax_minor": tax}
            for points, minor, tax in ((700, 148, 10), (1900, 3400, 646))
        ],
        "total_pico": totals["total_pico"], "rounding_pico": 0, "net_minor": totals["net_minor"],
        "tax_minor": totals["tax_minor"], "total_minor": totals["total_minor"],
    }  # fmt: skip


def chosen(made: World) -> list[int]:
    """What the whole invoice's proof holds, by name."""
    names = (
        *("account", PROJECT, OTHER_PROJECT, "earlier", "first", "next", "shut"),
        *("default", "own", "storage", "old"),
        *("meter", "node", "node anchor", "renewed alone", "closed", "invoice", "file", "counted"),
    )
    resources = {BRIEF, ALONE, BESIDE, RUNNING, LATE, VOLUME}
    of = [d["position"] for d in made.log.drafts if d["stream"] in resources]
    return sorted({0, *(made.at[name] for name in (*names, *_tax(made))), *of})


def _tax(made: World) -> tuple[str, ...]:
    return ("seller", "rate", "less", "taxed", "silent") if made.taxed else _silent(made)


def _silent(made: World) -> tuple[str, ...]:
    return ("silent",) if made.named else ()


def of_line(made: World, line: int = 3) -> list[int]:
    """What the proof of one of the last two lines holds: BRIEF's runtime alone, or LATE's."""
    runtime, price = (BRIEF, "default") if line == 3 else (LATE, "old")
    names = (
        *("account", OTHER_PROJECT, "earlier", "first", "shut", price, "node", "node anchor"),
        *("closed", "invoice", "file", "counted"),
    )
    of = [d["position"] for d in made.log.drafts if d["stream"] == runtime]
    return sorted({0, *(made.at[name] for name in (*names, *_tax(made))), *of})


def members(
    made: World, positions: list[int] | None = None, line: int | None = None
) -> dict[str, bytes]:
    """A proof of what was chosen, its hashes those of the log."""
    if positions is None:
        positions = chosen(made) if line is None else of_line(made, line)
    entries = made.log.entries()
    leaves = [leaf_hash(entry) for entry in entries]
    hashes = sparse_proof(positions, len(leaves), nodes_of(leaves))
    said: dict[str, Any] = {"format": "gpuaas-invoice-proof/2", "number": NUMBER, "line": line}
    return {
        "checkpoint": signed_note(leaves, len(leaves)),
        "entries": frame([entries[at] for at in positions]),
        "hashes": b"".join(hashes),
        "invoice.json": made.log.files[FILE],
        "leaves": b"".join(leaves[at] for at in positions),
        "proof.json": strict.encode(said),
    }


def proof(made: World, positions: list[int] | None = None, line: int | None = None) -> bytes:
    return tar_of(members(made, positions, line))
