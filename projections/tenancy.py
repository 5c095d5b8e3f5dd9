"""Organizations, departments, projects, tokens, and what quotas allow and hold."""

from typing import Final

from domain import access, department, organization, project, quota, storage_quota
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

type _Named = (
    organization.Created | organization.Renamed | department.Created | department.Renamed
    | project.Created | project.Renamed
)  # fmt: skip

SHAPES: Final = (
    Shape(
        "organization",
        ("organization",),
        "organization, from_position, to_position, name, created_us",
    ),
    Shape(
        "organization_standing",
        ("organization",),
        "organization, from_position, to_position, state, reason, since_us",
    ),
    Shape(
        "organization_closing",
        ("organization",),
        "organization, from_position, to_position, stop_us, wipe_us, decided_us",
    ),
    Shape(
        "department",
        ("department",),
        "department, from_position, to_position, organization, name, created_us",
    ),
    Shape(
        "project",
        ("project",),
        "project, from_position, to_position, organization, department, account, name, created_us",
    ),
    Shape(
        "tenancy_name",
        ("stream",),
        "stream, from_position, to_position, name, version",
    ),
    Shape(
        "quota_limit",
        ("scope", "model"),
        "scope, model, from_position, to_position, quota, organization, limit_milli, decided_us",
        types=("text", "text"),
        hashed=True,
    ),
    Shape(
        "quota_commitment",
        ("runtime",),
        "runtime, from_position, to_position, organization, department, project, model, gpu_milli, "
        "decided_us",
        hashed=True,
    ),
    Shape(
        "quota_reservation",
        ("reservation",),
        "reservation, from_position, to_position, organization, department, project, model, "
        "gpu_milli, decided_us",
        hashed=True,
    ),
    Shape(
        "quota_draw",
        ("runtime",),
        "runtime, from_position, to_position, organization, reservation, decided_us",
        hashed=True,
    ),
    Shape(
        "storage_limit",
        ("scope", "model"),
        "scope, model, from_position, to_position, quota, organization, limit_mib, decided_us",
        types=("text", "text"),
        hashed=True,
    ),
    Shape(
        "storage_commitment",
        ("volume",),
        "volume, from_position, to_position, organization, department, project, model, size_mib, "
        "decided_us",
        hashed=True,
    ),
    Shape(
        "access_token",
        (),
        "stream, from_position, to_position, principal, role, expires_us, issued_by",
    ),
)


