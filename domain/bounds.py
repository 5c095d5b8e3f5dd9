"""How many of each kind an organization may have: what a deployment sets."""

from typing import Final

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """Of what stands; `members` of each group, too, `sessions` of one person."""

    api_keys: int = 2_000
    sessions: int = 100
    webhooks: int = 20
    members: int = 2_000
    groups: int = 2_000
    service_accounts: int = 2_000
    bindings: int = 2_000
    invitations: int = 2_000


BOUNDS: Final = Bounds()
