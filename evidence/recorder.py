"""The `eventsourcing` library's face of the log: its EventStore, notifications and subscriptions.

One engine under both faces: what the library saves goes through `EventLog.append`, so it gets a
place, a salt and the chain like everything else. A topic is a fact's permanent tag, never a
module path; an originator id is a stream id; a notification id is position + 1, since the
library counts from 1. Set `PERSISTENCE_MODULE=evidence.recorder` and `GPUAAS_DATABASE_URL`.

The library retries its own inserts on OperationalError, so that a lost COMMIT comes back as a
conflict. Here the log itself finds out what became of it, and nothing is retried above it.
"""

import asyncio
import secrets
import threading
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn, override
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    JSONTranscoder,
    Mapper,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.utils import Environment, EnvType, strtobool
from msgspec import Struct

from domain.errors import DomainError
from domain.facts import decode_fact
from evidence import reader
from evidence.encoding import fact_bytes
from evidence.log import Append, Appended, EventLog, Write
from evidence.startup import check_environment

DATABASE_URL: Final = "GPUAAS_DATABASE_URL"
_PAGE: Final = 500
_POLL_S: Final = timedelta(milliseconds=100).total_seconds()
# Two statements, since no parameter can turn an order around.
_FORWARD: Final = """
SELECT entry FROM log.entry
WHERE stream = %(stream)s AND version > %(gt)s AND version <= %(lte)s
ORDER BY version LIMIT %(limit)s
"""
_BACKWARD: Final = """
SELECT entry FROM log.entry
WHERE stream = %(stream)s AND version > %(gt)s AND version <= %(lte)s
ORDER BY version DESC LIMIT %(limit)s
"""
_HIGHEST_VERSION: Final = (1 << 31) - 1
_REFUSED_SETTINGS: Final = ("CIPHER_KEY", "CIPHER_TOPIC", "COMPRESSOR_TOPIC", "TRANSCODER_TOPIC")


class Recorded(Struct, frozen=True):
    """A fact at its place in a stream: what the library calls a domain event."""

    originator_id: str
    originator_version: int
    fact: Struct


class FactMapper(Mapper[str]):
    """Facts to stored events and back: the fact's own strict bytes, no cipher, no compression."""

    def __init__(self, transcoder: Transcoder | None = None) -> None:
        super().__init__(transcoder or JSONTranscoder())

    @override
    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Raises: DataError for a fact that is not strict (EVIDENCE.md section 1)."""
        try:
            tag, state = fact_bytes(domain_event.fact)
        except DomainError as error:
            raise DataError(str(error)) from error
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, tag, state)

    @override
    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Raises: DataError for an unknown tag or other fields than the tag has."""
        try:
            fact = decode_fact(stored_event.topic, stored_event.state)
        except DomainError as error:
            raise DataError(str(error)) from error
        return Recorded(str(stored_event.originator_id), stored_event.originator_version, fact)


class Engine:
    """An EventLog on a loop and thread of its own, for callers that block."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="log", daemon=True)
        self._thread.start()
        try:
            self.log = self.wait(EventLog.open(url))
        except BaseException:
            self._stop()
            raise

    def wait[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self.wait(self.log.close())
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class LogRecorder(ApplicationRecorder):
    """Saves and selects through the log. For many threads; each save waits for its commit."""

    def __init__(self, url: str) -> None:
        self._engine = Engine(url)
        self._conn = psycopg.connect(url, autocommit=True)
        self._reading = threading.Lock()
        self.grown = threading.Condition()

    @override
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """The notification ids, in the order given; every event or none, durable.

        `EventStore.put` hands its keywords on: `actor`, `cause` (made here when absent), `org`
        (one for all, or one per originator id), and `reads`, `private`, `bulk` as in `Append`.

        Raises:
            IntegrityError: a version is taken or not the next one.
            DataError: something append refuses. OperationalError: the log is unavailable.
        """
        if not stored_events:
            return []
        writes = _writes(stored_events, kwargs.get("org", "-"))
        append = Append(
            writes,
            kwargs.get("actor", "system-application"),
            kwargs.get("cause") or f"cmd:{secrets.token_hex(32)}",
            reads=tuple(kwargs.get("reads", ())),
            private=tuple(kwargs.get("private", ())),
            bulk=tuple(kwargs.get("bulk", ())),
        )
        try:
            appended = self._engine.wait(self._engine.log.append(append))
        except DomainError as error:
            _raise_as_library(error)
        with self.grown:
            self.grown.notify_all()
        return _ids(appended, writes, stored_events)

    @override
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The stream's events with versions in (gt, lte], in order or in reverse."""
        asked = {
            "stream": str(originator_id),
            "gt": 0 if gt is None else gt,
            "lte": _HIGHEST_VERSION if lte is None else lte,
            "limit": limit,
        }
        with self._reading:
            query = _BACKWARD if desc else _FORWARD
            rows = self._conn.execute(query, asked, binary=True).fetchall()
        opened = (reader.open_entry(entry) for (entry,) in rows)
        return [StoredEvent(e.stream, e.version, e.tag, bytes(e.fact)) for e in opened]

    @override
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """At most `limit` notifications from `start` to `stop`, in order, none left out."""
        position = max(0, (start or 1) - 1)
        if start is not None and not inclusive_of_start:
            position = start
        found: list[Notification] = []
        while len(found) < limit:
            page = self.page(position)
            wanted = [n for n in page if not topics or n.topic in topics]
            found += [n for n in wanted if stop is None or n.id <= stop]
            position += len(page)
            if len(page) < _PAGE or (stop is not None and position >= stop):
                break
        return found[:limit]

    def page(self, position: int) -> list[Notification]:
        """The next entries from a position on, as many as one look gives; [] at the head."""
        with self._reading:
            entries = reader.read_entries(self._conn, position, _PAGE)
        opened = (reader.open_entry(entry) for _, entry, _ in entries)
        return [
            Notification(e.stream, e.version, e.tag, bytes(e.fact), e.position + 1) for e in opened
        ]

    @override
    def max_notification_id(self) -> int | None:
        with self._reading:
            return reader.head(self._conn).size or None

    @override
    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return LogSubscription(self, gt, topics)

    def close(self) -> None:
        self._engine.close()
        self._conn.close()


