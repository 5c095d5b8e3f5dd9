"""SSH as the platform speaks it: names in certificates, sshd's settings, the client's settings.

Everything here is a pure function of its arguments. The formats are OpenSSH's: sshd_config(5),
ssh_config(5), sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT", PROTOCOL.certkeys.

A *principal* is `<allocation id>.<epoch>`, as in `allocation-0190….3`. It is the only principal of
a user certificate and of a runtime's host certificate, and the only one its sshd accepts: whoever
holds a certificate of an older epoch neither enters nor is believed.
"""

from typing import Final

from msgspec import Struct

USER_MINUTES: Final = (5, 15)
HOST_HOURS: Final = 24
# What the gateway's own host certificate names; never a valid allocation id.
GATEWAY: Final = "gateway"
LOGIN: Final = "root"
PORT: Final = 22

HOST_KEY: Final = "ssh_host_ed25519_key"
HOST_CERTIFICATE: Final = "ssh_host_ed25519_key-cert.pub"
USER_CA: Final = "user_ca.pub"
PRINCIPALS: Final = "principals"


def principal(allocation: str, epoch: int) -> str:
    """The one principal of certificates for this allocation at this epoch."""
    return f"{allocation}.{epoch}"


def sshd_config(folder: str, port: int = PORT, listen: str = "") -> str:
    """A runtime's sshd_config; its four other files lie in `folder`, an absolute path inside.

    `listen`: the one address it listens on, empty for every address of the runtime.

    Only certificates of the user CA enter, only with a principal of the file PRINCIPALS: no
    password, no key that somebody left in a home, no host-based trust. `HOST_CERTIFICATE` may be
    missing at first: sshd starts without and takes it in on SIGHUP.
    """
    rows = (
        f"Port {port}",
        *([f"ListenAddress {listen}"] if listen else []),
        f"HostKey {folder}/{HOST_KEY}",
        f"HostCertificate {folder}/{HOST_CERTIFICATE}",
        f"TrustedUserCAKeys {folder}/{USER_CA}",
        f"AuthorizedPrincipalsFile {folder}/{PRINCIPALS}",
        "AuthorizedKeysFile none",
        "AuthenticationMethods publickey",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "HostbasedAuthentication no",
        "PermitRootLogin prohibit-password",
        "PermitUserEnvironment no",
        "PermitUserRC no",
        "CASignatureAlgorithms ssh-ed25519",
        "X11Forwarding no",
        "PermitTunnel no",
        "GatewayPorts no",
        "UsePAM no",
        "UseDNS no",
        "PrintMotd no",
        "LoginGraceTime 30",
        "MaxStartups 64:30:256",
        "MaxSessions 64",
        "ClientAliveInterval 30",
        "ClientAliveCountMax 4",
        "PidFile none",
        "LogLevel INFO",
        "Subsystem sftp internal-sftp",
    )
    return "".join(f"{row}\n" for row in rows)


def principals_file(allocation: str, epoch: int) -> str:
    """The file PRINCIPALS: one line, the one principal that enters."""
    return f"{principal(allocation, epoch)}\n"


def known_hosts_line(host_ca: str) -> str:
    """The known_hosts line that trusts what the host CA (an OpenSSH public key) certifies.

    It is valid for every name because a certificate's own principals say which name it is for;
    keep it in a file of its own, as `client_config` does.
    """
    return f"@cert-authority * {host_ca}\n"


class Entry(Struct, frozen=True):
    """How to reach one runtime: its id, its principal, the gateway's address and port."""

    runtime: str
    principal: str
    host: str
    port: int


def client_config(entry: Entry, key: str, known_hosts: str) -> str:
    """An ssh_config: with it `ssh -F <file> <runtime id>` (scp, sftp, rsync -e) just works.

    End to end encrypted: the gateway passes bytes to the runtime's sshd, whose host certificate
    must name the very allocation and epoch (HostKeyAlias). `key` is the private key's path, its
    certificate beside it as `<key>-cert.pub`; `known_hosts` a file with `known_hosts_line`.
    """
    return (
        f"Host gpuaas-gateway\n"
        f"  HostName {entry.host}\n"
        f"  Port {entry.port}\n"
        f"  User {entry.runtime}\n"
        f"  HostKeyAlias {GATEWAY}\n"
        f"Host {entry.runtime}\n"
        f"  HostName {entry.runtime}\n"
        f"  Port {PORT}\n"
        f"  User {LOGIN}\n"
        f"  HostKeyAlias {entry.principal}\n"
        f"  ProxyJump gpuaas-gateway\n"
        f"Host *\n"
        f"  IdentityFile {key}\n"
        f"  CertificateFile {key}-cert.pub\n"
        f"  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known_hosts}\n"
        f"  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n"
        f"  UpdateHostKeys no\n"
        f"  PasswordAuthentication no\n"
    )


class HostCertificateAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """A node asks for a runtime of its own. `host_key` is the one of its `routed` word, `proof`
    base64 of its event key's signature over `host_certificate_text`.
    """

    node: str
    runtime: str
    host_key: str
    proof: str


class HostCertificate(Struct, frozen=True):
    """`certificate` goes to HOST_CERTIFICATE, `user_ca` to USER_CA; at `renew_us` (control plane's
    clock, us) the node asks again. The certificate is valid for 24 hours.
    """

    certificate: str
    user_ca: str
    principal: str
    renew_us: int


def host_certificate_text(ask: HostCertificateAsk) -> bytes:
    """What `proof` signs; lines, because no field may hold one."""
    fields = (ask.node, ask.runtime, ask.host_key)
    return "\n".join(("gpuaas-host-certificate/1", *fields)).encode()
