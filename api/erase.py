"""A person's words forgotten: the texts behind a stream's digests are deleted, its entries stay."""

import psycopg
from msgspec import Struct
from msgspec.structs import astuple

from domain.errors import DomainError
from domain.words import Private
from evidence.reader import erase_private, read_stream


def private_digests(facts: list[Struct]) -> list[str]:
    """The digests of people's words that the facts carry, each once, in order."""
    return sorted(
        {value.private for fact in facts for value in astuple(fact) if isinstance(value, Private)}
    )


def erase(database_url: str, stream: str) -> int:
    """How many texts of this stream are gone for good; 0 when none was left.

    The entries, their leaves and every proof stay as they are: a digest with a lost salt says
    nothing. Backups made before still hold the texts.

    Raises: DomainError resource.unknown.
    """
    with psycopg.connect(database_url) as conn:
        facts = [recorded.fact for recorded in read_stream(conn, stream)]
        if not facts:
            raise DomainError("resource.unknown", f"the log has no stream {stream[:100]!r}")
        return erase_private(conn, private_digests(facts))
