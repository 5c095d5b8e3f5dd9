"""An API key: a secret that acts as a principal of one organization, shown once.

(none) -Create-> Standing -Revoke-> Revoked

Only its hash is kept; or there is no secret, and who has the private half of a public key signs
tokens with it. It does what its scopes name and its principal may; it ends at `until_us`,
when it is revoked, or when its principal is gone. Made by somebody with a second factor, for named
actions and to an end that is near, it may stand for that factor, as long as the word of the issuer
that there was one counts.
"""

import re
from typing import Final, assert_never

from msgspec import Struct

from domain.binding import NEVER
from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

PREFIX: Final = "gpuaas_"  # what secret scanners look for
LONGEST_US: Final = 90 * 86_400_000_000  # that a key stands for a second factor
_ACTION: Final = re.compile(r"[a-z_]+\.[a-z_0-9]+")  # no area, role or group of them
_PRINCIPAL: Final = re.compile(r"(?:user|service)-[A-Za-z0-9_.-]{1,92}")


class Create(Struct, frozen=True):
    principal: str
    name: Private
    prefix: str
    secret_sha256: str
    scopes: tuple[str, ...]
    until_us: int
    policies: tuple[str, ...]
    now_us: int
    mfa: bool = False  # whoever makes it has a second factor, and wants it to stand for it
    issuer: str = ""  # whose word that factor is (its stream); empty: the embedded issuer's
    amr: tuple[str, ...] = ()
    acr: str = ""
    public_key: str = ""  # Ed25519, hex: who has its private half acts by it


class Revoke(Struct, frozen=True):
    reason: str
    policies: tuple[str, ...]
    now_us: int


type Command = Create | Revoke


class KeyCreated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.key_created.v1"
):
    """`scopes` empty: for all that its principal may; `until_us` 0: it does not end by itself."""

    principal: str
    name: Private
    prefix: str
    secret_sha256: str
    scopes: tuple[str, ...]
    until_us: int
    policies: tuple[str, ...]
    decided_us: int


class KeyProvedBy(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.key_proved_by.v1"
):
    """Whoever signs with the private half of this Ed25519 key acts by it; it has no secret."""

    public_key: str
    policies: tuple[str, ...]
    decided_us: int


class KeySteppedUp(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.key_stepped_up.v1"
):
    """Until its end the key is as if with a second factor: that of whoever made it."""

    policies: tuple[str, ...]
    decided_us: int


class KeyVouched(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.key_vouched.v1"
):
    """By whose word there was that factor, and which: it counts as long as that word does."""

    issuer: str
    amr: tuple[str, ...]
    acr: str
    policies: tuple[str, ...]
    decided_us: int


class KeyRevoked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.key_revoked.v1"
):
    reason: str
    policies: tuple[str, ...]
    decided_us: int


type Event = KeyCreated | KeyProvedBy | KeySteppedUp | KeyVouched | KeyRevoked


class Missing(Struct, frozen=True):
    pass


class Standing(Struct, frozen=True):
    created: KeyCreated


class Revoked(Struct, frozen=True):
    created: KeyCreated
    at_us: int


type State = Missing | Standing | Revoked


def decide(command: Command, state: State) -> list[Event]:
    """The facts of the command; none when it was revoked already.

    Raises:
        DomainError: `api_key.until_invalid`, `api_key.principal_invalid`, `api_key.not_possible`,
            `api_key.mfa_unbounded`.
    """
    match command, state:
        case Create(), Missing():
            if command.until_us != NEVER and command.until_us <= command.now_us:
                raise DomainError("api_key.until_invalid", "it would have ended already")
            if not _PRINCIPAL.fullmatch(command.principal):
                raise DomainError("api_key.principal_invalid", "users and service accounts")
            made = KeyCreated(
                *(command.principal, command.name, command.prefix, command.secret_sha256),
                *(command.scopes, command.until_us, command.policies, command.now_us),
            )
            by = (command.policies, command.now_us)
            proved = [KeyProvedBy(command.public_key, *by)] if command.public_key else []
            return [made, *proved, *_stepped_up(command)]
        case Revoke(reason, policies, now_us), Standing():
            return [KeyRevoked(reason, policies, now_us)]
        case Revoke(), Revoked():
            return []
        case _:
            what, where = type(command).__name__, type(state).__name__
            raise DomainError("api_key.not_possible", f"{what} while {where}", {"state": where})


def _stepped_up(command: Create) -> list[Event]:
    if not command.mfa:
        return []
    ends = NEVER < command.until_us <= command.now_us + LONGEST_US
    named = command.scopes and all(_ACTION.fullmatch(one) for one in command.scopes)
    if not ends or not named:
        raise DomainError("api_key.mfa_unbounded", "name its actions, and an end within 90 days")
    by = (command.policies, command.now_us)
    stepped: list[Event] = [KeySteppedUp(*by)]
    if command.issuer:
        stepped.append(KeyVouched(command.issuer, command.amr, command.acr, *by))
    return stepped


def evolve(state: State, event: Event) -> State:
    match event:
        case KeyCreated():
            return Standing(event)
        case KeyProvedBy() | KeySteppedUp() | KeyVouched():
            return state
        case KeyRevoked(decided_us=at_us):
            assert isinstance(state, Standing | Revoked)
            return Revoked(state.created, at_us)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
