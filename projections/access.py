"""Access: grants, certificates, and the sessions at the gateways that they were used for."""

from typing import Final

from domain import access, grant
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, nullable, text

SHAPES: Final = (
    Shape(
        "access_grant",
        ("access",),
        "access, from_position, to_position, organization, runtime, project, user_id, way, "
        "until_us, granted_us",
    ),
    Shape(
        "access_revocation",
        ("access",),
        "access, from_position, to_position, reason, decided_us, actor",
    ),
    Shape(
        "access_certificate",
        (),
        "access, from_position, to_position, host_of, serial, principal, key_sha256, after_us, "
        "before_us",
    ),
    Shape(
        "access_session",
        ("session",),
        "session, from_position, to_position, access, runtime, way, gateway, source, opened_us",
    ),
    Shape(
        "access_session_end",
        ("session",),
        "session, from_position, to_position, reason, bytes_up, bytes_down, closed_us",
    ),
)


def _granted(b: Batch, e: Entry, f: grant.Granted) -> None:
    tail = (
        f"{e.org}\t{text(f.runtime)}\t{text(f.project)}\t{text(f.user)}\t{text(f.way)}\t"
        f"{f.until_us}\t{f.granted_us}"
    )
    head = f"{e.stream}\t{e.position}"
    b["access_grant"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _certified(b: Batch, e: Entry, f: grant.CertificateIssued) -> None:
    tail = f"\t{f.serial}\t{text(f.principal)}\t{text(f.key_sha256)}\t{f.after_us}\t{f.before_us}"
    b["access_certificate"].add(f"{e.stream}\t{e.position}", tail)


def _revoked(b: Batch, e: Entry, f: grant.Revoked) -> None:
    tail = f"{text(f.reason)}\t{f.decided_us}\t{text(e.actor)}"
    b["access_revocation"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _host(b: Batch, e: Entry, f: access.HostCertificateIssued) -> None:
    tail = (
        f"{text(f.runtime)}\t{f.serial}\t{text(f.principal)}\t{text(f.key_sha256)}\t"
        f"{f.after_us}\t{f.before_us}"
    )
    b["access_certificate"].add(f"{e.stream}\t{e.position}", tail)


def _opened(b: Batch, e: Entry, f: access.SessionOpened) -> None:
    tail = (
        f"{text(f.grant)}\t{text(f.runtime)}\t{text(f.way)}\t{text(f.gateway)}\t"
        f"{text(f.source.private)}\t{f.opened_us}"
    )
    head = f"{e.stream}\t{e.position}"
    b["access_session"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _closed(b: Batch, e: Entry, f: access.SessionClosed) -> None:
    tail = f"{text(f.reason)}\t{nullable(f.bytes_up)}\t{nullable(f.bytes_down)}\t{f.closed_us}"
    b["access_session_end"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    grant.Granted: _granted,
    grant.CertificateIssued: _certified,
    grant.Revoked: _revoked,
    access.HostCertificateIssued: _host,
    access.SessionOpened: _opened,
    access.SessionClosed: _closed,
}
