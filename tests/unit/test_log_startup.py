"""Servers and environments that would lose acknowledged or followed events are refused."""

import pytest
from eventsourcing.persistence import InfrastructureFactoryError

from domain.errors import DomainError
from evidence.recorder import check_settings as check_library
from evidence.startup import DURABLE, check_environment, check_settings

SAFE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "server_encoding": "UTF8",
}


@pytest.mark.parametrize("name", DURABLE)
def test_a_server_that_forgets_is_refused_unless_allowed_by_name(name: str) -> None:
    """fsync, full_page_writes and synchronous_commit off are each refused by name."""
    unsafe = SAFE | {name: "off"}
    with pytest.raises(DomainError, match=name):
        check_settings(unsafe, frozenset())
    others = frozenset(DURABLE) - {name}
    with pytest.raises(DomainError, match=name):
        check_settings(unsafe, others)
    check_settings(unsafe, frozenset({name}))
    check_settings(SAFE, frozenset())


def test_another_encoding_is_refused() -> None:
    """A database that cannot hold every text of the log is refused."""
    with pytest.raises(DomainError, match="UTF8"):
        check_settings(SAFE | {"server_encoding": "SQL_ASCII"}, frozenset())


@pytest.mark.parametrize("value", ["y", "Y", "yes", "true", "1", "on"])
@pytest.mark.parametrize("prefix", ["", "APP_"])
def test_the_librarys_database_functions_are_refused(value: str, prefix: str) -> None:
    """POSTGRES_ENABLE_DB_FUNCTIONS loses events for readers that follow the log."""
    name = f"{prefix}POSTGRES_ENABLE_DB_FUNCTIONS"
    with pytest.raises(DomainError, match=name):
        check_environment({name: value})
    check_environment({name: "n", "POSTGRES_PORT": "1"})


@pytest.mark.parametrize(
    "setting",
    [
        {"ORIGINATOR_ID_TYPE": "uuid"},
        {"CREATE_TABLE": "yes"},
        {"CIPHER_KEY": "x"},
        {"COMPRESSOR_TOPIC": "zlib"},
        {"IS_SNAPSHOTTING_ENABLED": "y"},
        {"POSTGRES_ENABLE_DB_FUNCTIONS": "y"},
    ],
)
def test_library_settings_that_break_the_log_are_refused(setting: dict[str, str]) -> None:
    """Text ids, migrations' tables, stored bytes as hashed: the library is told so by name."""
    with pytest.raises(InfrastructureFactoryError):
        check_library(setting)
    check_library({"ORIGINATOR_ID_TYPE": "text", "CREATE_TABLE": "no"})
