"""What somebody comes with, as it stands: an API key, a session, and whose word a session is."""

from msgspec import Struct
from msgspec.structs import replace

from domain import api_key, issuer, session

type Reads = tuple[tuple[str, int], ...]  # streams, and at which version


class Key(Struct, frozen=True):
    """An API key as it stands; `stream` is its id. `vouched`: by whose word it is `mfa`. `made_by`:
    whoever asked for it. `version`: its stream's. `public`: what verifies the tokens that are
    signed with it; empty where it is a secret.
    """

    stream: str
    org: str
    created: api_key.KeyCreated
    position: int = 0
    revoked: bool = False
    mfa: bool = False
    vouched: api_key.KeyVouched | None = None
    made_by: str = ""
    public: str = ""
    version: int = 1


def since(key: Key, fact: api_key.Event, version: int) -> Key:
    """With what was said of it at that version."""
    key = replace(key, version=version)
    match fact:
        case api_key.KeyProvedBy(public_key=public):
            return replace(key, public=public)
        case api_key.KeySteppedUp():
            return replace(key, mfa=True)
        case api_key.KeyVouched():
            return replace(key, vouched=fact)
        case api_key.KeyRevoked():
            return replace(key, revoked=True)
        case _:
            return key


class Signed(Struct, frozen=True):
    """A session as it stands; `stream` is its id, `position` where it was opened, `version` its
    stream's. `authenticated_us`: when its person showed who they are; 0: the issuer did not say.
    """

    stream: str
    opened: session.Opened
    ended: bool = False
    position: int = 0
    version: int = 1
    authenticated_us: int = 0


class Vouching(Struct, frozen=True):
    """An issuer of identities as it stands; `stream` is its id, `position` its first trust."""

    stream: str
    version: int
    trusted: issuer.Trusted
    stands: bool = True
    factors: issuer.Factors = issuer.Factors()
    position: int = 0
