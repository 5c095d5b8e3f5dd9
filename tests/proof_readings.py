"""What proofs of lines of readings hold, chosen and worked out by hand.

Beside the world of proof_world: an app of our project says tokens (sum), a peak, seats (last) and a
level (time-weighted); a neighbour's app speaks in the same seals; the node says what our runtime
and the neighbour's sent. Some is late for the period before, some of the period after, and two
hours of tokens are priced by another book.
"""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from contracts import usage
from contracts.usage import Reading, Reporter
from gpuaas_verify import strict
from gpuaas_verify.merkle import leaf_hash, nodes_of, root_hash, sparse_proof
from gpuaas_verify.source import frame
from tests import proof_world as pw
from tests.bundles import (
    ACCOUNT,
    HOUR_US,
    NODE,
    ORG,
    PERIOD,
    PICO,
    START_US,
    private,
    private_key,
    public_key,
    salted,
    tar_of,
    uid,
)
from tests.proof_world import EARLIER, NEIGHBOUR, NEIGHBOURS, PROJECT, RUNNING, World

CENT = PICO // 100
APP, THEIRS, ELSEWHERE = uid("source", 70), uid("source", 71), uid("project", 62)
APP_KEY, THEIR_KEY = private_key("app"), private_key("their app")
NEW_KEY = private_key("node, again")
USAGE, BOOK = uid("usage", 72), uid("pricebook", 6)
EARLY_US = START_US - 100 * HOUR_US
# A project that was another account's until its source was registered, and is again.
MOVER, MOVERS_APP, BEFORE = uid("project", 76), uid("source", 77), uid("account", 118)
DEPARTMENTS = (uid("department", 119), uid("department", 120))
METERS = {
    "tok": "sum", "peak": "max", "seat": "last", "level": "time-weighted", "egress": "sum",
    "far": "sum",
}  # fmt: skip
NAMED = {"tok": "zone", "far": "region"}  # dimensions beside the model
HERE, AWAY = "eu-de-1", "us-va-1"  # where the node stands; what our app names
# Price: its meter, cents, divisor, hour from which it applies; its region where it has one.
PRICES: dict[str, tuple[Any, ...]] = {
    "tok1": ("tok", 1, 1, -100),
    "tok2": ("tok", 2, 1, 10),
    "peak1": ("peak", 5, 1, -100),
    "seat1": ("seat", 7, 1, -100),
    "level1": ("level", 3, HOUR_US, -100),
    "egress1": ("egress", 1, 10, -100, HERE),
    "far1": ("far", 4, 1, -100, AWAY),
}
ELSEWHERES: dict[str, tuple[Any, ...]] = {
    "egress0": ("egress", 9, 10, -100),
    "far0": ("far", 9, 1, -100),
}  # price nothing here
MOVED = ("mover", "mover moved", MOVERS_APP, "mover's seal")
SEALS = ("first seal", "late seal", "node's seal", "last seal")

type Row = dict[str, Any]
type Said = tuple[str, tuple[Reading, ...]]


