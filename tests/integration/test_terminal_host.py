import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.terminal import wire
from agent.terminal.host import _members
from contracts import terminal
from tests.terminal_hand import LivingHost

pytestmark = pytest.mark.slow


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LivingHost]:
    made = LivingHost(tmp_path)
    yield made
    made.close()


def ready(host: LivingHost) -> None:
    host.attach()
    host.frame(host.typist.grant())
    host.until(b"$ ")


def test_a_shell_answers_and_its_exit_status_comes_last(host: LivingHost) -> None:
    """Typed bytes reach the shell once, its output comes back, then how it ended."""
    ready(host)
    host.frame(host.typist.type(b"echo $((6*7))\n"))
    host.until(b"42\r\n")
    host.frame(host.typist.type(b"exit 3\n"))
    deadline = time.monotonic() + 20
    while host.typist.exit is None:
        host.take()
        assert time.monotonic() < deadline
    assert host.typist.exit == 3
    assert host.end() == 0
    assert not host.folder.exists()


def test_the_agent_may_die_and_nothing_is_lost_or_doubled(host: LivingHost) -> None:
    """Output goes on from the offset that was asked, input from the one that was taken."""
    ready(host)
    host.frame(host.typist.type(b"stty raw -echo; echo go; exec cat\n"))
    host.until(b"go")
    time.sleep(0.3)
    host.take()
    said = bytes(index % 251 for index in range(40_000))
    base, typed = len(host.typist.shown), host.typist.typed
    while len(host.typist.shown) - base < len(said):
        sent = host.typist.typed - typed
        if sent < len(said) and host.typist.typed + 700 <= host.typist.status.limit:
            host.frame(host.typist.type(said[sent : sent + 700]))
        if sent % 4_900 == 0:
            host.restart_agent()
            host.attach()
            host.frame(host.typist.grant())
            sent = host.typist.typed - typed
            if sent < len(said):
                host.frame(host.typist.type(said[sent : sent + 333]))
        host.take()
    assert bytes(host.typist.shown[base:]) == said
    assert host.typist.status.typed == typed + len(said)


def test_yes_is_bounded_and_ctrl_c_answers(host: LivingHost) -> None:
    """A program that never stops talking fills no memory, and one keystroke ends it."""
    ready(host)
    before = host.rss_kib()
    host.frame(host.typist.type(b"yes\n"))
    host.until(b"y\r\ny\r\n")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        host.take()
    shown = len(host.typist.shown)
    assert shown > 1_000_000
    assert host.rss_kib() - before < terminal.RING // 1024 + 8_192
    host.frame(host.typist.type(b"\x03"))
    assert host.until(b"$ ") < 2.0


def test_without_grants_the_terminal_is_not_read(host: LivingHost) -> None:
    """A client that reads nothing stops the program, not the machine: output waits in the tty."""
    ready(host)
    host.frame(host.typist.type(b"yes | head -c 9000000; echo over\n"))
    time.sleep(1)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        for kind, body in host.heard():
            if kind == wire.FRAME:
                host.typist.take(body)  # and no grant
    stopped = len(host.typist.shown)
    assert stopped <= 2 * terminal.WINDOW
    assert host.attach().end <= stopped + terminal.WINDOW


def test_what_the_ring_lost_is_a_gap_that_is_told(host: LivingHost) -> None:
    """An attachment from too far back begins later, and says where."""
    ready(host)
    host.frame(host.typist.type(b"yes | head -c 6000000; echo over\n"))
    host.until(b"over\r\n$ ", within_s=60)
    answer = host.attach(0)
    assert answer.start == answer.end - terminal.RING
    assert host.attach(answer.end + 1).code == "term.ahead"


def test_foreign_replayed_and_reordered_frames_are_refused_and_counted(host: LivingHost) -> None:
    """Only frames of this attachment, each once and in order, reach the shell."""
    ready(host)
    good = host.typist.type(b"echo on\n")
    late = host.typist.type(b"ce\n")
    old_number = host.typist.number
    for raw in (os.urandom(80), b"", good[:-1] + bytes((good[-1] ^ 1,)), late, good, late):
        host.frame(raw)
    host.typist.typed -= 3  # `late` came first and left a hole, so what is typed next is in order
    host.typist.typed -= 8
    host.frame(host.typist.type(b"echo fine\n"))
    host.until(b"fine\r\n")
    deadline = time.monotonic() + 10
    while host.typist.status.refused < 6:
        host.take()
        assert time.monotonic() < deadline
    assert b"once" not in host.typist.shown
    host.attach()
    host.typist.number = old_number - 1
    assert host.attach().code == "term.replayed"


def test_past_its_lease_nothing_of_a_terminal_is_left(tmp_path: Path) -> None:
    """Without an agent to renew it, the shell and its jobs in the background end by themselves."""
    host = LivingHost(tmp_path, lease_s=3)
    try:
        ready(host)
        host.frame(host.typist.type(b"sleep 1000 & echo pid $!; trap '' HUP; echo s''et\n"))
        host.until(b"set\r\n")
        session = int(bytes(host.typist.shown).rpartition(b"pid ")[2].split()[0])
        shell = os.getsid(session)
        assert len(_members(shell, host.typist.session)) == 2
        host.socket.close()
        assert host.child.wait(30) == 0
        assert not _members(shell, host.typist.session)
    finally:
        host.close()
