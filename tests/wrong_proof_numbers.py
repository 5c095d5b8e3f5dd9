"""Proofs that are wrong in how the invoice came to its number, as in wrong_proofs; and those of an
earlier release, which say nothing of it.
"""

from collections.abc import Iterator
from typing import Any

from gpuaas_verify import strict
from tests import proof_notes as pn
from tests import proof_world as pw
from tests.bundles import ACCOUNT, ORG, tar_of, uid
from tests.proof_world import SELLER, World, world
from tests.wrong_proofs import (
    Edit,
    Select,
    WrongProof,
    at,
    draft,
    fact,
    logged,
    nothing,
    with_,
    without,
)

EARLIER = ("counted 1", "counted 2")


def number_cases() -> Iterator[WrongProof]:
    made = world(counted(2))
    positions = [*pw.chosen(made), *(made.at[name] for name in EARLIER)]
    yield WrongProof("the third of its account", "valid", {}, pw.proof(made, sorted(positions)))
    yield from _of_accounts()
    yield from _of_sellers()
    yield from _of_earlier_releases()


def counted(many: int) -> Edit:
    """So many invoices of the account were finalized before."""

    def edit(made: World) -> None:
        for number in range(1, many + 1):
            said = {"invoice": uid("invoice", 200 + number), "sequence": number}
            made.at[f"counted {number}"] = made.log.add(ACCOUNT, "account.invoiced", said, org=ORG)
        made.at["before"] = many

    return edit


def third(
    name: str, code: str, edit: Edit = nothing, select: Select | None = None, **place: Any
) -> WrongProof:
    def chosen(made: World, positions: list[int]) -> None:
        with_(*EARLIER)(made, positions)
        if select is not None:
            select(made, positions)

    return logged(name, code, edit, base=counted(2), select=chosen, **place)


def _of_accounts() -> Iterator[WrongProof]:
    yield logged("not numbered", "proof.missing", nothing, select=without("counted"),
                 position=at("invoice"), field="number")  # fmt: skip
    for name, left in zip(EARLIER, ("counted 2", "counted"), strict=True):
        yield third(f"without {name}", "books.invoiced", select=without(name), position=at(left),
                    field="sequence")  # fmt: skip
    twice = fact("counted 2", invoice=uid("invoice", 201))
    yield third(
        "an invoice counted twice",
        "books.invoiced",
        twice,
        position=at("counted 2"),
        field="invoice",
    )
    elsewhere = draft("counted 1", stream=uid("account", 205))
    yield third(
        "another account's count",
        "proof.foreign",
        elsewhere,
        position=at("counted 1"),
        field="stream",
    )
    later = draft("counted", cause="cmd:" + "3f" * 32)
    yield third(
        "counted in another append", "books.invoiced", later, position=at("counted"), field="cause"
    )

    def before(made: World) -> None:
        said = {"invoice": pw.INVOICE, "sequence": 1}
        made.at["too early"] = made.log.add(
            ACCOUNT, "account.invoiced", said, org=ORG, cause="cmd:" + "1f" * 32
        )

    def early(made: World, positions: list[int]) -> None:
        without("counted")(made, positions)
        with_("too early")(made, positions)

    yield logged("counted before it was there", "books.invoiced", nothing, base=before, select=early,
                 position=at("too early"), field="cause")  # fmt: skip
    yield third(
        "one after it",
        "proof.needless",
        one_more,
        with_("more"),
        position=at("more"),
        field="invoice",
    )


def one_more(made: World) -> None:
    said = {"invoice": uid("invoice", 209), "sequence": 4}
    made.at["more"] = made.log.add(ACCOUNT, "account.invoiced", said, org=ORG)


def _of_sellers() -> Iterator[WrongProof]:
    yield logged("not numbered by its seller", "proof.missing", nothing, taxed=True, select=without("counted"),
                 position=at("invoice"), field="number")  # fmt: skip
    yield logged("another number than its own", "books.invoiced", fact("counted", sequence=2), taxed=True,
                 position=at("counted"), field="sequence")  # fmt: skip
    rival = draft("counted", stream=uid("seller", 81))
    yield logged("numbered by another seller", "proof.foreign", rival, taxed=True, position=at("counted"),
                 field="stream")  # fmt: skip

    def others(made: World) -> None:
        said = {"invoice": uid("invoice", 208), "sequence": 0}
        made.at["others"] = made.log.add(SELLER, "seller.invoiced", said)

    yield logged("another customer's number", "proof.needless", nothing, base=others, taxed=True,
                 select=with_("others"), position=at("others"), field="invoice")  # fmt: skip


def _of_earlier_releases() -> Iterator[WrongProof]:
    made, noted = world(), pn.noted()
    for name, found in (
        ("an invoice's", pw.members(made, _without_number(made))),
        ("a credit note's", pn.members(noted, 1, _without_number(noted, pn.chosen(noted, 1)))),
    ):
        yield WrongProof(f"{name} of an earlier release", "valid", {}, _earlier(found))
    data = _earlier(pw.members(made))
    place = {"position": made.at["counted"], "field": "tag"}
    yield WrongProof("numbered, of an earlier release", "proof.foreign", place, data)


def _without_number(made: World, positions: list[int] | None = None) -> list[int]:
    return [one for one in positions or pw.chosen(made) if one != made.at["counted"]]


def _earlier(found: dict[str, bytes]) -> bytes:
    said = strict.decode(found["proof.json"])
    form = said["format"].replace("/2", "/1")
    return tar_of({**found, "proof.json": strict.encode({**said, "format": form})})
