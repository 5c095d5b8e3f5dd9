"""A writer of its own for tests: appends for a while and prints what was acknowledged.

`python -m tests.integration.log_writer URL SHARED_STREAMS SECONDS SEED`; one line per answer:
`ok <cause> <first> <last> <leaf>` or `stale <stream>`. Some of its appends expect a version of a
stream that every writer shares, so they conflict.
"""

import asyncio
import hashlib
import random
import sys
import time

import uvloop

from domain.errors import DomainError
from domain.log import Heartbeat
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write

CALLERS = 8
SHARED = 0.35


async def write(url: str, shared: list[str], seconds: float, seed: int) -> None:
    log = await EventLog.open(url)
    random_of = random.Random(seed)
    versions = dict.fromkeys(shared, 0)
    until = time.monotonic() + seconds
    number = 0

    async def caller() -> None:
        nonlocal number
        while time.monotonic() < until:
            number += 1
            cause = f"cmd:{hashlib.sha256(f'{seed}.{number}'.encode()).hexdigest()}"
            facts = (Heartbeat(),) * random_of.randint(1, 3)
            writes = [Write(new_id("log"), "-", 0, facts)]
            hot = random_of.choice(shared) if random_of.random() < SHARED else None
            if hot is not None:
                writes.append(Write(hot, "-", versions[hot], (Heartbeat(),)))
            try:
                done = await log.append(Append(tuple(writes), "system-test", cause))
            except DomainError as error:
                if error.code != "log.version_stale" or hot is None:
                    raise
                versions[hot] = int(error.facts["actual"])
                print(f"stale {hot}", flush=True)
            else:
                if hot is not None:
                    versions[hot] = max(versions[hot], writes[1].expected + 1)
                print(f"ok {cause} {done.first} {done.last} {done.leaf.hex()}", flush=True)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await log.close()


if __name__ == "__main__":
    uvloop.run(write(sys.argv[1], sys.argv[2].split(","), float(sys.argv[3]), int(sys.argv[4])))
