"""A desk over SIMULATED devices, and what its spool holds, for tests of what an agent says."""

import base64
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import device_watch
from agent.config import Config
from agent.device_watch import Desk
from agent.device_work import Job, Means, carry_out, enqueue, waiting
from agent.machine import enrolled, open_desk
from agent.simulated_devices import SimulatedDevices
from agent.spool import Spool
from agent.store import Store
from contracts.devices import CheckDevices, SanitizeDevices
from contracts.fleet import Attested

NODE = "node-01936f00-0000-7000-8000-000000000000"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
S = 1_000_000


class World:
    """One agent's devices on one state directory; `reopen` is a restart, perhaps a reboot."""

    def __init__(self, state: Path, boot: str = "a" * 32, gpus: int = 2) -> None:
        self._closed = False
        self.config = Config(state=state, gpus=gpus, model="H100")
        self.store = Store(state, enrolled=False)
        self.source = SimulatedDevices(state / "devices.db", "seed", gpus, "H100")
        if not (state / "devices.json").exists():
            enrolled(state, self.source.inventory())
        self.desk: Desk = open_desk(self.config, self.store, self.source)
        self.spool = Spool(self.store, KEY, NODE, boot)

    @property
    def gpu(self) -> str:
        """The uuid of device 0."""
        return self.desk.units[0].gpu

    def close(self) -> None:
        if not self._closed:
            self.desk.close()
            self.store.close()
        self._closed = True

    def reopen(self, boot: str = "a" * 32) -> "World":
        self.close()
        return World(self.config.state, boot, self.config.gpus)

    def look(self, now_us: int = 1) -> int:
        seen = device_watch.look(self.source, self.desk.units)
        return device_watch.report(self.desk, self.spool, seen, now_us)

    def said(self, tag: str) -> list[dict[str, Any]]:
        """What is in the spool under this tag (`device_xid`), oldest first."""
        found = []
        for row in self.spool.pending(1000):
            event = msgspec.json.decode(row.message, type=Attested)
            body = msgspec.json.decode(base64.b64decode(event.body))
            if body["tag"] == f"gpuaas.node.{tag}.v1":
                found.append(body["said"])
        return found

    def tags(self) -> list[str]:
        """Of all that is in the spool, oldest first (`device_xid`)."""
        events = [msgspec.json.decode(row.message, type=Attested) for row in self.spool.pending(99)]
        bodies = [msgspec.json.decode(base64.b64decode(event.body)) for event in events]
        return [body["tag"].split(".")[2] for body in bodies]

    async def order(
        self, number: int, order: CheckDevices | SanitizeDevices, means: Means | None = None
    ) -> None:
        """The order taken and carried out."""
        enqueue(self.store, number, order)
        job = waiting(self.store)
        assert job is not None
        assert job == Job(number, job.kind, order.devices)
        means = means or Means(patience_us=0)
        await carry_out(self.desk, self.spool, means, job, 5 * S)
