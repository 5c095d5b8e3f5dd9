"""What the API takes and gives about projects that move."""

from contracts.http import AccountId, DepartmentId, Given, Instant, Taken


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