class Read:
    """`shared`: in seals with others' readings."""

    def __init__(self, *, shared: bool = True) -> None:
        self.shared = shared
        self.apps: dict[str, Reporter] = {}

    def before(self, made: World) -> None:
        log, at = made.log, made.at
        fact: dict[str, Any] = {"organization": NEIGHBOUR, "department": uid("department", 73)}
        fact |= {"account": pw.NEIGHBOURS_ACCOUNT, "name": private("n"), "created_us": START_US}
        at["elsewhere"] = log.add(ELSEWHERE, "project.created", fact, org=NEIGHBOUR)
        for number, (name, aggregation) in enumerate(METERS.items()):
            said: dict[str, Any] = {"meter": name, "unit": "u"}
            if name == "egress":
                said |= {"source": "readings", "aggregation": aggregation}
                at[f"{name} meter"] = log.add(
                    uid("meter", 74), "meter.registered", {**said, "registered_us": START_US}
                )
                continue
            dimensions = ["model", *([NAMED[name]] if name in NAMED else [])]
            said |= {"divisor": 1, "aggregation": aggregation, "dimensions": dimensions}
            at[f"{name} meter"] = log.add(
                uid("meter", 75 + number), "meter.registered", {**said, "registered_us": START_US}
            )
            log.drafts[-1]["tag"] = "gpuaas.meter.registered.v2"
        at["stands"] = log.add(NODE, "node.region_set", {"region": HERE, "decided_us": START_US})
        for name, (meter, cents, divisor, hour, *region) in (PRICES | ELSEWHERES).items():
            fact = {"account": "default", "meter": meter, "model": "m"}
            fact |= {"region": region[0] if region else "-"}
            fact |= {"state": "read", "currency": "USD"}
            fact |= {"effective_from_us": START_US + hour * HOUR_US, "published_us": EARLY_US}
            fact |= {"price_pico": cents * CENT, "divisor": divisor}
            at[name] = log.add(BOOK, "price.entry_published", fact)
        for source, org, project, key in (
            (APP, ORG, PROJECT, APP_KEY),
            (THEIRS, NEIGHBOUR, ELSEWHERE, THEIR_KEY),
        ):
            fact = {"organization": org, "project": project, "key": public_key(key).hex()}
            fact |= {"meters": [*METERS], "registered_us": START_US}
            at[source] = log.add(source, "source.registered", fact, org=org)
            self.apps[source] = Reporter(key, source, 1)
        self.mover(made)
        self.apps[NODE] = Reporter(NEW_KEY, NODE, 1 << 23)
        first = (self.ours("tok", -10, 7), self.ours("tok", -5, 4))
        at["first seal"] = sealed(made, [(APP, first)], self.apps)

    def mover(self, made: World) -> None:
        """It comes to us, its source is registered, it goes back."""
        log, at = made.log, made.at
        fact: dict[str, Any] = {
            "organization": ORG,
            "currency": "USD",
            "minor_digits": 2,
            **pw.ZONE,
        }
        log.add(BEFORE, "account.opened", {**fact, "opened_us": EARLY_US}, org=ORG)
        for department in DEPARTMENTS:
            fact = {"organization": ORG, "name": private("d"), "created_us": EARLY_US}
            log.add(department, "department.created", fact, org=ORG)
        fact = {"organization": ORG, "department": DEPARTMENTS[0], "account": BEFORE}
        fact |= {"name": private("m"), "created_us": EARLY_US}
        at["mover"] = log.add(MOVER, "project.created", fact, org=ORG)
        self.moves(made, "mover moved", 1, ACCOUNT)
        fact = {"organization": ORG, "project": MOVER, "key": public_key(APP_KEY).hex()}
        fact |= {"meters": ["tok"], "registered_us": START_US}
        at[MOVERS_APP] = log.add(MOVERS_APP, "source.registered", fact, org=ORG)
        self.apps[MOVERS_APP] = Reporter(APP_KEY, MOVERS_APP, 1)
        self.moves(made, "mover moved back", 0, BEFORE)

    def moves(self, made: World, name: str, department: int, account: str) -> None:
        to, moved_us = DEPARTMENTS[department], EARLY_US + 2 - department
        fact = {"department": to, "account": account, "moved_us": moved_us}
        made.at[name] = made.log.add(MOVER, "project.moved", fact, org=ORG)
        fact = {"project": MOVER, "department": to, "decided_us": moved_us}
        quota, cause = ORG.replace("organization", "quota"), made.log.drafts[-1]["cause"]
        made.log.add(quota, "quota.moved", fact, org=ORG, cause=cause)

    def ours(self, meter: str, hour: int, quantity: int, to: int | None = None) -> Reading:
        return told(meter, PROJECT, hour, quantity, to)

    def after(self, made: World) -> None:
        at, apps = made.at, self.apps
        theirs = told("tok", ELSEWHERE, -3, 41), told("tok", ELSEWHERE, -2, 42)
        late = (self.ours("tok", -3, 5), self.ours("tok", 2, 10), self.ours("tok", 20, 6))
        at["late seal"] = self.beside(made, (THEIRS, theirs), (APP, late))
        sent = [
            told("egress", of, hour, quantity)
            for of, hour, quantity in (
                *((RUNNING, 3, 100), (NEIGHBOURS, -3, 43), (RUNNING, 4, 50)),
                (NEIGHBOURS, -2, 44),
            )
        ]
        again = {**made.log.drafts[at["node"]]["fact"], "key": public_key(NEW_KEY).hex()}
        at["enrolled again"] = made.log.add(NODE, "node.enrolled", again)
        sent = [one for one in sent if self.shared or one.resource == RUNNING]
        at["node's seal"] = sealed(made, [(NODE, tuple(sent))], apps)
        ours = (
            *(self.ours("peak", 5, 9), self.ours("peak", 6, 4)),
            *(self.ours("seat", 5, 3, 6), self.ours("seat", 7, 2, 8)),
            *(self.ours("level", 98, 2, 102), self.ours("tok", 150, 8), self.ours("tok", 30, 1)),
            self.ours("far", 8, 5),
        )
        at["last seal"] = self.beside(made, (THEIRS, theirs), (APP, ours))
        said = (told("tok", MOVER, 5, 3),)
        at["mover's seal"] = sealed(made, [(MOVERS_APP, said)], apps)
        fact: dict[str, Any] = {"book": "less", "edition": 1, "account": "default", "meter": "tok"}
        fact |= {"model": "m", "region": "-", "state": "read", "currency": "USD"}
        fact |= {"effective_from_us": EARLY_US, "published_us": EARLY_US, "divisor": 1, "free": 0}
        fact |= {"tiers": [{"up_to": None, "price_pico": CENT}], "minimum_pico": 0}
        at["less"] = made.log.add(BOOK, "price.entry_published", fact)
        made.log.drafts[-1]["tag"] = "gpuaas.price.entry_published.v2"
        edition = {"book": "less", "edition": 1, "entries": 1, "published_us": START_US}
        at["less edition"] = made.log.add(BOOK, "price.book_published", edition)
        fact = {"account": ACCOUNT, "book": "less", "edition": 1}
        fact |= {"from_us": START_US + 15 * HOUR_US, "until_us": START_US + 25 * HOUR_US}
        fact |= {"decided_us": START_US + 50 * HOUR_US}
        at["tok rerated"] = made.log.add(BOOK, "price.rerating_decided", fact)
        made.log.drafts[-1]["tag"] = "gpuaas.price.rerating_decided.v2"

    def beside(self, made: World, theirs: Said, ours: Said) -> int:
        """The seal of ours."""
        if self.shared:
            return sealed(made, [theirs, ours], self.apps)
        sealed(made, [theirs], self.apps)
        return sealed(made, [ours], self.apps)

    def lines(self, made: World) -> list[tuple[Any, ...]]:
        """By hand: 6 of the tokens of hour 20 cost 1 cent instead of 2."""
        at = made.at
        told = (
            ("tok", "tok1", EARLIER, 5, 5),
            ("tok", "tok1", PERIOD, 10, 10),
            ("tok", "tok2", PERIOD, 1, 2),
            ("tok", "less", PERIOD, 6, 6),
            ("peak", "peak1", PERIOD, 9, 45),
            ("seat", "seat1", PERIOD, 2, 14),
            ("level", "level1", PERIOD, 4 * HOUR_US, 12),
            ("egress", "egress1", PERIOD, 150, 15),
            ("far", "far1", PERIOD, 5, 20),
        )
        lines = [
            (PROJECT, f"{meter}:m", at[price], period, quantity, cents * CENT)
            for meter, price, period, quantity, cents in told
        ]
        lines.append((MOVER, "tok:m", at["tok1"], PERIOD, 3, 3 * CENT))
        return sorted([*made.lines, *lines])


