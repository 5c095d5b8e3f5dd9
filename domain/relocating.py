"""A project moved within its organization, by the admission: its use must fit where it goes."""

from msgspec import Struct

from domain import placing, project, quota
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import emitted
from domain.moving import Move


class MoveProject(Struct, frozen=True):
    """The caller has found that department and account are of the organization."""

    organization: str
    project: str
    department: str
    account: str
    now_us: int


def move(state: AdmissionState, wanted: MoveProject) -> tuple[Emit, ...]:
    """The project in its new place, and its use there, as one append; `()` if it is there already.

    Raises: DomainError `project.unknown`, `project.guaranteed`, `quota.exceeded`, those of
        `placing.standing`.
    """
    found = state.projects.get(wanted.project)
    if found is None or found.organization != wanted.organization:
        raise DomainError("project.unknown", "no such project in this organization")
    placing.standing(state, wanted.organization)
    facts = project.decide(
        project.Move(wanted.department, wanted.account, wanted.now_us),
        state.places.state(wanted.project),
    )
    if not facts:
        return ()
    stream = quota.quota_stream(wanted.organization)
    tree = state.quotas.get(stream, quota.DECIDER.initial)
    command = Move(wanted.project, found.department, wanted.department, wanted.now_us)
    moved = tuple(quota.decide(command, tree))
    return emitted(state, wanted.organization, (wanted.project, tuple(facts)), (stream, moved))
