"""What one ingest process shares between its loops: its connection, and what it remembers."""

import asyncio
from typing import Final

from msgspec import Struct
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from api.fleet.door import Door
from api.fleet.ingest import Ingest
from api.fleet.leases import Timing
from api.fleet.state import KnownNode
from api.fleet.voices import Voice
from contracts import fleet

PATIENCE_S: Final = 5.0
LATER_S: Final = 0.3


class Pace(Struct, frozen=True):
    """How often all nodes are tended, some at most, and an unanswered order is sent again."""

    tend_s: float = 0.5
    gather_s: float = 0.05
    resend_s: float = 10.0
    settle_us: int = fleet.UNREACHABLE_US
    timing: Timing = Timing()


class Desk:
    """One process's connection and what it remembers only for its own lifetime."""

    def __init__(
        self, ingest: Ingest, client: Client, pace: Pace, ssh_ca: tuple[str, ...] = ()
    ) -> None:
        self.ingest = ingest
        self.client = client
        self.stream: JetStreamContext = client.jetstream(timeout=PATIENCE_S)
        self.pace = pace
        self.opened_us = ingest.now_us()
        self.wake = asyncio.Event()
        self.sent_at: dict[tuple[str, int], float] = {}
        self.consumers: set[str] = set()
        self.ssh_ca = ssh_ca
        self.door: Door | None = None
        self.boots: dict[str, tuple[str, ...]] = {}
        self.voices: dict[str, Voice] = {}

    def heard_us(self, known: KnownNode) -> int:
        """When the node was last heard, as far as this process can know.

        Its anchor counts: a node that has just come is not silent because its first beat
        waits in the same queue.
        """
        heard_us = self.ingest.last_seen_us.get(known.node, self.opened_us)
        return max(heard_us, known.anchor.anchor_us)
