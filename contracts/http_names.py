"""What the API takes and gives where something is renamed; as http.py, whose terms they use."""

from contracts.http import Given, Instant, Name, OrganizationId, Taken


class NewName(Taken, frozen=True):
    """Checked as the name that it was made with."""

    name: Name


class GroupName(Taken, frozen=True, kw_only=True):
    name: Name
    organization: OrganizationId | None = None


class Renamed(Given, frozen=True):
    """`renamed_at` null: it had that name already. `version`: its ETag, of a group that of the
    organization's authority; null where nothing changed there.
    """

    id: str
    organization: str
    name: str
    renamed_at: Instant | None
    version: int | None