def told(meter: str, resource: str, hour: int, quantity: int, to: int | None = None) -> Reading:
    """Of an instant, or of the time from one hour to another."""
    dimensions = {"model": "m"} | {
        "tok": {"zone": "a"}, "far": {"region": AWAY}
    }.get(meter, {})  # fmt: skip
    ends = START_US + (hour if to is None else to) * HOUR_US
    return Reading(meter, resource, dimensions, START_US + hour * HOUR_US, ends, quantity)


def sealed(made: World, said: list[Said], apps: dict[str, Reporter]) -> int:
    """The position of the seal of these batches, in their order."""
    log, rows = made.log, list[bytes]()
    seals = [one for one in log.drafts if one["stream"] == USAGE]
    first = sum(one["fact"]["count"] for one in seals)
    for source, readings in said:
        batch = apps[source].batch(readings)
        for number, one in enumerate(batch.readings, batch.first):
            last = number == batch.last
            row = {"row": first + len(rows), "source": source, "epoch": batch.epoch}
            row |= {"sequence": number, "meter": one.meter, "resource": one.resource}
            row |= {"dimensions": ",".join(f"{k}={v}" for k, v in sorted(one.dimensions.items()))}
            row |= {"from_us": one.from_us, "to_us": one.to_us, "quantity": one.quantity}
            row |= {"chain": batch.chain if last else "", "sig": batch.sig if last else ""}
            rows.append(salted(row))
    log.rows[f"bulk/reading/{first}"] = rows
    fact: dict[str, Any] = {"table": "reading", "first_row": first, "count": len(rows)}
    fact |= {"root": root_hash(map(leaf_hash, rows)).hex()}
    fact |= {"prev_seal": seals[-1]["position"] if seals else None}
    fact |= {"quantity_sum": sum(json.loads(row)["quantity"] for row in rows)}
    return log.add(USAGE, "usage.batch_sealed", fact)


