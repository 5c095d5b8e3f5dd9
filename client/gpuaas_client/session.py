"""One run of the command: who is asked, and how the answer is told."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

from gpuaas_client import profiles, remembering, telling
from gpuaas_client.client import Client
from gpuaas_client.errors import GpuaasError
from gpuaas_client.telling import plain, shown
from gpuaas_client.trial import Patience

_UNSENT_S: Final = 3.0


class Session:
    """`json`: programs read; `profile`: the one asked for, empty for none.

    `client` begins when it is first used, so that a command that asks nobody needs no settings.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self.env = env
        self.json = False
        self.profile = ""
        self.acting = ""  # the organization that was named to act in
        self.patience = Patience(whole_s=30.0, unsent_s=_UNSENT_S, told=self._unheard)
        self._client: Client | None = None
        self._began = -1

    @property
    def client(self) -> Client:
        """Raises: Misconfigured."""
        if self._client is None:
            at = profiles.found(self.env, self.profile)
            acting = profiles.acting_in(self.env, self.profile)
            self.acting = acting
            self._client = Client(
                *(at.url, at.token, at.ca), patience=self.patience, organization=acting
            )
            self._client.position = self._began = remembering.position(self.env, at.url)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            if self._client.position > self._began:
                url = self._client.place.url
                remembering.keep(self.env, url, self._client.position)
            self._client.close()

    def tell(self, value: Any, pairs: Sequence[tuple[str, str]]) -> None:
        """One thing: as JSON, or its names and values."""
        sys.stdout.write(telling.as_json(value) if self.json else telling.facts(pairs))

    def tell_all(self, values: Iterable[Any], head: Sequence[str], row: Any) -> None:
        """Many things: as a JSON array, or a table of `row(value)` under the head."""
        found = list(values)
        if self.json:
            sys.stdout.write(telling.as_json(found))
        else:
            sys.stdout.write(telling.table([head, *map(row, found)]))

    def say(self, value: Any, sentence: str) -> None:
        """What was done: the answer as JSON, or a sentence."""
        sys.stdout.write(telling.as_json(value) if self.json else f"{shown(sentence)}\n")

    def _unheard(self, why: GpuaasError, most_s: float) -> None:
        self.progress(f"{plain(why.detail)}; trying again for {most_s:.0f} s")

    @staticmethod
    def progress(sentence: str) -> None:
        """While it takes long; on standard error, so that what is piped stays clean."""
        print(f"  {shown(sentence)} ...", file=sys.stderr, flush=True)


def session_of(context: click.Context) -> Session:
    """The one of this run."""
    found: Session = context.find_root().ensure_object(Session)
    return found
