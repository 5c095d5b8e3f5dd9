"""The directory read from the log: as of its head, or what it knew of credentials once."""

from typing import Any, Final

import psycopg

from api.authorization.directory import Directory
from api.edge import now_us
from domain import authority
from evidence.reader import decode_entry, head

# Streams of a kind stand together in the index: `.` follows `-`.
_LOAD: Final = """
SELECT entry FROM log.entry
WHERE (stream >= 'department-' AND stream < 'department.')
   OR (stream >= 'organization-' AND stream < 'organization.')
   OR (stream >= 'project-' AND stream < 'project.')
   OR (stream >= 'token-' AND stream < 'token.')
   OR stream = 'access-00000000-0000-7000-8000-000000000000'
   OR stream IN (SELECT 'access-' || substr(stream, 14) FROM log.entry
     WHERE stream >= 'organization-' AND stream < 'organization.' AND version = 1)
ORDER BY position"""
_THEN: Final = """
SELECT entry FROM log.entry
WHERE position <= %(at)s AND (stream = %(authority)s
  OR stream >= 'organization-' AND stream < 'organization.'
  OR stream >= 'token-' AND stream < 'token.')
ORDER BY position"""
# By the index of migration 0116.
_THEN_OF: Final = """
SELECT entry FROM (
  SELECT position, entry FROM log.entry WHERE stream IN (%(authority)s, %(org)s)
  UNION ALL
  SELECT position, entry FROM log.entry
  WHERE stream >= 'token-' AND stream < 'token.' AND log.org_of(entry) = %(org)s
) AS found WHERE position <= %(at)s ORDER BY position"""


def load(conn: psycopg.Connection[Any], directory: Directory) -> None:
    """The directory as of the head. One snapshot: nothing between what is read and the head."""
    size = head(conn).size
    for (entry,) in conn.execute(_LOAD, binary=True):
        directory.apply(decode_entry(bytes(entry)))
    directory.forget(now_us())
    directory.applied = size


def credentials_at(conn: psycopg.Connection[Any], org: str | None, at: int) -> Directory:
    """Keys, sessions and issuers of the organization (None: of all) once entry `at` was known, with
    every session that was ever opened: whether its time was over is the caller's to say.
    """
    found = _Unforgetting()
    # What is no id has no stream, and nothing is found.
    authority_of = authority.authority_stream(org) if org and "-" in org else ""
    asked = {"at": at, "org": org, "authority": authority_of}
    for (entry,) in conn.execute(_THEN if org is None else _THEN_OF, asked, binary=True):
        found.apply(decode_entry(bytes(entry)))
    return found


class _Unforgetting(Directory):
    """Of the past: what was forgotten since was there."""

    def forget(self, at_us: int) -> None:
        del at_us
