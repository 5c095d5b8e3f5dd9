"""Quota under a crowd, judged from the log's own bytes."""

import pytest
import uvloop

from tests.conftest import Database
from tests.quota_crowd import crowded, require_held

pytestmark = pytest.mark.slow


def test_never_above_a_limit_and_what_fits_is_never_refused(
    database: Database, nats_url: str
) -> None:
    """2,000 turns of 64 clients on a three-level tree whose shares, limits and claims move meanwhile:
    no position raises use, or what is kept or claimed, above a limit, and each refusal says exactly
    what fitted where it was decided. 100,000 by `make chaos`.
    """
    crowd = uvloop.run(crowded(database.app_url, nats_url, clients=64, turns=2_000, seed=1))
    said = require_held(database.app_url, crowd)
    assert crowd.done["LaunchAsk"] > 300, said
    assert crowd.done["ReserveAsk"] > 10, said
    assert len(crowd.refusals) > 100, said
    assert crowd.told, said


def test_two_writers_at_once_and_one_that_goes_break_nothing(
    database: Database, nats_url: str
) -> None:
    """As if an election had failed: both decide and append on one log, which lets no decision stand
    that another one has overtaken. Then one goes with what waits for it, and whoever asked repeats.
    """
    asked = crowded(database.app_url, nats_url, clients=16, turns=300, seed=2, rivals=True)
    crowd = uvloop.run(asked)
    said = require_held(database.app_url, crowd)
    assert crowd.done["LaunchAsk"] > 50, said
