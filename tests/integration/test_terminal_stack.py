import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import websockets

from contracts import terminal_client as wire
from contracts.terminal import RING
from tests.terminal_stage import Office, Screen, hosts, office, shown
from tests.told_messages import NOT_AWAITED, OF_READINGS, described

pytestmark = pytest.mark.slow

_SLOW_S = 0.05  # after each message: a reader of some hundred KiB a second


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Office, str]]:
    with office(hear=True) as (made, runtimes):
        yield made, runtimes[0]


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        async with asyncio.timeout(200):
            await story()

    asyncio.run(told())


def test_a_shell_in_a_browsers_reach(place: tuple[Office, str]) -> None:
    """Opened, typed into, resized, pinged, exited: the session's end is in the log with counts."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime) as screen:
            assert screen.line is not None
            await screen.type(b"echo $((6*7))\n")
            await screen.until(b"42\r\n")
            await screen.line.send(wire.resize(100, 30))
            await screen.type(b"stty size\n")
            await screen.until(b"30 100\r\n")
            await screen.line.send(wire.message(wire.PING, 0, b"there?"))
            await screen.type(b"exit 7\n")
            assert await screen.closed() == (wire.OVER, "exited")
            assert (screen.exit, screen.pongs) == (7, [b"there?"])
            found = made.get(f"/v1/terminals/{screen.session}").json()
            assert found["reason"] == "exited"
            assert (found["shown_bytes"], found["typed_bytes"]) == (screen.shown, screen.typed)

    play(story)


def test_yes_is_bounded_everywhere_and_ctrl_c_answers(place: tuple[Office, str]) -> None:
    """`yes` for 30 s and four rings at least, read as fast as it comes and then slower: agent, host,
    API and client keep their memory; one keystroke ends it.
    """
    made, runtime = place
    stack = made.stack

    async def story() -> None:
        async with shown(made, runtime) as screen:
            pids = {
                "agent": stack.children["agent"].pid,
                "serve": stack.children["serve"].pid,
                "host": hosts(stack)[screen.session],
                "client": os.getpid(),
            }
            if stack.nats is not None:
                pids["nats"] = stack.nats.child.pid
            before = {name: rss_kib(pid) for name, pid in pids.items()}
            await screen.type(b"yes\n")
            end = time.monotonic() + 30
            # A busy machine takes longer until more has come than anybody may keep.
            while time.monotonic() < end or screen.shown <= 4 * RING:
                await screen.take()
                await asyncio.sleep(_SLOW_S if screen.shown > 5 * RING else 0)
            grown = {name: rss_kib(pid) - before[name] for name, pid in pids.items()}
            assert all(kib < RING // 1024 + 32_768 for kib in grown.values()), grown
            # What 200 ms means on a machine with nothing else to do, the bench measures.
            await screen.type(b"\x03")
            assert await screen.until(b"SIMULATED $ ") < 3.0
            await screen.type(b"exit\n")
            await screen.closed()

    play(story)


def test_who_may_not_connect_does_not(place: tuple[Office, str]) -> None:
    """A ticket opens one connection of its own session, for its own origin; then it is spent."""
    made, runtime = place

    async def refused(screen: Screen, origin: str | None = None) -> None:
        with pytest.raises(websockets.InvalidStatus) as found:
            await screen.connect(origin=origin)
        assert found.value.response.status_code == 403

    async def story() -> None:
        async with shown(made, runtime) as screen:
            other = made.open(runtime)
            ticket, other.ticket = other.ticket, "nothing"
            await refused(other)
            other.ticket = ticket
            mixed = Screen(made, screen.session, ticket)
            await refused(mixed)
            other.ticket = ticket
            await refused(other, origin="https://elsewhere.example")
            other.ticket = ticket
            await other.connect(origin=made.stack.url)
            other.ticket = ticket
            await refused(other)
            for token, code in ((made.token(user="user-2"), 403), (made.operator, 403)):
                path = f"/v1/terminals/{screen.session}/tickets"
                assert made.post(path, None, token).status_code == code
            answer = made.post(f"/v1/runtimes/{runtime}/terminals", {}, made.operator)
            assert answer.status_code == 403
            answer = made.post("/v1/runtimes/runtime-x/terminals", {}, made.member)
            assert answer.status_code == 404
            await other.drop()

    play(story)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"rubbish",
        wire.message(99),
        wire.message(wire.INPUT, 5, b"a hole"),
        wire.message(wire.RESIZE, 0, b"\x00\x00\x00\x00"),
        wire.message(wire.ACK, 0, b"x"),
        "text",
    ],
)
def test_a_client_against_the_rules_is_closed_and_may_come_back(
    place: tuple[Office, str], sent: bytes | str
) -> None:
    """Its session is not harmed."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime) as screen:
            assert screen.line is not None
            await screen.line.send(sent)
            assert (await screen.closed())[0] == wire.RULES
            await screen.resume()
            await screen.type(b"echo al''ive\n")
            await screen.until(b"alive")
            await screen.line.send(wire.message(wire.CLOSE))
            assert await screen.closed() == (wire.OVER, "closed")

    play(story)


