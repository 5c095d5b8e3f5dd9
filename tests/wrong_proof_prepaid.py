"""Proofs of a prepaid account's invoice that are wrong in one thing only, as in wrong_proofs."""

from collections.abc import Iterator
from typing import Any

from tests import proof_prepaid as pd
from tests import proof_world as pw
from tests.bundles import PICO, uid
from tests.proof_prepaid import HELD, OPEN, PASSING, VAULT, Prepaid
from tests.proof_world import World
from tests.wrong_proofs import Edit, Select, WrongProof, at, draft, fact, nothing, with_, without


def prepaid_cases() -> Iterator[WrongProof]:
    made = pd.prepaid()
    yield WrongProof("prepaid", "valid", {}, pd.proof(made))
    yield WrongProof("a line that was prepaid", "valid", {}, pd.proof(made, line=True))
    yield from _of_terms()
    yield from _of_holds()
    yield from _of_renewals()
    yield from _of_regions()
    yield from _of_prices()


def logged(
    name: str, code: str, edit: Edit = nothing, *, line: bool = False,
    select: Select | None = None, extra: pw.Extra | None = None, **place: Any,
) -> WrongProof:  # fmt: skip
    made = pw.world(extra=extra or Prepaid())
    edit(made)
    positions = pd.of_line(made) if line else pd.chosen(made)
    if select is not None:
        select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    return WrongProof(name, code, found, pd.proof(made, sorted(positions), line))


def _of_terms() -> Iterator[WrongProof]:
    yield logged("no terms", "books.hold", select=without("prepaid"), position=at(f"{HELD} held"),
                 field="runtime")  # fmt: skip
    yield logged("terms that nothing rests on", "proof.needless", select=with_("postpaid"),
                 position=at("postpaid"), field="terms")  # fmt: skip

    class Again(Prepaid):
        def after(self, made: World) -> None:
            super().after(made)
            self.terms(made, "again", "prepaid")

    yield logged("terms set after all was placed", "proof.needless", extra=Again(), select=with_("again"),
                 position=at("again"))  # fmt: skip
    yield logged("other terms", "proof.needless", fact("prepaid", terms="free"), position=at("prepaid"),
                 field="terms")  # fmt: skip

    class Back(Prepaid):
        """PASSING is of an account that is postpaid again."""

        def admitted(self, made: World, runtime: str, project: str, at: int, until: int) -> None:
            if runtime == PASSING:
                self.terms(made, "back", "postpaid")
            super().admitted(made, runtime, project, at, until)
            if runtime == PASSING:
                made.log.drafts.pop()
                self.terms(made, f"{PASSING} held", "prepaid")

        def renewed(self, made: World, name: str, runtimes: list[str], until: int) -> None:
            super().renewed(made, name, [one for one in runtimes if one != PASSING], until)

        def lines(self, made: World) -> list[tuple[Any, ...]]:
            """Its three dear hours are four: nothing was held for the hour before."""
            moved = {("h100", pw.OTHER_PROJECT): -1, ("h100 dear", pw.OTHER_PROJECT): 1}
            prices = {made.at[name]: name for name in ("h100", "h100 dear")}
            return [
                (*line[:4], line[4] + more * pd.GPU_HOUR, line[5] + more * PICO * (2 + 2 * (more > 0)))
                for line in super().lines(made)
                for more in (moved.get((prices.get(line[2], ""), line[0]), 0),)
            ]  # fmt: skip

    backed = pw.world(extra=Back())
    names = ("back", f"{PASSING} held")
    positions = sorted(
        {*pd.chosen(backed), *(backed.at[name] for name in names)} - {backed.at["renewed 3"]}
    )
    yield WrongProof("postpaid in between", "valid", {}, pd.proof(backed, positions))

    class Extended(Back):
        """PASSING is renewed all the same."""

        def renewed(self, made: World, name: str, runtimes: list[str], until: int) -> None:
            Prepaid.renewed(self, made, name, runtimes, until)

    extended = pw.world(extra=Extended())
    names = ("back", f"{PASSING} held")
    more = sorted({*pd.chosen(extended), *(extended.at[name] for name in names)})
    place = {"position": extended.at["renewed 2"], "field": "holds"}
    yield WrongProof("renewed, not held", "books.hold", place, pd.proof(extended, more))
    less = sorted({*positions} - {backed.at["back"]})
    place = {"position": backed.at[f"{PASSING} held"], "field": "cause"}
    yield WrongProof("not that it was postpaid", "books.hold", place, pd.proof(backed, less))


