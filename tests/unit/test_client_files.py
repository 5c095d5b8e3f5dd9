"""What the client keeps on this disk: profiles with tokens, an ssh_config, each its owner's."""

import errno
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from gpuaas_client import exits, models, profiles, session, ssh
from gpuaas_client.errors import GpuaasError, Misconfigured
from tests.commands import gpuaas
from tests.serving import Answer, problem, serving

URL = "https://gpu.example"
GIVEN = models.SshCertificate(
    certificate="c", gateway_host="gate.example", gateway_port=2222, grant="g", known_hosts="k",
    principal="allocation-1.3", runtime="runtime-1", serial="1", until="u", valid_before="v",
)  # fmt: skip
VERIFIED = {
    "principal": "user-1", "means": "totp", "token": "stronger", "amr": ["mfa"], "acr": "aal2",
    "expires_at": "2026-01-01T00:00:00.000000Z", "secret_already_shown": False,
}  # fmt: skip
KEY = problem("auth.forbidden", policy="key.scopes")


def test_a_profile_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, and after a command that was killed: no half of a token lies there, what was
    left goes with the next word, and all of it when the profile is forgotten.
    """
    env = {"HOME": str(tmp_path)}
    path = profiles.keep(env, "p", profiles.Profile(URL, "before"))
    left = path.with_name("p.json.99999~")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            profiles.keep(env, "p", profiles.Profile(URL, "after"))
    assert profiles.found(env).token == "before"
    assert [one.name for one in path.parent.iterdir()] == ["p.json"]
    left.write_text("half a tok")
    profiles.keep(env, "p", profiles.Profile(URL, "after"))
    assert not left.exists()
    left.write_text("half a tok")
    profiles.forget(env, "p")
    assert list(path.parent.iterdir()) == []


def test_nobody_else_writes_where_profiles_lie(tmp_path: Path) -> None:
    """Whatever the umask, and whoever made them, all folders on the way are the owner's alone; files
    of no name are none.
    """
    before = os.umask(0)
    try:
        (tmp_path / ".config" / "gpuaas").mkdir(parents=True)
        kept = profiles.keep({"HOME": str(tmp_path)}, "p", profiles.Profile(URL, "t"))
        ssh.own_folder({"HOME": str(tmp_path)})
    finally:
        os.umask(before)
    for one in (kept.parent, kept.parents[1], tmp_path / ".gpuaas", tmp_path / ".gpuaas" / "ssh"):
        assert one.stat().st_mode & 0o777 == 0o700, one
    kept.with_name(".hidden name.json").touch()
    assert profiles.names({"HOME": str(tmp_path)}) == ["p"]


def test_commands_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Each changes its own field; what was got from one API is put into no other's profile."""
    env = {"HOME": str(tmp_path)}
    was = profiles.Profile(URL, "t")
    profiles.keep(env, "p", was)
    with ThreadPoolExecutor(8) as pool:
        for one in range(20):
            changes = ({"token": f"t{one}"}, {"organization": f"o{one}"}, {"ca": f"/{one}"})
            list(pool.map(lambda more: profiles.update(env, "p", was, **more), changes))
            now = profiles.read(env, "p")
            assert (now.token, now.organization, now.ca) == (f"t{one}", f"o{one}", f"/{one}")
    profiles.keep(env, "p", profiles.Profile("https://other.example", "theirs"))
    with pytest.raises(Misconfigured, match=r"profile\.changed"):
        profiles.update(env, "p", was, token="stronger")
    assert profiles.read(env, "p").token == "theirs"


def test_a_second_factor_of_another_profile_leaves_the_current_one(tmp_path: Path) -> None:
    """`--profile b mfa verify` keeps its token in b; what counts without a name is still a."""
    env = {"HOME": str(tmp_path)}
    with serving(Answer(200, VERIFIED)) as (url, _):
        profiles.keep(env, "b", profiles.Profile(url, "t", organization="o"))
        profiles.keep(env, "a", profiles.Profile(url, "t"))
        done = gpuaas("mfa", "verify", "--code", "123456", "--profile", "b", env=env)
    assert done.status == 0, done
    assert profiles.current(env) == "a"
    kept = profiles.read(env, "b")
    assert (kept.token, kept.organization) == ("stronger", "o")


@pytest.mark.parametrize("field", ["gateway_host", "runtime", "principal"])
def test_no_word_of_the_api_is_a_setting_of_ssh(field: str, tmp_path: Path) -> None:
    """Nor an option: a broken or taken API runs nothing on this machine."""
    for word in ("x\n  ProxyCommand touch /tmp/x", "-oProxyCommand=x", "a b", "", "%h", "a;b"):
        with pytest.raises(GpuaasError, match=r"ssh\.malformed"):
            ssh._believed(replace(GIVEN, **{field: word}))
    said = to_builtins(replace(GIVEN, **{field: "-F"}))
    with serving(Answer(201, said)) as (url, _):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
        done = gpuaas("ssh", "--keep", str(tmp_path / "k"), "runtime-1", env=env)
    assert "ssh.malformed" in done.err
    assert not (tmp_path / "k" / "config").exists()


