"""What would have fitted at an earlier position, folded from where an earlier question left off."""

import asyncio
import random
from itertools import islice

import psycopg

from api.admission.then import Rooms
from evidence.log import EventLog
from evidence.reader import head
from tests.conftest import Database
from tests.integration.projections_world import T0, World


async def _lived(url: str, world: World) -> None:
    log = await EventLog.open(url)
    await log.append(world.opening())
    for turn in range(2):
        lives = [world.life(world.nodes[n % 3], T0 + n, T0 + 100) for n in range(6 - turn)]
        for life in lives:
            for append in islice(life, 2):
                await log.append(append)
        for life in lives[turn:]:
            for append in life:
                await log.append(append)
    await log.close()


def test_a_fold_from_a_mark_is_the_fold_from_the_beginning(database: Database) -> None:
    """At every position, asked in any order, however many marks are kept and wherever they are."""
    world = World(nodes=3)
    asyncio.run(_lived(database.app_url, world))
    with psycopg.connect(database.app_url) as conn:
        places = [*range(head(conn).size)]
        whole = [Rooms(10**6).at(conn, world.org, at) for at in places]
        assert len({*whole}) > 5
        for seed, (every, most) in enumerate(((2, 3), (5, 64))):
            random.Random(seed).shuffle(places)
            rooms = Rooms(every, most)
            for at in places[::2]:
                assert rooms.at(conn, world.org, at) == whole[at], (every, at)
