"""The embedded stack's own node: invited over the HTTP API like any other, then exec'd as the
agent.
"""

import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

from api.config import Settings
from api.tls import believing
from api.tokens import developer_token
from domain.errors import DomainError

_WAIT_S = 60
_MODEL = "T4"


def run(
    settings: Settings, *, model: str = _MODEL, gpus: int = 8, more: tuple[str, ...] = ()
) -> NoReturn:
    """Becomes the agent process (`python -m agent`), with SIMULATED GPUs unless `more` says so.

    A state directory that was enrolled before needs no token; GPUAAS_ENROL_TOKEN is used as it
    is; otherwise the operator's token of the embedded issuer invites a node.

    Raises:
        DomainError: `stack.start_failed` when the API does not answer within a minute.
    """
    name = "node-0" if more else "simulated-0"
    env = settings.environment()
    tls = None if settings.tls is None else believing(settings.ca)
    if not enrolled(settings) and "GPUAAS_ENROL_TOKEN" not in env:
        token = developer_token(settings)
        env["GPUAAS_ENROL_TOKEN"] = invite(settings.api_url, token, name, model, tls)
    argv = command(settings, model=model, gpus=gpus, more=more)
    os.execve(sys.executable, argv, env)  # noqa: S606 - the agent replaces this process


def _state(settings: Settings) -> Path:
    return settings.data / "agent"


def enrolled(settings: Settings) -> bool:
    """Whether the embedded stack's node is: its agent needs no token to start."""
    return (_state(settings) / "enrolment.json").exists()


def command(
    settings: Settings, *, model: str = _MODEL, gpus: int = 8, more: tuple[str, ...] = ()
) -> list[str]:
    """The agent process of that node."""
    trusted = [] if settings.ca is None else ["--ca", str(settings.ca)]
    return [
        sys.executable, "-m", "agent", "--state", str(_state(settings)), "--api", settings.api_url,
        "--nats", settings.nats_node_url, "--model", model, "--gpus", str(gpus), *trusted, *more,
    ]  # fmt: skip


def end_terminals(settings: Settings) -> None:
    """No terminal of the embedded stack's node lives on: they outlive their agent, which is right
    where it comes back. Nothing where there is none.
    """
    folder = _state(settings) / "terminals"
    if folder.is_dir() and any(one.is_dir() for one in folder.iterdir()):
        argv = [sys.executable, "-m", "agent.terminal", "--end", str(folder)]
        subprocess.run(argv, check=False, stdin=subprocess.DEVNULL)


def invite(url: str, token: str, name: str, model: str, tls: ssl.SSLContext | None = None) -> str:
    """A single-use enrolment token for a new node; waits up to a minute for the API."""
    request = urllib.request.Request(  # noqa: S310 - the stack's own URL
        f"{url}/v1/nodes",
        data=json.dumps({"name": name, "model": model}).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        },
        method="POST",
    )
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10, context=tls) as answer:  # noqa: S310
                return str(json.load(answer)["token"])
        except urllib.error.HTTPError as refused:
            if refused.code < 500 or time.monotonic() > deadline:
                raise DomainError("stack.start_failed", f"invite: {refused}") from refused
        except OSError as error:
            if time.monotonic() > deadline:
                raise DomainError(
                    "stack.start_failed", f"the API does not answer: {error}"
                ) from error
        time.sleep(0.2)
