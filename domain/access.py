"""Facts of access that no state decides: tokens, host certificates, sessions, denials."""

from msgspec import Struct

from domain.words import Private


class TokenIssued(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.token_issued.v1"
):
    principal: str
    role: str
    expires_us: int


class Denied(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.denied.v1"):
    """An administrative act that was refused, on a stream of its own; the envelope says to whom.

    `policies` that forbade it, or the refusal's code where another rule did; none when nothing
    gives it. `key`: the API key it came with.
    """

    action: str
    scope: str
    policies: tuple[str, ...]
    key: str
    decided_us: int


class Decided(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.decided.v1"):
    """What let whoever did it, of the `entries` before it in its append, on a stream of its own.

    `about`: the first of their streams. `policies`: the ids that decided the action at the scope.
    """

    about: str
    entries: int
    action: str
    scope: str
    policies: tuple[str, ...]
    decided_us: int


class HostCertificateIssued(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.host_certificate_issued.v1"
):
    """On the stream `access-` with the UUID of its runtime, so its renewals stand together."""

    runtime: str
    serial: int
    principal: str
    key_sha256: str
    after_us: int
    before_us: int


class SessionOpened(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.session_opened.v1"
):
    """The first fact of a session's own stream: it is in the log before its first byte passes."""

    grant: str
    runtime: str
    way: str
    gateway: str
    source: Private
    opened_us: int


class SessionClosed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.session_closed.v1"
):
    """`bytes_*` are null when the gateway that counted them was killed."""

    reason: str
    bytes_up: int | None
    bytes_down: int | None
    closed_us: int
