"""As which clients of an issuer people sign in, and at whose word (ADR 72)."""

from domain.issuer import Trusted


class Clients:
    """Of all that was ever trusted, in the order of the log. Owned by one event loop."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._named: dict[tuple[str, str], list[str]] = {}

    def apply(self, stream: str, trusted: Trusted) -> None:
        self._first.setdefault(trusted.url, trusted.audience)
        named = self._named.setdefault((trusted.organization, trusted.url), [])
        if stream not in named:
            named.append(stream)

    def first(self, url: str) -> str:
        """As which the issuer was trusted first, by whomever; empty where it never was."""
        return self._first.get(url, "")

    def of(self, org: str, url: str) -> list[str]:
        """The organization's own trust in it, a stream for each client; distrusted ones too."""
        return self._named.get((org, url), [])