@pytest.mark.parametrize("record", [False, True])
def test_the_latest_connection_has_the_session(place: tuple[Office, str], record: bool) -> None:
    """Two at once: the first is told that it was taken and gives up the recording too."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime, record=record) as screen:
            other = Screen(made, screen.session, None)
            other.shown = screen.shown
            await other.connect()
            await other.type(b"echo mi''ne\n")
            await other.until(b"mine")
            assert (await screen.closed())[0] == wire.TAKEN
            await other.drop()

    play(story)


def test_a_resume_from_too_far_back_is_a_gap_that_is_told(place: tuple[Office, str]) -> None:
    """The ring holds 4 MiB: earlier output is named as lost, never skipped in silence."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime) as screen:
            await screen.type(b"yes | head -c 3000000; echo ov''er\n")
            await screen.until(b"over\r\n")
            await screen.drop()
            old = Screen(made, screen.session, None)
            await old.connect(0)
            assert old.gaps == [(0, old.gaps[0][1])]
            assert 0 < screen.shown + 20 - old.gaps[0][1] <= RING + 40
            await old.drop()

    play(story)


@pytest.mark.parametrize("way", ["stop", "revoke"])
def test_an_end_in_the_log_ends_the_connection_at_once(place: tuple[Office, str], way: str) -> None:
    """A stopped runtime or a revocation closes what is open, and the shell on the node ends."""
    made, _ = place
    runtime = made.runtime()

    async def story() -> None:
        async with shown(made, runtime) as screen:
            host = hosts(made.stack)[screen.session]
            if way == "stop":
                answer = made.post(f"/v1/runtimes/{runtime}/stop", None, made.member)
                why = "runtime.ended"
            else:
                admin = made.token("admin", "user-9")
                answer = made.post(f"/v1/terminals/{screen.session}/close", None, admin)
                why = "revoked"
            assert answer.status_code == 200, answer.text
            began = time.monotonic()
            assert await screen.closed() == (wire.OVER, why)
            took = time.monotonic() - began
            print(f"{why}: closed {took * 1000:.0f} ms after")
            assert took < 1
            while lives(host):
                assert time.monotonic() - began < 60
                await asyncio.sleep(0.1)
            path = f"/v1/terminals/{screen.session}/tickets"
            assert made.post(path, None, made.member).json()["code"] == "terminal.over"

    play(story)


@pytest.mark.parametrize("way", ["binding", "key", "member"])
def test_who_loses_the_right_is_out_within_a_second(place: tuple[Office, str], way: str) -> None:
    """What the organization bound its user to, taken back: the binding, the API key it came with,
    or the member as a whole. The shell on the node ends, and the log says `revoked`; a ticket from
    before opens nothing.
    """
    made, runtime = place
    before, user = made.member, f"user-{way}"
    made.post("/v1/members", {"principal": user, "organization": made.org})
    bound = {"principal": user, "role": "member", "scope": made.project}
    binding = made.post("/v1/role-bindings", bound).json()["id"]
    token = made.token("user", user)
    key = made.post("/v1/api-keys", {"name": "k"}, token).json()
    made.member = key["key"] if way == "key" else token
    path = {
        "binding": f"/v1/role-bindings/{binding}/revoke",
        "key": f"/v1/api-keys/{key['id']}/revoke",
        "member": f"/v1/members/{user}/remove",
    }[way]

    async def story() -> None:
        async with shown(made, runtime) as screen:
            host = hosts(made.stack)[screen.session]
            late = made.open(runtime)
            answer = made.post(path, {"organization": made.org})
            assert answer.status_code == 200, answer.text
            began = time.monotonic()
            assert await screen.closed() == (wire.OVER, "revoked")
            assert time.monotonic() - began < 1
            with pytest.raises(websockets.InvalidStatus):
                await late.connect()
            while lives(host):
                assert time.monotonic() - began < 60
                await asyncio.sleep(0.1)

    try:
        play(story)
    finally:
        made.member = before


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def recording(made: Office, session: str) -> Path:
    return made.stack.settings.recordings / f"{session}.rec"


