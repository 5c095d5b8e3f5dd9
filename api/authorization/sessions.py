"""Sessions as bearer tokens: what somebody who signed in at a trusted issuer acts with."""

import time
from typing import Final

from msgspec.structs import replace

from api.authorization.credentials import Signed
from api.authorization.directory import Directory
from api.authorization.keys import formed
from api.authorization.principal import Principal
from domain.errors import DomainError
from domain.issuer import Factors

PREFIX: Final = "gpuaas_session_"
HOURS: Final = 12


def factors_of(directory: Directory, issuer: str) -> Factors:
    """Which words of an issuer that was ever trusted are a second factor."""
    found = directory.issuer(issuer)
    return Factors() if found is None else found.factors


def by_two_factors(directory: Directory, signed: Signed) -> bool:
    """Whether its issuer says so, by `amr` or `acr`, in words that count now."""
    opened = signed.opened
    return factors_of(directory, opened.issuer).second(opened.amr, opened.acr)


def elsewhere(directory: Directory, found: Principal, org: str) -> Principal | None:
    """Who came in a session, in another organization that it belongs to; None where the session
    says nothing there: that one trusts its issuer as other clients, or not at all and another
    client was trusted first (ADR 72); or it may be by a link, which counts at home (ADR 68).

    A second factor is what counts there: where that one trusts the same client of the issuer, its
    words; else what anybody's would, and the session's own organization's too.
    """
    signed = directory.signed(found.session)
    home = None if signed is None else directory.issuer(signed.opened.issuer)
    if signed is None or home is None or directory.persons.came_by(signed.opened):
        return None
    url, client = home.trusted.url, home.trusted.audience
    every = [directory.issuer(name) for name in directory.clients.of(org, url)]
    same = [one for one in every if one and one.stands and one.trusted.audience == client]
    if not same and (every or directory.clients.first(url) != client):
        return None
    trusting = next(iter(same), None)
    factors = Factors() if trusting is None else trusting.factors
    second = factors.second(signed.opened.amr, signed.opened.acr)
    if trusting is None:
        second = second and by_two_factors(directory, signed)
    return replace(found, org=org, role="", mfa=second, step_up=" ".join(factors.acr))


def speaks(directory: Directory, caller: Principal, org: str) -> bool:
    """Whether what the caller came with says something in the organization, if it belongs there."""
    home = directory.home(caller.session)
    return home in ("", org) or elsewhere(directory, caller, org) is not None


class Sessions:
    """A kind of token: the sessions of the directory, as they stand now."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def takes(self, token: str) -> bool:
        return token.startswith(PREFIX)

    def told_late(self, token: str) -> bool:
        return formed(token, PREFIX)

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        signed = self._standing(token)
        opened = signed.opened
        return Principal(
            *(opened.principal, "", opened.organization, by_two_factors(self._directory, signed)),
            session=signed.stream,
            signed_us=signed.authenticated_us,
            step_up=" ".join(factors_of(self._directory, opened.issuer).acr),
        )

    def ends(self, token: str) -> float:
        """In seconds."""
        signed = self._directory.session(token)
        return 0.0 if signed is None else signed.opened.expires_us / 1_000_000

    def _standing(self, token: str) -> Signed:
        signed = self._directory.session(token) if self.told_late(token) else None
        if signed is None or signed.ended:
            raise DomainError("auth.invalid", "no session that stands")
        if time.time_ns() // 1000 >= signed.opened.expires_us:
            raise DomainError("auth.expired", "the session is over: sign in again")
        return signed
