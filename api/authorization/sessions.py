"""Sessions as bearer tokens: what somebody who signed in at a trusted issuer acts with."""

import time
from typing import Final

from api.authorization.directory import Directory, Signed
from api.authorization.keys import SECRET, secret_stands
from api.authorization.principal import Principal
from domain.errors import DomainError

PREFIX: Final = "gpuaas_session_"
HOURS: Final = 12
# Means and contexts of a sign-in that are a second factor (RFC 8176; NIST's levels; REFEDS).
_MEANS: Final = frozenset({"mfa", "otp", "hwk", "swk"})
_CONTEXTS: Final = frozenset({"aal2", "aal3", "https://refeds.org/profile/mfa"})


def by_two_factors(signed: Signed) -> bool:
    """Whether the issuer says so, by `amr` or `acr`."""
    opened = signed.opened
    return not _MEANS.isdisjoint(opened.amr) or opened.acr.lower() in _CONTEXTS


class Sessions:
    """A kind of token: the sessions of the directory, as they stand now."""

    told_late = True

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def takes(self, token: str) -> bool:
        return token.startswith(PREFIX)

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        signed = self._standing(token)
        opened = signed.opened
        return Principal(
            opened.principal, "", opened.organization, by_two_factors(signed), session=signed.stream
        )

    def ends(self, token: str) -> float:
        """In seconds."""
        signed = self._directory.session(token)
        return 0.0 if signed is None else signed.opened.expires_us / 1_000_000

    def stands(self, token: str) -> bool:
        """Whether it would be let in now: asked again while a stream is open."""
        try:
            self._standing(token)
        except DomainError:
            return False
        return True

    def _standing(self, token: str) -> Signed:
        formed = len(token) == len(PREFIX) + SECRET and secret_stands(token[len(PREFIX) :])
        signed = self._directory.session(token) if formed else None
        if signed is None or signed.ended:
            raise DomainError("auth.invalid", "no session that stands")
        if time.time_ns() // 1000 >= signed.opened.expires_us:
            raise DomainError("auth.expired", "the session is over: sign in again")
        return signed
