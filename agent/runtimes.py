"""Where runtimes come from: one contract, kept by SIMULATED ones and by real containers alike."""

from typing import Protocol

from msgspec import Struct

from agent.engine import Counted, State
from contracts.fleet import Share
from contracts.network import Policy
from contracts.spec import Spec


class Route(Struct, frozen=True):
    """Where the runtime's sshd answered, and its public host key as OpenSSH writes it."""

    address: str
    port: int
    host_key: str


class Observed(Struct, frozen=True):
    """What a probe sees. `since_us` (boot time) is when a bad or final state began.

    `counted`: what passed its wall by its network's policy, never less than before. `devices`: by
    index. `pid`: its first process, as this machine has it; 0 when there is none.
    """

    allocation: str
    runtime: str
    state: State
    since_us: int
    code: str = ""
    route: Route | None = None
    counted: Counted = Counted()
    devices: tuple[int, ...] = ()
    pid: int = 0


class Runtimes(Protocol):
    """Runtimes of one boot of one node. They live on while the agent is dead, up to a deadline.

    Durable: `start`, `stop`, `obey` and `arm` are on disk when they return. Ordered: per
    allocation, as called. Concurrent: one caller, its event loop; `tend` and `logs` alone may
    run in another thread. None of the others waits for a container. Who retries: the source
    itself carries out what is on disk, again and again, until it is so; the caller repeats a
    call after its own crash, and a repeat changes nothing.
    """

    def start(
        self,
        allocation: str,
        runtime: str,
        epoch: int,
        devices: tuple[Share, ...],
        now_us: int,
        deadline_us: int,
        spec: Spec | None = None,
    ) -> None:
        """Will run, at most until `deadline_us` of boot time unless armed again.

        Raises: FleetError device.unknown | device.busy | image.refused | image.missing |
        network.unenforced: nothing was started.
        """

    def stop(self, allocation: str, now_us: int) -> bool:
        """False when no such runtime was ever started here."""

    def arm(self, deadline_us: int, now_us: int) -> None:
        """All live runtimes may run until `deadline_us`, never shorter than before."""

    def obey(self, policy: Policy, now_us: int) -> None:
        """Every runtime of this network, now and later, unless a newer policy is known already."""

    def observe(self, now_us: int) -> list[Observed]:
        """Every runtime of this boot as last seen, oldest first."""

    def logs(self, allocation: str, most_bytes: int) -> bytes:
        """The end of what the runtime said, at most so much; empty where nothing is known of it.

        `allocation` may be anything: it names no other file. May be called in another thread.
        """

    def tend(self, now_us: int) -> None:
        """What died is begun again, what nobody allows is ended. May block for seconds."""

    def close(self) -> None:
        """Runtimes go on without us."""
