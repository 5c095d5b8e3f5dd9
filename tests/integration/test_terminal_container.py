import time
from pathlib import Path

import pytest

from agent.engine import Order, run_plain
from agent.podman import Podman
from agent.terminal.shells import shell_of
from tests.containers import REFERENCE, podman
from tests.terminal_hand import LivingHost

pytestmark = [pytest.mark.slow, pytest.mark.machine]


def living(top: str) -> list[str]:
    """What runs; the dead (`[sleep]`) are the first program's to bury."""
    return [line.strip() for line in top.splitlines()[1:] if not line.startswith("[")]


class Source:
    """A runtime source whose one container is entered as Podman's is."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.argv = argv

    def terminal_argv(self, _allocation: str) -> tuple[str, ...]:
        return self.argv


def test_a_terminal_is_inside_the_container_and_leaves_nothing_there(tmp_path: Path) -> None:
    """Its tty has the client's size, Ctrl-C reaches the program, and its end ends all of it."""
    with podman() as image:
        create = ("--network", "none", *image.settings.create, "--hostname", "inside")
        order = Order(
            *("node-1", "boot", "allocation-1", "runtime-1", 1, 0, (), (), str(tmp_path)),
            *(image.spec(), "", image.settings),
        )
        image.say("run", "-d", "--name", order.name, *create, REFERENCE, "sleep", "900")
        enter = Podman(image.settings, run_plain).shell(order, 0)
        host = LivingHost(tmp_path, lambda session: shell_of(Source(enter), "", session))
        try:
            host.attach()
            host.frame(host.typist.grant())
            host.until(b"# ")
            host.frame(host.typist.type(b"hostname; stty size\n"))
            host.until(b"inside\r\n24 80\r\n")
            host.frame(host.typist.type(b"sleep 800\n"))
            time.sleep(1)
            host.frame(host.typist.type(b"\x03echo ba''ck\n"))
            host.until(b"back\r\n")
            host.frame(host.typist.type(b"sleep 700 & sleep 600\n"))
            deadline = time.monotonic() + 20
            while "600" not in image.say("top", order.name, "args"):
                assert time.monotonic() < deadline
            assert host.end() == 0
            while living(image.say("top", order.name, "args")) != ["sleep 900"]:
                assert time.monotonic() < deadline + 20, image.say("top", order.name, "args")
                time.sleep(0.2)
        finally:
            host.close()
