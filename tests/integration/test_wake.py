import asyncio
import os
import signal

import pytest

from api.connecting import connected
from api.embedded.nats import Nats
from evidence.wake import SUBJECT, HeadWake

pytestmark = pytest.mark.slow


def test_a_server_that_was_slow_is_heard_again(nats_server: Nats) -> None:
    """A NATS that stands still for longer than a head waits to be told costs no hearing: what it
    says afterwards is heard.
    """

    async def scene() -> None:
        client, other = [await connected(nats_server.url()) for _ in range(2)]
        heads = HeadWake(client)
        await heads.start()
        os.kill(nats_server.child.pid, signal.SIGSTOP)
        try:
            heads.publish(1)
            await asyncio.sleep(1.8)
        finally:
            os.kill(nats_server.child.pid, signal.SIGCONT)
        await asyncio.sleep(0.5)  # the late answers come first
        for size in range(2, 200):
            await other.publish(SUBJECT, str(size).encode())
            await heads.wait(0.1)
            if heads.size > 1:
                break
        assert heads.size > 1, "deaf"
        await heads.close()
        await client.close()
        await other.close()

    asyncio.run(scene())
