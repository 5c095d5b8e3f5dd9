"""Proofs that hold too little, too much, or what does not give the invoice, as in wrong_proofs."""

from collections.abc import Callable, Iterator
from typing import Any

from tests import proof_world as pw
from tests.bundles import ACCOUNT, BOOT, HOUR_US, NODE, ORG, PERIOD, START_US, uid
from tests.proof_world import ALONE, BESIDE, BRIEF, RUNNING, VOLUME, World, world
from tests.wrong_proofs import (
    Edit,
    Select,
    WrongProof,
    at,
    draft,
    fact,
    logged,
    nothing,
    refiled,
    with_,
    with_stream,
    without,
)  # fmt: skip


def meaning_cases() -> Iterator[WrongProof]:
    yield from _of_streams()
    yield from _of_vain()
    yield from _of_books()
    yield from _of_periods()
    yield from _of_lost()
    yield from _of_lines()


def _of_streams() -> Iterator[WrongProof]:
    foreign = with_("neighbour")
    yield logged("a neighbour's account", "proof.foreign", nothing, select=foreign, position=at("neighbour"),
                  field="org")  # fmt: skip
    yield logged(
        "a heartbeat",
        "proof.foreign",
        nothing,
        select=with_("beat"),
        position=at("beat"),
        field="tag",
    )

    yield logged("another account", "proof.foreign", draft("neighbour", stream=pw.NEIGHBOURS_ACCOUNT, org=ORG), select=foreign,
                  position=at("neighbour"), field="stream")  # fmt: skip
    twice = draft("neighbour", stream=ACCOUNT, org=ORG)
    yield logged(
        "opened twice",
        "proof.needless",
        twice,
        select=foreign,
        position=at("neighbour"),
        field="tag",
    )
    theirs = draft("theirs", org=ORG)
    yield logged("a period of another account", "proof.foreign", theirs, select=with_("theirs"),
                  position=at("theirs"), field="account")  # fmt: skip
    yield logged("periods without the first", "books.period", nothing, select=without("first"),
                  position=at("next"), field="sequence")  # fmt: skip
    for name in (
        f"{BRIEF} requested",
        f"{BRIEF} allocated",
        f"{RUNNING} degraded",
        f"{VOLUME} formatted",
    ):
        following = _following(name)
        yield logged(f"without {name}", "proof.version", nothing, select=without(name), position=following,
                      field="version")  # fmt: skip
    requested = f"{BRIEF} requested"
    yield logged("charged to another account", "proof.foreign", fact(requested, account=uid("account", 99)),
                  position=at(requested), field="account")  # fmt: skip

    def goes_on(made: World) -> None:
        said = {"reason": "", "decided_us": 0}
        made.at["on"] = made.log.add(RUNNING, "runtime.cancelled", said, org=ORG)

    yield logged(
        "shown to go on twice", "proof.needless", goes_on, position=at("on"), field="version"
    )

    def grows(made: World) -> None:
        for name in ("grows", "on"):
            said = {"size_mib": 4096, "decided_us": 0}
            made.at[name] = made.log.add(VOLUME, "volume.grow_requested", said, org=ORG)

    yield logged(
        "a volume shown to go on twice", "proof.needless", grows, position=at("on"), field="version"
    )

    def haunts(made: World) -> None:
        said = {"reason": "", "decided_us": 0}
        made.at["on"] = made.log.add(ALONE, "runtime.stopping", said, org=ORG)

    yield logged("an entry after its end", "proof.needless", nothing, base=haunts, position=at("on"),
                 field="version")  # fmt: skip
    yield logged("another meter", "proof.needless", nothing, select=with_("tokens"), position=at("tokens"),
                  field="meter")  # fmt: skip
    again = fact("tokens", meter="storage.capacity", unit="MiB-us")
    yield logged("the meter twice", "proof.needless", again, select=with_("tokens"), position=at("tokens"),
                  field="tag")  # fmt: skip
    seal: dict[str, Any] = {"position": at("file")}
    yield logged(
        "the seal of another file", "proof.file", fact("file", name="x"), field="name", **seal
    )
    yield logged(
        "the seal of other bytes",
        "proof.file",
        fact("file", sha256="00" * 32),
        field="sha256",
        **seal,
    )
    cause = draft("file", cause="cmd:" + "2f" * 32)
    yield logged("sealed apart", "proof.file", cause, field="cause", **seal)
    length = fact("file", bytes=1)
    yield logged(
        "sealed with another length",
        "books.invoice_file",
        length,
        position=at("invoice"),
        field="bytes",
    )


