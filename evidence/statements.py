"""The writer's SQL: one prepared statement each, binary parameters, on the app role's grants."""

from typing import Final

LOCK_HEAD: Final = b"lock_head"
ADVANCE: Final = b"advance"
REQUIRE: Final = b"require_versions"
FIND_STREAMS: Final = b"find_streams"
FIND_COMMANDS: Final = b"find_commands"
FIND_ROWS: Final = b"find_rows"
FIND_ENTRIES: Final = b"find_entries"
INSERT_ENTRIES: Final = b"insert_entries"
INSERT_ROWS: Final = b"insert_rows"
INSERT_PRIVATE: Final = b"insert_private"

# The most a writer may hold the head: one stopped in between is put out by the server.
SETUP: Final = """
SET synchronous_commit = on; SET transaction_timeout = '30s'; SET client_encoding = 'UTF8'
"""

PREPARED: Final[dict[bytes, bytes]] = {
    LOCK_HEAD: b"SELECT next_position, leaf, at_us, clock_us FROM log.lock_head()",
    ADVANCE: b"SELECT log.advance($1, $2, $3, $4, $5, $6)",
    REQUIRE: b"SELECT log.require_versions($1, $2, $3, $4)",
    # The streams that exist, each with its version and its organization.
    FIND_STREAMS: b"""
SELECT s.stream, e.version, log.org_of(e.entry) FROM unnest($1::text[]) AS s(stream)
CROSS JOIN LATERAL (
  SELECT version, entry FROM log.entry WHERE stream = s.stream ORDER BY version DESC LIMIT 1
) e
""",
    # What earlier appends of these commands did: their last entries.
    FIND_COMMANDS: b"""
SELECT e.command, e.position, e.span, e.entry FROM log.entry e WHERE e.command = ANY ($1::bytea[])
""",
    # Where the next row of each table goes.
    FIND_ROWS: b"""
SELECT t.bulk_table, coalesce((
  SELECT r.row_number + 1 FROM log.bulk_row r WHERE r.bulk_table = t.bulk_table
  ORDER BY r.row_number DESC LIMIT 1), 0)
FROM unnest($1::text[]) AS t(bulk_table)
""",
    # Entries by stream and version, numbered as asked.
    FIND_ENTRIES: b"""
SELECT u.n, e.position, e.entry FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY AS u(s, v, n)
JOIN log.entry e ON e.stream = u.s AND e.version = u.v
""",
    INSERT_ENTRIES: b"""
INSERT INTO log.entry (position, version, span, stream, command, entry)
SELECT $1::int8 + u.n - 1, u.version, u.span, u.stream, u.command, u.entry
FROM unnest($2::int4[], $3::int4[], $4::text[], $5::bytea[], $6::bytea[])
  WITH ORDINALITY AS u(version, span, stream, command, entry, n)
""",
    INSERT_ROWS: b"""
INSERT INTO log.bulk_row (bulk_table, row_number, row_bytes)
SELECT * FROM unnest($1::text[], $2::int8[], $3::bytea[])
""",
    INSERT_PRIVATE: b"""
INSERT INTO log.private_value (digest, org, salt, words)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[])
""",
}