def turn_a_byte(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def played(made: Office, session: str) -> list[object]:
    answer = made.get(f"/v1/terminals/{session}/recording", made.token("admin"))
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


def passed(events: list[object], way: str = "o") -> str:
    """All that was shown, or typed (`i`): a terminal may say one line in two pieces."""
    return "".join(one[2] for one in events if isinstance(one, list) and one[1] == way)


async def bound(made: Office, session: str, text: str) -> None:
    """Returns once what the log binds of the recording shows it."""
    deadline, admin = time.monotonic() + 60, made.token("admin")
    path = f"/v1/terminals/{session}/recording"
    while True:
        answer = await asyncio.to_thread(made.get, path, admin)
        lines = answer.content.splitlines() if answer.status_code == 200 else []
        if text in passed([json.loads(line) for line in lines]):
            return
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(1)


def test_a_recording_survives_the_api_and_a_changed_one_is_refused(
    place: tuple[Office, str],
) -> None:
    """Killed in the middle and resumed, it is whole; with one byte changed nobody gets it."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime, record=True) as screen:
            await screen.type(b"echo be''fore\n")
            await screen.until(b"before\r\n")
            made.stack.kill("serve")
            made.stack.start("serve")
            await screen.resume()
            await screen.type(b"echo af''ter; exit\n")
            await screen.until(b"after\r\n")
            assert await screen.closed() == (wire.OVER, "exited")
            head, *events = played(made, screen.session)
            assert isinstance(head, dict)
            assert head["version"] == 3
            out = passed(events)
            assert passed(events, "i") == "echo be''fore\necho af''ter; exit\n"
            assert (out.count("before\r\n"), out.count("after\r\n")) == (1, 1)
            assert len(out.encode()) == screen.shown
            assert not any(isinstance(e, list) and e[1] == "m" for e in events)
            path = recording(made, screen.session)
            turn_a_byte(path)
            answer = made.get(f"/v1/terminals/{screen.session}/recording", made.token("admin"))
            assert (answer.status_code, answer.json()["code"]) == (409, "recording.changed")

    play(story)


def test_a_recording_that_a_kill_cut_says_so(place: tuple[Office, str]) -> None:
    """The process dies and nobody comes back: what the log binds is played, marked as cut."""
    made, _ = place
    runtime = made.runtime()

    async def story() -> None:
        async with shown(made, runtime, record=True) as screen:
            await screen.type(b"echo on''ce\n")
            await screen.until(b"once\r\n")
            await bound(made, screen.session, "once\r\n")  # a head is in the log every 10 s
            made.stack.kill("serve")
            made.stack.start("serve")
            await screen.drop()
            assert made.post(f"/v1/runtimes/{runtime}/stop", None, made.member).status_code == 200
            deadline = time.monotonic() + 120
            while not made.get(f"/v1/terminals/{screen.session}").json()["closed_at"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
            events = played(made, screen.session)
            assert events[-1] == [0.0, "m", "cut: the recording ends before the session did"]
            assert "once\r\n" in passed(events)

    play(story)


def rss_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_a_killed_host_ends_its_session_and_no_other(place: tuple[Office, str]) -> None:
    """The PTY is gone with it: the client is told, the log says why."""
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime) as screen, shown(made, runtime) as other:
            os.kill(hosts(made.stack)[screen.session], signal.SIGKILL)
            assert await screen.closed() == (wire.OVER, "node.gone")
            await other.type(b"echo fi''ne\n")
            await other.until(b"fine\r\n")

    play(story)


def test_all_that_nodes_and_platform_say_is_what_the_document_says(
    place: tuple[Office, str],
) -> None:
    """From a node's enrolment to a usable runtime, its output, a terminal: each message, with what
    is signed in it, is one of its channel's, and each of the document is said but those named elsewhere.
    """
    made, runtime = place

    async def story() -> None:
        async with shown(made, runtime) as screen:
            await screen.type(b"exit\n")
            await screen.closed()

    with made.listening() as heard:
        play(story)
        assert made.get(f"/v1/runtimes/{runtime}/logs", made.member).status_code == 200
    document = described([*made.heard, *heard])
    assert document.of_nodes() - document.seen - OF_READINGS <= NOT_AWAITED
