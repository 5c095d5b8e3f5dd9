"""Long work as facts tell of it."""

from typing import Any

import pytest
from msgspec import Struct

from domain import runtime as r
from domain import volume as v
from domain.operation import Mark, begins, marks
from domain.words import Share
from tests.unit.domain_world import NAME, word

RUNTIME, VOLUME = "runtime-1", "volume-1"
REQUESTED = r.Requested("project-1", "department-1", "account-1", NAME, 1, 500, (), 1)
PLACED: tuple[Struct, ...] = (
    REQUESTED,
    r.Allocated("allocation-1", "node-1", "T4", (Share(0, 500),), 1, 10),
)
STARTED = (*PLACED, r.Starting(7, 11))
RUNNING = (*STARTED, r.Usable(20, 20, 30, word()))
STOPPING = r.Stopping("user", 40)
CREATED = v.Created(*("project-1", "department-1", "account-1", "node-1", NAME, 64, 1))


def told(stream: str, facts: tuple[Any, ...]) -> dict[str, str]:
    """How each kind of work that was begun stands: as the view has it, in plain Python."""
    found: dict[str, str] = {}
    for fact in facts:
        for one in marks(stream, fact):
            if one.begins:
                found[one.kind] = "pending"
            elif found.get(one.kind) in ("pending", "running"):
                found[one.kind] = one.ends or "running"
    return found


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((REQUESTED,), {"launch": "pending"}),
        (PLACED, {"launch": "running"}),
        (RUNNING, {"launch": "succeeded"}),
        ((*PLACED, r.Cancelled("user", 12)), {"launch": "cancelled"}),
        ((*STARTED, r.Failed("oom", 1, 2, 3, word())), {"launch": "failed"}),
        ((*STARTED, r.Lost(20, 99)), {"launch": "failed"}),
        ((*RUNNING, STOPPING), {"launch": "succeeded", "stop": "pending"}),
        ((*STARTED, STOPPING), {"launch": "running", "stop": "pending"}),
        (
            (*RUNNING, STOPPING, r.Stopped(50, 50, 60, word())),
            {"launch": "succeeded", "stop": "succeeded"},
        ),
        (
            (*STARTED, STOPPING, r.Stopped(50, 50, 60, word())),
            {"launch": "cancelled", "stop": "succeeded"},
        ),
        ((*RUNNING, STOPPING, r.Lost(20, 99)), {"launch": "succeeded", "stop": "failed"}),
    ],
)
def test_a_runtimes_life_is_a_launch_and_a_stop(
    facts: tuple[Any, ...], expected: dict[str, str]
) -> None:
    """A launch is over when it is usable or ends before; its stop when it has ended."""
    assert told(RUNTIME, facts) == {f"runtime.{kind}": state for kind, state in expected.items()}


def test_what_a_node_refuses_fails_that_order_alone() -> None:
    """Under our word for it, with the node's code; an order that ended well stays so."""
    grow = (v.GrowRequested(128, 5), v.OrderRefused(1, "grow", "volume.no_space", 6))
    facts = (CREATED, v.OrderRefused(1, "create", "volume.no_space", 2))
    assert told(VOLUME, facts) == {"volume.create": "failed"}
    assert told(VOLUME, (*grow, v.WipeRequested(7))) == {
        "volume.grow": "failed",
        "volume.delete": "pending",
    }
    [refused] = marks(VOLUME, v.OrderRefused(1, "wipe", "volume.busy", 2))
    assert refused == Mark("volume.delete", VOLUME, "refused", 2, ends="failed", code="volume.busy")


def test_only_what_begins_work_begins_an_operation() -> None:
    """The fact that an act's answer leads to; others of the same append are steps."""
    assert [begins(RUNTIME, fact) for fact in (*PLACED, STOPPING)] == [True, False, True]
    assert begins(VOLUME, CREATED)
    assert not begins("quota-1", CREATED)
