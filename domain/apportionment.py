"""A charge line in parts: what of its amount is whose, of departments or of cost centres in turn.

Charges are cut where a project moves, and what was used while its cost centre changed is divided
there by time (`pieces`), so each part of a line has its own quantity. What a line costs is rounded
once, for the whole: a part is what the line would cost up to the end of its time, less what it
would up to its beginning. So parts add up to the line, to the pico.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from domain.tariff import round_half_even


class Piece(Struct, frozen=True):
    """What was used in `[start_us, end_us)`, after `index` of the instants it was cut at."""

    index: int
    start_us: int
    end_us: int
    quantity: int


def pieces(start_us: int, end_us: int, quantity: int, marks: Sequence[int]) -> Iterator[Piece]:
    """What was used evenly in `[start_us, end_us)`, cut at those instants (in order of time) that
    lie inside; the quantities add up to the whole. Below 0: taken back.
    """
    inside = [mark for mark in marks if start_us < mark < end_us]
    first, size, sign = sum(mark <= start_us for mark in marks), abs(quantity), 1
    if quantity < 0:
        sign = -1
    before = 0
    ends = pairwise((start_us, *inside, end_us))
    for index, (low, high) in enumerate(ends, first):
        upto = size if high == end_us else size * (high - start_us) // (end_us - start_us)
        yield Piece(index, low, high, sign * (upto - before))
        before = upto


def shared(amount_pico: int, quantities: Sequence[int]) -> list[int]:
    """The amount in parts by quantity, in order; of a sum of 0, all is the last one's.

    Empty in, empty out.
    """
    if not quantities:
        return []
    total, so_far, before = sum(quantities), 0, 0
    if not total:
        return [0] * (len(quantities) - 1) + [amount_pico]
    parts = []
    for quantity in quantities:
        so_far += quantity
        upto = (
            round_half_even(amount_pico * so_far, total)
            if total > 0
            else round_half_even(-amount_pico * so_far, -total)
        )
        parts.append(upto - before)
        before = upto
    return parts
