"""`gpuaas` as a program would run it, in this process."""

import contextlib
import io
from collections.abc import Mapping
from typing import NamedTuple

from gpuaas_client.cli import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


def gpuaas(*words: str, env: Mapping[str, str]) -> Done:
    """What it said and its exit status."""
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words, env)
    return Done(status, raw.getvalue().decode(), err.getvalue())