def _following(name: str) -> Callable[[World], int]:
    """The next entry of the same stream."""

    def find(made: World) -> int:
        here = made.log.drafts[made.at[name]]
        return next(
            int(draft["position"]) for draft in made.log.drafts
            if draft["stream"] == here["stream"] and draft["version"] == here["version"] + 1
        )  # fmt: skip

    return find


def _of_vain() -> Iterator[WrongProof]:
    there: dict[str, Any] = {"position": at("invoice")}
    yield logged("no account", "books.account", nothing, select=without("account"), position=at("earlier"),
                  field="account")  # fmt: skip
    yield logged("no seal", "proof.missing", nothing, select=without("file"), field="file", **there)
    idle = with_stream(pw.IDLE)
    yield logged("a runtime that costs nothing", "proof.needless", nothing, select=idle,
                  position=at(f"{pw.IDLE} allocated"))  # fmt: skip
    beside = with_("renewed beside")
    yield logged("a neighbour's runtime named", "proof.foreign", nothing, select=beside,
                  position=at("renewed beside"), field="runtimes")  # fmt: skip
    far = with_("far", "far anchor")
    yield logged(
        "a node for nothing", "proof.needless", nothing, select=far, position=at("far anchor")
    )
    for name in (pw.PROJECT, pw.OTHER_PROJECT):
        yield logged(
            f"no {name}", "proof.missing", nothing, select=without(name), field="project", **there
        )
    yield logged("a project for nothing", "proof.missing", nothing, line=3, select=with_(pw.PROJECT),
                  field="project", **there)  # fmt: skip
    yield logged(
        "a meter for nothing", "proof.missing", nothing, line=3, select=with_("meter"), **there
    )
    yield logged("a neighbour's price", "proof.needless", nothing, select=with_("foreign"),
                  position=at("foreign"))  # fmt: skip
    yield logged(
        "a price for nothing",
        "proof.needless",
        nothing,
        select=with_("other"),
        position=at("other"),
    )
    abroad = fact("other", model="T4", region="x")
    yield logged(
        "a price elsewhere", "proof.needless", abroad, select=with_("other"), position=at("other")
    )


