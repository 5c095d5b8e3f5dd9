"""An issuer of identities that is believed: whom an organization's people sign in with.

(none) -Trust-> Trusted -SetFactors-> Trusted -Distrust-> Distrusted -Trust-> Trusted
A principal is (issuer, subject): the same subject of another issuer is another principal.
"""

import hashlib
from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

# What a signature may be made with; each issuer is believed by those it was trusted with only.
ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
# Means and contexts of a sign-in that are a second factor, until somebody says otherwise of an
# issuer (RFC 8176; NIST's levels; REFEDS).
_MEANS: Final = ("hwk", "mfa", "otp", "swk")
_CONTEXTS: Final = ("aal2", "aal3", "https://refeds.org/profile/mfa")
_PRINCIPAL: Final = b"gpuaas/principal/v1"


class Trust(Struct, frozen=True):
    url: str
    audience: str
    organization: str
    algorithms: tuple[str, ...]
    domains: tuple[str, ...]
    now_us: int


class Factors(Struct, frozen=True):
    """By which of its words an issuer says that there was a second factor. In order."""

    amr: tuple[str, ...] = _MEANS
    acr: tuple[str, ...] = _CONTEXTS

    def second(self, amr: tuple[str, ...], acr: str) -> bool:
        return not set(self.amr).isdisjoint(amr) or acr.lower() in {one.lower() for one in self.acr}


class SetFactors(Struct, frozen=True):
    factors: Factors
    policies: tuple[str, ...]
    now_us: int


class Distrust(Struct, frozen=True):
    reason: str
    now_us: int


type Command = Trust | SetFactors | Distrust


class Trusted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.issuer_trusted.v1"
):
    """`url`: its issuer identifier, byte for byte. `audience`: our client id there. `organization`:
    whose people it knows, `-` for the platform's own. `domains`: of the addresses that are sent to
    it; an address never authenticates.
    """

    url: str
    audience: str
    organization: str
    algorithms: tuple[str, ...]
    domains: tuple[str, ...]
    decided_us: int


class FactorsSet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.issuer_factors_set.v1"
):
    """Which of its words are a second factor from now on, in sessions that are open too."""

    amr: tuple[str, ...]
    acr: tuple[str, ...]
    policies: tuple[str, ...]
    decided_us: int


class Distrusted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.issuer_distrusted.v1"
):
    """Its sessions end with it."""

    reason: str
    decided_us: int


type Event = Trusted | FactorsSet | Distrusted


class Missing(Struct, frozen=True):
    pass


class Believed(Struct, frozen=True):
    trusted: Trusted
    factors: Factors = Factors()


class Rejected(Struct, frozen=True):
    trusted: Trusted


type State = Missing | Believed | Rejected


def decide(command: Command, state: State) -> list[Event]:
    """Raises: DomainError issuer.algorithm_unknown, issuer.unknown."""
    match command, state:
        case Trust(), _:
            return _trusted(command, state)
        case SetFactors(factors, policies, now_us), Believed():
            said = (tuple(sorted(set(factors.amr))), tuple(sorted(set(factors.acr))))
            if Factors(*said) == state.factors:
                return []
            return [FactorsSet(*said, policies, now_us)]
        case SetFactors(), _:
            raise DomainError("issuer.unknown", "no issuer that is trusted")
        case Distrust(), Believed():
            return [Distrusted(command.reason, command.now_us)]
        case Distrust(), Rejected():
            return []
        case Distrust(), Missing():
            raise DomainError("issuer.unknown", "no such issuer")
        case _:
            assert_never(command)


def _trusted(command: Trust, state: State) -> list[Event]:
    if not command.algorithms or not set(command.algorithms) <= set(ALGORITHMS):
        raise DomainError("issuer.algorithm_unknown", f"one or more of {', '.join(ALGORITHMS)}")
    said = (command.url, command.audience, command.organization)
    fact = Trusted(
        *said,
        tuple(sorted(set(command.algorithms))),
        tuple(sorted(set(command.domains))),
        command.now_us,
    )
    match state:
        case Believed(trusted) if (trusted.algorithms, trusted.domains) == (
            fact.algorithms,
            fact.domains,
        ):
            return []
        case _:
            return [fact]


def evolve(state: State, event: Event) -> State:
    match event:
        case Trusted():
            return Believed(event, state.factors if isinstance(state, Believed) else Factors())
        case FactorsSet(amr, acr):
            assert isinstance(state, Believed), "decided on an issuer that is trusted"
            return Believed(state.trusted, Factors(amr, acr))
        case Distrusted():
            assert not isinstance(state, Missing), "decided on an issuer"
            return Rejected(state.trusted)
        case _:
            assert_never(event)


DECIDER: Final[Decider[State, Command, Event]] = Decider(Missing(), decide, evolve)


def principal(url: str, subject: str) -> str:
    """The opaque id of (issuer, subject): what the log knows of a person."""
    said = b"\0".join((_PRINCIPAL, url.encode(), subject.encode()))
    return f"user-{hashlib.sha256(said).hexdigest()[:32]}"
