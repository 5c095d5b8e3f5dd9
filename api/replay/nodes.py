"""Simulated nodes of a replay: each signs what it attests with a key of its own."""

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.replay.plan import Plan
from contracts import fleet
from domain.facts import TAGS
from domain.instants import Anchor
from domain.words import Attested, Gpu

_TAG_OF = {kind: tag for tag, kind in TAGS.items()}
SECRET_BYTES = 32


def node_secret(path: Path) -> bytes:
    """The secret that all node keys of this replay follow from, made once, for its owner only."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fresh = path.with_name(path.name + "~")
        fresh.touch(mode=0o600)
        with fresh.open("wb") as out:
            out.write(secrets.token_bytes(SECRET_BYTES))
            out.flush()
            os.fsync(out.fileno())
        fresh.rename(path)
        return path.read_bytes()


class SimulatedNode:
    """One machine of the trace: identity, devices, one boot that began at the set-up."""

    def __init__(self, plan: Plan, secret: bytes, sn: str, gpus: int, model: str) -> None:
        self.id = plan.id("node", sn)
        self.sn, self.model = sn, model
        self.gpus = tuple(Gpu(index, _gpu_uuid(sn, index)) for index in range(gpus))
        seed = hashlib.sha256(b"gpuaas-replay-node/1\n" + secret + sn.encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = self._key.public_key().public_bytes_raw().hex()
        boot = hashlib.sha256(b"boot\n" + secret + sn.encode()).hexdigest()[:32]
        self.anchor = Anchor(boot, 0, plan.setup_us)
        self._seq = 0

    def attest(self, fact: type[Struct], stream: str, at_us: int) -> tuple[int, Attested]:
        """(boot time, signed word) of a fact that says nothing more, at the platform's instant."""
        self._seq += 1
        boottime = at_us - self.anchor.anchor_us
        body = fleet.Body(
            format="gpuaas-attest/1", node=self.id, boot=self.anchor.boot, seq=self._seq,
            tag=_TAG_OF[fact], stream=stream, boottime_us=boottime, said={},
        )  # fmt: skip
        said = fleet.attest(self._key, body)
        return boottime, Attested(said.node, said.key, said.boot, said.seq, said.body, said.sig)


def _gpu_uuid(sn: str, index: int) -> str:
    hexed = hashlib.sha256(f"SIMULATED\n{sn}\n{index}".encode()).hexdigest()
    return f"GPU-{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:32]}"
