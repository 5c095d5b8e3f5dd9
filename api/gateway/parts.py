"""What every connection of one gateway shares."""

import ipaddress

from msgspec import Struct

from api.gateway.authority import Authorized
from api.gateway.doors import Doors
from api.gateway.flows import Flows, Limits
from api.gateway.sessions import Sessions
from api.gateway.tail import Tail

type Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Parts(Struct, frozen=True):
    """`user_ca`, `host_ca` are OpenSSH public keys; `networks` are where runtimes may be."""

    doors: Doors
    authorized: Authorized
    tail: Tail
    flows: Flows
    sessions: Sessions
    limits: Limits
    networks: Networks
    user_ca: str
    host_ca: str
    apps_url: str