def _named(b: Batch, e: Entry, f: _Named) -> None:
    head, tail = f"{e.stream}\t{e.position}", f"{text(f.name.private)}\t{e.version}"
    b["tenancy_name"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _created(b: Batch, e: Entry, f: organization.Created) -> None:
    _named(b, e, f)
    head, new = f"{e.stream}\t{e.position}", e.version == 1
    tail = f"{text(f.name.private)}\t{f.created_us}"
    b["organization"].open(e.stream, e.position, head, tail, new=new)
    b["organization_standing"].open(
        e.stream, e.position, head, f"active\t\t{f.created_us}", new=new
    )


def _standing(b: Batch, e: Entry, state: str, reason: str, since_us: int) -> None:
    tail = f"{text(state)}\t{text(reason)}\t{since_us}"
    head = f"{e.stream}\t{e.position}"
    b["organization_standing"].open(e.stream, e.position, head, tail)


def _suspended(b: Batch, e: Entry, f: organization.Suspended) -> None:
    _standing(b, e, "suspended", f.reason, f.decided_us)


def _reactivated(b: Batch, e: Entry, f: organization.Reactivated) -> None:
    _standing(b, e, "active", f.reason, f.decided_us)


def _closing(b: Batch, e: Entry, f: organization.ClosingStarted) -> None:
    _standing(b, e, "closing", f.reason, f.decided_us)
    tail = f"{f.stop_us}\t{f.wipe_us}\t{f.decided_us}"
    b["organization_closing"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _withdrawn(b: Batch, e: Entry, f: organization.ClosingWithdrawn) -> None:
    _standing(b, e, f.state, f.reason, f.decided_us)
    b["organization_closing"].close(e.stream, e.position)


def _closed(b: Batch, e: Entry, f: organization.ClosedForGood) -> None:
    _standing(b, e, "closed", "", f.decided_us)


def _department(b: Batch, e: Entry, f: department.Created) -> None:
    _named(b, e, f)
    tail = f"{text(f.organization)}\t{text(f.name.private)}\t{f.created_us}"
    head = f"{e.stream}\t{e.position}"
    b["department"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _project(b: Batch, e: Entry, f: project.Created) -> None:
    _named(b, e, f)
    tail = (
        f"{text(f.organization)}\t{text(f.department)}\t{text(f.account)}\t"
        f"{text(f.name.private)}\t{f.created_us}"
    )
    head = f"{e.stream}\t{e.position}"
    b["project"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _limit(b: Batch, e: Entry, f: quota.LimitSet) -> None:
    head = f"{text(f.scope)}\t{text(f.model)}\t{e.position}"
    tail = f"{e.stream}\t{e.org}\t{f.limit_milli}\t{f.decided_us}"
    b["quota_limit"].open((f.scope, f.model), e.position, head, tail)


def _committed(b: Batch, e: Entry, f: quota.Committed) -> None:
    runtime = text(f.runtime)
    tail = (
        f"{e.org}\t{text(f.department)}\t{text(f.project)}\t{text(f.model)}\t"
        f"{f.gpu_milli}\t{f.decided_us}"
    )
    b["quota_commitment"].open(f.runtime, e.position, f"{runtime}\t{e.position}", tail)


def _released(b: Batch, e: Entry, f: quota.Released) -> None:
    b["quota_commitment"].close(f.runtime, e.position)
    b["quota_draw"].close(f.runtime, e.position)


def _reserved(b: Batch, e: Entry, f: quota.Reserved) -> None:
    tail = (
        f"{e.org}\t{text(f.department)}\t{text(f.project)}\t{text(f.model)}\t"
        f"{f.gpu_milli}\t{f.decided_us}"
    )
    head = f"{text(f.reservation)}\t{e.position}"
    b["quota_reservation"].open(f.reservation, e.position, head, tail)


def _drawn(b: Batch, e: Entry, f: quota.Drawn) -> None:
    tail = f"{e.org}\t{text(f.reservation)}\t{f.decided_us}"
    b["quota_draw"].open(f.runtime, e.position, f"{text(f.runtime)}\t{e.position}", tail)


def _unreserved(b: Batch, e: Entry, f: quota.Unreserved) -> None:
    b["quota_reservation"].close(f.reservation, e.position)


def _storage_limit(b: Batch, e: Entry, f: storage_quota.LimitSet) -> None:
    head = f"{text(f.scope)}\t{text(f.model)}\t{e.position}"
    tail = f"{e.stream}\t{e.org}\t{f.limit_mib}\t{f.decided_us}"
    b["storage_limit"].open((f.scope, f.model), e.position, head, tail)


def _storage_committed(b: Batch, e: Entry, f: storage_quota.Committed) -> None:
    tail = (
        f"{e.org}\t{text(f.department)}\t{text(f.project)}\t{text(f.model)}\t"
        f"{f.size_mib}\t{f.decided_us}"
    )
    head = f"{text(f.volume)}\t{e.position}"
    b["storage_commitment"].open(f.volume, e.position, head, tail)


def _token(b: Batch, e: Entry, f: access.TokenIssued) -> None:
    tail = f"{text(f.principal)}\t{text(f.role)}\t{f.expires_us}\t{text(e.actor)}"
    b["access_token"].add(f"{e.stream}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    organization.Created: _created,
    organization.Suspended: _suspended,
    organization.Reactivated: _reactivated,
    organization.ClosingStarted: _closing,
    organization.ClosingWithdrawn: _withdrawn,
    organization.ClosedForGood: _closed,
    organization.Renamed: _named,
    department.Created: _department,
    department.Renamed: _named,
    project.Created: _project,
    project.Renamed: _named,
    quota.LimitSet: _limit,
    quota.Committed: _committed,
    quota.Released: _released,
    quota.Reserved: _reserved,
    quota.Drawn: _drawn,
    quota.Unreserved: _unreserved,
    storage_quota.LimitSet: _storage_limit,
    storage_quota.Committed: _storage_committed,
    access.TokenIssued: _token,
}
