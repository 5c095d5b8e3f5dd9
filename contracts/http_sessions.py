"""What the front door takes and gives about signing in at an organization's issuer."""

from typing import Annotated

from msgspec import Meta

from contracts.http import AuthorityId, Given, Instant, Reason, Taken

type Url = Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^https?://[!-~]+$")]
type ClientId = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[!-~]+$")]
type Algorithm = Annotated[str, Meta(pattern="^(ES256|ES384|EdDSA|PS256|RS256)$")]
type Domain = Annotated[
    str, Meta(min_length=3, max_length=253, pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
]
type FactorWord = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[!#-\\[\\]-~]+$")]
type IssuerId = Annotated[str, Meta(max_length=50, pattern="^token-[0-9a-f-]+$")]
type IdToken = Annotated[str, Meta(min_length=1, max_length=16_384)]
type SessionToken = Annotated[str, Meta(max_length=100, pattern="^gpuaas_session_[0-9A-Za-z]+$")]
type Nonce = Annotated[str, Meta(max_length=200, pattern="^[!-~]*$")]


class IssuerNew(Taken, frozen=True, kw_only=True):
    """An OpenID Connect provider. `url`: its issuer identifier, as its discovery document has it.
    `client_id`: ours there, a public client's. `domains`: of addresses that are sent to it.
    `organization`: whose people it knows; `-`: the platform's own staff.
    """

    organization: AuthorityId
    url: Url
    client_id: ClientId
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1, max_length=5)] = ("RS256",)
    domains: Annotated[tuple[Domain, ...], Meta(max_length=20)] = ()


class Issuer(Given, frozen=True):
    """`amr`, `acr`: by which of its words it says that there was a second factor; null where that
    was not asked for.
    """

    id: str
    organization: str
    url: str
    client_id: str
    algorithms: list[str]
    domains: list[str]
    amr: list[str] | None
    acr: list[str] | None
    trusted: bool
    version: int | None


class IssuerEnd(Taken, frozen=True):
    """Nobody signs in there any more, and its sessions are over."""

    reason: Reason = "removed"


class IssuerFactors(Taken, frozen=True, kw_only=True):
    """Means (RFC 8176) and contexts of a sign-in there that are a second factor; with neither none
    of its is.
    """

    amr: Annotated[tuple[FactorWord, ...], Meta(max_length=20)]
    acr: Annotated[tuple[FactorWord, ...], Meta(max_length=20)]


class SignIn(Given, frozen=True):
    """Where to sign in: by the code flow with PKCE, or by a code on another device (empty: the
    issuer has no such flow). `acr_values`: what to ask for to sign in with a second factor.
    """

    issuer: str
    url: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str
    acr_values: list[str]


class SessionNew(Taken, frozen=True, kw_only=True):
    """`id_token`: what the issuer gave, less than ten minutes ago, used for nothing else before.
    `nonce`: what was asked for with it; empty where the flow has none.
    """

    issuer: IssuerId
    id_token: IdToken
    nonce: Nonce = ""


class Session(Given, frozen=True):
    """`token` is shown once, to whoever signed in. `mfa`: with a second factor.
    `authenticated_at`: when they showed the issuer who they are; null where it does not say.
    """

    id: str
    issuer: str
    principal: str
    organization: str
    mfa: bool
    opened_at: Instant
    expires_at: Instant
    authenticated_at: Instant | None
    ended: bool
    token: str | None


class SessionEnd(Taken, frozen=True):
    reason: Reason = "signed_out"


class IdentityLink(Taken, frozen=True):
    """`session`: the token of a session as the other identity, opened within ten minutes."""

    session: SessionToken


class IdentityUnlink(Taken, frozen=True):
    reason: Reason = "removed"


class Identity(Given, frozen=True):
    """`id`: its principal; who signs in with it is `person`, as long as it is `linked`, or not any
    more, `since` then.
    """

    id: str
    person: str
    linked: bool
    since: Instant
    version: int


class BoundRole(Given, frozen=True):
    """`scope`: where, and all below; `-` the platform."""

    role: str
    scope: str


class Me(Given, frozen=True):
    """Whose token it is, in which organization it acts now. `mfa`: signed in with a second factor.
    `organizations`: which the header `Organization` may name.
    """

    principal: str
    organization: str | None
    mfa: bool
    roles: list[BoundRole]
    organizations: list[str]
