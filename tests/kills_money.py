"""Charges and an invoice held against the log's lifecycle facts, by arithmetic of their own."""

import json
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import psycopg

from domain import account, invoice, period, pricebook, runtime
from evidence.reader import Recorded, read_rows

_MOST = 100_000


def lived(facts: Sequence[Recorded]) -> dict[str, tuple[runtime.Requested, int, int]]:
    """Of every stopped runtime: what was asked, usable since, stopped at; once each."""
    found: dict[str, list[Any]] = defaultdict(lambda: [None, None, None])
    for one in facts:
        match one.fact:
            case runtime.Requested():
                found[one.stream][0] = one.fact
            case runtime.Usable():
                assert found[one.stream][1] is None, "usable twice"
                found[one.stream][1] = one.fact.usable_us
            case runtime.Stopped():
                assert found[one.stream][2] is None, "stopped twice"
                found[one.stream][2] = one.fact.stopped_us
            case _:
                pass
    return {name: (asked, since, at) for name, (asked, since, at) in found.items() if at}


def sealed(conn: psycopg.Connection[Any], table: str) -> list[dict[str, Any]]:
    """The rows of a bulk table."""
    return [json.loads(raw) for _, raw in read_rows(conn, table, 0, _MOST)]


def hold_charges(conn: psycopg.Connection[Any], facts: Sequence[Recorded]) -> None:
    """Every stopped runtime is charged its usable time, once, to the microsecond; no piece twice."""
    charged: dict[str, int] = defaultdict(int)
    pieces: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in sealed(conn, "rated_interval"):
        charged[row["resource"]] += row["sign"] * row["quantity"]
        assert row["sign"] == 1, "nothing here is told late"
        pieces[row["resource"]].append((row["start_us"], row["end_us"]))
    lives = lived(facts)
    assert charged == {
        name: asked.gpu_milli * (stopped - since)
        for name, (asked, since, stopped) in lives.items()
        if stopped > since
    }
    for name, intervals in pieces.items():
        intervals.sort()
        assert [start for start, _ in intervals[1:]] == [end for _, end in intervals[:-1]], name
    ids = [row["id"] for row in sealed(conn, "transfer")]
    assert len(set(ids)) == len(ids)


def hold_invoice(
    conn: psycopg.Connection[Any], facts: Sequence[Recorded], account_id: str
) -> invoice.Finalized:
    """The account's one invoice = what its runtimes used inside its one closed period."""
    opened = {
        one.stream: one.fact
        for one in facts
        if isinstance(one.fact, period.Opened) and one.fact.account == account_id
    }
    [closed] = [
        one.stream for one in facts if isinstance(one.fact, period.Closed) and one.stream in opened
    ]
    [final] = [
        one
        for one in facts
        if isinstance(one.fact, invoice.Finalized) and one.fact.account == account_id
    ]
    assert isinstance(final.fact, invoice.Finalized)
    assert final.fact.period == closed
    after = [one.fact for one in facts if one.stream in {final.stream, account_id}]
    assert sum(isinstance(fact, invoice.Issued) for fact in after) == 1
    assert [fact for fact in after if isinstance(fact, account.Invoiced)] == [
        account.Invoiced(final.stream, 1)
    ]
    due = _due(facts, account_id, opened[closed])
    assert due > 0, "nothing was used inside the period"
    unit = 10 ** (12 - final.fact.minor_digits)
    assert (final.fact.total_pico, final.fact.total_minor) == (due, round(Fraction(due, unit)))
    booked: dict[str, int] = defaultdict(int)
    for row in sealed(conn, "transfer"):
        if row["account"] == account_id and row["booked"] == closed:
            sign = 1 if row["debit"] in {"unbilled", "receivable"} else -1
            booked[row["kind"]] += sign * row["amount_pico"]
    rounding = final.fact.total_minor * unit - due
    expected = {"charge": due, "invoice": due, "rounding": rounding}
    assert {kind: sum_ for kind, sum_ in booked.items() if sum_} == {
        kind: sum_ for kind, sum_ in expected.items() if sum_
    }
    return final.fact


def _due(facts: Sequence[Recorded], account_id: str, inside: period.Opened) -> int:
    """Pico due in the period: per runtime and price entry, half-even, of the time that both share."""
    prices = sorted(
        (one.fact.effective_from_us, one.fact.price_pico, one.fact.divisor)
        for one in facts
        if isinstance(one.fact, pricebook.EntryPublished)
    )
    due = 0
    for asked, since, stopped in lived(facts).values():
        if asked.account != account_id:
            continue
        for number, (effective, pico, divisor) in enumerate(prices):
            until = prices[number + 1][0] if number + 1 < len(prices) else stopped
            start = max(since, effective, inside.start_us)
            end = min(stopped, until, inside.end_us)
            if end > start:
                due += round(Fraction(asked.gpu_milli * (end - start) * pico, divisor))
    return due
