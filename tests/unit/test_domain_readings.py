"""Meters of readings, sources, and which readings are new: every decision by hand."""

from typing import Any

import pytest
from msgspec import Struct

from domain import meter, reading, source
from domain.decider import Decider, fold
from domain.errors import DomainError

KEY = "ab" * 32
NAMES = ("model", "zone")
TOKENS = meter.ReadingsRegistered("llm.tokens", "token", 1000, "sum", NAMES, 1)
OLD = meter.Registered("old", "x", "readings", "sum", 1)
SOURCE = source.Registered("organization-1", "project-1", KEY, ("llm.tokens",), 1)
REVOKED = source.Revoked("lost", 2)


def tokens(**more: Any) -> meter.RegisterReadings:
    said = {
        "meter": "llm.tokens", "unit": "token", "divisor": 1000, "aggregation": "sum",
        "dimensions": NAMES, "now_us": 1,
    }  # fmt: skip
    return meter.RegisterReadings(**{**said, **more})


def register(key: str = KEY, meters: tuple[str, ...] = ("llm.tokens",)) -> source.Register:
    return source.Register("organization-1", "project-1", key, meters, 1)


M, S = meter.DECIDER, source.DECIDER
TABLE: list[tuple[str, Decider[Any, Any, Any], tuple[Struct, ...], Struct, object]] = [
    ("a meter", M, (), tokens(), [TOKENS]),
    ("the same again", M, (TOKENS,), tokens(now_us=9), []),
    ("another divisor", M, (TOKENS,), tokens(divisor=1), "meter.exists"),
    ("another aggregation", M, (TOKENS,), tokens(aggregation="max"), "meter.exists"),
    ("other dimensions", M, (TOKENS,), tokens(dimensions=("model",)), "meter.exists"),
    ("of lifecycles instead", M, (TOKENS,), meter.Register("llm.tokens", "token", "lifecycle", "sum", 1), "meter.exists"),
    ("as an earlier release said it", M, (OLD,), tokens(meter="old", unit="x", divisor=1, dimensions=("model",)), []),
    ("as an earlier release did not", M, (OLD,), tokens(meter="old", unit="x"), "meter.exists"),
    ("a mean", M, (), tokens(aggregation="mean"), "meter.invalid"),
    ("of no divisor", M, (), tokens(divisor=0), "meter.invalid"),
    ("without a model", M, (), tokens(dimensions=("zone",)), "meter.invalid"),
    ("out of order", M, (), tokens(dimensions=("zone", "model")), "meter.invalid"),
    ("a name twice", M, (), tokens(dimensions=("model", "model")), "meter.invalid"),
    ("too many names", M, (), tokens(dimensions=(*(f"a{n}" for n in range(8)), "model")), "meter.invalid"),
    ("what lifecycles count", M, (), tokens(meter="gpu.time", dimensions=("model",)), "meter.invalid"),
    ("a source", S, (), register(), [SOURCE]),
    ("registered again", S, (SOURCE,), register(), "source.exists"),
    ("no key", S, (), register("ab"), "source.invalid"),
    ("no meters", S, (), register(meters=()), "source.invalid"),
    ("a meter twice", S, (), register(meters=("a", "a")), "source.invalid"),
    ("too many meters", S, (), register(meters=tuple(map(str, range(101)))), "source.invalid"),
    ("revoked", S, (SOURCE,), source.Revoke("lost", 2), [REVOKED]),
    ("revoked again", S, (SOURCE, REVOKED), source.Revoke("x", 3), []),
    ("back from revocation", S, (SOURCE, REVOKED), register(), "source.revoked"),
    ("revoking nobody", S, (), source.Revoke("x", 3), "source.unknown"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("decider", "given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    decider: Decider[Any, Any, Any], given: tuple[Struct, ...], when: Struct, then: object
) -> None:
    """Each command in each state has one answer: facts, nothing when done already, or a code."""
    state = fold(decider, given)
    if isinstance(then, str):
        with pytest.raises(DomainError) as caught:
            decider.decide(when, state)
        assert caught.value.code == then
    else:
        assert decider.decide(when, state) == then


MARK = reading.Mark(2, 5, b"")


@pytest.mark.parametrize(
    ("mark", "epoch", "first", "count", "expected"),
    [
        (None, 1, 1, 3, 0),
        (None, 7, 1, 3, 0),
        (MARK, 2, 6, 3, 0),
        (MARK, 2, 5, 3, 1),
        (MARK, 2, 1, 3, 3),
        (MARK, 2, 3, 3, 3),
        (MARK, 3, 1, 3, 0),
        (MARK, 1, 900, 3, 3),
        (None, 1, 2, 3, "1"),
        (MARK, 2, 7, 3, "6"),
        (MARK, 3, 2, 3, "1"),
    ],
)
def test_what_is_new_follows_the_mark(
    mark: reading.Mark | None, epoch: int, first: int, count: int, expected: int | str
) -> None:
    """The number of repeats at the front, or the number that is next."""
    if isinstance(expected, int):
        assert reading.repeated(mark, epoch, first, count) == expected
    else:
        with pytest.raises(DomainError) as caught:
            reading.repeated(mark, epoch, first, count)
        assert caught.value.code == "reading.gap"
        assert caught.value.facts == {"expected": int(expected), "epoch": epoch}


SUM = meter.Counting("a", "x", "readings", "sum")
LEVEL = meter.Counting("a", "x", "readings", "time-weighted")


@pytest.mark.parametrize(
    ("counting", "names", "span", "quantity", "code"),
    [
        (SUM, ("model",), (5, 5), 0, None),
        (SUM, ("model",), (5, 10), 10**18, None),
        (LEVEL, ("model",), (5, 6), 10**18, None),
        (meter.Counting("a", "x", "lifecycle", "sum"), ("model",), (5, 5), 1, "reading.invalid"),
        (SUM, ("model", "zone"), (5, 5), 1, "reading.invalid"),
        (SUM, ("zone",), (5, 5), 1, "reading.invalid"),
        (SUM, ("model",), (5, 4), 1, "reading.invalid"),
        (LEVEL, ("model",), (5, 5), 1, "reading.invalid"),
        (SUM, ("model",), (5, 5), -1, "reading.invalid"),
        (SUM, ("model",), (5, 5), 10**18 + 1, "reading.invalid"),
        (LEVEL, ("model",), (0, 10), 10**24, "reading.invalid"),
        (SUM, ("model",), (5, 11), 1, "reading.in_future"),
    ],
)
def test_what_a_meter_counts(
    counting: meter.Counting,
    names: tuple[str, ...],
    span: tuple[int, int],
    quantity: int,
    code: str | None,
) -> None:
    """At instant 10: exactly its dimensions, in time's order, nothing negative, huge or future."""
    if code is None:
        reading.require_countable(counting, names, span, quantity, 10)
        return
    with pytest.raises(DomainError) as caught:
        reading.require_countable(counting, names, span, quantity, 10)
    assert caught.value.code == code
