"""Who calls, and what is known of it wherever something is decided."""

from msgspec import Struct, field

from api.authorization.cedar import PLATFORM, Place


class Caller(Struct, frozen=True):
    """`actor` is what the log records, an opaque id of (issuer, subject).

    `role` and `org` are a binding that the token itself implies (the embedded issuer's; `org` is
    `-` for the platform's own); `role` is empty for whoever has only the bindings of the
    organization. `mfa`: it signed in with a second factor. `scopes`: what an API key is for.
    `home`: the organization of its token, where it acts in another one; else empty.
    `key`, `session`: the API key, or the session, that it came with. `step_up`: what to ask its
    issuer for (`acr_values`) to sign in with a second factor; empty where there is nothing to ask.
    `signed_us`: when it showed who it is; 0: nobody says.
    `requester`: who asked for what this request is to approve. `action`: what its route is;
    `counted`: what break-glass let it do (action, organization) that is counted already; `let`,
    where something is written down of it: what was decided for it (action, organization), where it
    was asked first, and by which policies.
    """

    actor: str
    role: str
    org: str
    mfa: bool = False
    source: str = ""
    scopes: tuple[str, ...] | None = None
    home: str = ""
    key: str = ""
    session: str = ""
    step_up: str = ""
    signed_us: int = 0
    requester: str = ""
    action: str = ""
    counted: set[tuple[str, str]] = field(default_factory=set)
    let: dict[tuple[str, str], tuple[Place, tuple[str, ...]]] | None = None

    @property
    def credential(self) -> str:
        """The id of what can be taken back of it; empty for what ends only by its time."""
        return self.key or self.session

    @property
    def reads_all(self) -> bool:
        return self.org == PLATFORM
