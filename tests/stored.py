"""What a database holds: how much of everything, and all of it as text."""

from typing import Any, Final

import psycopg
from psycopg import sql

from tests.conftest import Database

_TABLES: Final = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_COLUMNS: Final = """
SELECT attname, atttypid = 'bytea'::regtype FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def counts(database: Database) -> dict[str, int]:
    """Rows by table, as a superuser sees them."""
    with psycopg.connect(database.superuser_url) as conn:
        tables = conn.execute(_TABLES).fetchall()
        parts = [
            sql.SQL("SELECT {}, count(*) FROM {}").format(f"{one[0]}.{one[1]}", _table(one))
            for one in tables
        ]
        return dict(conn.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall())


def text(database: Database) -> dict[str, str]:
    """By table all that its rows say, bytes as the text that they hold."""
    with psycopg.connect(database.superuser_url) as conn:
        return {f"{one[0]}.{one[1]}": _text(conn, one) for one in conn.execute(_TABLES).fetchall()}


def _text(conn: psycopg.Connection[Any], table: tuple[str, str]) -> str:
    where = _table(table)
    columns = conn.execute(_COLUMNS, (where.as_string(conn),)).fetchall()
    shown = sql.SQL(", ").join(
        sql.SQL("encode({}, 'escape')" if is_bytes else "{}::text").format(sql.Identifier(name))
        for name, is_bytes in columns
    )
    found = conn.execute(sql.SQL("SELECT concat_ws(' ', {}) FROM {}").format(shown, where))
    return "\n".join(str(row[0]) for row in found)


def _table(name: tuple[str, str]) -> sql.Identifier:
    return sql.Identifier(*name)
