"""A source of readings in the world of the projections' tests, without servers."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.signing import public_hex
from contracts.usage import Reading, Reporter
from domain import meter, pricebook, reading, source
from domain.sealing import ReadingsSealed
from evidence.append import Append, Bulk, Write
from evidence.ids import new_id
from gpuaas_verify.merkle import leaf_hash, root_hash
from tests.integration.projections_world import ACTOR, T0, World, command

METER = "tok.out"


class Speaker:
    """One source of one project, whose readings are all of 0 tokens: nothing is charged for them."""

    def __init__(self, world: World, log_stream: str) -> None:
        self.world = world
        self.key = Ed25519PrivateKey.generate()
        self.reporter = Reporter(self.key, new_id("source"), 1)
        self.stream = f"usage-{log_stream.split('-', 1)[1]}"
        self.seals = 0
        self.last_seal: int | None = None

    def opening(self) -> Append:
        """Meter, key and price are registered."""
        world = self.world
        facts = (
            (new_id("meter"), "-", meter.ReadingsRegistered(METER, "token", 1, "sum", ("model",), T0)),
            (self.reporter.source, world.org, source.Registered(
                world.org, world.project, public_hex(self.key), (METER,), T0)),
            (new_id("pricebook"), "-", pricebook.EntryPublished(
                "default", METER, "m", "-", "read", "USD", T0, T0, 3, 1)),
        )  # fmt: skip
        writes = tuple(Write(stream, org, 0, (fact,)) for stream, org, fact in facts)
        return Append(writes, ACTOR, command())

    def sealed(self, count: int) -> Append:
        """The next readings and their seal; `last_seal` is set by the caller after each."""
        first = self.reporter.sequence
        said = (Reading(METER, self.world.project, {"model": "m"}, T0, T0, 0),) * count
        batch = self.reporter.batch(said)
        rows = tuple(
            reading.row_bytes(
                reading.Reading(
                    batch.source, 1, first + number, METER, self.world.project, "model=m", T0, T0, 0,
                    *((batch.chain, batch.sig) if number == count else ("", "")),
                ),
                first + number - 1, f"{first + number:032x}",
            )
            for number in range(1, count + 1)
        )  # fmt: skip
        root = root_hash(map(leaf_hash, rows)).hex()
        seal = ReadingsSealed("reading", first, count, root, self.last_seal, 0)
        self.seals += 1
        return Append(
            (Write(self.stream, "-", self.seals - 1, (seal,)),),
            "system-usage", f"pos:{self.last_seal or 0}", bulk=(Bulk("reading", first, rows),),
        )  # fmt: skip
