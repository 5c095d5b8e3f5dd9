"""Applies the numbered SQL files of this folder, each once, each in one transaction."""

import hashlib
from pathlib import Path

import psycopg

_LEDGER = """
-- What was applied, by number; the digest catches a file edited after it ran.
CREATE TABLE IF NOT EXISTS gpuaas_migration (
  number integer PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON gpuaas_migration TO PUBLIC
"""
_LOCK = "SELECT pg_advisory_xact_lock(7214036821)"
_APPLIED = "SELECT number, name, sha256 FROM gpuaas_migration ORDER BY number"
_RECORD = (
    "INSERT INTO gpuaas_migration (number, name, sha256) VALUES (%(number)s, %(name)s, %(sha256)s)"
)


class SchemaMismatch(Exception):  # noqa: N818 - it is a state of the database, named as one
    """The database belongs to another version of the software; nothing was changed."""


def migrations() -> list[tuple[int, Path]]:
    """The SQL files in order of their numbers; two files with one number are a bug."""
    found = sorted(Path(__file__).parent.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    numbers = [int(path.name[:4]) for path in found]
    assert len(set(numbers)) == len(numbers), "two migrations share a number"
    return list(zip(numbers, found, strict=True))


def migrate(owner_url: str) -> list[str]:
    """Applies what is missing and returns the names applied, in order; [] when up to date.

    Each file and its record commit together: a crash leaves whole migrations only. Two runs at
    once wait for each other.

    Raises:
        SchemaMismatch: the database has a migration this checkout lacks, or an edited one.
    """
    applied_now = []
    with psycopg.connect(owner_url) as conn:
        conn.execute(_LOCK)
        conn.execute(_LEDGER)
        known = _check(conn)
        conn.commit()
        for number, path in migrations():
            if number in known:
                continue
            body = path.read_bytes()
            conn.execute(_LOCK)
            if number in _check(conn):
                conn.commit()
                continue
            conn.execute(body)
            conn.execute(
                _RECORD,
                {"number": number, "name": path.name, "sha256": hashlib.sha256(body).hexdigest()},
            )
            conn.commit()
            applied_now.append(path.name)
    return applied_now


def require_current(owner_or_app_url: str) -> None:
    """Raises: `SchemaMismatch` unless exactly this checkout's migrations were applied."""
    with psycopg.connect(owner_or_app_url) as conn:
        exists = conn.execute("SELECT to_regclass('gpuaas_migration')").fetchone()
        if exists is None or exists[0] is None:
            raise SchemaMismatch("the database is empty: run `gpuaas migrate` first")
        missing = [path.name for number, path in migrations() if number not in _check(conn)]
    if missing:
        raise SchemaMismatch(f"the database lacks {', '.join(missing)}: run `gpuaas migrate`")


def _check(conn: psycopg.Connection) -> set[int]:
    files = dict(migrations())
    seen = set()
    for number, name, digest in conn.execute(_APPLIED).fetchall():
        path = files.get(number)
        if path is None:
            raise SchemaMismatch(
                f"the database has migration {name}, which this version does not know: "
                "it was written by a newer one"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise SchemaMismatch(f"migration {name} was applied with other content")
        seen.add(number)
    return seen
