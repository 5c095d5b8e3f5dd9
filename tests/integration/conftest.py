"""A served API for all tests of a module."""

from collections.abc import Iterator

import pytest

from api.embedded.nats import Nats
from tests.attacked import Attacked, attacking, untouched_by
from tests.conftest import Database


@pytest.fixture(scope="module")
def attacked(
    module_database: Database, nats_server: Nats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    with attacking(module_database, nats_server.url(), folder) as found:
        yield found


@pytest.fixture
def untouched(attacked: Attacked) -> Iterator[Attacked]:
    """It is as it was, and others are served, after the test."""
    with untouched_by(attacked):
        yield attacked
