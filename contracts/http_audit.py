"""What the front door gives about who did what."""

from contracts.http import Given, Instant


class AuditEntry(Given, frozen=True):
    """One entry of the log that a person or a service account caused.

    `resource`: the stream that the fact is in. `action`: the fact's tag. `authority`: the ids of
    the policies that decided, where the fact names them. `receipt`: where its proof is.
    """

    position: int
    at: Instant
    actor: str
    action: str
    resource: str
    organization: str
    authority: list[str]
    receipt: str
