"""Grants of break-glass in memory: which organization each is of, and whose they are."""

from domain import authority_facts as facts


class Grants:
    """Of all organizations, in the order of the log. Owned by one event loop."""

    def __init__(self) -> None:
        self._orgs: dict[str, str] = {}
        self._whose: dict[str, str] = {}
        self._open: dict[str, dict[str, None]] = {}  # principal -> its grants that are not over

    def apply(self, org: str, fact: facts.Event) -> None:
        match fact:
            case facts.GlassRequested(grant=grant, principal=who):
                self._orgs[grant], self._whose[grant] = org, who
                self._open.setdefault(who, {})[grant] = None
            case facts.GlassRefused(grant=grant) | facts.GlassEnded(grant=grant):
                self._open[self._whose[grant]].pop(grant, None)
            case _:
                pass

    def org_of(self, grant: str) -> str | None:
        return self._orgs.get(grant)

    def of(self, principal: str) -> list[tuple[str, str]]:
        """Those that are not over: (grant, organization)."""
        return [(grant, self._orgs[grant]) for grant in self._open.get(principal, {})]

    def every(self) -> list[tuple[str, str]]:
        """Those that are not over, of everybody."""
        return [one for who in self._open for one in self.of(who)]

    def organizations(self) -> set[str]:
        """In which one was ever asked for."""
        return set(self._orgs.values())
