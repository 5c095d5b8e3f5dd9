"""Host certificates: for a node's own live runtime and the key it attested, or not at all."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity
from msgspec import Struct

from agent.host_certificates import is_due, request_of, take
from api.ssh.authority import public_text
from contracts.signing import FleetError, public_hex
from contracts.ssh import HOST_CERTIFICATE
from domain import node, project, runtime
from domain.access import HostCertificateIssued
from domain.words import Gpu, Private
from evidence.append import Append, Write
from evidence.ids import new_id
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.gateway_world import WORD

pytestmark = pytest.mark.slow

PRIVATE = Private("00" * 32)


class World:
    """A node and a runtime on it, as facts."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.key = Ed25519PrivateKey.generate()
        self.host = Ed25519PrivateKey.generate()
        self.host_key = public_text(self.host.public_key())
        self.node, self.runtime = new_id("node"), new_id("runtime")
        self.allocation, self.org = new_id("allocation"), new_id("organization")

    async def say(self, stream: str, org: str, *facts: Struct) -> None:
        log = self.stage.services.log
        write = Write(stream, org, len(await log.read_stream(stream)), facts)
        await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))

    async def begin(self) -> None:
        key = public_hex(self.key)
        await self.say(
            self.node,
            "-",
            node.Invited(PRIVATE, "T4", "00" * 32, 1, 1),
            node.Enrolled(key, "T4", True, (Gpu(0, "GPU-0"),), "s", 1),
        )
        ids = (new_id("project"), new_id("department"), new_id("account"))
        # An admission writer may be elected meanwhile: it reads the whole log, and must know it.
        await self.say(ids[0], self.org, project.Created(self.org, *ids[1:], PRIVATE, 1))
        await self.say(
            self.runtime,
            self.org,
            runtime.Requested(*ids, PRIVATE, 1, 1000, (), 1),
            runtime.Allocated(self.allocation, self.node, "T4", (), 3, 1),
        )
        await self.stage.views()

    async def routed(self, host_key: str) -> None:
        fact = runtime.Routed(1, "10.0.0.1", 22, host_key, 1, WORD)
        await self.say(self.runtime, self.org, fact)

    async def ask(self, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        path = "/v1/nodes/host-certificates"
        return await self.stage.client.post(path, content=body, headers=headers)

    def body(self, **other: Any) -> bytes:
        said = {"node": self.node, "runtime": self.runtime, "host_key": self.host_key} | other
        key = said.pop("key", self.key)
        return request_of(key, said["node"], said["runtime"], said["host_key"])


def test_a_node_certifies_what_it_attested(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Only with the node's own key, for its own live runtime, and for the host key of its last
    route; asked again it is the same certificate and no second fact.
    """

    async def scene() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage:
            world = World(stage)
            await world.begin()
            early = await world.ask(world.body())
            assert (early.status_code, early.json()["code"]) == (403, "ssh.host_refused")
            await world.routed(world.host_key)
            other = public_text(Ed25519PrivateKey.generate().public_key())
            for why in (
                {"key": Ed25519PrivateKey.generate()}, {"node": new_id("node")},
                {"runtime": new_id("runtime")}, {"runtime": world.node}, {"host_key": other},
            ):  # fmt: skip
                refused = await world.ask(world.body(**why))
                assert (refused.status_code, refused.json()["code"]) == (403, "ssh.host_refused"), (
                    why
                )
            wrong = await world.ask(world.body(host_key="ssh-ed25519 AAAA"))
            assert wrong.json()["code"] == "ssh.key_refused"
            forged = msgspec.json.decode(world.body())
            forged["runtime"] = new_id("runtime")
            assert (await world.ask(msgspec.json.encode(forged))).status_code == 403

            answers = await asyncio.gather(*(world.ask(world.body()) for _ in range(8)))
            assert {one.status_code for one in answers} == {200}, answers[0].text
            stream = f"access-{world.runtime.partition('-')[2]}"
            facts = [one.fact for one in await stage.services.log.read_stream(stream)]
            assert len(facts) == 1
            assert isinstance(facts[0], HostCertificateIssued)
            given = answers[0].json()
            found = load_ssh_public_identity(given["certificate"].encode())
            assert isinstance(found, SSHCertificate)
            assert found.valid_principals == [f"{world.allocation}.3".encode()]
            assert 0 < found.valid_before - time.time() <= 24 * 3600
            assert given["user_ca"] == stage.services.ssh.user_ca
            _taken(tmp_path, world, answers[0].content)

            await world.routed(other)
            moved = await world.ask(world.body())
            assert moved.status_code == 403, "another key was attested since"
            assert (await world.ask(world.body(host_key=other))).status_code == 200
            await world.say(world.runtime, world.org, runtime.Stopping("requested", 1))
            late = await world.ask(world.body(host_key=other))
            assert late.json()["code"] == "access.not_running"

    asyncio.run(scene())


def _taken(tmp_path: Path, world: World, raw: bytes) -> None:
    """The agent keeps it, asks again at two thirds, and takes none for another key."""
    folder = tmp_path / "ssh"
    now = int(time.time())
    assert not is_due(folder, world.host_key, now), "nothing runs there"
    folder.mkdir()
    assert is_due(folder, world.host_key, now)
    take(folder, raw, world.host_key)
    assert not is_due(folder, world.host_key, now)
    assert not is_due(folder, world.host_key, now + 15 * 3600)
    assert is_due(folder, world.host_key, now + 16 * 3600 + 60)
    other = public_text(Ed25519PrivateKey.generate().public_key())
    assert is_due(folder, other, now)
    before = (folder / HOST_CERTIFICATE).read_bytes()
    for wrong, key in ((raw, other), (b"{}", world.host_key), (b"<html>", world.host_key)):
        with pytest.raises(FleetError, match=r"host_certificate\.malformed"):
            take(folder, wrong, key)
    assert (folder / HOST_CERTIFICATE).read_bytes() == before