def _of_books() -> Iterator[WrongProof]:
    yield logged("no node", "attest.unknown_node", nothing, select=without("node"), position=at("node anchor"),
                  field="node")  # fmt: skip
    yield logged("no anchor", "attest.wrong_boot", nothing, select=without("node anchor"),
                  position=at(f"{pw.LATE} usable"), field="boot")  # fmt: skip
    yield logged("no default price", "proof.line", nothing, select=without("default"),
                  table="lines", row=0, field="price")  # fmt: skip
    line: dict[str, Any] = {"table": "lines", "row": 0, "field": "quantity"}
    yield logged("no price of its own", "proof.line", nothing, select=without("own"), **line)
    yield logged(
        "no meter",
        "proof.needless",
        nothing,
        select=without("meter"),
        position=at(f"{VOLUME} grown"),
    )
    dear = fact("default", price_pico=1)
    yield logged(
        "another price, the invoice as it was",
        "proof.line",
        dear,
        **{**line, "field": "amount_pico"},
    )

    def whole(made: World, positions: list[int]) -> None:
        of = {d["position"] for d in made.log.drafts if d["stream"] == BESIDE}
        positions[:] = [position for position in positions if position not in of]

    yield logged("a runtime less", "proof.line", nothing, select=whole, **line)
    earlier = fact(f"{ALONE} lost", lost_us=START_US + 3 * HOUR_US)
    yield logged("lost before it was renewed", "books.instant", earlier, position=at(f"{ALONE} lost"),
                  field="lost_us")  # fmt: skip
    beyond = fact(f"{pw.BESIDE} lost", lost_us=START_US + 91 * HOUR_US)
    yield logged("lost after it was decided", "books.instant", beyond, position=at(f"{pw.BESIDE} lost"),
                  field="lost_us")  # fmt: skip
    longer = fact(f"{pw.BESIDE} lost", lost_us=START_US + 9 * HOUR_US)
    yield logged("lost later than was charged", "proof.line", longer, **line)

    def restated(*changed: tuple[int, int, int]) -> Edit:
        def edit(made: World) -> None:
            for number, field_, value in changed:
                line = made.lines[number]
                made.lines[number] = (*line[:field_], value, *line[field_ + 1 :])
            del made.log.drafts[made.at["invoice"] :]
            pw.finish(made)

        return edit

    yield logged(
        "another amount",
        "proof.line",
        restated((1, 5, 1)),
        table="lines",
        row=1,
        field="amount_pico",
    )
    yield logged(
        "another quantity",
        "proof.line",
        restated((1, 4, 1)),
        table="lines",
        row=1,
        field="quantity",
    )

    def lines(change: Callable[[list[Any]], object]) -> Edit:
        def edit(made: World) -> None:
            change(made.lines)
            del made.log.drafts[made.at["invoice"] :]
            pw.finish(made)

        return edit

    yield logged("a line less", "proof.line", lines(lambda all_: all_.pop()), table="lines", row=4)
    more = ("project-z", "gpu.time:T4", 8, PERIOD, 1, 1)
    yield logged(
        "a line more", "proof.line", lines(lambda all_: all_.append(more)), table="lines", row=5
    )
    yield logged("lines moved", "proof.line", lines(lambda all_: all_.reverse()), table="lines", row=0,
                  field="project")  # fmt: skip
    where: dict[str, Any] = {"position": at("invoice")}
    for name, value in (("total_pico", 1), ("total_minor", 1), ("line_count", 1), ("currency", "EUR"),
                        ("minor_digits", 3)):  # fmt: skip
        place = {**where, "field": name, "member": "invoice.json"}
        yield logged(
            f"another {name}", "proof.file_differs", fact("invoice", **{name: value}), **place
        )
    yield logged("closed elsewhere", "books.invoice", elsewhere(), field="closed", **where)
    yield logged("of the open period", "books.invoice", fact("invoice", period=pw.NEXT), field="closed",
                 **where)  # fmt: skip
    unheard = fact("invoice", period=uid("period", 99))
    yield logged("of no period", "books.period", unheard, field="period", **where)
    mine = fact("account", organization=pw.NEIGHBOUR)
    yield logged(
        "an account of another", "books.org", mine, position=at("account"), field="organization"
    )


def elsewhere() -> Edit:
    """The invoice says that its period was closed one entry later than it was."""
    return fact("invoice", closed=world().at["closed"] + 1)


def shaped(**changes: Any) -> Edit:
    """The default price said as one of tiers."""

    def edit(made: World) -> None:
        draft_ = made.log.drafts[made.at["default"]]
        old = draft_["fact"]
        names = ("account", "meter", "model", "region", "state", "currency")
        draft_["tag"] = "gpuaas.price.entry_published.v2"
        draft_["fact"] = {
            "book": "-", "edition": 0, **{name: old[name] for name in names},
            "effective_from_us": old["effective_from_us"], "published_us": old["published_us"],
            "divisor": old["divisor"], "free": 0,
            "tiers": [{"up_to": None, "price_pico": old["price_pico"]}], "minimum_pico": 0,
        } | changes  # fmt: skip

    return edit


def _of_periods() -> Iterator[WrongProof]:
    yield logged("an open period before", "proof.missing", nothing, line=3, select=without("shut"),
                 position=at("earlier"), field="closed_us")  # fmt: skip
    yield logged("a period for nothing", "proof.needless", nothing, line=3, select=with_("next"),
                 position=at("next"))  # fmt: skip
    yield logged("no next period", "rating.no_period", nothing, select=without("next"),
                 position=at(f"{RUNNING} degraded"))  # fmt: skip

    def ahead(made: World) -> None:
        end_us = pw.END_US + 100 * HOUR_US
        said = {"account": ACCOUNT, "start_us": pw.END_US, "end_us": end_us}
        said |= {"closed_us": end_us}
        made.at["ahead"] = made.log.add(pw.NEXT, "period.closed", said, org=ORG)

    yield logged("closed ahead", "proof.needless", nothing, base=ahead, select=with_("ahead"),
                 position=at("ahead"))  # fmt: skip


