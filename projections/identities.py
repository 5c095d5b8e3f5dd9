"""Who nodes may say they are: standing, open invitation, certificate, hardware, discrepancies."""

from typing import Final

from domain import identity, node
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape("node_standing", ("node",), "node, from_position, to_position, barred, why, since_us"),
    Shape("node_invitation", ("node",), "node, from_position, to_position, expires_us, invited_us"),
    Shape(
        "node_certificate",
        ("node",),
        "node, from_position, to_position, nkey, public_sha256, certificate_sha256, "
        "not_before_us, not_after_us",
    ),
    Shape("node_expected", ("node",), "node, from_position, to_position, fingerprint, decided_us"),
    Shape(
        "node_hardware",
        ("node",),
        "node, from_position, to_position, product, serial, machine, fingerprint, stated_us",
    ),
    Shape(
        "node_discrepancy",
        ("node", "what"),
        "node, what, from_position, to_position, before, stated, decided_us",
        ("text", "text"),
        hashed=True,
    ),
)
_WHATS: Final = ("product", "serial", "machine", "fingerprint")


def _revoked(b: Batch, e: Entry, f: identity.Revoked) -> None:
    b["node_standing"].open(
        e.stream, e.position, _head(e), _standing(identity.REVOKED, f.reason, f)
    )
    for name in ("node_invitation", "node_certificate"):
        b[name].close(e.stream, e.position)


def _doubled(b: Batch, e: Entry, f: identity.Doubled) -> None:
    b["node_standing"].open(e.stream, e.position, _head(e), _standing(identity.DOUBLED, f.sign, f))


def _standing(barred: str, why: str, fact: identity.Revoked | identity.Doubled) -> str:
    return f"{barred}\t{text(why)}\t{fact.decided_us}"


def _invited(b: Batch, e: Entry, f: node.Invited | identity.Reinvited) -> None:
    tail = f"{f.expires_us}\t{f.invited_us}"
    b["node_invitation"].open(e.stream, e.position, _head(e), tail, new=e.version == 1)
    b["node_expected"].close(e.stream, e.position)


def _expected(b: Batch, e: Entry, f: identity.HardwareExpected) -> None:
    tail = f"{text(f.fingerprint)}\t{f.decided_us}"
    b["node_expected"].open(e.stream, e.position, _head(e), tail)


def _enrolled(b: Batch, e: Entry, _: node.Enrolled) -> None:
    for name in ("node_standing", "node_invitation", "node_certificate", "node_expected"):
        b[name].close(e.stream, e.position)
    for what in _WHATS:
        b["node_discrepancy"].close((e.stream, what), e.position)


def _certified(b: Batch, e: Entry, f: identity.Certified) -> None:
    tail = (
        f"{text(f.nkey)}\t{text(f.public_sha256)}\t{text(f.certificate_sha256)}\t"
        f"{f.not_before_us}\t{f.not_after_us}"
    )
    b["node_certificate"].open(e.stream, e.position, _head(e), tail)


def _stated(b: Batch, e: Entry, f: identity.HardwareStated) -> None:
    said = "\t".join(map(text, (f.product, f.serial, f.machine, f.fingerprint)))
    b["node_hardware"].open(e.stream, e.position, _head(e), f"{said}\t{f.stated_us}")


def _differs(b: Batch, e: Entry, f: identity.HardwareDiffers) -> None:
    head = f"{e.stream}\t{text(f.what)}\t{e.position}"
    tail = f"{text(f.before)}\t{text(f.stated)}\t{f.decided_us}"
    b["node_discrepancy"].open((e.stream, f.what), e.position, head, tail)


def _head(entry: Entry) -> str:
    return f"{entry.stream}\t{entry.position}"


APPLY: Final[dict[type, Apply]] = {
    node.Invited: _invited,
    node.Enrolled: _enrolled,
    identity.Revoked: _revoked,
    identity.Reinvited: _invited,
    identity.Doubled: _doubled,
    identity.Certified: _certified,
    identity.HardwareExpected: _expected,
    identity.HardwareStated: _stated,
    identity.HardwareDiffers: _differs,
}
