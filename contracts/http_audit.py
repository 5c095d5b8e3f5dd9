"""What the front door gives about who did what."""

from typing import Any

from contracts.http import Given, Instant


class EarlierFact(Given, frozen=True):
    """What the log says at `position`, as there (`contracts/facts.md`, by its tag `action`)."""

    position: int
    action: str
    fact: dict[str, Any]


class AuditEntry(Given, frozen=True):
    """One entry of the log that a person or a service account caused, or calls that it counts.

    `resource`: the stream that the fact is in; of evidence that was read, what was read (behind a
    slash its form or part); null of other counted calls. `resources`: the ids of what it is about,
    the nearest first (the binding, then whose it is, then where), those that `earlier` names
    behind; any of them is what `resource=` finds it by. `earlier` of what ends or decides on
    something: the fact that began it, so of a revoked binding its principal, role and scope. For
    whoever may not know of that one it is null. `action`: the fact's tag, or what was called.
    `fact`: what the log says at `position`, as it is there (`contracts/facts.md` by its tag;
    people's words are digests): whom and what it is about, of a denied act its action and scope;
    null of counted calls. `authority`: the ids of the policies that decided, where it is said.
    `outcome`: `done`; `denied`; `let` by break-glass; `read`, of evidence. `reason` of what was
    denied: of counted calls the refusal's code, else the policies that forbade it, or `not
    granted`. `calls` of them from `since` to `at`, by the API key or session `credential`.
    `receipt`: where the entry's proof is; `proof`: where a counted row's is.
    """

    position: int
    at: Instant
    actor: str
    action: str
    resource: str | None
    resources: list[str]
    fact: dict[str, Any] | None
    earlier: EarlierFact | None
    organization: str
    authority: list[str]
    outcome: str
    calls: int
    since: Instant
    credential: str | None
    reason: str | None
    receipt: str
    proof: str | None


class CountedCalls(Given, frozen=True):
    """A row of counted calls as it is sealed: the leaf `index` of a tree of `count` (RFC 6962:
    SHA-256 of a zero byte and the row); `path` leads to the `root` in the fact of the entry at
    `position`, whose receipt proves that entry.
    """

    row: str
    index: int
    count: int
    path: list[str]
    position: int
    receipt: str
