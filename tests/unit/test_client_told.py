"""What the command's own texts tell people to type."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import click

from contracts.problems import PROBLEMS
from gpuaas_client import cli

_TYPED: Final = re.compile(r"`gpuaas ([a-z-][^`]*)`")


@cache
def _commands(group: click.Group) -> dict[str, click.Command]:
    at = click.Context(group)
    found = {name: group.get_command(at, name) for name in group.list_commands(at)}
    return {name: one for name, one in found.items() if one is not None}


def _every(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for one in _commands(command).values():
            yield from _every(one)


def _fault(words: list[str]) -> str:
    """What of it is no command; empty where all of it can be typed."""
    command: click.Command = cli.gpuaas
    while isinstance(command, click.Group):
        commands = _commands(command)
        if not words or words[0] not in commands:
            return " ".join(words) or "unfinished"
        command = commands[words.pop(0)]
    known = {name for one in command.params for name in one.opts}
    return " ".join(one for one in words if one.startswith("--") and one not in known)


def test_what_helps_and_remedies_say_to_type_is_a_command() -> None:
    """Each `gpuaas ...` in a verb's help or a problem's remedy is a verb with options it has."""
    helps = [one.help or "" for one in _every(cli.gpuaas)]
    said = " ".join([*helps, *(one.remedy for one in PROBLEMS.values())])
    typed = _TYPED.findall(" ".join(said.split()))
    assert len(typed) > 5, "they are still written so"
    assert [one for one in typed if _fault(one.split())] == []
