"""An access grant: who may enter which runtime, by which way, until when.

(none) -Grant-> Open -Obtain | IssueCertificate | IssuePass-> Open -Revoke-> Revoked

A certificate is a ticket of minutes to begin with; the grant bounds how long what it began lives.
A pass opens one port of the runtime to HTTP, as long as its grant stands.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

SSH: Final = "ssh"
HTTP: Final = "http"
PORTS: Final = range(1, 65_536)
MINUTE_US: Final = 60_000_000
LONGEST_US: Final = 24 * 60 * MINUTE_US
CERTIFICATE_MINUTES: Final = range(5, 16)


class Grant(Struct, frozen=True):
    runtime: str
    project: str
    user: str
    way: str
    until_us: int
    now_us: int


class Obtain(Struct, frozen=True):
    """How it was asked for: `credential` is the API key or session (empty: a token of no record),
    `implied`: the token gave the right by itself, whatever bindings say.
    """

    credential: str
    implied: bool
    now_us: int


class IssueCertificate(Struct, frozen=True):
    """`before_us`: the first instant at which it is no longer valid; it is valid from now on."""

    serial: int
    principal: str
    key_sha256: str
    sources: Private
    before_us: int
    now_us: int


class IssuePass(Struct, frozen=True):
    """`token_sha256`: of the bearer token of programs; empty for a browser, which has a ticket."""

    principal: str
    port: int
    token_sha256: str
    now_us: int


class Revoke(Struct, frozen=True):
    reason: str
    now_us: int


type Command = Grant | Obtain | IssueCertificate | IssuePass | Revoke


class Granted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.granted.v1"):
    runtime: str
    project: str
    user: str
    way: str
    until_us: int
    granted_us: int


class Obtained(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.obtained.v1"):
    """Grants of before it was written have none."""

    credential: str
    implied: bool
    obtained_us: int


class CertificateIssued(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.certificate_issued.v1"
):
    serial: int
    principal: str
    key_sha256: str
    sources: Private
    after_us: int
    before_us: int


class PassIssued(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.pass_issued.v1"
):
    principal: str
    port: int
    token_sha256: str
    issued_us: int


class Revoked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.revoked.v1"):
    reason: str
    decided_us: int


type Event = Granted | Obtained | CertificateIssued | PassIssued | Revoked


class Missing(Struct, frozen=True):
    pass


class Open(Struct, frozen=True):
    granted: Granted


class Closed(Struct, frozen=True):
    granted: Granted


type State = Missing | Open | Closed


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `access.until_invalid`, `access.validity_invalid`, `access.revoked`,
    `access.port_invalid`, `access.not_possible`.
    """
    match command, state:
        case Grant(), Missing():
            return [_granted(command)]
        case Grant(), Open(granted) if granted == _granted(command):
            return []
        case Obtain(credential, implied, now), Open():
            return [Obtained(credential, implied, now)]
        case IssueCertificate(), Open(granted):
            return [_issued(command, granted)]
        case IssuePass(), Open():
            return [_passed(command)]
        case Obtain() | IssueCertificate() | IssuePass(), Closed():
            raise DomainError("access.revoked", "the grant was revoked")
        case Revoke(), Open():
            return [Revoked(command.reason, command.now_us)]
        case Revoke(), Closed():
            return []
        case _:
            what, where = type(command).__name__, type(state).__name__
            raise DomainError("access.not_possible", f"{what} while {where}", {"state": where})


def _granted(command: Grant) -> Granted:
    if not command.now_us < command.until_us <= command.now_us + LONGEST_US:
        raise DomainError("access.until_invalid", "a grant lasts at most 24 hours")
    return Granted(
        *(command.runtime, command.project, command.user, command.way),
        *(command.until_us, command.now_us),
    )


def _issued(command: IssueCertificate, granted: Granted) -> CertificateIssued:
    minutes, rest = divmod(command.before_us - command.now_us, MINUTE_US)
    if rest or minutes not in CERTIFICATE_MINUTES or command.before_us > granted.until_us:
        raise DomainError(
            "access.validity_invalid",
            "a certificate is valid for 5 to 15 whole minutes, and not beyond its grant",
        )
    return CertificateIssued(
        *(command.serial, command.principal, command.key_sha256, command.sources),
        *(command.now_us, command.before_us),
    )


def _passed(command: IssuePass) -> PassIssued:
    if command.port not in PORTS:
        raise DomainError("access.port_invalid", "a port is 1 to 65535")
    return PassIssued(
        *(command.principal, command.port, command.token_sha256),
        command.now_us,
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case Granted():
            return Open(event)
        case Obtained() | CertificateIssued() | PassIssued():
            return state
        case Revoked():
            assert isinstance(state, Open | Closed)
            return Closed(state.granted)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