def _of_holds() -> Iterator[WrongProof]:
    for name, after in (
        (f"{HELD} held", f"{PASSING} requested"),
        ("vault held", f"{VAULT} formatted"),
    ):
        yield logged(
            f"no {name}", "books.hold", select=without(name), position=at(after), field="cause"
        )
    yield logged("no hold of what runs on", "books.hold", select=without(f"{OPEN} held"),
                 position=at(f"{OPEN} usable"), field="cause")  # fmt: skip
    yield logged("in another append", "books.hold", draft(f"{HELD} held", cause="pos:0"),
                 position=at(f"{HELD} held"), field="cause")  # fmt: skip
    yield logged("of no time", "books.hold", fact(f"{HELD} held", until_us=pd.us(30)),
                 position=at(f"{HELD} held"), field="until_us")  # fmt: skip
    longer = fact(f"{HELD} held", until_us=pd.us(61))
    yield logged("held for longer", "proof.line", longer, table="lines", row=0, field="quantity")
    yield logged("another's hold", "proof.needless", line=True, select=with_(f"{HELD} held"),
                 position=at(f"{HELD} held"), field="fact")  # fmt: skip
    elsewhere = draft(f"{HELD} held", stream=uid("wallet", 99))
    yield logged("another wallet of ours", "proof.foreign", elsewhere, position=at(f"{HELD} held"),
                 field="stream")  # fmt: skip
    yield logged("a neighbour's wallet", "proof.foreign", select=with_("granted 116"), position=at("granted 116"),
                 field="org")  # fmt: skip
    yield logged("a grant", "proof.foreign", select=with_("granted 115"), position=at("granted 115"),
                 field="tag")  # fmt: skip


def _of_prices() -> Iterator[WrongProof]:
    """What may have been held at is here where a re-rating is, and nothing else."""
    for name in ("h100 theirs", "other"):
        yield logged(f"needless {name}", "proof.needless", select=with_(name), position=at(name))

    class Plain(Prepaid):
        def rerate(self, made: World) -> None:
            made.at["h100 rerated"] = made.at["h100 before"]

    made = pw.world(extra=Plain())
    found = [one for one in pd.chosen(made) if one != made.at["h100 before"]]
    yield WrongProof("prepaid and never re-rated", "valid", {}, pd.proof(made, found))
    place = {"position": made.at["h100 before"]}
    yield WrongProof("a price before", "proof.needless", place, pd.proof(made, pd.chosen(made)))


def _of_regions() -> Iterator[WrongProof]:
    yield logged("not the node's region", "proof.line", select=without("region"), table="lines", row=0,
                 field="quantity")  # fmt: skip
    yield logged("its region before", "proof.needless", select=with_("region before"),
                 position=at("region before"))  # fmt: skip


def _of_renewals() -> Iterator[WrongProof]:
    for name in ("renewed 1", "vault renewed 1", "renewed 5", "renewed 2 lease", "renewed 6 lease"):
        yield logged(f"needless {name}", "proof.needless", select=with_(name), position=at(name))
    row: dict[str, Any] = {"table": "lines", "field": "quantity"}
    yield logged(
        "not the last before the price", "proof.line", select=without("renewed 2"), row=0, **row
    )
    yield logged(
        "not the last before the end", "proof.line", select=without("renewed 4"), row=1, **row
    )
    yield logged(
        "not the last before the close", "proof.line", select=without("renewed 6"), row=1, **row
    )
    yield logged("of a volume not the last", "books.volume", select=without("vault renewed 2"),
                 position=at("vault locked"), field="locked_us")  # fmt: skip
    yield logged("renewed after the close", "proof.needless", late, position=at("renewed 6"),
                 field="position")  # fmt: skip
    sooner = fact("renewed 2", until_us=pd.us(44))
    yield logged("held for less", "proof.line", sooner, **{**row, "row": 0})


def late(made: World) -> None:
    """The close is before the last renewal."""
    made.log.drafts[made.at["invoice"]]["fact"]["closed"] = made.at["renewed 6"] - 1