def read(edit: Any = None, *, shared: bool = True, **more: Any) -> World:
    return pw.world(edit, extra=Read(shared=shared), **more)


def rows_of(made: World) -> list[tuple[int, bytes, Row]]:
    """(first row of its seal, bytes, decoded) of every row of readings."""
    seals = sorted(
        (int(name.rpartition("/")[2]), rows)
        for name, rows in made.log.rows.items()
        if name.startswith("bulk/reading/")
    )
    return [(first, raw, json.loads(raw)) for first, rows in seals for raw in rows]


def of_lines(*skus: tuple[str, str]) -> Callable[[Row], bool]:
    """Which rows are ours and of these (meter, period)."""

    def shown(row: Row) -> bool:
        hour = (row["from_us"] - START_US) // HOUR_US
        period = EARLIER if hour < 0 else PERIOD if hour < 100 else pw.NEXT
        return row["resource"] in {PROJECT, RUNNING} and (row["meter"], period) in skus

    return shown


OURS = of_lines(("tok", EARLIER), *((meter, PERIOD) for meter in METERS))


def every(row: Row) -> bool:
    """What the whole invoice's proof shows."""
    return row["resource"] == MOVER or OURS(row)


def read_members(made: World, shown: Callable[[Row], bool]) -> dict[str, bytes]:
    """The rows, and what shows where they are."""
    rows = rows_of(made)
    hashes = list[bytes]()
    for first in sorted({first for first, _, row in rows if shown(row)}):
        batch = [(raw, row) for at, raw, row in rows if at == first]
        places = [place for place, (_, row) in enumerate(batch) if shown(row)]
        leaves = [leaf_hash(raw) for raw, _ in batch]
        hashes += sparse_proof(places, len(batch), nodes_of(leaves))
    links, digests = linked([row for _, _, row in rows], shown)
    return {
        "readings": frame([raw for _, raw, row in rows if shown(row)]),
        "readings.hashes": b"".join(hashes),
        "readings.links": frame([strict.encode(link) for link in links]),
        "readings.digests": b"".join(digests),
    }


