"""A way into a runtime: a key of minutes with its certificate, and the ssh_config that uses them.

Nothing is trusted on first use: the host CA comes from the API with the certificate. The formats
are OpenSSH's: ssh_config(5), sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT".
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gpuaas_client import models
from gpuaas_client.client import Client
from gpuaas_client.errors import GpuaasError

# What the gateway's own host certificate names; never a valid allocation id.
_GATEWAY: Final = "gateway"
_FIRST: Final = "Host gpuaas-gateway\n"
_FILES: Final = ("config", "known_hosts", "key", "key.pub", "key-cert.pub")
_WORD: Final = re.compile("[A-Za-z0-9:][A-Za-z0-9:._-]*")
_PLAIN: Final = re.compile("[A-Za-z0-9/._@+:,-]+")


def entered(
    client: Client, runtime: str, env: Mapping[str, str], folder: Path | None = None
) -> tuple[Path, str]:
    """An ssh_config with a fresh key's certificate beside it, and the host's name in it.

    Raises: GpuaasError ssh.absent without OpenSSH's ssh-keygen, else what the API refuses with.
    """
    place = own_folder(env) if folder is None else _ours(folder)
    key = place / "key"
    for left in (key, place / "key.pub"):
        left.unlink(missing_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    try:
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        what = "Install OpenSSH's client."
        raise GpuaasError("ssh.absent", "there is no ssh-keygen here", what) from error
    public = " ".join((place / "key.pub").read_text().split()[:2])
    given = client.issue_certificate(runtime, models.SshCertificateNew(public_key=public))
    return written(place, _believed(given)), given.runtime


def _ours(folder: Path) -> Path:
    """The folder, made where it is not there, with no files of these names but what a command like
    this one wrote. Raises: GpuaasError ssh.not_ours.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "config"
    if config.is_file() and config.read_text(errors="replace").startswith(_FIRST):
        return folder
    found = [name for name in _FILES if os.path.lexists(folder / name)]
    if found:
        why = f"{folder / found[0]} is there already, and not of this command"
        raise GpuaasError("ssh.not_ours", why, "Name another folder, or one that is not there yet.")
    return folder


def _believed(given: models.SshCertificate) -> models.SshCertificate:
    """As it came: each of its words is one, so that none is another setting, or an option, of ssh.

    Raises: GpuaasError ssh.malformed.
    """
    for one in (given.gateway_host, given.runtime, given.principal):
        if not _WORD.fullmatch(one):
            raise GpuaasError("ssh.malformed", f"the API names {one!r}, no word of ssh's settings")
    return given


def own_folder(env: Mapping[str, str]) -> Path:
    """A fresh folder, 0700, named by this process, whose number ssh will keep.

    Those of processes that have ended go: their certificates are minutes old or dead.
    """
    home = Path(env.get("HOME") or Path.home()) / ".gpuaas" / "ssh"
    for one in (home.parent, home):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in home.iterdir():
        if left.name.isdecimal() and not _lives(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    folder = home / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's; or none that is ours to judge
    return True


def written(folder: Path, given: models.SshCertificate) -> Path:
    """The ssh_config in the key's folder, with its certificate and known_hosts beside it."""
    (folder / "key-cert.pub").write_text(f"{given.certificate}\n")
    known = folder / "known_hosts"
    known.write_text(given.known_hosts)
    config = folder / "config"
    config.write_text(config_text(given, str(folder / "key"), str(known), str(config)))
    return config


def config_text(given: models.SshCertificate, key: str, known_hosts: str, config: str) -> str:
    """As contracts/ssh.py writes it: end to end encrypted, the runtime's own host certificate must
    name the very allocation and epoch.

    Where the paths are none that ssh takes as they are, they are quoted, and the way through the
    gateway is said in full: ssh's own would break the path of `config`.

    Raises: GpuaasError ssh.path.
    """
    key, certificate, known_hosts = (_path(one) for one in (key, f"{key}-cert.pub", known_hosts))
    jump = "ProxyJump gpuaas-gateway"
    if not _PLAIN.fullmatch(config):
        again = shlex.quote(config).replace("%", "%%")
        jump = f"ProxyCommand ssh -F {again} -W '[%h]:%p' gpuaas-gateway"
    return (
        f"{_FIRST}"
        f"  HostName {given.gateway_host}\n"
        f"  Port {given.gateway_port}\n"
        f"  User {given.runtime}\n"
        f"  HostKeyAlias {_GATEWAY}\n"
        f"Host {given.runtime}\n"
        f"  HostName {given.runtime}\n"
        f"  Port 22\n"
        f"  User root\n"
        f"  HostKeyAlias {given.principal}\n"
        f"  {jump}\n"
        f"Host *\n"
        f"  IdentityFile {key}\n"
        f"  CertificateFile {certificate}\n"
        f"  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known_hosts}\n"
        f"  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n"
        f"  UpdateHostKeys no\n"
        f"  PasswordAuthentication no\n"
    )


def _path(text: str) -> str:
    """As ssh_config(5) takes it, quoted where it has to be. Raises: GpuaasError ssh.path."""
    if _PLAIN.fullmatch(text):
        return text
    if not text.isprintable() or '"' in text or "\\" in text or "${" in text:
        why = f"ssh can have no file in {text!r}"
        raise GpuaasError("ssh.path", why, "Say --keep DIR, a folder of a plainer name.")
    return f'"{text.replace("%", "%%")}"'
