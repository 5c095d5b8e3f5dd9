import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import ssh as contract
from gpuaas_client import models, ssh
from gpuaas_client.errors import Misconfigured
from gpuaas_client.profiles import found


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "config.missing"),
        ("ftp://x", "config.malformed"),
        ("example.org", "config.malformed"),
        ("http://example.org", "config.malformed"),
        ("http://localhost.example.org", "config.malformed"),
        ("http://gpu.localhost", "config.malformed"),
        ("http://localhost:8470", ""),
        ("http://127.0.0.1:8470/", ""),
        ("http://[::1]:8470", ""),
        ("https://example.org", ""),
    ],
)
def test_a_token_goes_over_tls_or_stays_here(url: str, code: str) -> None:
    """Who listens on the way learns no token and hands out no host CA."""
    env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": "/nonexistent"}
    if code:
        with pytest.raises(Misconfigured) as refused:
            found(env)
        assert refused.value.code == code
    else:
        assert found(env).url == url.rstrip("/")


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
    made = ssh.own_folder(env)
    assert made.stat().st_mode & 0o777 == 0o700
    assert not gone.exists()
    assert living.exists()


def test_the_client_writes_the_configuration_of_the_contract() -> None:
    """To the byte: contracts/ssh.py says what a client believes, and the client imports nothing."""
    given = models.SshCertificate(
        certificate="c", gateway_host="gate.example", gateway_port=2222, grant="g",
        known_hosts="k", principal="allocation-1.3", runtime="runtime-1", serial="1", until="u",
        valid_before="v",
    )  # fmt: skip
    entry = contract.Entry("runtime-1", "allocation-1.3", "gate.example", 2222)
    written = contract.client_config(entry, "/k/key", "/k/known_hosts")
    assert ssh.config_text(given, "/k/key", "/k/known_hosts", "/k/config") == written
