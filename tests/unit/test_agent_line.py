"""What an agent says of a connection that is lost."""

import asyncio
import gc
import logging

import pytest
from nats.aio.client import Client

from agent.line import forget_lost


class _Gone(Client):
    """A client whose server goes while it takes leave."""

    error: Exception = ConnectionResetError(104, "Connection reset by peer")

    async def _flush_pending(self, *_: object, **__: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"), [(ConnectionResetError(104, "reset"), False), (ValueError("ours"), True)]
)
def test_a_server_that_goes_meanwhile_is_no_event(
    error: Exception, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-py leaves in a task of nobody's: a lost server's error there is forgotten, others are
    told, and so is the same error of any other task.
    """

    async def story() -> None:
        forget_lost(asyncio.get_running_loop())
        client = _Gone()
        client.error = error
        task = asyncio.get_running_loop().create_task(client._close(Client.CLOSED))
        await asyncio.wait([task])
        del task
        gc.collect()

    async def another() -> None:
        forget_lost(asyncio.get_running_loop())

        async def ours() -> None:
            raise ConnectionResetError(104, "reset")

        await asyncio.wait([asyncio.get_running_loop().create_task(ours())])
        gc.collect()

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(story())
        assert ("Task exception was never retrieved" in caplog.text) is told
        caplog.clear()
        asyncio.run(another())
        assert "Task exception was never retrieved" in caplog.text
