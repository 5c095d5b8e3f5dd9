"""Connections of psycopg whose loss is heard under uvloop, too."""

import select
from typing import Any

import psycopg
from psycopg import waiting
from psycopg.abc import RV, PQGen


class Watched(psycopg.AsyncConnection[Any]):
    """As its base. uvloop stops watching a socket that was reset, without a word: whoever waits
    for the server also looks, so that a server that was killed is heard and nobody waits for ever.
    """

    async def wait(self, gen: PQGen[RV], *how: Any, **named: Any) -> RV:
        """As its base, which calls the generator at least every 100 ms."""
        return await super().wait(_looking(gen, self.pgconn.socket), *how, **named)


def _looking(gen: PQGen[RV], socket: int) -> PQGen[RV]:
    """The same generator, told what the socket is ready for also when its loop heard nothing."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            wanted = gen.send(ready or _ready(socket))
    except StopIteration as done:
        result: RV = done.value
        return result


def _ready(socket: int) -> waiting.Ready:
    """What would not block. A socket that was reset or closed is readable: reading says so."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return waiting.READY_R if poll.poll(0) else waiting.READY_NONE
