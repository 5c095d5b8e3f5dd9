import asyncio
import json
import os
import threading
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from api.terminal import recorder
from api.terminal.playback import asciicast
from api.terminal.recorder import CHUNK_US, Recorder
from api.terminal.sessions import Session
from api.terminal.show import ClosedError, Show
from contracts import recording
from contracts.recording import Header, Seal, bound, read
from contracts.signing import FleetError
from domain import terminal

HEADER = Header(recording.FORMAT, "access-1", "runtime-1", 5_000_000, 80, 24)


def opened(path: Path) -> Recorder:
    clock = count(5_000_000, 250_000)
    return Recorder(path, HEADER, lambda: next(clock))


def recorded(path: Path, *, final: bool = True) -> list[Seal]:
    """Three chunks and what the log says of them."""
    one, seals = opened(path), []
    for number in range(3):
        one.input(number * 3, b"ls\n")
        one.output(number * 10, b"0123456789")
        if number == 1:
            one.resized(100, 30)
        if number == 2 and final:
            one.exited(0)
        one.seal(final=final and number == 2)
        assert one.last is not None
        seals.append(one.last)
    one.close()
    return seals


def test_what_was_recorded_is_what_is_read(tmp_path: Path) -> None:
    """Each byte once, in order, under the chunk heads that the log names."""
    seals = recorded(tmp_path / "r")
    found = bound((tmp_path / "r").read_bytes(), seals)
    kinds = b"".join(record.kind for record in found.records)
    assert kinds == b"ioiorio" + b"x"
    assert found.seals == seals
    assert seals[-1].final


def test_a_recording_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    """Every single byte, cut off, added or turned."""
    seals = recorded(tmp_path / "r")
    raw = (tmp_path / "r").read_bytes()
    for place in range(len(raw)):
        for wrong in (raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :], raw[:place]):
            with pytest.raises(FleetError, match=r"^recording\.(changed|malformed)"):
                bound(wrong, seals)
    with pytest.raises(FleetError, match=r"^recording\.changed"):
        bound(raw + b"o", seals)


def test_a_chain_made_anew_is_not_the_one_in_the_log(tmp_path: Path) -> None:
    """Whoever recomputes the heads after a change still meets the facts."""
    seals = recorded(tmp_path / "r")
    other = opened(tmp_path / "other")
    other.output(0, b"another text")
    other.seal(final=True)
    other.close()
    raw = (tmp_path / "other").read_bytes()
    assert read(raw).seals[-1].final
    with pytest.raises(FleetError, match=r"^recording\.changed"):
        bound(raw, seals)


@pytest.mark.parametrize("torn", range(1, 40))
def test_after_a_kill_the_next_program_goes_on(tmp_path: Path, torn: int) -> None:
    """A torn record never happened; bytes that come again are recorded once."""
    path = tmp_path / "r"
    recorded(path, final=False)
    recorder = opened(path)
    recorder.output(30, b"abcdef")
    recorder.close()
    os.truncate(path, path.stat().st_size - torn)
    again = opened(path)
    assert again.shown in {30, 36}
    assert (again.typed, again.last is not None) == (9, True)
    again.output(20, b"0123456789abcdefGH")
    again.seal(final=True)
    again.close()
    assert again.last is not None
    found = bound(path.read_bytes(), [again.last])
    shown = b"".join(one.data for one in found.records if one.kind == recording.OUTPUT)
    assert shown == b"0123456789" * 3 + b"abcdefGH"


def test_one_program_records_a_session(tmp_path: Path) -> None:
    """A second one is told to wait, not allowed to mix its bytes in."""
    first = opened(tmp_path / "r")
    with pytest.raises(BlockingIOError):
        opened(tmp_path / "r")
    first.close()
    opened(tmp_path / "r").close()


def test_chunks_are_sealed_when_full_or_old(tmp_path: Path) -> None:
    """64 KiB or a second, whichever comes first; nothing to seal is nothing due."""
    now = [0]
    recorder = Recorder(tmp_path / "r", HEADER, lambda: now[0])
    recorder.seal()
    assert not recorder.due()
    recorder.output(0, b"x")
    assert not recorder.due()
    now[0] = CHUNK_US
    assert recorder.due()
    recorder.seal()
    recorder.output(1, bytes(200_000))
    assert recorder.due()
    recorder.close()


def test_the_export_is_asciicast_v3(tmp_path: Path) -> None:
    """A header, then [interval, code, data]; whole characters, gaps and the cut are marked."""
    recorder = opened(tmp_path / "r")
    euro = "€".encode()
    recorder.output(0, b"a" + euro[:1])
    recorder.output(2, euro[1:] + b"\xff")
    recorder.input(0, b"q")
    recorder.output(100, b"late")
    recorder.resized(100, 30)
    recorder.exited(-9)
    recorder.seal()
    recorder.close()
    found = read((tmp_path / "r").read_bytes())
    head, *events = (json.loads(line) for line in asciicast(found, cut=True).splitlines())
    assert (head["version"], head["term"]["cols"], head["timestamp"]) == (3, 80, 5)
    assert [event[1:] for event in events] == [
        ["o", "a"],
        ["o", "€\ufffd"],
        ["i", "q"],
        ["m", "gap: output before byte 100 was not recorded"],
        ["o", "late"],
        ["r", "100x30"],
        ["x", "-9"],
        ["m", "cut: the recording ends before the session did"],
    ]
    assert all(event[0] == 0.25 for event in events[1:3])


class Shared:
    """What a session's connection asks of its process, as far as it records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.free = threading.Event()
        self.threads: list[int] = []
        self.made: list[Recorder] = []

    def recorder(self, _: Session) -> Recorder:
        self.threads.append(threading.get_ident())
        assert self.free.wait(60)
        self.made.append(opened(self.path))
        return self.made[-1]


class Taking:
    """The node's end, which has nobody to take the session from."""

    place = None

    async def open(self, *_: object) -> None: ...

    async def close(self) -> None: ...


def test_a_long_recording_keeps_nobody_waiting_and_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened off the loop, and let go where whoever waited for it has gone; once it is full
    its session is over.
    """
    said = terminal.Opened("runtime-1", "allocation-1", "node-1", 1, 80, 24, True, 5)
    found = Session("access-1", "organization-1", "user-1", 1, 1, terminal.Live(said))

    async def scene() -> None:
        shared = Shared(tmp_path / "r")
        show = Show(cast("Any", shared), found, cast("Any", None), 0)
        show.far = cast("Any", Taking())
        monkeypatch.setattr(Show, "_far", lambda *_: Taking())
        gone = asyncio.create_task(show._record())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        shared.free.set()
        show.recorder = await show._record()  # whose lock is free soon
        assert threading.get_ident() not in shared.threads
        show.recorder.output(0, b"y" * 200)
        monkeypatch.setattr(recorder, "MOST_BYTES", 300)
        with pytest.raises(ClosedError) as closed:
            async with asyncio.timeout(60):
                await show._sealing()
        assert (closed.value.reason, closed.value.over) == ("recording.full", True)
        show.recorder.close()

    asyncio.run(scene())
