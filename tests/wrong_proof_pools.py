"""Proofs with pools, commitments and re-ratings that hold too little or too much, as in wrong_proofs."""

from collections.abc import Iterator
from typing import Any

from tests import proof_pools as pp
from tests import proof_world as pw
from tests.bundles import ACCOUNT
from tests.proof_pools import FIRST, OLDER, PAST, Pooled
from tests.proof_world import World
from tests.wrong_proofs import (
    Edit,
    Select,
    WrongProof,
    at,
    fact,
    nothing,
    with_,
    with_stream,
    without,
)  # fmt: skip


def pool_cases() -> Iterator[WrongProof]:
    made = pp.pooled()
    yield WrongProof("pools", "valid", {}, pp.proof(made))
    for name, line in pp.lines_of(made).items():
        yield WrongProof(f"the line {name}", "valid", {}, pp.proof(made, line=line))
    yield from _of_too_little()
    yield from _of_too_much()
    yield from _of_books()
    yield from _of_the_close()


def logged(
    name: str, code: str, edit: Edit = nothing, *, line: str | None = None,
    select: Select | None = None, extra: pw.Extra | None = None, **place: Any,
) -> WrongProof:  # fmt: skip
    made = pw.world(extra=extra or Pooled())
    edit(made)
    number = None if line is None else pp.lines_of(made)[line]
    positions = pp.chosen(made) if number is None else pp.of_line(made, number)
    if select is not None:
        select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    return WrongProof(name, code, found, pp.proof(made, sorted(positions), number))


def without_stream(stream: str) -> Select:
    def select(made: World, positions: list[int]) -> None:
        there = [draft["position"] for draft in made.log.drafts if draft["stream"] == stream]
        positions[:] = [position for position in positions if position not in there]

    return select


def _of_too_little() -> Iterator[WrongProof]:
    line: dict[str, Any] = {"table": "lines", "row": 0}
    yield logged("no commitment", "proof.line", select=without("committed"), field="sku", **line)
    yield logged("no unused commitment", "proof.line", select=without("unused"),
                 **{**line, "row": 1}, field="project")  # fmt: skip
    yield logged("no edition", "books.rerating", select=without("edition"), position=at("rerated"),
                 field="edition")  # fmt: skip
    yield logged("no re-rating", "proof.needless", select=without("rerated"), position=at("spring"))
    yield logged("no re-rating back", "proof.line", select=without("rerated back"),
                 **{**line, "row": 5}, field="quantity")  # fmt: skip
    yield logged("no entry of the edition", "proof.line", select=without("spring"),
                 **{**line, "row": 5}, field="quantity")  # fmt: skip
    yield logged(
        "no tiers", "rating.no_price", select=without("tiers"), position=at(f"{OLDER} stopped")
    )
    yield logged("who shares a pool of before is missing", "proof.line", select=without_stream(OLDER),
                 **{**line, "row": 3}, field="amount_pico")  # fmt: skip
    pool = pp.lines_of(pp.pooled())["pool"]

    def alone(made: World, positions: list[int]) -> None:
        without_stream(FIRST)(made, positions)
        positions.remove(made.at[pw.OTHER_PROJECT])

    yield logged("who shares a line's pool is missing", "proof.line", line="pool", select=alone,
                 table="lines", row=pool, field="amount_pico")  # fmt: skip


def _of_too_much() -> Iterator[WrongProof]:
    for name in ("theirs committed", "theirs rerated"):
        yield logged(name, "proof.foreign", select=with_(name), position=at(name), field="account")
    for name in (
        "committed beyond",
        "rerated beyond",
        "rerated before",
        "spring theirs",
        "first edition",
    ):
        yield logged(name, "proof.needless", select=with_(name), position=at(name))
    yield logged("a commitment that the line rests not on", "proof.needless", line="pool",
                 select=with_("unused"), position=at("unused"))  # fmt: skip
    yield logged("of a pool, in a commitment's line", "proof.needless", line="unused",
                 select=with_("committed"), position=at("committed"))  # fmt: skip
    yield logged("a commitment of another pool", "proof.needless", line="pool before",
                 select=with_("committed"), position=at("committed"))  # fmt: skip
    yield logged("of another period's pool", "proof.needless", line="pool", select=with_stream(PAST),
                 position=at(f"{PAST} stopped"))  # fmt: skip
    yield logged("a line without a pool", "proof.needless", line="plain", select=with_stream(pp.BEFORE),
                 position=at(f"{pp.BEFORE} stopped"))  # fmt: skip


def _of_books() -> Iterator[WrongProof]:
    yield logged("one more than it counts", "books.book", fact("edition", entries=1), position=at("edition"),
                 field="entries", select=with_("spring theirs"))  # fmt: skip
    yield logged("an entry after its edition was whole", "books.price", select=with_("late"), extra=_After(),
                 position=at("late"), field="edition")  # fmt: skip
    yield logged("more than the edition counts", "books.book", fact("edition", entries=0),
                 position=at("edition"), field="entries")  # fmt: skip
    yield logged(
        "no book", "books.book", fact("edition", book="-"), position=at("edition"), field="edition"
    )
    yield logged("a commitment to nothing", "books.commitment", fact("committed", quantity=0),
                 position=at("committed"), field="quantity")  # fmt: skip
    yield logged("another edition", "books.rerating", fact("rerated", edition=3), position=at("rerated"),
                 field="edition")  # fmt: skip


class _After(Pooled):
    """After the edition one more entry of it."""

    def after(self, made: World) -> None:
        super().after(made)
        said = made.log.drafts[made.at["spring"]]
        made.at["late"] = made.log.add(
            pp.PRICEBOOK, "price.entry_published", {**said["fact"], "model": "L4"}
        )
        made.log.drafts[-1]["tag"] = said["tag"]


class _Late(Pooled):
    """After the close something more."""

    def __init__(self, tag: str, like: str) -> None:
        self._tag, self._like = tag, like

    def lines(self, made: World) -> list[tuple[Any, ...]]:
        said = made.log.drafts[made.at[self._like]]["fact"]
        made.at["late"] = made.log.add(pp.PRICEBOOK, self._tag, {**said, "account": ACCOUNT})
        return super().lines(made)


def _of_the_close() -> Iterator[WrongProof]:
    for tag, like in (
        ("price.commitment_made", "committed"),
        ("price.rerating_decided", "rerated"),
    ):
        yield logged(f"{tag} after the close", "proof.needless", select=with_("late"), extra=_Late(tag, like),
                     position=at("late"), field="position")  # fmt: skip
