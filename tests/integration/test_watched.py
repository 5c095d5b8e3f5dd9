"""A loop that stops watching a socket, as uvloop does after a reset, makes nobody wait for ever."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from evidence.watched import Watched
from tests.conftest import Database

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

pytestmark = pytest.mark.slow


class Deaf(asyncio.SelectorEventLoop):
    """Hears nothing of any socket from when it is told to."""

    deaf = False

    def add_reader[*Ts](
        self, fd: "FileDescriptorLike", callback: Callable[[*Ts], Any], *args: *Ts
    ) -> None:
        if not self.deaf:
            super().add_reader(fd, callback, *args)


async def answered(kind: type[psycopg.AsyncConnection[Any]], url: str, *, lost: bool) -> str:
    """What a connection of this kind hears of its server within 2 s, on a deaf loop."""
    conn = await kind.connect(url, autocommit=True)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Deaf)
    loop.deaf = True
    try:
        async with asyncio.timeout(2):
            query = "SELECT pg_terminate_backend(pg_backend_pid())" if lost else "SELECT 1"
            await conn.execute(query)
    except TimeoutError:
        return "nothing"
    except psycopg.OperationalError:
        return "the loss"
    else:
        return "the answer"
    finally:
        loop.deaf = False
        await conn.close()


@pytest.mark.parametrize(("lost", "heard"), [(False, "the answer"), (True, "the loss")])
def test_an_answer_and_a_loss_are_heard_by_whoever_waits(
    database: Database, *, lost: bool, heard: str
) -> None:
    """The plain connection hears nothing there: that is what this one is for."""
    with asyncio.Runner(loop_factory=Deaf) as runner:
        assert runner.run(answered(Watched, database.app_url, lost=lost)) == heard
        plain: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection
        if not lost:
            assert runner.run(answered(plain, database.app_url, lost=lost)) == "nothing"