class LogSubscription(Subscription[ApplicationRecorder]):
    """Every notification after `gt`, in order; woken by this process's saves, else it polls."""

    def __init__(self, recorder: LogRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._log = recorder
        self._position = gt or 0
        self._page: list[Notification] = []

    @override
    def stop(self) -> None:
        super().stop()
        with self._log.grown:
            self._log.grown.notify_all()

    @override
    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            while self._page:
                notification = self._page.pop(0)
                if not self._topics or notification.topic in self._topics:
                    return notification
            self._page = self._log.page(self._position)
            self._position += len(self._page)
            if not self._page:
                with self._log.grown:
                    self._log.grown.wait(_POLL_S)
        raise StopIteration


class LogFactory(InfrastructureFactory[TrackingRecorder]):
    """What `Application` asks for its persistence; refuses settings that would break the log."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        check_settings(self.env)
        url = self.env.get(DATABASE_URL)
        if not url:
            raise InfrastructureFactoryError(f"{DATABASE_URL} names no database")
        self._url = url
        self._recorders: list[LogRecorder] = []

    @override
    def mapper(
        self, transcoder: Transcoder | None = None, mapper_class: type[Mapper[Any]] | None = None
    ) -> Mapper[Any]:
        return FactMapper(transcoder)

    @override
    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        if purpose != "events":
            raise InfrastructureFactoryError(f"the log keeps events, not {purpose}")
        return self.application_recorder()

    @override
    def application_recorder(self) -> ApplicationRecorder:
        """The log's recorder; one engine for the factory."""
        if not self._recorders:
            self._recorders.append(LogRecorder(self._url))
        return self._recorders[0]

    @override
    def tracking_recorder(self, tracking_recorder_class: Any = None) -> NoReturn:
        raise InfrastructureFactoryError("projections keep their position beside their rows")

    @override
    def process_recorder(self) -> ProcessRecorder:
        raise InfrastructureFactoryError("reactions append commands; they do not track in the log")

    @override
    def close(self) -> None:
        for recorder in self._recorders:
            recorder.close()
        self._recorders.clear()


def check_settings(env: Mapping[str, str]) -> None:
    """Nothing when the library's settings fit the log.

    Raises:
        InfrastructureFactoryError: names the setting.
    """
    for name in _REFUSED_SETTINGS:
        if env.get(name):
            raise InfrastructureFactoryError(f"{name}: what is hashed is what is stored")
    if env.get("ORIGINATOR_ID_TYPE", "text") != "text":
        raise InfrastructureFactoryError("ORIGINATOR_ID_TYPE: stream ids are text")
    if strtobool(env.get("CREATE_TABLE", "no")):
        raise InfrastructureFactoryError("CREATE_TABLE: tables belong to the migrations")
    if strtobool(env.get("IS_SNAPSHOTTING_ENABLED", "no")):
        raise InfrastructureFactoryError("IS_SNAPSHOTTING_ENABLED: the log keeps events only")
    try:
        check_environment(env)
    except DomainError as error:
        raise InfrastructureFactoryError(str(error)) from error


def _writes(events: Sequence[StoredEvent], org: str | Mapping[str, str]) -> tuple[Write, ...]:
    streams: dict[str, list[StoredEvent]] = {}
    for event in events:
        streams.setdefault(str(event.originator_id), []).append(event)
    writes = []
    for stream, own in streams.items():
        expected = own[0].originator_version - 1
        versions = [event.originator_version for event in own]
        if versions != list(range(expected + 1, expected + 1 + len(own))):
            raise IntegrityError(f"{stream}: versions {versions} are not contiguous")
        try:
            facts = tuple([decode_fact(event.topic, event.state) for event in own])
        except DomainError as error:
            raise DataError(str(error)) from error
        named = org if isinstance(org, str) else org[stream]
        writes.append(Write(stream, named, expected, facts))
    return tuple(writes)


def _ids(appended: Appended, writes: tuple[Write, ...], events: Sequence[StoredEvent]) -> list[int]:
    if appended.repeated:
        return list(range(appended.first + 1, appended.last + 2))
    first: dict[str, int] = {}
    position = appended.first
    for write in writes:
        first[write.stream] = position - write.expected
        position += len(write.facts)
    # Notification id = position + 1 = where version 0 would stand + version.
    return [first[str(event.originator_id)] + event.originator_version for event in events]


def _raise_as_library(error: DomainError) -> NoReturn:
    if error.code == "log.version_stale":
        raise IntegrityError(str(error)) from error
    if error.code.startswith("entry."):
        raise DataError(str(error)) from error
    raise OperationalError(str(error)) from error
