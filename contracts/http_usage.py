"""What the API takes and gives about sources of readings; batches: contracts/usage.py."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, ProjectId, Reason, Taken, Word

type Ed25519Key = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class SourceNew(Taken, frozen=True):
    """An app's public key (Ed25519, hex): it may report these meters for the project and its
    runtimes, whose account pays.
    """

    project: ProjectId
    key: Ed25519Key
    meters: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=100)]


class SourceRevocation(Taken, frozen=True):
    """`reason`: a dotted code that stands in the log; never a person's words."""

    reason: Reason = "operator"


class Reached(Given, frozen=True):
    """The last number sealed of the latest epoch, and the head of its chain."""

    epoch: int
    sequence: int
    chain: str


class Source(Given, frozen=True):
    """`reached` null: it has reported nothing. `reason`: why it was revoked, null while it may
    report.
    """

    id: str
    organization: str
    project: str
    key: str
    meters: list[str]
    registered_at: Instant
    reason: str | None
    reached: Reached | None


class SourceRevoked(Given, frozen=True):
    """`version` null: it was so already."""

    id: str
    version: int | None


class QuarantinedReading(Given, frozen=True):
    """Another payload under a key that is sealed: never rated. `kept` and `refused` are hashes,
    `reading` is base64 of what was refused.
    """

    position: int
    source: str
    epoch: int
    sequence: int
    kept: str
    refused: str
    reading: str
    at: Instant
