"""A charge line in parts: what of its amount is whose, of departments or of cost centres in turn.

Charges are cut where a project moves, or has another cost centre, so each part of a line has its
own quantity. What a line costs is rounded once, for the whole: a part is what the line would cost
up to the end of its time, less what it would up to its beginning. So parts add up to the line, to
the pico.
"""

from collections.abc import Sequence

from domain.tariff import round_half_even


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
