"""What the log says of itself: where it began, that it lives, which files it binds, who read."""

from typing import Final

from msgspec import UNSET

from domain import log, sealing
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import OPEN, Shape, json, nullable, text

SHAPES: Final = (
    Shape(
        "log_opened",
        ("stream",),
        "stream, from_position, to_position, format, origin, vkey, continues",
    ),
    Shape("heartbeat", ("stream",), "stream, from_position, to_position, at_us"),
    Shape(
        "sealed_file",
        ("file",),
        "file, from_position, to_position, name, sha256, bytes, as_of_size, supersedes, actor",
        types=("numeric",),
    ),
    Shape(
        "download",
        (),
        'stream, from_position, to_position, what, size, "index", actor',
    ),
)


def _opened(b: Batch, e: Entry, f: log.Opened) -> None:
    continues = OPEN if f.continues is UNSET else json(f.continues)
    tail = f"{text(f.format)}\t{text(f.origin)}\t{text(f.vkey)}\t{continues}"
    b["log_opened"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _heartbeat(b: Batch, e: Entry, f: log.Heartbeat) -> None:  # noqa: ARG001 - it says nothing
    b["heartbeat"].open(e.stream, e.position, f"{e.stream}\t{e.position}", str(e.at_us))


def _file(b: Batch, e: Entry, f: sealing.FileSealed) -> None:
    if f.supersedes is not None:
        b["sealed_file"].close((f.supersedes,), e.position)
    tail = (
        f"{text(f.name)}\t{text(f.sha256)}\t{f.bytes}\t{f.as_of_size}\t{nullable(f.supersedes)}\t"
        f"{text(e.actor)}"
    )
    head = f"{e.position}\t{e.position}"
    b["sealed_file"].open((e.position,), e.position, head, tail, new=True)


def _download(b: Batch, e: Entry, f: sealing.Downloaded) -> None:
    tail = f"{text(f.what)}\t{f.size}\t{nullable(f.index)}\t{text(e.actor)}"
    b["download"].add(f"{e.stream}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    log.Opened: _opened,
    log.Heartbeat: _heartbeat,
    sealing.FileSealed: _file,
    sealing.Downloaded: _download,
}