def test_what_is_kept_for_ssh_overwrites_nothing_of_others(tmp_path: Path) -> None:
    """`--keep ~/.ssh` would be its end: refused; what the command wrote itself is renewed."""
    theirs = tmp_path / "ssh"
    theirs.mkdir()
    for name in ("config", "known_hosts", "key"):
        (theirs / name).write_text("mine")
        env = {"GPUAAS_URL": "http://127.0.0.1:9", "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
        done = gpuaas("ssh", "--keep", str(theirs), "runtime-1", env=env)
        assert "ssh.not_ours" in done.err, done
        assert (theirs / name).read_text() == "mine"
        (theirs / name).unlink()
    own = tmp_path / "own"
    assert ssh._ours(own) == own
    ssh.written(own, GIVEN)
    assert ssh._ours(own) == own


def test_ssh_reads_paths_as_they_are(tmp_path: Path) -> None:
    """With spaces, percents, quotes and dollars in them, as OpenSSH itself says; the way through
    the gateway too. What ssh can have in no way is refused.
    """
    folder = tmp_path / "my 100% o'$x; dir"
    folder.mkdir()
    config = ssh.written(folder, GIVEN)
    argv = ["ssh", "-G", "-F", str(config), "runtime-1"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
    found = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    for name, file in (("identityfile", "key"), ("certificatefile", "key-cert.pub")):
        assert found[name].strip('"').replace("%%", "%") == str(folder / file)
    assert "known_hosts" in found["userknownhostsfile"]
    programs, asked = tmp_path / "bin", tmp_path / "asked"
    programs.mkdir()
    (programs / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {asked}\n")
    (programs / "ssh").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    argv = [str(shutil.which("ssh")), "-F", str(config), "runtime-1"]
    subprocess.run(argv, env=env, capture_output=True, check=False, timeout=10)
    way = ["-F", str(config), "-W", "[runtime-1]:22", "gpuaas-gateway"]
    assert asked.read_text().splitlines() == way, "as the gateway is asked for, by a shell"
    for name in ('a"b', "a\nb", "${HOME}"):
        with pytest.raises(GpuaasError, match=r"ssh\.path"):
            ssh.config_text(GIVEN, f"/{name}/key", "/k", "/c")


def test_a_profile_that_cannot_be_used_is_listed_replaced_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that others can read, one that is broken: by the commands themselves, not by hand; and
    one whose API answers no more.
    """
    env = {"HOME": str(tmp_path)}
    path = profiles.keep(env, "p", profiles.Profile("http://127.0.0.1:9", "t", session="s"))
    for spoil in (lambda: path.chmod(0o644), lambda: path.write_text("{")):
        spoil()
        assert re.search(
            "^p +profile[.](exposed|malformed)", gpuaas("profiles", env=env).out, re.MULTILINE
        )
        (tmp_path / "said").write_text("other\n")
        with (tmp_path / "said").open() as stdin, serving(Answer(403, KEY)) as (url, _):
            monkeypatch.setattr(sys, "stdin", stdin)
            assert gpuaas("login", url, "--token-stdin", "--profile", "p", env=env).status == 0
        assert profiles.read(env, "p").token == "other"
        assert path.stat().st_mode & 0o777 == 0o600
    profiles.keep(env, "p", profiles.Profile("http://127.0.0.1:9", "t", session="s"))
    monkeypatch.setattr(session, "_UNSENT_S", 0.0)
    done = gpuaas("logout", env=env)
    assert (done.status, profiles.names(env)) == (exits.NOT_NOW, ["p"]), "its session may live on"
    assert gpuaas("logout", "--here", env=env).status == 0
    assert profiles.names(env) == []
    assert gpuaas("logout", "--here", env=env).status == exits.NOT_FOUND


def test_what_counts_before_a_profile_is_said(tmp_path: Path) -> None:
    """`use` chooses one, and the environment has another: the next command would surprise."""
    env = {"HOME": str(tmp_path)}
    profiles.keep(env, "p", profiles.Profile(URL, "t"))
    assert gpuaas("use", "p", env=env).err == ""
    for name in ("GPUAAS_TOKEN", "GPUAAS_PROFILE"):
        done = gpuaas("use", "p", "--json", env={**env, name: "x"})
        assert (done.status, f"but {name} of the environment counts" in done.err) == (0, True)


def test_an_export_is_begun_by_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of everybody's: what leads elsewhere is not written, what is another user's not
    gone on with.
    """
    mine, part = tmp_path / "mine", tmp_path / "books.part"
    mine.write_text("kept")
    part.symlink_to(mine)
    words = ("bill", "export", "hledger", "--account", "a", "--out", str(tmp_path / "books"))
    env = {"GPUAAS_URL": "http://127.0.0.1:9", "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
    assert gpuaas(*words, env=env).status == exits.FAILED
    assert mine.read_text() == "kept"
    part.unlink()
    part.write_text("theirs")
    monkeypatch.setattr(os, "geteuid", lambda: part.stat().st_uid + 1)
    done = gpuaas(*words, env=env)
    assert (done.status, "is another user's" in done.err) == (exits.FAILED, True)
    assert part.read_text() == "theirs"
