"""Single-use tickets for a terminal's WebSocket, in the database: any process takes them."""

import hashlib
import secrets
from typing import Final

from msgspec import Struct

from api.statements import Statements
from domain.errors import DomainError

LIFETIME_US: Final = 30_000_000
# Old tickets go when new ones come: the table stays as small as half a minute's use.
_ISSUE: Final = """
WITH old AS (DELETE FROM api.ticket WHERE expires_us < %(now_us)s - 60000000)
INSERT INTO api.ticket (hash, session, actor, expires_us, key, implied)
VALUES (%(hash)s, %(session)s, %(actor)s, %(expires_us)s, %(key)s, %(implied)s)"""
# One statement: of two that come with the same ticket, one finds it.
_SPEND: Final = """
DELETE FROM api.ticket WHERE hash = %(hash)s AND session = %(session)s
RETURNING actor, expires_us, key, implied"""


class Spent(Struct, frozen=True):
    """`key`: the API key it was asked for with; empty without one. `implied`: the token that it was
    asked for with gave the right by itself.
    """

    actor: str
    key: str
    implied: bool


class Tickets:
    """Of every process of the platform: they lie in the database."""

    def __init__(self, app_url: str) -> None:
        self._statements = Statements(app_url)

    async def issue(
        self, session: str, actor: str, now_us: int, key: str = "", *, implied: bool = False
    ) -> str:
        """A ticket for one connection to `session` within 30 s; only its hash is stored.

        Raises: DomainError log.unavailable.
        """
        ticket = secrets.token_urlsafe(32)
        said = {
            "hash": _hash(ticket),
            "session": session,
            "actor": actor,
            "key": key,
            "implied": implied,
            "expires_us": now_us + LIFETIME_US,
            "now_us": now_us,
        }
        await self._statements.run(_ISSUE, said)
        return ticket

    async def spend(self, ticket: str, session: str, now_us: int) -> Spent:
        """Whose it was. Raises: DomainError terminal.ticket, log.unavailable."""
        row = await self._statements.run(_SPEND, {"hash": _hash(ticket), "session": session})
        if row is None or int(row[1]) < now_us:
            raise DomainError("terminal.ticket", "spent, expired or of another session")
        return Spent(str(row[0]), str(row[2]), bool(row[3]))

    async def close(self) -> None:
        await self._statements.close()


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
