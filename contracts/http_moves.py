"""What the API takes of new projects; what it takes and gives about those that move."""

from contracts.http import AccountId, DepartmentId, Given, Instant, Name, Taken


class ProjectNew(Taken, frozen=True, kw_only=True):
    """`department`: without one, the only one of the account's organization; where it has none, one
    is made, `General`.
    """

    department: DepartmentId | None = None
    account: AccountId
    name: Name


class ProjectMove(Taken, frozen=True):
    """Where it goes: another department of its organization, another account, or both; what is
    left out stays as it is.
    """

    department: DepartmentId | None = None
    account: AccountId | None = None


class ProjectMoved(Given, frozen=True):
    """Where the project is. `moved_at` and `version` null: it was there already."""

    id: str
    organization: str
    department: str
    account: str
    moved_at: Instant | None
    version: int | None
