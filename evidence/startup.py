"""What a server and an environment must be before the log is written (EVIDENCE.md section 3)."""

import os
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from domain.errors import DomainError

DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY (%(names)s)"
_HAS_LOG: Final = "SELECT to_regclass('log.head') IS NOT NULL"
# The library's database functions number events before they commit: tailing readers lose some.
_FORBIDDEN_ENVIRONMENT: Final = "POSTGRES_ENABLE_DB_FUNCTIONS"


async def require_safe(
    conn: psycopg.AsyncConnection[Any],
    allow_unsafe: frozenset[str],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Nothing when an acknowledged append survives a power cut on this server.

    Raises:
        DomainError: `log.unsafe_server` naming the setting, `log.unsafe_environment`,
            `log.no_schema`.
    """
    check_environment(os.environ if environment is None else environment)
    names = [*DURABLE, "server_encoding"]
    rows = await (await conn.execute(_SETTINGS, {"names": names})).fetchall()
    check_settings(dict(rows), allow_unsafe)
    row = await (await conn.execute(_HAS_LOG)).fetchone()
    if row is None or not row[0]:
        raise DomainError("log.no_schema", "the database has no log: run `gpuaas migrate`")


def check_settings(settings: Mapping[str, str], allow_unsafe: frozenset[str]) -> None:
    for name in DURABLE:
        # Only `off` and `local`-less modes matter: every other value waits for the local disk.
        if settings.get(name) == "off" and name not in allow_unsafe:
            raise DomainError(
                "log.unsafe_server", f"{name} is off: an acknowledged append could be lost"
            )
    if settings.get("server_encoding") != "UTF8":
        raise DomainError("log.unsafe_server", "the database's encoding is not UTF8")


def check_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        wanted = name == _FORBIDDEN_ENVIRONMENT or name.endswith(f"_{_FORBIDDEN_ENVIRONMENT}")
        if wanted and value.strip().lower() in {"y", "yes", "t", "true", "on", "1"}:
            raise DomainError(
                "log.unsafe_environment",
                f"{name} is set: readers that follow the log would miss events",
            )
