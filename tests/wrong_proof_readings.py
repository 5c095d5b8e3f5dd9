"""Proofs of lines of readings that are wrong in one thing only, as in wrong_proofs."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from gpuaas_verify import strict
from gpuaas_verify.merkle import leaf_hash, root_hash
from gpuaas_verify.source import frame, framed
from tests import proof_readings as pr
from tests import proof_world as pw
from tests.bundles import ACCOUNT, NODE, ORG, tar_of
from tests.proof_world import NEIGHBOURS, OTHER_PROJECT, PROJECT, World
from tests.wrong_proofs import Change, Edit, Select, WrongProof, at, fact, nothing, with_, without

type Row = dict[str, Any]
type Shown = Callable[[Row], bool]

TABLE: dict[str, Any] = {"table": "reading"}


def reading_cases() -> Iterator[WrongProof]:
    made = pr.read()
    yield WrongProof("readings", "valid", {}, pr.proof(made))
    for name in pr.LINES:
        yield WrongProof(f"the line {name}", "valid", {}, pr.proof(made, name=name))
    empty = dict.fromkeys(pr.read_members(made, lambda _row: False), b"")
    yield WrongProof("readings of none", "proof.needless", {"member": "readings"},
                     tar_of({**pw.members(pw.world()), **empty}))  # fmt: skip
    yield from _of_rows()
    yield from _of_seals()
    yield from _of_links()
    yield from _of_sources()


def changed(
    name: str, code: str, change: Change, *, line: str | None = None, **place: Any
) -> WrongProof:
    found = pr.members(pr.read(), name=line)
    change(found)
    return WrongProof(name, code, place, tar_of(found))


def logged(
    name: str, code: str, edit: Edit = nothing, *, line: str | None = None,
    select: Select | None = None, shown: Shown | None = None, **place: Any,
) -> WrongProof:  # fmt: skip
    made = pr.read()
    edit(made)
    positions = pr.chosen(made) if line is None else pr.of_line(made, line)
    if select is not None:
        select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    data = tar_of(pr.members(made, sorted(positions), line, shown))
    return WrongProof(name, code, found, data)


def also(row: int, shown: Shown = pr.every) -> Shown:
    return lambda said: said["row"] == row or shown(said)


def but(row: int, shown: Shown = pr.every) -> Shown:
    return lambda said: said["row"] != row and shown(said)


def items(member: str, change: Callable[[list[bytes]], object]) -> Change:
    def act(found: dict[str, bytes]) -> None:
        held = list(framed(iter((found[member],)), "", ""))
        change(held)
        found[member] = frame(held)

    return act


def longer(member: str, data: bytes) -> Change:
    return lambda found: found.__setitem__(member, found[member] + data)


def less(member: str) -> Change:
    return lambda found: found.pop(member)


def shorter(member: str, by: int) -> Change:
    return lambda found: found.__setitem__(member, found[member][:-by])


def link(number: int, **changes: Any) -> Change:
    """The link says otherwise."""

    def act(held: list[bytes]) -> None:
        held[number] = strict.encode({**json.loads(held[number]), **changes})

    return items("readings.links", act)


def resealed(row: int, **changes: Any) -> Edit:
    """The row is another, and its seal is of it."""

    def edit(made: World) -> None:
        for draft in made.log.drafts:
            if not draft["tag"].startswith("gpuaas.usage.batch_sealed"):
                continue
            first = draft["fact"]["first_row"]
            rows = made.log.rows[f"bulk/reading/{first}"]
            if first <= row < first + len(rows):
                rows[row - first] = strict.encode({**json.loads(rows[row - first]), **changes})
                draft["fact"]["root"] = root_hash(map(leaf_hash, rows)).hex()

    return edit


def row_of(source: str, sequence: int) -> int:
    """The number of the row."""
    return next(
        int(row["row"]) for _, _, row in pr.rows_of(pr.read())
        if (row["source"], row["sequence"]) == (source, sequence)
    )  # fmt: skip


def _of_rows() -> Iterator[WrongProof]:
    swapped = items("readings", lambda held: held.insert(0, held.pop(1)))
    yield changed("two rows swapped", "proof.order", swapped, row=0, **TABLE)
    repeated = items("readings", lambda held: held.insert(0, held[0]))
    yield changed("a row twice", "proof.order", repeated, row=0, **TABLE)
    yield changed(
        "no row", "row.malformed", items("readings", lambda held: held.insert(0, b"x")), **TABLE
    )
    cut = shorter("readings", 1)
    yield changed("a row cut off", "entries.malformed", cut, member="readings")
    for member in ("readings", "readings.links", "readings.hashes", "readings.digests"):
        yield changed(f"no {member}", "proof.missing", less(member), member=member)
    later = row_of(pr.APP, 11)
    yield logged("a row of another period", "proof.needless", shown=also(later), row=later, **TABLE)
    peak = row_of(pr.APP, 6)
    moved = pr.LINES["moved"][2]
    yield logged("a row of another meter", "proof.needless", line="moved", shown=also(peak, moved),
                 select=with_("peak meter"), row=peak, **TABLE)  # fmt: skip
    theirs = next(
        row["row"] for _, _, row in pr.rows_of(pr.read()) if row["resource"] == NEIGHBOURS
    )
    yield logged("a neighbour's row", "proof.foreign", shown=also(theirs), row=theirs, field="resource",
                 **TABLE)  # fmt: skip
    yield logged("a row withheld", "proof.line", shown=but(row_of(pr.APP, 12)), table="lines", row=10,
                 field="price")  # fmt: skip
    yield logged("where the node stood, withheld", "rating.no_price", line="egress",
                 select=without("stands"), position=at("node's seal"))  # fmt: skip
    yield logged("an entry that prices nothing there", "proof.needless", line="far", select=with_("far0"),
                 position=at("far0"))  # fmt: skip
    elsewhere = fact(PROJECT, account=pw.NEIGHBOURS_ACCOUNT)
    yield logged("of a project of another account", "proof.foreign", elsewhere, row=0, field="resource",
                 **TABLE)  # fmt: skip


def _of_seals() -> Iterator[WrongProof]:
    yield logged("a seal without a row", "proof.needless", line="late", select=with_("last seal"),
                 position=at("last seal"))  # fmt: skip
    yield logged("rows of a seal that is not here", "proof.missing", select=without("first seal"), row=0,
                 **TABLE)  # fmt: skip
    yield logged("rows behind every seal", "proof.missing", line="level", select=without("last seal"),
                 row=row_of(pr.APP, 10), **TABLE)  # fmt: skip
    dearer = items(
        "readings",
        lambda held: held.__setitem__(0, held[0].replace(b'"quantity":7', b'"quantity":6')),
    )
    where: dict[str, Any] = {"position": pr.read().at["first seal"], "field": "root"}
    yield changed("a row of another quantity", "seal.root", dearer, **where)
    for member in ("readings.hashes", "readings.digests"):
        half = longer(member, b"x")
        yield changed(f"half a hash of {member}", "proof.hashes", half, member=member)
        yield changed(
            f"more hashes of {member}", "proof.hashes", longer(member, bytes(32)), member=member
        )
    yield changed(
        "fewer hashes", "proof.hashes", shorter("readings.hashes", 32), member="readings.hashes"
    )

    def early(made: World) -> None:
        made.log.drafts[made.at["invoice"]]["fact"]["closed"] = made.at["late seal"]

    yield logged("a seal after the close", "proof.needless", early, line="level", position=at("last seal"),
                 field="position")  # fmt: skip


def _of_links() -> Iterator[WrongProof]:
    member = "readings.links"
    none = items(member, list.clear)
    yield changed("no link", "proof.links", none, row=0, **TABLE)
    another = items(member, lambda held: held.append(held[0]))
    yield changed("one more link", "proof.links", another, member=member)
    swapped = items(member, lambda held: held.insert(0, held.pop(1)))
    yield changed("links in another order", "proof.links", swapped, row=0, **TABLE)
    yield changed(
        "no JSON", "proof.links", items(member, lambda held: held.insert(0, b"x")), member=member
    )
    for name, said in (("more", 1), ("epoch", "1"), ("chain", "x" * 64)):
        yield changed(
            f"a link of another {name}", "proof.links", link(0, **{name: said}), member=member
        )
    first = row_of(pr.APP, 10)
    yield changed("another chain before", "books.signed", link(0, chain="0" * 64), line="level", row=first,
                  field="sig", **TABLE)  # fmt: skip
    yield changed("another signature", "books.signed", link(0, sig="AA=="), line="level", row=first,
                  field="sig", **TABLE)  # fmt: skip

    def earlier(found: dict[str, bytes]) -> None:
        """From one reading before."""
        every = pr.read_members(pr.read(), lambda row: row["row"] in {first - 1, first})
        mine = next(pr.links_of(every))
        link(0, sequence=mine["sequence"], chain=mine["chain"], hidden=3)(found)
        raw = next(raw for _, raw, row in pr.rows_of(pr.read()) if row["row"] == first - 1)
        before = sha256(pr.payload(json.loads(raw))).digest()
        found["readings.digests"] = before + found["readings.digests"]

    yield changed("from before the first that is shown", "proof.links", earlier, line="level", row=first,
                  **TABLE)  # fmt: skip
    fewer = link(0, hidden=0)
    last = row_of(pr.APP, 12)
    yield changed("a reading passed over", "proof.links", fewer, row=last, **TABLE)
    yield changed("its digest is not here", "proof.links", shorter("readings.digests", 32), line="level",
                  row=first, **TABLE)  # fmt: skip
    yield changed("more rows than shown", "proof.links", link(0, shown=13), member=member)
    signed = next(row for _, _, row in pr.rows_of(pr.read()) if row["sequence"] == 2)["sig"]
    yield changed("a row behind the link's end", "proof.links", link(0, shown=2, hidden=0, sig=signed),
                  row=row_of(pr.APP, 3), **TABLE)  # fmt: skip
    again = row_of(pr.APP, 4)
    yield logged("a number twice", "proof.links", resealed(again, sequence=3), row=again, **TABLE)
    yield logged(
        "another's signature", "books.signed", resealed(1, sig="AA=="), row=1, field="sig", **TABLE
    )
    yield logged("a chain alone", "books.signed", resealed(again, chain="ab"), row=again, field="chain",
                 **TABLE)  # fmt: skip


def _of_sources() -> Iterator[WrongProof]:
    yield logged(
        "no source", "books.source", select=without(pr.APP), row=0, field="source", **TABLE
    )
    yield logged(
        "no meter", "books.meter", select=without("tok meter"), row=0, field="dimensions", **TABLE
    )
    yield logged("a meter of nothing here", "proof.needless", line="level", select=with_("peak meter"),
                 position=at("peak meter"))  # fmt: skip
    yield logged("a source of nothing here", "proof.needless", line="egress", select=with_(pr.APP),
                 position=at(pr.APP))  # fmt: skip
    mover = row_of(pr.MOVERS_APP, 1)
    yield logged("not that it had moved", "proof.foreign", select=without("mover moved"), row=mover,
                 field="resource", **TABLE)  # fmt: skip
    yield logged("moved, never created", "books.source", select=without("mover"), position=at(pr.MOVERS_APP),
                 field="project")  # fmt: skip
    yield logged("that it moved later", "proof.needless", select=with_("mover moved back"),
                 position=at("mover moved back"))  # fmt: skip
    yield _elsewhere()
    node = row_of(NODE, 1)
    stranger = fact("enrolled again", key="0" * 64)
    end = row_of(NODE, 3)
    assert node < end
    yield logged(
        "another key", "books.signed", stranger, line="egress", row=end, field="sig", **TABLE
    )


def _elsewhere() -> WrongProof:
    """Another project had moved by the time when the mover's source was registered."""

    class Moved(pr.Read):
        def mover(self, made: World) -> None:
            to: dict[str, Any] = {"department": pr.DEPARTMENTS[0], "account": ACCOUNT}
            to |= {"moved_us": pr.EARLY_US}
            made.at["another moved"] = made.log.add(OTHER_PROJECT, "project.moved", to, org=ORG)
            super().mover(made)

    made = pw.world(extra=Moved())
    where = made.at["another moved"]
    data = tar_of(pr.members(made, sorted([*pr.chosen(made), where])))
    return WrongProof("a move that nothing rests on", "proof.needless", {"position": where}, data)
