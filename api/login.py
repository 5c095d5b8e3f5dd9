"""`gpuaas ssh`: a key and a certificate of minutes, then `ssh` through the gateway takes over.

Needs an API's address and a token, no server of the platform's on this machine. Nothing is
trusted on first use: the host CA comes from the API with the certificate.
"""

import ipaddress
import json
import os
import secrets
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.ssh.authority import public_text
from contracts import ssh
from domain.errors import DomainError

_PATIENCE_S: Final = 30


def run(
    runtime: str,
    options: Sequence[str],
    command: Sequence[str],
    env: Mapping[str, str] = os.environ,
) -> NoReturn:
    """Becomes `ssh`, with these options of it; `command` runs there, none is a shell.

    Raises: DomainError `config.missing`, `config.malformed`, what the API refuses with; OSError
    when there is no ssh.
    """
    url, token = api_of(env)
    folder = own_folder(env)
    key = Ed25519PrivateKey.generate()
    path = f"/v1/runtimes/{runtime}/ssh-certificates"
    given = posted(url, token, path, {"public_key": public_text(key.public_key())})
    config = written(folder, key, given)
    argv = ["ssh", "-F", str(config), *options, given["runtime"]]
    argv += ["--", *command] if command else []
    sys.stdout.flush()
    os.execvp("ssh", argv)  # noqa: S606 - ssh replaces this process


def api_of(env: Mapping[str, str]) -> tuple[str, str]:
    """Address and token of the API. Raises: DomainError config.missing, config.malformed."""
    for name in ("GPUAAS_URL", "GPUAAS_TOKEN"):
        if not env.get(name):
            raise DomainError("config.missing", f"{name} is not set; `gpuaas up` prints both")
    url = env["GPUAAS_URL"].rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DomainError("config.malformed", f"GPUAAS_URL is no http(s)://name: {url!r}")
    # Whoever stands between could hand out a host CA of their own, and keep the token.
    if parts.scheme == "http" and not _here(parts.hostname):
        raise DomainError("config.malformed", "GPUAAS_URL: http only to this machine, else https")
    return url, env["GPUAAS_TOKEN"]


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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


def posted(url: str, token: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The API's answer. Raises: DomainError with the API's own code, `api.unreachable`."""
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        url + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        },
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as refused:
        raise _refusal(refused) from refused
    except (OSError, ValueError) as error:
        raise DomainError("api.unreachable", f"{url} does not answer: {error}") from error


def _refusal(refused: urllib.error.HTTPError) -> DomainError:
    try:
        said = json.load(refused)
        return DomainError(str(said["code"]), f"{said['detail']} ({said['remedy']})")
    except (ValueError, KeyError, TypeError, OSError):
        return DomainError("api.unreachable", f"no API answered there: status {refused.code}")
