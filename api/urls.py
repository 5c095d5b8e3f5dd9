"""URLs of servers as people write them."""

from typing import Final
from urllib.parse import urlsplit

from domain.errors import DomainError

_SCHEMES: Final = {"nats", "tls", "ws", "wss"}


def database_url(text: str, name: str) -> str:
    """The URL in setting `name`, as it is. Raises: DomainError config.malformed (never the text:
    a password may stand in it).
    """
    # Half of what a verb that is told no such URL would take to start.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(text)
    except ProgrammingError as error:
        detail = f"{name} is no URL of PostgreSQL: postgresql://user:password@host:port/database"
        raise DomainError("config.malformed", detail) from error
    return text


def nats_url(text: str, name: str) -> str:
    """The URL in setting `name`, as it is. Raises: DomainError config.malformed."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or not text.isprintable():
        detail = f"{name} is no URL of NATS: nats://user:password@host:port"
        raise DomainError("config.malformed", detail)
    return text
