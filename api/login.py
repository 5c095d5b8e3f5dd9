"""`gpuaas ssh`: a key and a certificate of minutes, then `ssh` through the gateway takes over.

Needs an API's address and a token, no server of the platform's on this machine. Nothing is
trusted on first use: the host CA comes from the API with the certificate.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.calling import api_of
from api.ssh.authority import public_text
from contracts import ssh


def run(
    runtime: str,
    options: Sequence[str],
    command: Sequence[str],
    env: Mapping[str, str] = os.environ,
) -> NoReturn:
    """Becomes `ssh`, with these options of it; `command` runs there, none is a shell.

    As with ssh, a word that is no option begins a command: so `rsync -e "gpuaas ssh"` works.

    Raises: DomainError `config.missing`, `config.malformed`, what the API refuses with; OSError
    when there is no ssh.
    """
    if options and not options[0].startswith("-"):
        options, command = (), (*options, *command)
    config, name = entered(runtime, env)
    argv = ["ssh", "-F", str(config), *options, name]
    argv += ["--", *command] if command else []
    sys.stdout.flush()
    os.execvp("ssh", argv)  # noqa: S606 - ssh replaces this process


def keep(runtime: str, folder: Path, env: Mapping[str, str] = os.environ) -> Path:
    """The ssh_config in that folder, for scp, sftp and others that take one; good for minutes.

    Raises: as `run`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, _ = entered(runtime, env, folder.absolute())
    return config


def entered(runtime: str, env: Mapping[str, str], folder: Path | None = None) -> tuple[Path, str]:
    """An ssh_config with a fresh key's certificate beside it, and the host's name in it."""
    api = api_of(env)
    place = own_folder(env) if folder is None else folder
    key = Ed25519PrivateKey.generate()
    path = f"/v1/runtimes/{runtime}/ssh-certificates"
    given = api.post(path, {"public_key": public_text(key.public_key())})
    return written(place, key, given), str(given["runtime"])


def own_folder(env: Mapping[str, str]) -> Path:
    """A fresh folder, 0700, named by this process, whose number ssh will keep.

    Those of processes that have ended go: their certificates are minutes old or dead.
    """
    home = Path(env.get("HOME") or Path.home()) / ".gpuaas" / "ssh"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in home.iterdir():
        if left.name.isdigit() and not Path(f"/proc/{left.name}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = home / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def written(folder: Path, key: Ed25519PrivateKey, given: Mapping[str, Any]) -> Path:
    """The ssh_config, with key, certificate and known_hosts beside it."""
    private = folder / "key"
    private.unlink(missing_ok=True)
    handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (folder / "key-cert.pub").write_text(f"{given['certificate']}\n")
    known = folder / "known_hosts"
    known.write_text(given["known_hosts"])
    entry = ssh.Entry(
        given["runtime"], given["principal"], given["gateway_host"], given["gateway_port"]
    )
    config = folder / "config"
    config.write_text(ssh.client_config(entry, str(private), str(known)))
    return config
