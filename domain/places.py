"""Where the projects are, as the admission has it: part of its state."""

from msgspec.structs import replace

from domain import project


class Places:
    """`now`: each project as created, in the department and with the account it has now."""

    def __init__(self) -> None:
        self.now: dict[str, project.Created] = {}
        self._since_us: dict[str, int] = {}
        self._left: dict[str, list[tuple[project.Created, int]]] = {}  # where each one was before

    def created(self, stream: str, fact: project.Created) -> None:
        self.now[stream] = fact
        self._since_us[stream] = fact.created_us

    def moved(self, stream: str, fact: project.Moved) -> None:
        made = self.now[stream]
        self._left.setdefault(stream, []).append((made, self._since_us[stream]))
        self._since_us[stream] = fact.moved_us
        self.now[stream] = replace(made, department=fact.department, account=fact.account)

    def unmoved(self, stream: str) -> None:
        """Its last move was refused."""
        self.now[stream], self._since_us[stream] = self._left[stream].pop()

    def renamed(self, stream: str, fact: project.Renamed) -> None:
        self.now[stream] = replace(self.now[stream], name=fact.name)

    def left(self, stream: str) -> str:
        """The department that it was in before its last move."""
        return self._left[stream][-1][0].department

    def state(self, stream: str) -> project.State:
        """Where the project is and since when."""
        made = self.now.get(stream)
        if made is None:
            return project.Missing()
        of = (made.organization, made.department, made.account, made.name)
        return project.Existing(*of, self._since_us[stream])
