"""Whatever the facts and wherever batches are cut, the views are the same bytes."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain import organization
from domain.authority_facts import BindingGranted
from domain.errors import DomainError
from migrations import runner
from projections import (
    billing_read,
    inventory_read,
    journal_read,
    running_read,
    runtimes_read,
    tenancy_read,
)
from projections.rebuild import differences, digests, fill, rebuild, run
from projections.views import LIVE, applied, step
from tests.conftest import Database
from tests.integration.projections_facts import RawLog, Told, told, uuid

pytestmark = pytest.mark.slow

FOLDER = Path(runner.__file__).parent
WIPE = """
DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = 'views' AND tablename <> 'applied' LOOP
    EXECUTE 'DELETE FROM ' || t;
  END LOOP;
  DELETE FROM log.entry; DELETE FROM log.bulk_row;
  UPDATE views.applied SET position = 0; UPDATE log.head SET next_position = 0;
END $$
"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        conn.execute("SET synchronous_commit = off")
        yield conn


@pytest.fixture
def app(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        conn.execute("SET synchronous_commit = off")
        yield conn


# What begins a thing that has no name begins nothing, by whomever.
NAMELESS = Told(
    f"organization-{uuid(1)}",
    "gpuaas.access.binding_granted.v1",
    BindingGranted("", "user-1", "", f"project-{uuid(1)}", False, (), 0, (), 0),
    (),
)


@example(facts=[NAMELESS], cuts=[1])
@settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    facts=st.lists(told(), min_size=1, max_size=25),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=25),
)
def test_any_facts_in_any_batches_give_the_rebuilt_views(
    owner: psycopg.Connection, app: psycopg.Connection, facts: list[Told], cuts: list[int]
) -> None:
    """Invariant 16: arbitrary valid facts pass through all views, and live = rebuilt, by bytes."""
    owner.execute(WIPE)
    RawLog(owner).append(facts)
    turn = 0
    while step(app, cuts[turn % len(cuts)]):
        turn += 1
    assert applied(app) == len(facts)
    app.execute("SELECT live.views_shadow()")
    assert fill(app, owner) == len(facts)
    assert differences(app) == []
    told_again(owner)
    assert differences(app) == [], "of entries of before, migrations say the same"
    for as_of in (None, len(facts) // 2):
        ask_everything(app, as_of)


# What a migration fills for the entries that it finds, from a line on, and what it fills.
FILLS = {
    "0123_audit_about.sql": ("-- The entries of before", ("act_about", "act_place")),
    "0124_operation_states.sql": ("-- Those that began before", ("operation_state",)),
}


def told_again(owner: psycopg.Connection) -> None:
    """Those rows anew, as their migrations say them."""
    owner.execute("UPDATE views.act SET ends = ''")
    for name, (first, tables) in FILLS.items():
        text = (FOLDER / name).read_text()
        text = text[text.index(first) :].partition("-- Found by")[0]
        fill = re.sub(r"^(ALTER TABLE|CREATE INDEX|ANALYZE)[^;]*;\n", "", text, flags=re.MULTILINE)
        with owner.transaction():
            for table in tables:
                owner.execute(f"DELETE FROM views.{table}".encode())
            owner.execute(fill.encode())


def ask_everything(conn: psycopg.Connection, as_of: int | None) -> None:
    """Every question that has an as_of; that none fails is the point."""
    for ask in (
        tenancy_read.organizations, tenancy_read.departments, tenancy_read.projects,
        tenancy_read.quotas, tenancy_read.tokens, inventory_read.nodes, inventory_read.devices,
        inventory_read.capacity_use, inventory_read.allocations, runtimes_read.runtimes,
        billing_read.prices, billing_read.accounts, billing_read.balances, billing_read.periods,
        billing_read.usage, running_read.running, journal_read.transfers, journal_read.intervals,
        journal_read.charge_lines, journal_read.seals, journal_read.files,
    ):  # fmt: skip
        ask(conn, as_of=as_of)
    for n in (1, 2, 3):
        inventory_read.node(conn, f"node-{uuid(n)}", as_of)
        runtimes_read.runtime(conn, f"runtime-{uuid(n)}", as_of)
        runtimes_read.history(conn, f"runtime-{uuid(n)}", as_of)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(facts=st.lists(told(), min_size=30, max_size=40))
def test_a_rebuild_serves_what_was_there(
    owner: psycopg.Connection, app: psycopg.Connection, facts: list[Told]
) -> None:
    """After the swap every table has the same bytes, and the runner goes on from there."""
    owner.execute(WIPE)
    log = RawLog(owner)
    log.append(facts)
    assert step(app, 100) == len(facts)
    before = digests(app, LIVE)
    assert rebuild(app, owner) == []
    assert digests(app, LIVE) == before
    log.append(facts)
    assert step(app, 100) == len(facts)
    assert applied(app) == 2 * len(facts)


def test_the_command_line_rebuilds_and_says_so(
    database: Database, owner: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and a sentence when equal; 1 and the table's name when not, with nothing swapped."""
    RawLog(owner).append([_suspension()])
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        step(conn, 10)
    assert run(database.app_url) == 0
    assert "through 1 entries, equal" in capsys.readouterr().out
    owner.execute("UPDATE views.organization_standing SET reason = 'other'")
    assert run(database.app_url) == 1
    assert "organization_standing" in capsys.readouterr().out


def _suspension() -> Told:
    fact = organization.Suspended("why", 5)
    return Told(f"organization-{uuid(1)}", "gpuaas.organization.suspended.v1", fact)


def test_a_changed_view_is_not_swapped_away_silently(
    owner: psycopg.Connection, app: psycopg.Connection
) -> None:
    """A serving row somebody edited is found by the comparison, named, and nothing is swapped."""
    log = RawLog(owner)
    log.append([_suspension()])
    step(app, 10)
    owner.execute("UPDATE views.organization_standing SET reason = 'other'")
    with pytest.raises(DomainError, match="organization_standing"):
        rebuild(app, owner)
    reason = "SELECT reason FROM views.organization_standing"
    assert app.execute(reason).fetchone() == ("other",)
    assert rebuild(app, owner, expect_equal=False) == ["organization_standing"]
    assert app.execute(reason).fetchone() == ("why",)
