"""Proofs of a seller's invoice that are wrong in what they say of seller, buyer and rates, as in wrong_proofs."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests import proof_world as pw
from tests.bundles import NODE, START_US, uid
from tests.proof_world import World, world
from tests.wrong_proofs import WrongProof, at, draft, fact, nothing, refiled, with_, without
from tests.wrong_proofs import logged as plain

logged = partial(plain, taxed=True)


def tax_cases() -> Iterator[WrongProof]:
    yield from _of_streams()
    yield from _of_rates()
    yield from _of_files()
    yield from _of_silence()


def _of_silence() -> Iterator[WrongProof]:
    """Of an invoice without a seller."""
    made = world(pw.named)
    for line in (None, 3):
        yield WrongProof(f"who was silent {line}", "valid", {}, pw.proof(made, line=line))
    yield plain("who was silent, not shown", "proof.missing", nothing, base=pw.named, select=without("silent"),
                position=at("invoice"), field="file")  # fmt: skip
    elsewhere = draft("silent", stream=pw.NEXT, version=2)
    yield plain("silent in another period, of no seller", "proof.foreign", elsewhere, base=pw.named,
                position=at("silent"), field="stream")  # fmt: skip

    def sold(made: World) -> None:
        pw.sold(made)
        made.named = True

    yield plain("no seller, but one who is, and who was silent", "proof.needless", nothing, base=sold,
                select=with_("seller"), position=at("seller"), field="tag")  # fmt: skip
    for name, sources in (("others were silent", [pw.FAR, NODE]), ("nobody was silent", [])):
        other = fact("silent", sources=sources)
        for line in (None, 3):
            yield plain(name, "proof.file_differs", other, base=pw.named, line=line, position=at("invoice"),
                        member="invoice.json", field="sha256")  # fmt: skip


def _of_streams() -> Iterator[WrongProof]:
    for name in ("seller", "rate", "taxed", "silent"):
        yield plain(f"no seller, but {name}", "proof.needless", nothing, base=pw.sold, select=with_(name),
                    position=at(name), field="tag")  # fmt: skip
    yield logged("another seller", "proof.foreign", nothing, select=with_("rival"), position=at("rival"),
                 field="stream")  # fmt: skip
    rival = fact("invoice", seller=uid("seller", 81))
    yield logged(
        "the invoice of another seller",
        "proof.foreign",
        rival,
        position=at("seller"),
        field="stream",
    )
    elsewhere = draft("silent", stream=pw.NEXT, version=2)
    yield logged(
        "silent in another period",
        "proof.foreign",
        elsewhere,
        position=at("silent"),
        field="stream",
    )
    yield logged(
        "a rate for others",
        "proof.needless",
        nothing,
        select=with_("abroad"),
        position=at("abroad"),
    )

    def again(made: World) -> None:
        first = made.log.drafts[made.at["taxed"]]
        made.at["again"] = made.log.add(
            first["stream"], "account.taxed", first["fact"], org=first["org"]
        )

    yield logged("a buyer twice", "proof.needless", nothing, base=again, select=with_("again"),
                 position=at("again"), field="tag")  # fmt: skip
    yield logged("a rate set later", "proof.needless", late_rate, select=with_("late"), position=at("late"),
                 field="position")  # fmt: skip


def late_rate(made: World) -> None:
    """After the invoice."""
    said = {**made.log.drafts[made.at["rate"]]["fact"], "effective_from_us": START_US}
    made.at["late"] = made.log.add(pw.SELLER, "seller.rate_set", said)


def _of_rates() -> Iterator[WrongProof]:
    yield logged("no seller", "books.seller", nothing, select=without("seller"), position=at("taxed"),
                 field="seller")  # fmt: skip
    yield logged(
        "no rate",
        "books.tax",
        nothing,
        select=without("rate"),
        position=at("taxed"),
        field="treatment",
    )
    line: dict[str, Any] = {"table": "lines", "row": 2, "field": "rate"}
    yield logged("no rate of storage", "proof.line", nothing, select=without("less"), **line)
    yield logged("another rate of storage", "proof.line", fact("less", rate_bp=600), **line)
    yield logged("another rate", "proof.line", fact("rate", rate_bp=600), **{**line, "row": 0})
    yield logged(
        "another rate, one line",
        "proof.line",
        fact("rate", rate_bp=600),
        line=3,
        **{**line, "row": 3},
    )
    for only in (None, 3):
        yield logged(f"no buyer {only}", "books.tax", nothing, select=without("taxed"), line=only,
                     position=at("invoice"), field="seller")  # fmt: skip
        yield logged(f"nobody silent {only}", "proof.file_differs", nothing, select=without("silent"), line=only,
                     position=at("invoice"), member="invoice.json", field="sha256")  # fmt: skip
        for name in ("net_minor", "tax_minor", "total_minor", "total_pico", "line_count"):
            edit = fact("invoice", **{name: 1})
            yield logged(f"another {name} {only}", "books.invoice_differs", edit, line=only,
                         position=at("invoice"), field=name)  # fmt: skip


def _of_files() -> Iterator[WrongProof]:
    right = pw.world(taxed=True).log.files[pw.FILE]
    where: dict[str, Any] = {"position": at("invoice"), "member": "invoice.json"}

    def filed(name: str, code: str, data: bytes, **more: Any) -> WrongProof:
        return logged(name, code, lambda made: refiled(made, data), line=3, **where, **more)

    bare = pw.world().log.files[pw.FILE]
    yield filed("a file without taxes", "proof.format", bare)
    for name, old, new in (
        ("another tax", b'"tax_minor":646', b'"tax_minor":647'),
        ("another buyer", b'"treatment":"standard"', b'"treatment":"export"'),
        (
            "another rate of another line",
            b'"rate_bp":700,"reason":"","quantity"',
            b'"rate_bp":0,"reason":"","quantity"',
        ),
    ):
        assert right.count(old) == 1
        yield filed(name, "proof.file_differs", right.replace(old, new), field="sha256")
    quiet = right.replace(b'"simulated":true', b'"simulated":false')
    yield filed("nothing SIMULATED in it", "proof.file_differs", quiet, field="simulated")
    none = right.replace(b'"reason":""', b'"reason":1', 1)
    yield filed("a reason that is a number", "proof.file", none, table="lines", row=0)
