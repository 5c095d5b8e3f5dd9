"""Parts of lots of credit, `[grant, pico]` in the order in which they were taken."""

from typing import Any

from gpuaas_verify.errors import Invalid

type Parts = list[list[Any]]


def fail(code: str, detail: str, position: int, field: str) -> Invalid:
    return Invalid(code, detail, position=position, field=field)


def total(parts: Parts) -> int:
    return sum(pico for _, pico in parts)


def joined(first: Parts, then: Parts) -> Parts:
    sums: dict[str, int] = {}
    for grant, pico in [*first, *then]:
        sums[grant] = sums.get(grant, 0) + pico
    return [[grant, pico] for grant, pico in sums.items()]


def last(parts: Parts, pico: int) -> tuple[Parts, Parts]:
    """(the last `pico` of them, the rest), in order."""
    last: Parts = []
    rest: Parts = []
    for grant, part in reversed(parts):
        gone = min(part, pico)
        pico -= gone
        if gone:
            last.insert(0, [grant, gone])
        if part > gone:
            rest.insert(0, [grant, part - gone])
    return last, rest
