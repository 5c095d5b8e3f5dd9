"""A recording as asciicast v3 (docs.asciinema.org/manual/asciicast/v3)."""

import codecs
import json
from pathlib import Path
from typing import Final

from contracts import recording
from contracts.recording import Read

MEDIA: Final = "application/x-asciicast"
_US: Final = 1_000_000


def played(path: Path, seals: list[recording.Seal], *, cut: bool) -> bytes:
    """What the log binds of the file. Raises: FileNotFoundError, and as `recording.bound`."""
    return asciicast(recording.bound(path.read_bytes(), seals), cut=cut)


def asciicast(found: Read, *, cut: bool) -> bytes:
    """Header and events; `cut` adds a marker at the end that says so.

    Bytes that are no UTF-8 become U+FFFD, a character cut between two records stays whole.
    """
    header = found.header
    lines = [
        json.dumps(
            {
                "version": 3,
                "term": {"cols": header.columns, "rows": header.rows, "type": "xterm-256color"},
                "timestamp": header.opened_us // _US,
                "title": header.session,
            }
        )
    ]
    make = codecs.getincrementaldecoder("utf-8")
    texts = {recording.OUTPUT: make("replace"), recording.INPUT: make("replace")}
    at_us = header.opened_us
    for record in found.records:
        code, data = record.kind.decode(), ""
        if record.kind in texts:
            data = texts[record.kind].decode(record.data)
        elif record.kind == recording.GAP:
            what = "output" if record.data == recording.OUTPUT else "input"
            code, data = "m", f"gap: {what} before byte {record.offset} was not recorded"
        else:
            data = record.data.decode("ascii", "replace")
        if data:
            lines.append(_event(max(0, record.at_us - at_us), code, data))
            at_us = max(at_us, record.at_us)
    if cut:
        lines.append(_event(0, "m", "cut: the recording ends before the session did"))
    return "\n".join(lines).encode() + b"\n"


def _event(interval_us: int, code: str, data: str) -> str:
    # The interval is written as an exact decimal: what was recorded, not what a float makes of it.
    return f"[{interval_us // _US}.{interval_us % _US:06d}, {json.dumps(code)}, {json.dumps(data)}]"
