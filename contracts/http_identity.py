"""What the API takes and gives about nodes' identities."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Name, Taken, Word

type Fingerprint = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class NodeInvite(Taken, frozen=True):
    """The model the operator bought; what the node says is checked against it."""

    name: Name
    model: Word
    fingerprint: Fingerprint | None = None


class NodeReinvite(Taken, frozen=True):
    """`fingerprint`: the machine it must be, if it must be one."""

    fingerprint: Fingerprint | None = None


class NodeRevocation(Taken, frozen=True):
    """`reason`: a dotted code that stands in the log; never a person's words."""

    reason: Word = "operator"


class NodeRevoked(Given, frozen=True):
    """`version` null: it was so already."""

    id: str
    version: int | None