def linked(rows: list[Row], shown: Callable[[Row], bool]) -> tuple[list[Row], list[bytes]]:
    """The links, in the order of the first rows shown, and digests in the order of their use."""
    links, digests = list[Row](), list[bytes]()
    names = dict.fromkeys((row["source"], row["epoch"]) for row in rows if shown(row))
    used = dict[int, bytes]()
    for source, epoch in names:
        chain = [row for row in rows if (row["source"], row["epoch"]) == (source, epoch)]
        places = [place for place, row in enumerate(chain) if shown(row)]
        end = next(at for at in range(places[-1], len(chain)) if chain[at]["sig"])
        head = usage.beginning(source, epoch)
        for row in chain[: places[0]]:
            head = usage.linked(head, payload(row))
        span = chain[places[0] : end + 1]
        links.append({
            "source": source, "epoch": epoch, "sequence": span[0]["sequence"],
            "chain": head.hex(), "shown": len(places), "hidden": len(span) - len(places),
            "sig": chain[end]["sig"],
        })  # fmt: skip
        later = [row for row in span if shown(row)]
        for row in span:
            if not shown(row):
                after = [one for one in later if one["sequence"] > row["sequence"]]
                # Used with the next row that is shown, or with the last one.
                at = (after[0] if after else later[-1])["row"] * 1000 + row["sequence"]
                used[at] = sha256(payload(row)).digest()
    digests += [used[at] for at in sorted(used)]
    return links, digests


def payload(row: Row) -> bytes:
    dimensions = dict(part.split("=") for part in row["dimensions"].split(","))
    names = ("meter", "resource", "from_us", "to_us", "quantity")
    said: dict[str, Any] = {name: row[name] for name in names}
    return usage.payload(Reading(**said, dimensions=dimensions))


def chosen(made: World) -> list[int]:
    """What the whole invoice's proof holds."""
    names = (
        *PRICES,
        *SEALS,
        *MOVED,
        APP,
        "less",
        "less edition",
        "tok rerated",
        "enrolled again",
        "stands",
    )
    meters = [f"{meter} meter" for meter in METERS]
    return sorted({*pw.chosen(made), *(made.at[name] for name in (*names, *meters))})


LINES: dict[str, tuple[tuple[str, str], str, Callable[[Row], bool], tuple[str, ...]]] = {
    "late": (("tok1", EARLIER), "tok", of_lines(("tok", EARLIER)), ("tok1", "first seal", "late seal", APP)),
    "moved": (
        ("less", PERIOD), "tok", of_lines(("tok", PERIOD)),
        ("tok1", "tok2", "less", "less edition", "tok rerated", "late seal", "last seal", APP),
    ),
    "level": (("level1", PERIOD), "level", of_lines(("level", PERIOD)), ("level1", "last seal", APP)),
    "egress": (
        ("egress1", PERIOD), "egress", of_lines(("egress", PERIOD)),
        ("egress1", "node's seal", "enrolled again", "node", "node anchor", "default", "own", "stands"),
    ),
    "far": (("far1", PERIOD), "far", of_lines(("far", PERIOD)), ("far1", "last seal", APP)),
}  # fmt: skip


def number_of(made: World, name: str) -> int:
    price, period = LINES[name][0]
    return next(n for n, line in enumerate(made.lines) if line[2:4] == (made.at[price], period))


def of_line(made: World, name: str) -> list[int]:
    """What the proof of the line holds."""
    _, meter, _, names = LINES[name]
    names = (
        *names,
        "account",
        PROJECT,
        "earlier",
        "first",
        "shut",
        "closed",
        "invoice",
        "file",
        "counted",
    )
    runtimes = [RUNNING] if name == "egress" else []
    of = [draft["position"] for draft in made.log.drafts if draft["stream"] in runtimes]
    if name == "egress":
        of.append(made.at["next"])
    return sorted({0, made.at[f"{meter} meter"], *(made.at[one] for one in names), *of})


def members(
    made: World, positions: list[int] | None = None, name: str | None = None,
    shown: Callable[[Row], bool] | None = None,
) -> dict[str, bytes]:  # fmt: skip
    if positions is None:
        positions = chosen(made) if name is None else of_line(made, name)
    if shown is None:
        shown = every if name is None else LINES[name][2]
    number = None if name is None else number_of(made, name)
    return {**pw.members(made, positions, number), **read_members(made, shown)}


def proof(made: World, positions: list[int] | None = None, name: str | None = None) -> bytes:
    """The whole invoice's, or a line's."""
    return tar_of(members(made, positions, name))


def links_of(found: dict[str, bytes]) -> Iterator[Row]:
    raw = found["readings.links"]
    while raw:
        size = int.from_bytes(raw[:2], "big")
        yield json.loads(raw[2 : 2 + size])
        raw = raw[2 + size :]
