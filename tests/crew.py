"""The agent as a program over real containers, and what is left of both at the end."""

import asyncio
import json
import shlex
from pathlib import Path

from agent import cdi, identity
from agent.engines import engine_of
from agent.simulated import inventory
from contracts.signing import public_hex
from tests.agent_world import AgentProgram, World, enrolled_program
from tests.containers import Image, until


class Crew:
    """An agent over the image's Podman, and what is left of it at the end."""

    def __init__(self, image: Image, node: str, program: AgentProgram) -> None:
        self.image = image
        self.node = node
        self.program = program
        self.state = program.state

    def containers(self) -> dict[str, int]:
        found = engine_of(self.image.settings).list_all(self.node)
        return {one.allocation: one.pid for one in found}

    async def gone(self, within_s: float = 30) -> None:
        await asyncio.to_thread(until, lambda: not self.containers(), "all are gone", within_s)

    def clear(self) -> None:
        """No agent, no order: what keepers still have, they end."""
        child = self.program.child
        if child is not None and child.stderr is not None and not child.stderr.closed:
            self.program.kill()
        for order in (self.state / "runtimes").glob("*/order.json"):
            order.unlink()
        until(lambda: not self.containers(), "nothing is left", 60)
        engine_of(self.image.settings).clear(self.node, tuple, self.state / "runtimes")
        seed = public_hex(identity.event_key(self.state))
        for gpu in inventory(seed, 2):
            cdi.remove(Path(self.image.settings.cdi), gpu.uuid)
        place = Path(self.image.settings.cdi)
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


async def crew_of(world: World, image: Image, state: Path, *more: str) -> Crew:
    """Its agent, with `more` options, runs and is anchored."""
    settings, allowed = image.settings, image.folder / "images.json"
    await asyncio.to_thread(allowed.write_text, json.dumps(settings.images))
    node, program = await enrolled_program(
        world, state,
        *("--engine", "podman", "--podman", shlex.join(settings.podman)),
        *("--create", shlex.join(settings.create)),
        *("--images", str(allowed), "--gpus", "2"),
        *("--probe-us", "300000", "--tend-us", "1000000"), *more,
    )  # fmt: skip
    program.start()
    await world.until(node, "node.anchored", 60)
    return Crew(image, node, program)
