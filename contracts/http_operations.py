"""Long work, as http.py."""

from contracts.http import Given, Instant, Problem


class OperationStep(Given, frozen=True):
    """`what`: one word; `position`: of the fact that says so."""

    what: str
    position: int
    at: Instant


class Operation(Given, frozen=True):
    """Long work, named by the fact that began it and over with the fact that ended it.

    `kind`: what is done, as `runtime.launch`; `resource`: to what. `state`: pending until something
    is said of it, running, succeeded, failed or cancelled. `steps`: what was said so far, in order.
    `error`: why it failed, a registered problem; null otherwise.
    """

    id: str
    kind: str
    resource: str
    organization: str
    project: str | None
    state: str
    began_at: Instant
    ended_at: Instant | None
    steps: list[OperationStep]
    error: Problem | None
    version: int
