"""Networks as the API takes and gives them; as http.py, whose terms they use."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.http import Given, Instant, Name, ProjectId, Taken

type Port = Annotated[int, Meta(ge=1, le=65_535)]


class EgressRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses of `cidr` (IPv4, canonical) on the ports from first to last, both included."""

    cidr: Annotated[str, Meta(max_length=18)]
    protocol: Annotated[str, Meta(pattern="^(tcp|udp)$")] = "tcp"
    first_port: Port
    last_port: Port


type Rules = Annotated[tuple[EgressRule, ...], Meta(max_length=64)]


class NetworkNew(Taken, frozen=True):
    """Without rules nothing is reached. `internal`: its runtimes on one node reach each other."""

    project: ProjectId
    name: Name
    internal: bool = False
    egress: Rules = ()


class NetworkPolicy(Taken, frozen=True):
    """The whole policy from now on; what it no longer allows ends, established or not."""

    egress: Rules
    internal: bool = False


class Network(Given, frozen=True):
    """What acting answers leaves out is null; reading gives it."""

    id: str
    organization: str
    project: str | None
    name: str | None
    state: str
    internal: bool
    egress: list[EgressRule]
    runtimes: int | None
    changed_at: Instant
    version: int
