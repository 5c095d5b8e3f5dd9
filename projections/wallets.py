"""Wallets: what each of their facts says stands after it. A debt freezes the wallet it is of."""

from typing import Final, get_args

from domain.purses import account_of
from domain.wallet_facts import Event
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "wallet",
        ("wallet",),
        "wallet, from_position, to_position, organization, account, balance_pico, held_pico, "
        "frozen, decided_us",
    ),
)


def _stands(b: Batch, e: Entry, f: Event) -> None:
    frozen = "f" if 0 <= f.held_pico <= f.balance_pico else "t"
    tail = (
        f"{text(e.org)}\t{text(account_of(e.stream))}\t{f.balance_pico}\t{f.held_pico}\t"
        f"{frozen}\t{f.decided_us}"
    )
    b["wallet"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


APPLY: Final[dict[type, Apply]] = dict.fromkeys(get_args(Event.__value__), _stands)
