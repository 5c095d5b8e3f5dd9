"""Real keys, sshd and ssh for tests: everything under one folder, on loopback, ended by pid."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.embedded.children import free_port
from api.ssh.authority import Authority, Ticket, public_text, sign_host
from contracts import ssh

SSHD = "/usr/sbin/sshd"


class Key:
    """A key pair in OpenSSH files: `path`, and `<path>-cert.pub` once certified."""

    def __init__(self, folder: Path, name: str) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.public = public_text(self.private.public_key())
        self.path = folder / name
        self.path.write_bytes(
            self.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        )
        self.path.chmod(0o600)

    def certify(self, certificate: str) -> None:
        self.path.with_name(f"{self.path.name}-cert.pub").write_text(f"{certificate}\n")


def authority() -> Authority:
    return Authority(Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())


@contextmanager
def sshd(folder: Path, keys: Authority, allocation: str, epoch: int) -> Iterator[int]:
    """The port of an sshd set up as a runtime's is, with a host certificate of an hour."""
    folder.mkdir(mode=0o755)
    host = Key(folder, ssh.HOST_KEY)
    now = time.time_ns() // 1000
    name = ssh.principal(allocation, epoch)
    ticket = Ticket(1, name, name, now, now + 3_600_000_000)
    (folder / ssh.HOST_CERTIFICATE).write_text(
        f"{sign_host(keys, host.private.public_key(), ticket)}\n"
    )
    (folder / ssh.USER_CA).write_text(f"{keys.user_ca}\n")
    (folder / ssh.PRINCIPALS).write_text(ssh.principals_file(allocation, epoch))
    port = free_port()
    config = folder / "sshd_config"
    # The test's folder is nobody's home: only StrictModes looks at the folders above it.
    text = ssh.sshd_config(str(folder), port, "127.0.0.1") + "StrictModes no\n"
    config.write_text(text)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = folder / "sshd.log"
    with log.open("wb") as out:
        argv = [SSHD, "-D", "-e", "-f", str(config)]
        child = subprocess.Popen(argv, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, child)
        yield port
    finally:
        child.terminate()
        child.wait(60)


def wait_for_port(port: int, child: "subprocess.Popen[bytes] | None" = None) -> None:
    """Returns when somebody listens."""
    deadline = time.monotonic() + 120  # a process may start slowly beside others
    while True:
        assert child is None or child.poll() is None, "it ended at once"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.05)


def options(key: Key, known_hosts: Path, alias: str) -> list[str]:
    """Options of the ssh of somebody who trusts the host CA and nothing else."""
    return [
        "-F", "/dev/null", "-o", f"IdentityFile={key.path}",
        "-o", f"CertificateFile={key.path}-cert.pub", "-o", "IdentitiesOnly=yes",
        "-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes", "-o", f"HostKeyAlias={alias}", "-o", "BatchMode=yes",
        "-o", "ConnectTimeout=20", "-o", "UpdateHostKeys=no", "-o", "LogLevel=ERROR",
    ]  # fmt: skip


def run_ssh(argv: list[str], timeout_s: int = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["ssh", *argv], check=False, capture_output=True, text=True, timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
