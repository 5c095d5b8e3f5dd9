"""Three real agents in network, time and mount namespaces of their own, troubled from a seed."""

from collections import Counter
from pathlib import Path

import pytest

from api.embedded.nats import Nats
from tests.agent_world import World, story
from tests.conftest import Database
from tests.machine import need
from tests.netns_world import FAULTS, peopled, seed_holds

# A seed mostly waits: for leases, starts and what was cut; all of them take minutes.
pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(1_800)]

SEEDS = 50  # `make chaos`: 1,000


def test_partitions_kills_stops_reboots_and_sleep_leave_one_owner(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Whatever the seed does: one device has one owner in the log and one runtime on the machine,
    short outages end nothing, a minute later what runs is what the log holds, and it audits.
    """
    need("ip", "unshare", root=True)

    async def law(world: World, tmp: Path) -> None:
        hits: Counter[str] = Counter()
        async with peopled(3, tmp, world) as made:
            for seed in range(SEEDS):
                told = await seed_holds(world, made, seed)
                hits.update(told.faults)
                hits["launched"] += told.launched
        assert hits["launched"] >= SEEDS
        assert all(hits[fault] >= SEEDS // 5 for fault in FAULTS), hits
        print(f"{SEEDS} seeds: {dict(hits)}")

    story(law, database, nats_server, tmp_path)