def _of_lost() -> Iterator[WrongProof]:
    stream, volume = uid("runtime", 70), uid("volume", 71)
    where: dict[str, Any] = {"position": at("lost")}

    def unknown(made: World) -> None:
        gone = {"lost_us": 2, "decided_us": 3}
        made.at["lost"] = made.log.add(stream, "runtime.lost", gone, org=ORG)

    of = with_stream(stream)
    yield logged("lost, never asked for", "books.lifecycle", nothing, base=unknown, select=of,
                 field="stream", **where)  # fmt: skip

    def unplaced(made: World) -> None:
        pw.requested(made, stream, pw.PROJECT)
        del made.log.drafts[-1]
        unknown(made)

    yield logged("lost, never allocated", "books.lifecycle", nothing, base=unplaced, select=of,
                 field="stream", **where)  # fmt: skip

    def homeless(made: World) -> None:
        created = {**made.log.drafts[made.at["volume"]]["fact"], "node": uid("node", 72)}
        made.log.add(volume, "volume.created", created, org=ORG)
        gone = {"lost_us": START_US + 2, "decided_us": START_US + 3}
        made.at["lost"] = made.log.add(volume, "volume.lost", gone, org=ORG)

    of = of_both(with_stream(volume), without("meter"))
    yield logged("lost on no node", "books.volume", nothing, base=homeless, select=of,
                 field="node", **where)  # fmt: skip

    def given_up(made: World) -> None:
        gone = {"lost_us": START_US + 99 * HOUR_US, "decided_us": pw.END_US}
        made.log.add(VOLUME, "volume.lost", gone, org=ORG)

    sooner: dict[str, Any] = {"table": "lines", "row": 2, "field": "quantity"}
    yield logged(
        "a volume lost sooner than was charged", "proof.line", nothing, base=given_up, **sooner
    )

    def anchored(made: World) -> None:
        anchor = {"boot": BOOT, "boottime_us": 95 * HOUR_US}
        anchor["anchor_us"] = START_US + 95 * HOUR_US
        made.at["again"] = made.log.spoken(NODE, "node.anchored", anchor)
        gone = {"lost_us": START_US + 94 * HOUR_US, "decided_us": pw.END_US}
        made.at["lost"] = made.log.add(VOLUME, "volume.lost", gone, org=ORG)

    yield logged("lost before its node was heard", "books.instant", nothing, base=anchored,
                 select=with_("again"), field="lost_us", **where)  # fmt: skip


def _of_lines() -> Iterator[WrongProof]:
    four: dict[str, Any] = {"table": "lines", "row": 3}
    yield logged("a line without its price", "rating.no_price", nothing, line=3, select=without("default"),
                  position=at(f"{BRIEF} stopped"))  # fmt: skip
    yield logged("a line closed elsewhere", "books.invoice", elsewhere(), line=3, position=at("invoice"),
                 field="closed")  # fmt: skip
    cheap = fact("default", price_pico=1)
    yield logged(
        "a line of another price", "proof.line", cheap, line=3, field="amount_pico", **four
    )
    yield logged("a runtime of another line", "proof.needless", nothing, line=3,
                  select=of_both(with_stream(ALONE), with_(pw.PROJECT)),
                  position=at(f"{ALONE} lost"))  # fmt: skip
    right = world().log.files[pw.FILE]
    where: dict[str, Any] = {"position": at("invoice"), "member": "invoice.json"}

    def filed(name: str, old: bytes, new: bytes, field_: str) -> WrongProof:
        assert old in right
        return logged(name, "proof.file_differs", lambda made: refiled(made, right.replace(old, new)), line=3,
                       field=field_, **where)  # fmt: skip

    yield filed("nothing SIMULATED in it", b'"simulated":true', b'"simulated":false', "simulated")
    yield filed(
        "a total that does not follow", b'"total_minor":3548', b'"total_minor":3549', "sha256"
    )
    yield filed("another head", b'"currency":"USD"', b'"currency":"EUR"', "sha256")
    yield filed("shown otherwise", b'"shown_minor":2400', b'"shown_minor":2401', "sha256")
    name: dict[str, Any] = {"name": "invoice-x.json"}
    edit = _both(fact("invoice", file=name["name"]), fact("file", **name))
    yield logged(
        "another name of its file", "proof.file_differs", edit, line=3, field="file", **where
    )


def of_both(one: Select, two: Select) -> Select:
    return lambda made, positions: (one(made, positions), two(made, positions))


def _both(one: Edit, two: Edit) -> Edit:
    return lambda made: (one(made), two(made))
