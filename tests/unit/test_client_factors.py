"""`gpuaas mfa`, against a server of our own."""

from pathlib import Path
from typing import Any

from gpuaas_client import profiles
from tests.commands import gpuaas
from tests.serving import Answer, serving

SAID: dict[str, Any] = {
    "principal": "user-1", "means": "totp", "token": None, "amr": ["mfa"], "acr": "aal2",
    "expires_at": "2026-01-01T00:00:00.000000Z", "secret_already_shown": True,
}  # fmt: skip


def test_a_token_whose_answer_was_lost(tmp_path: Path) -> None:
    """The first answer is cut, the repeat says that the token was shown: the command says what to
    do, and the profile is as it was.
    """
    env = {"HOME": str(tmp_path)}
    with serving(Answer(0), Answer(200, SAID)) as (url, asked):
        profiles.keep(env, "work", profiles.Profile(url, "before"))
        done = gpuaas("mfa", "verify", "--code", "123456", env=env)
    assert len({one.headers["idempotency-key"] for one in asked}) == 1
    assert (len(asked), done.status != 0, done.out) == (2, True, "")
    assert "mfa.token_unheard" in done.err
    assert "next code" in done.err
    assert "Traceback" not in done.err
    assert profiles.found(env).token == "before"
