"""The rules that a schedule runs by, what it finds, and what stands on a node. SIMULATED."""

from typing import Final

from msgspec import Struct

from api.fleet.leases import Timing
from api.gateway.flows import Limits
from contracts.fleet import Attested, Body
from domain.words import Private

SECOND: Final = 1_000_000
HORIZON_US: Final = 2_000 * SECOND
ORPHAN_US: Final = 60 * SECOND
EPOCH_US: Final = 1_700_000_000 * SECOND
MOST_DRIFT_PPM: Final = 1_000  # MONEY.md section 5: 0.1 % of a lease
NODE: Final = "node-01936f00-0000-7000-8000-000000000001"
ORG: Final = "organization-01936f00-0000-7000-8000-000000000001"
VOLUME: Final = "volume-01936f00-0000-7000-8000-000000000001"
PRIVATE: Final = Private("0" * 64)


class Rules(Struct, frozen=True):
    """What the protocol rests on. A mutant is a schedule run with one of these wrong."""

    timing: Timing = Timing()
    limits: Limits = Limits()  # of the gateway
    fenced: bool = True  # the agent refuses what its fences, its boot and the expiry refuse
    from_reply: bool = False  # the agent counts its lease from the reply, not from the request
    kept: bool = True  # the keeper ends a container at its deadline, agent or not
    hears: bool = True  # the platform follows the node's clock by its heartbeats
    apart: bool = True  # a start puts off no renewal of what runs already
    timed: bool = True  # nothing is started by a clock not heard lately, or decided before a boot
    held: bool = True  # a volume is let go with its runtime's end, not when that is asked to stop
    in_turn: bool = True  # a boot says nothing before the last word of the boot before is held
    identified: bool = True  # who connects believes a host certificate of allocation and epoch only
    closed: bool = True  # a route is over when its runtime is asked to stop, not with its end
    current: bool = True  # the gateway reads the log to its end before it lets anybody in


RIGHT: Final = Rules()


class Found(Struct):
    """What a schedule went through, so that a run can show that it was no idle one.

    `connected`: callers who were let through to the runtime they asked for. `refused_routes`:
    callers whom the route led to another's sshd, which its host certificate gave away. `shut`:
    whom the gateway refused by the log. `cut`: connections that it ended.
    """

    launched: int = 0
    usable: int = 0
    stopped: int = 0
    lost: int = 0
    expired: int = 0
    reboots: int = 0
    crashes: int = 0
    cuts: int = 0
    renewed: int = 0
    refused: int = 0
    attached: int = 0
    routed: int = 0
    connected: int = 0
    refused_routes: int = 0
    shut: int = 0
    cut: int = 0


class BrokenError(AssertionError):
    """An invariant did not hold."""


class Container(Struct):
    """What physically runs: `over_us` true time of its end; `deadline_us` of the boot clock.

    Its sshd answers at `place` from `answers_us` on; `certificate` is the principal that its host
    certificate names, `said_place` where the node said that it is.
    """

    runtime: str
    allocation: str
    began_us: int
    deadline_us: int
    ready_us: int
    told: str = "starting"
    usable_us: int = 0  # boot clock of the word that said usable
    over_us: int = 0
    over_boot_us: int = 0
    lapsing: bool = False
    boot: str = ""
    booted_us: int = 0
    devices: tuple[int, ...] = ()
    writes: bool = False  # it has the volume
    epoch: int = 0
    place: tuple[str, int] = ("", 0)
    answers_us: int = 0
    host_key: str = ""
    said_place: tuple[str, int] = ("", 0)
    certificate: str = ""
    asked_us: int = -ORPHAN_US  # when the agent last asked for that


class Word(Struct, frozen=True):
    event: Attested
    body: Body
    nonce: str
    sent_true_us: int
