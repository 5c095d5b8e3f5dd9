"""A command id causes one append: what is kept to tell so, in memory and beyond it."""

from hashlib import sha256

import pytest

from gpuaas_verify.commands import Commands, record


def cause(number: int) -> str:
    return "cmd:" + sha256(b"%d" % number).hexdigest()


@pytest.mark.parametrize("in_memory", [2, 7, 100, 10_000])
def test_the_first_repetition_is_found_wherever_it_is_kept(in_memory: int) -> None:
    """The smallest position whose id came before, however many records lie between."""
    commands = Commands(in_memory)
    for position in range(600):
        commands.add(record(cause(position), position))
    assert commands.repeated() is None
    for position, again in ((600, 599), (601, 0), (602, 600)):
        commands.add(record(cause(again), position))
    assert commands.repeated() == 600
    commands.close()


def test_nothing_is_repeated_in_nothing() -> None:
    """A log of heartbeats by position, say."""
    assert Commands().repeated() is None
