"""The eventsourcing library on the log: its own EventStore, notifications and subscriptions."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from eventsourcing.persistence import (
    DataError,
    EventStore,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    Recording,
    StoredEvent,
)

from domain.log import Heartbeat
from domain.organization import Reactivated, Suspended
from evidence import reader
from evidence.ids import new_id
from evidence.recorder import LogFactory, LogRecorder, Recorded
from tests.conftest import Database
from tests.integration.test_log_append import command, verify_stored

pytestmark = pytest.mark.slow


@pytest.fixture
def factory(database: Database) -> Iterator[LogFactory]:
    """The factory as the library constructs it from its environment."""
    made: InfrastructureFactory = InfrastructureFactory.construct(
        {"PERSISTENCE_MODULE": "evidence.recorder", "GPUAAS_DATABASE_URL": database.app_url}
    )
    assert isinstance(made, LogFactory)
    yield made
    made.close()
    verify_stored(database)


def suspended(stream: str, *versions: int) -> list[Recorded]:
    return [
        Recorded(stream, version, Suspended(f"reason {version}", version)) for version in versions
    ]


def put(store: EventStore[str], events: list[Recorded]) -> list[Recording[str]]:
    """Each organization's stream is its own organization's."""
    org = {event.originator_id: event.originator_id for event in events}
    return list(store.put(events, org=org))


def test_the_librarys_store_keeps_facts(factory: LogFactory, database: Database) -> None:
    """Facts put through EventStore come back equal, by version range, in both orders."""
    store: EventStore[str] = factory.event_store()
    stream = new_id("organization")
    events = suspended(stream, 1, 2, 3)
    recordings = store.put(events, org=stream, actor="user-1", cause=command("put"))
    assert [each.notification.id for each in recordings] == [1, 2, 3]
    assert list(store.get(stream)) == events
    assert list(store.get(stream, gt=1, lte=2)) == events[1:2]
    assert list(store.get(stream, desc=True, limit=2)) == events[:0:-1]
    with psycopg.connect(database.app_url) as conn:
        entry = reader.read_stream(conn, stream)[1]
    assert (entry.position, entry.tag) == (1, "gpuaas.organization.suspended.v1")
    assert (entry.org, entry.actor, entry.cause) == (stream, "user-1", command("put"))


def test_conflicts_and_bad_facts_are_the_librarys_errors(factory: LogFactory) -> None:
    """A taken or skipped version is an IntegrityError, a fact not strict a DataError."""
    store: EventStore[str] = factory.event_store()
    stream = new_id("organization")
    put(store, suspended(stream, 1))
    for versions in ((1,), (3,), (2, 4)):
        with pytest.raises(IntegrityError):
            put(store, suspended(stream, *versions))
    with pytest.raises(DataError):
        put(store, [Recorded(stream, 2, Suspended("a\x00", 1))])
    unknown = StoredEvent(stream, 2, "builtins:object", b"{}")
    with pytest.raises(DataError):
        factory.application_recorder().insert_events([unknown])
    assert len(list(store.get(stream))) == 1
    assert store.put([]) == []


def test_several_streams_are_saved_at_once(factory: LogFactory) -> None:
    """Events of several streams are one append; their notification ids follow the events."""
    store: EventStore[str] = factory.event_store()
    one, two = new_id("organization"), new_id("organization")
    mixed = [*suspended(one, 1), *suspended(two, 1), Recorded(one, 2, Reactivated("ok", 2))]
    assert [each.notification.id for each in put(store, mixed)] == [1, 3, 2]
    conflicting = [*suspended(new_id("organization"), 1), *suspended(two, 1)]
    with pytest.raises(IntegrityError):
        put(store, conflicting)
    assert factory.application_recorder().max_notification_id() == 3


def test_notifications_are_the_log_in_order(factory: LogFactory) -> None:
    """select_notifications pages through positions, by bounds and by topic."""
    recorder = factory.application_recorder()
    assert recorder.max_notification_id() is None
    store: EventStore[str] = factory.event_store()
    for _ in range(5):
        put(store, suspended(new_id("organization"), 1, 2))
        store.put([Recorded(new_id("log"), 1, Heartbeat())])
    ids = [n.id for n in recorder.select_notifications(None, 100)]
    assert ids == list(range(1, 16))
    assert [n.id for n in recorder.select_notifications(4, 3)] == [4, 5, 6]
    after = recorder.select_notifications(4, 3, inclusive_of_start=False)
    assert [n.id for n in after] == [5, 6, 7]
    assert [n.id for n in recorder.select_notifications(14, 9, stop=14)] == [14]
    beats = recorder.select_notifications(1, 2, topics=["gpuaas.log.heartbeat.v1"])
    assert [n.id for n in beats] == [3, 6]
    assert beats[0].state == b"{}"


def test_a_subscription_misses_nothing(factory: LogFactory) -> None:
    """A subscription yields what is there and then what comes, each once, in order."""
    recorder = factory.application_recorder()
    assert isinstance(recorder, LogRecorder)
    store: EventStore[str] = factory.event_store()
    put(store, suspended(new_id("organization"), 1, 2))

    def save() -> None:
        for _ in range(10):
            put(store, suspended(new_id("organization"), 1))

    writers = [threading.Thread(target=save) for _ in range(4)]
    with recorder.subscribe(gt=1) as subscription:
        for writer in writers:
            writer.start()
        ids = [next(subscription).id for _ in range(41)]
        assert ids == list(range(2, 43))
        stopper = threading.Timer(0.2, subscription.stop)
        stopper.start()
        assert list(subscription) == []
    for thread in (*writers, stopper):
        thread.join()


def test_what_the_log_is_not_for(factory: LogFactory) -> None:
    """Snapshots and tracking have no place in the log."""
    with pytest.raises(InfrastructureFactoryError):
        factory.aggregate_recorder(purpose="snapshots")
    with pytest.raises(InfrastructureFactoryError):
        factory.tracking_recorder()
    with pytest.raises(InfrastructureFactoryError):
        factory.process_recorder()
    assert factory.aggregate_recorder() is factory.application_recorder()
