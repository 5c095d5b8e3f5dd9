"""What a container is made of, as the signed start order says it; part of contracts/fleet.py."""

from msgspec import Struct

from contracts.network import Policy


class VolumeMount(Struct, frozen=True, forbid_unknown_fields=True):
    """A volume attached under the order's own allocation and epoch, and where it appears."""

    volume: str
    path: str


class Spec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image by reference and digest, its limits, and whom its sshd lets in.

    `cpu_milli` of 1000 a core, `memory_bytes` without swap, `pids` at once; `restarts`: how often
    a runtime that failed by itself is started again (0 = never). `ssh_ca`: public keys of user
    CAs, one OpenSSH line each, whose certificates for `principal` may log in; without any nobody
    can. `network`: what it may reach; None is nothing. `volumes`: what is mounted before it starts,
    each at its path.

    Version skew of one release either way: a field added later has a default and is left out of
    the bytes while it has it, so that an older agent takes whatever it can carry out. A field that
    it does not know is a limit or a promise that it would not keep: it refuses the whole order
    (`command.unknown`), and the platform ends the runtime by that name.
    """

    image: str
    digest: str
    cpu_milli: int
    memory_bytes: int
    pids: int
    restarts: int = 0
    ssh_ca: tuple[str, ...] = ()
    principal: str = ""
    network: Policy | None = None
    volumes: tuple[VolumeMount, ...] = ()


def principal(allocation: str, epoch: int) -> str:
    """The one name that SSH certificates for this allocation carry; another epoch is another."""
    return f"{allocation}.{epoch}"
