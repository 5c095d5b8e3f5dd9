import os
import subprocess
import sys
from pathlib import Path

import pytest

from api import login
from api.calling import api_of
from domain.errors import DomainError


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "config.missing"),
        ("ftp://x", "config.malformed"),
        ("example.org", "config.malformed"),
        ("http://example.org", "config.malformed"),
        ("http://localhost.example.org", "config.malformed"),
        ("http://127.0.0.1:8470/", ""),
        ("http://[::1]:8470", ""),
        ("https://example.org", ""),
    ],
)
def test_a_token_goes_over_tls_or_stays_here(url: str, code: str) -> None:
    """Who listens on the way learns no token and hands out no host CA."""
    env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
    if code:
        with pytest.raises(DomainError) as refused:
            api_of(env)
        assert refused.value.code == code
    else:
        assert api_of(env).url == url.rstrip("/")


def test_what_ended_processes_left_is_removed(tmp_path: Path) -> None:
    """One folder a process, for its owner only; those of the living stay."""
    env = {"HOME": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    gone = tmp_path / ".gpuaas" / "ssh" / str(child.pid)
    gone.mkdir(parents=True)
    (gone / "key").touch()
    living = gone.with_name(str(os.getppid()))
    living.mkdir()
    made = login.own_folder(env)
    assert made.stat().st_mode & 0o777 == 0o700
    assert not gone.exists()
    assert living.exists()
