"""Kinds of bearer tokens, each with who it lets in; a further kind is one more in the list."""

from typing import Protocol

from api.authorization.principal import Principal
from domain.errors import DomainError


class TokenKind(Protocol):
    """What a token of this kind says of its bearer. An identity is (issuer, subject), known by one
    opaque id that the kind gives: `user-…` or `service-…`; never an e-mail.
    """

    def takes(self, token: str) -> bool:
        """Whether the token is of this kind, by its form alone."""

    def told_late(self, token: str) -> bool:
        """Whether a fact may have made it that this process has not heard of yet: what the form
        alone shows to be no token is not asked for.
        """

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""

    def ends(self, token: str) -> float:
        """When it ends by itself, in seconds; 0: not, or not known."""


class NoToken:
    """The form of last resort where there is no embedded issuer: nobody."""

    def takes(self, token: str) -> bool:
        return bool(token)

    def told_late(self, _token: str) -> bool:
        return False

    def principal(self, _token: str) -> Principal:
        """Raises: DomainError auth.invalid."""
        raise DomainError("auth.invalid", "neither a session nor an API key: sign in")

    def ends(self, _token: str) -> float:
        return 0.0


class Tokens:
    """The first kind that takes a token decides about it."""

    def __init__(self, *kinds: TokenKind) -> None:
        self._kinds = kinds

    def kind(self, token: str) -> TokenKind:
        for one in self._kinds:
            if one.takes(token):
                return one
        raise AssertionError("the last kind takes any token")

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        return self.kind(token).principal(token)


def bearer(header: str) -> str:
    """The token of an Authorization header; empty without one."""
    kind, _, token = header.partition(" ")
    return token if kind.lower() == "bearer" else ""
