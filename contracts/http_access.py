"""What the front door takes and gives about access to runtimes."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, OrganizationId, Reason, Taken

type Subject = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[A-Za-z0-9_.-]+$")]


class TokenNew(Taken, frozen=True, kw_only=True):
    """Embedded deployments only: a developer token. `organization` null = platform scope.

    `user`, `staff`: no role by itself, only what the organization, or the platform, bound it to.
    """

    subject: Subject
    role: Annotated[str, Meta(pattern="^(platform-operator|auditor|admin|member|user|staff)$")]
    organization: OrganizationId | None = None
    seconds: Annotated[int, Meta(ge=1, le=2_592_000)] = 86_400


class TokenIssuedOut(Given, frozen=True):
    token: str | None
    principal: str
    role: str
    expires_at: Instant
    secret_already_shown: bool


class SshCertificateNew(Taken, frozen=True, kw_only=True):
    """An OpenSSH public key line. The certificate is valid for `minutes`; what it began is closed
    after `hours`. `sources`: networks it may be used from, none = anywhere.
    """

    public_key: Annotated[str, Meta(min_length=1, max_length=4_000)]
    minutes: Annotated[int, Meta(ge=5, le=15)] = 10
    hours: Annotated[int, Meta(ge=1, le=24)] = 12
    sources: Annotated[tuple[Annotated[str, Meta(max_length=50)], ...], Meta(max_length=8)] = ()


class SshCertificate(Given, frozen=True):
    """`certificate` is an OpenSSH certificate line; `contracts/ssh.py` says how clients use it."""

    grant: str
    runtime: str
    certificate: str
    principal: str
    serial: str
    valid_before: Instant
    until: Instant
    gateway_host: str
    gateway_port: int
    known_hosts: str


class SshTrust(Given, frozen=True):
    """Both CAs as OpenSSH public keys, and the known_hosts line of the second."""

    user_ca: str
    host_ca: str
    known_hosts: str


class AppPassNew(Taken, frozen=True, kw_only=True):
    """One port of the runtime over HTTP, for `hours`: to a browser, or to programs by token."""

    port: Annotated[int, Meta(ge=1, le=65_535)]
    browser: bool = False
    hours: Annotated[int, Meta(ge=1, le=24)] = 12


class AppPass(Given, frozen=True):
    """`origin` is the app's address, at a gateway. Programs send `Authorization: Bearer <token>`;
    a browser opens `enter` once within 30 s. Both null when this answer was given before.
    """

    grant: str
    runtime: str
    port: int
    principal: str
    origin: str
    token: str | None
    enter: str | None
    until: Instant


class AccessRevoke(Taken, frozen=True, kw_only=True):
    reason: Reason = "requested"


class AccessRevoked(Given, frozen=True):
    """`version` null: it was revoked already."""

    id: str
    version: int | None


class AccessGrant(Given, frozen=True):
    """`sessions` it was used for so far, `open_sessions` of them are open. `credential`: the key or
    session it was asked for with, whose end is its own; null: a token of the embedded issuer.
    """

    id: str
    organization: str
    project: str
    runtime: str
    user: str
    way: str
    granted_at: Instant
    until: Instant
    revoked_at: Instant | None
    why: str
    open_sessions: int
    sessions: int
    credential: str | None
