"""What rates make of an invoice's lines: shown amounts and taxes (rating.md section 11)."""

from typing import Any

from gpuaas_verify.books_invoice import Line
from gpuaas_verify.books_rating import round_half_even

type Row = dict[str, Any]
type Rate = tuple[str, int, str]  # category, basis points, reason


def places(digits: int) -> tuple[int, int]:
    """(What shown amounts are multiples of, in minor units; the same in pico)."""
    step = 10 ** (digits - 2) if digits > 2 else 1
    return step, step * 10 ** (12 - digits)


def tax_of(base: int, points: int, digits: int) -> int:
    """The tax on a base of minor units, half-even to its places."""
    step, _ = places(digits)
    return round_half_even(base * points, 10_000 * step) * step


def shares(amounts: list[int], digits: int) -> list[int]:
    """Minor amounts as shown, which add up to the rounded sum of these pico amounts."""
    step, unit = places(digits)
    floors = [amount // unit for amount in amounts]
    short = round_half_even(sum(amounts), unit) - sum(floors)
    order = sorted(range(len(amounts)), key=lambda at: (-(amounts[at] % unit), at))
    first = set(order[:short])
    return [(floor + (at in first)) * step for at, floor in enumerate(floors)]


def stated(lines: list[Line], rates: list[Rate], digits: int) -> tuple[list[int], list[Row]]:
    """Each line's minor amount as shown, and the taxes, a row for each rate in order."""
    shown, taxes = [0] * len(lines), []
    for rate in sorted(set(rates)):
        mine = [at for at, of in enumerate(rates) if of == rate]
        parts = shares([lines[at][5] for at in mine], digits)
        for at, minor in zip(mine, parts, strict=True):
            shown[at] = minor
        base = sum(parts)
        taxes.append({
            "category": rate[0], "rate_bp": rate[1], "reason": rate[2],
            "base_pico": sum(lines[at][5] for at in mine), "base_minor": base,
            "tax_minor": tax_of(base, rate[1], digits),
        })  # fmt: skip
    return shown, taxes


def taxed_line(line: Line, rate: Rate, minor: int) -> Row:
    """A line as the file says it."""
    project, sku, price, service, quantity, amount = line
    category, points, reason = rate
    return {
        "project": project, "sku": sku, "price": price, "service_period": service,
        "category": category, "rate_bp": points, "reason": reason, "quantity": quantity,
        "amount_pico": amount, "shown_minor": minor,
    }  # fmt: skip
