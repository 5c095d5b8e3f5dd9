"""What the command's own texts tell people to type."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import click
import pytest

from api.calling import api_of
from contracts.problems import PROBLEMS
from domain.errors import DomainError
from gpuaas_client import cli, exits, profiles, telling
from tests.commands import Done, gpuaas
from tests.serving import Answer, problem, serving

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


def test_tables_are_for_people() -> None:
    """A price is for the unit that people count by, what was spent is rounded, and values stand in
    one column however long a name is.
    """
    assert telling.per("3600000000000", "gpu.time") == "GPU-hour"
    assert telling.per("3686400000000", "storage.capacity") == "GiB-hour"
    assert telling.per("7", "gpu.time") == "7 milli-GPU-us"
    assert telling.per("7", "tokens") == "7 of its unit"
    assert telling.facts([("A", "1"), ("RECOVERY CODES", "2")]) == (
        "a              1\nrecovery codes 2\n"
    )
    spent = {"amount": "0.054904678333", "currency": "USD"}
    budget: dict[str, Any] = {
        "scope": "project-1", "account": None, "mode": "soft", "period_end": None, "alerts": [],
        "amount": {"amount": "12.500000000000", "currency": "USD"}, "spent": spent,
        "forecast": spent, "organization": "o", "version": 1, "period_start": None, "set_at": None, "seen_at": None,
    }  # fmt: skip
    with serving(Answer(200, {"items": [budget], "next": None})) as (url, _):
        done = gpuaas("budget", "list", env={"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
    assert "12.50 USD  0.0549 USD  0.0549 USD" in done.out


def test_an_invoice_is_shown_with_its_lines() -> None:
    """Of its own file, with what was used in people's units; the first of many, and how many more.
    Without the file, as it is before it is stored, the invoice alone; for programs the API's answer.
    """
    money = {"amount": "1.500000000000", "currency": "USD"}
    invoice: dict[str, Any] = {
        "account": "account-1", "exact": money, "file": "f", "finalized_at": "t", "id": "invoice-1",
        "line_count": 1, "missing": [], "net": None, "number": "A-1", "organization": "o",
        "period": "p", "seller": None, "sha256": "s", "state": "issued", "tax": None, "total": money,
    }  # fmt: skip
    line = {
        "project": "project-1", "sku": "gpu.time:T4", "price": 19, "service_period": "p",
        "quantity": 5400000000000, "amount_pico": 1500000000000, "shown_minor": 150,
    }  # fmt: skip
    other = {**line, "sku": "tokens:x", "quantity": 7, "amount_pico": -1}

    def shown(status: int, file: object, *more: str) -> Done:
        answers = [Answer(200, invoice), *([] if more else [Answer(status, file)])]
        with serving(*answers) as (url, _):
            env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
            return gpuaas("invoice", "show", "A-1", *more, env=env)

    told = shown(200, {"currency": "USD", "lines": [line, other]}).out
    assert "project-1  gpu.time:T4  1.5000 GPU-hours  1.5000 USD    19" in told
    assert "tokens:x     7 of its unit     < 0.0001 USD" in told
    assert (
        "and 5 more: gpuaas invoice get A-1"
        in shown(200, {"currency": "USD", "lines": [line] * 25}).out
    )
    for status, file in ((404, problem("invoice.file_unavailable")), (200, b"no json")):
        done = shown(status, file)
        assert (done.status, "PROJECT" in done.out, "A-1" in done.out) == (0, False, True)
    assert json.loads(shown(200, None, "--json").out) == invoice


def test_a_day_and_an_offset_are_instants_of_utc() -> None:
    """As people type them; what is none of these is the API's to refuse."""
    empty = Answer(200, {"items": [], "next": None})
    for typed, asked_for in (
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05-01T10:00:00+02:00", "2026-05-01T08:00:00Z"),
        ("2026-05-01T10:00:00.5-01:30", "2026-05-01T11:30:00.500000Z"),
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00Z"),
        ("41", "41"),
        ("yesterday", "yesterday"),
        ("2026-05-01T10:00:00", "2026-05-01T10:00:00"),
        ("2026-05-01T99:00:00+01:00", "2026-05-01T99:00:00+01:00"),
    ):
        with serving(empty) as (url, asked):
            env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
            gpuaas("member", "list", "--as-of", typed, env=env)
        query = parse_qs(asked[0].what.partition("?")[2])
        assert query["as_of"] == [asked_for]


def test_the_servers_verbs_go_where_the_clients_go(tmp_path: Path) -> None:
    """By the variables, else by the profile; what is missing is said with what helps."""
    env = {"HOME": str(tmp_path)}
    with pytest.raises(DomainError, match=r"nobody is signed in here .`gpuaas login`") as missing:
        api_of(env)
    assert missing.value.code == "config.missing"
    profiles.keep(env, "p", profiles.Profile("http://127.0.0.1:1", "kept"))
    assert (api_of(env).url, api_of(env).token) == ("http://127.0.0.1:1", "kept")
    other = {**env, "GPUAAS_URL": "http://127.0.0.1:2", "GPUAAS_TOKEN": "t"}
    assert (api_of(other).url, api_of(other).token) == ("http://127.0.0.1:2", "t")


def test_a_proof_is_fetched_in_one_manner_wherever_it_is_asked_for(tmp_path: Path) -> None:
    """Of a bill, an invoice or as evidence, to FILE or --out FILE; to neither or both is wrong usage."""
    body = Answer(200, b"proof", (("Content-Type", "application/octet-stream"),))
    for number, word in enumerate(("bill", "invoice", "evidence")):
        for more in ((), ("--out",)):
            file = str(tmp_path / f"{number}{len(more)}")
            with serving(body) as (url, _):
                env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
                done = gpuaas(word, "proof", "A-1", *more, file, env=env)
            assert done.status == exits.DONE, done
            assert Path(file).read_bytes() == b"proof"
        for wrong in ((), ("a", "--out", "b")):
            assert gpuaas(word, "proof", "A-1", *wrong, env={}).status == exits.USAGE
