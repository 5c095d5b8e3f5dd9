"""Views that live through anything are the rebuilt ones: invariant 16 of MONEY.md, stateful."""

from collections.abc import Iterator
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from projections.rebuild import differences, fill, rebuild
from projections.views import applied, step
from tests.conftest import Database
from tests.integration.projections_facts import RawLog, Told, told
from tests.integration.test_projections_rebuild import WIPE

pytestmark = pytest.mark.slow

type Connections = tuple[psycopg.Connection, psycopg.Connection, psycopg.Connection]


class Views(RuleBasedStateMachine):
    """Facts come in, steps apply them, crash or are rebuilt from under the readers."""

    connections: ClassVar[Connections]

    def __init__(self) -> None:
        super().__init__()
        self.owner, self.app, self.reader = self.connections
        self.at = 0

    @initialize()
    def begin(self) -> None:
        self.owner.execute(WIPE)
        self.log = RawLog(self.owner)

    @rule(facts=st.lists(told(), min_size=1, max_size=8))
    def append(self, facts: list[Told]) -> None:
        self.log.append(facts)

    @rule(limit=st.integers(1, 9))
    def apply(self, limit: int) -> None:
        self.at += step(self.app, limit)

    @rule(limit=st.integers(1, 9))
    def crash(self, limit: int) -> None:
        """Everything of a step was sent, and nothing committed."""
        with self.app.transaction(force_rollback=True):
            step(self.app, limit)

    @rule()
    def swap(self) -> None:
        assert rebuild(self.app, self.reader) == []

    @invariant()
    def the_position_is_that_of_the_steps(self) -> None:
        if hasattr(self, "log"):
            assert applied(self.app) == self.at <= self.log.position

    def teardown(self) -> None:
        """Live = rebuilt, by bytes, where it stands and at the head."""
        if not hasattr(self, "log"):
            return
        for limit in (0, 7):
            while limit and step(self.app, limit):
                continue
            self.app.execute("SELECT live.views_shadow()")
            fill(self.app, self.reader)
            assert differences(self.app) == []
        assert applied(self.app) == self.log.position


@pytest.fixture
def connections(database: Database) -> Iterator[Connections]:
    with (
        psycopg.connect(database.owner_url, autocommit=True) as owner,
        psycopg.connect(database.app_url, autocommit=True) as app,
        psycopg.connect(database.app_url, autocommit=True) as reader,
    ):
        for each in (owner, app, reader):
            each.execute("SET synchronous_commit = off")
        yield owner, app, reader


def test_live_views_are_the_rebuilt_ones_whatever_happened(connections: Connections) -> None:
    """Invariant 16: appends, steps of any size, crashes and rebuilds in any order."""
    Views.connections = connections
    run_state_machine_as_test(
        Views,
        settings=settings(
            max_examples=6,
            phases=[
                Phase.generate
            ],  # a failure is told at once: every rebuild makes all tables anew
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
