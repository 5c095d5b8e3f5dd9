"""Words that a shell completes by asking the API: quickly, or not at all."""

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from gpuaas_client import operations
from gpuaas_client.client import Client
from gpuaas_client.errors import GpuaasError
from gpuaas_client.session import session_of
from gpuaas_client.telling import plain
from gpuaas_client.trial import Patience

type Items = list[CompletionItem]
_QUICKLY = Patience(whole_s=0.0, answer_s=2.0)


def completed(
    context: click.Context, typed: str, ask: Callable[[Client], Iterable[tuple[str, str | None]]]
) -> Items:
    """Those that begin so, with what each is."""
    session = session_of(context)
    session.patience = _QUICKLY
    try:
        return [
            # A line feed or a tab would be more words to the shell, the rest is for its terminal.
            CompletionItem(word, help=plain(what) if what else None)
            for word, what in ask(session.client)
            if word.startswith(typed) and word.isprintable() and " " not in word
        ]
    except GpuaasError:
        return []  # a shell that completes nothing says enough


def named(typed: str, every: Iterable[Any]) -> Iterable[tuple[str, str]]:
    """What things are called, with what they are; their ids once something was typed, and of what
    has no name.
    """
    for one in every:
        state = getattr(one, "state", "")
        if one.name:
            yield one.name, f"{one.id}, {state}".removesuffix(", ")
        if typed or not one.name:
            yield one.id, f"{one.name or '-'}, {state}".removesuffix(", ")


def runtime(context: click.Context, _: click.Parameter, typed: str) -> Items:
    def ask(client: Client) -> Iterable[tuple[str, str | None]]:
        return named(typed, client.do(operations.list_runtimes(limit=100)).items)

    return completed(context, typed, ask)
