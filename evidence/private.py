"""People's words: a digest for the log, the words in a table that may be erased."""

import hashlib
import os
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.words import Private
from gpuaas_verify import strict

SALT_BYTES: Final = 32
MAX_CHARACTERS: Final = 10_000


class PrivateValue(Struct, frozen=True):
    """`digest` = hex SHA-256(salt || UTF-8 text); EVIDENCE.md section 1."""

    digest: str
    org: str
    salt: bytes
    text: str


def private_value(org: str, text: str) -> tuple[Private, PrivateValue]:
    """What the fact carries, and the row to hand to the same append.

    Raises:
        DomainError: `entry.refused` for characters no entry may have, or too many of them.
    """
    if len(text) > MAX_CHARACTERS or strict.FORBIDDEN.search(text):
        raise DomainError("entry.refused", "a text is too long or has control characters")
    salt = os.urandom(SALT_BYTES)
    digest = hashlib.sha256(salt + text.encode()).hexdigest()
    return Private(digest), PrivateValue(digest, org, salt, text)
