"""An entry every 60 s while nothing else happens, so that a checkpoint is never stale by itself."""

import asyncio
import hashlib
from typing import Final

import psycopg

from domain.errors import DomainError
from domain.log import Heartbeat
from evidence.condition import Condition, fault_of, now_us, report
from evidence.log import Append, EventLog, Write
from evidence.reader import decode_entry, read_entries
from evidence.storage import Storage

EVERY_US: Final = 60_000_000
_LOOK_S: Final = 1
_LAST_VERSION: Final = "SELECT max(version) FROM log.entry WHERE stream = %(stream)s"


def log_stream(database_url: str) -> tuple[str, int]:
    """The log's own stream and its version. Raises: DomainError log.not_opened."""
    with psycopg.connect(database_url) as conn:
        found = read_entries(conn, 0, 1)
        if not found:
            raise DomainError("log.not_opened", "the log has no entry 0: run `gpuaas migrate`")
        stream = decode_entry(found[0][1]).stream
        row = conn.execute(_LAST_VERSION, {"stream": stream}).fetchone()
        assert row is not None, "entry 0 is in it"
        return stream, int(row[0])


class Pulse:
    """Beats for one process; several processes may, the first to see silence wins."""

    def __init__(self, log: EventLog, stream: str, version: int) -> None:
        self._log = log
        self._stream = stream
        self._version = version

    async def beat(self, clock_us: int, every_us: int = EVERY_US) -> bool:
        """True when an entry was appended: the last one was older than `every_us`."""
        head = await self._log.head()
        if clock_us - head.at_us < every_us:
            return False
        # The command names the head it follows: two processes that saw the same silence beat once.
        command = hashlib.sha256(b"gpuaas-heartbeat/1\n" + head.leaf).hexdigest()
        write = Write(self._stream, "-", self._version, (Heartbeat(),))
        try:
            appended = await self._log.append(
                Append((write,), "system-heartbeat", f"cmd:{command}")
            )
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
            self._version = int(error.facts["actual"])
            return False
        self._version += 1
        return not appended.repeated


async def keep_beating(pulse: Pulse, storage: Storage, stop: asyncio.Event) -> None:
    """Until `stop`. A refused append (the database is away) is reported and tried again."""
    while not stop.is_set():
        fault = None
        try:
            await pulse.beat(now_us())
        except DomainError as error:
            fault = fault_of(error)
        report(storage, "heartbeat", Condition(now_us(), fault=fault))
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_S)
        except TimeoutError:
            continue
