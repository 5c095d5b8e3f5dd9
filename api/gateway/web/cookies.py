"""Cookies of browsers that entered an app; in the database, so that any gateway knows them."""

import hashlib
import re
import secrets
from typing import Final

from api.statements import Statements

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_KNOWN: Final = 10_000
# Old rows go when new ones come: the table stays as small as a day's use.
_ISSUE: Final = """
WITH old AS (DELETE FROM api.app_cookie WHERE expires_us < %(now_us)s)
INSERT INTO api.app_cookie (hash, access, expires_us) VALUES (%(hash)s, %(grant)s, %(until_us)s)"""
_GRANT: Final = "SELECT access FROM api.app_cookie WHERE hash = %(hash)s"


class Cookies:
    """A cookie names a grant, for good; what that grant allows just now is the log's to say."""

    def __init__(self, app_url: str) -> None:
        self._statements = Statements(app_url)
        self._known: dict[bytes, str] = {}

    async def issue(self, grant: str, until_us: int, now_us: int) -> str:
        """A new cookie's value, stored by its hash. Raises: DomainError log.unavailable."""
        value = secrets.token_urlsafe(32)
        said = {"hash": _hash(value), "grant": grant, "until_us": until_us, "now_us": now_us}
        await self._statements.run(_ISSUE, said)
        return value

    async def grant_of(self, value: str) -> str | None:
        """The grant that the cookie names. Raises: DomainError log.unavailable."""
        if not _SHAPE.fullmatch(value):
            return None
        key = _hash(value)
        known = self._known.get(key)
        if known is None:
            row = await self._statements.run(_GRANT, {"hash": key})
            if row is None:
                return None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = str(row[0])
        return known

    async def close(self) -> None:
        await self._statements.close()


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
