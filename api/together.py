"""One question to the views for all who ask for the same kind of thing at the same time."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from api.reads import LOCK, SNAPSHOT
from domain.errors import DomainError
from evidence.batch import text_array
from evidence.wire import ConnectionLost, Refused, Wire
from projections.asof import Several

MOST: Final = 200  # things of one question
_IDS: Final = re.compile(r"[a-z]{1,20}-[0-9a-f-]{36}")
# A few rows by their ids, by index: the plan is made once, and does not rest on what the server
# knows of the tables, which may be nothing yet. Without that it takes an index of all current rows
# for one that finds few, and reads it whole for each id beside the one that finds it (a bitmap).
_SETTINGS: Final = """
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET enable_bitmapscan = off
"""
_BEGIN, _LOCK, _COMMIT = b"begin", b"lock", b"commit"
_AROUND: Final = {_BEGIN: SNAPSHOT.encode(), _LOCK: LOCK.encode(), _COMMIT: b"COMMIT"}
_SEVERAL: Final = b"several"
_NAME: Final = "gpuaas-together"


class Together[T: Struct]:
    """The things of one kind as they are now. Owned by one event loop; `close` it.

    Who comes while no question is under way is asked for at once, who comes meanwhile with the
    next: no answer is older than its asking, and each question is one snapshot. A question that
    fails fails for all in it. A lost connection is opened again once.
    """

    def __init__(self, url: str, several: Several[T]) -> None:
        self._url = url
        self._several = several
        self._waiting: dict[str, list[asyncio.Future[T | None]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._wire: Wire | None = None

    async def of(self, key: str) -> T | None:
        """What there is under the key. Raises: DomainError log.unavailable."""
        if not _IDS.fullmatch(key):
            return None  # no id of ours
        found: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(found)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await found

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._drop()

    async def _ask(self) -> None:
        """Until nobody waits."""
        asked: dict[str, list[asyncio.Future[T | None]]] = {}
        try:
            while self._waiting:
                await asyncio.sleep(0)  # whoever comes in this turn of the loop comes along
                asked = {key: self._waiting.pop(key) for key in list(self._waiting)[:MOST]}
                try:
                    found = await self._answers(list(asked))
                except (Refused, DomainError) as error:
                    _tell(asked, error)
                else:
                    for key, waiting in asked.items():
                        for one in waiting:
                            if not one.done():
                                one.set_result(found.get(key))
        finally:
            self._asking = None
            given_up = DomainError("log.unavailable", "the question was given up")
            for left in (asked, self._waiting):
                _tell(left, given_up)
            self._waiting.clear()

    async def _answers(self, keys: list[str]) -> dict[str, T]:
        for last in (False, True):
            try:
                return await self._asked(await self._connected(), keys)
            except ConnectionLost as error:
                await self._drop()
                if last:
                    raise DomainError("log.unavailable", "the database does not answer") from error
            except BaseException:
                await self._drop()
                raise
        raise AssertionError("the loop returns or raises")

    async def _connected(self) -> Wire:
        if self._wire is None:
            prepared = {**_AROUND, _SEVERAL: self._several.asked.encode()}
            self._wire = await Wire.open(self._url, _NAME, prepared, _SETTINGS)
        return self._wire

    async def _asked(self, wire: Wire, keys: list[str]) -> dict[str, T]:
        """Four statements sent at once: as in `Reads`, the lock comes before the snapshot."""
        several = (_SEVERAL, (text_array(keys),))
        asked = ((_BEGIN, ()), (_LOCK, ()), several, (_COMMIT, ()))
        _, _, found, _ = await wire.ask(asked, synced=True)
        said = found.get_value(0, 0)
        assert said is not None, "an aggregate has one row"
        return self._several.read(said)

    async def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()


def _tell(asked: Mapping[str, list[asyncio.Future[Any]]], error: Exception) -> None:
    for one in (one for waiting in asked.values() for one in waiting):
        if not one.done():
            one.set_exception(error)
