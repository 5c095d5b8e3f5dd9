"""API keys as bearer tokens: made, recognised, and shown by their first characters."""

import hashlib
import secrets
import string
import time
import zlib
from typing import Final

from api.authorization.credentials import Key
from api.authorization.directory import Directory
from api.authorization.principal import Principal
from domain.api_key import PREFIX
from domain.binding import NEVER
from domain.errors import DomainError

_LETTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET, _SUM, SHOWN = 43, 6, 12  # 256 bits; a checksum of 32


SECRET: Final = _SECRET + _SUM


def minted(prefix: str = PREFIX) -> str:
    """`gpuaas_`, 43 letters of secret, 6 of a checksum, by which scanners drop what is no key."""
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET))
    return prefix + secret + _checksum(secret)


def _checksum(secret: str) -> str:
    rest, letters = zlib.crc32(secret.encode()), ""
    for _ in range(_SUM):
        rest, digit = divmod(rest, len(_LETTERS))
        letters = _LETTERS[digit] + letters
    return letters


def secret_stands(text: str) -> bool:
    """Whether the end of the text is the checksum of the rest."""
    return text.endswith(_checksum(text[:-_SUM]))


def formed(token: str, prefix: str = PREFIX) -> bool:
    """Whether it looks like what is minted with that prefix."""
    return len(token) == len(prefix) + SECRET and secret_stands(token[len(prefix) :])


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def steps_up(directory: Directory, key: Key) -> bool:
    """Whether it stands for a second factor now: the words of the issuer by which its maker had one
    count still, and where it acts too (ADR 72). Keys of before that was said, and of the embedded
    issuer's users, stand for theirs.
    """
    said = key.vouched
    home = None if said is None else directory.issuer(said.issuer)
    if said is None or home is None:
        return key.mfa
    here = map(directory.issuer, directory.clients.of(key.org, home.trusted.url))
    client = home.trusted.audience
    judging = [home, *(one for one in here if one and one.trusted.audience == client)]
    return key.mfa and all(one.factors.second(said.amr, said.acr) for one in judging)


class KeyRing:
    """A kind of token: the keys of the directory, as they stand now."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.used: dict[str, int] = {}  # key -> when last, until it is written

    def takes(self, token: str) -> bool:
        return token.startswith(PREFIX)

    def told_late(self, token: str) -> bool:
        return formed(token)

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        return self.acting(self._directory.key(token))

    def acting(self, key: Key | None) -> Principal:
        """Whoever has shown that it has the key. Raises: DomainError auth.invalid, auth.expired."""
        key = self._standing(key)
        made = key.created
        self.used[key.stream] = time.time_ns() // 1000
        # A key for all that its principal may is still a key: what it is for is said.
        scopes = made.scopes or ("*",)
        mfa = steps_up(self._directory, key)
        return Principal(made.principal, "", key.org, mfa, scopes=scopes, key=key.stream)

    def ends(self, token: str) -> float:
        """In seconds; 0: not by itself."""
        key = self._directory.key(token)
        return 0.0 if key is None else key.created.until_us / 1_000_000

    def _standing(self, key: Key | None) -> Key:
        if key is None or key.revoked:
            raise DomainError("auth.invalid", "no key that stands")
        made = key.created
        if made.until_us != NEVER and time.time_ns() // 1000 >= made.until_us:
            raise DomainError("auth.expired", "the key has ended")
        if not self._directory.authority(key.org).knows(made.principal):
            raise DomainError("auth.invalid", "whom the key is for is gone")
        return key
