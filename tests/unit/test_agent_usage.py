"""The agent's readings: each byte of a counter in exactly one, whatever is killed, lost or refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from agent.engine import Counted
from agent.runtimes import Observed
from agent.store import Store
from agent.usage import Usage
from contracts import fleet, usage
from contracts.signing import public_hex
from domain.errors import DomainError
from domain.reading import Mark, repeated

KEY = Ed25519PrivateKey.from_private_bytes(b"u" * 32)
NODE = "node-00000000-0000-7000-8000-000000000001"
BOOT, NEXT = "1" * 32, "2" * 32
SECOND = 1_000_000
MINUTE = 60 * SECOND
AHEAD = 10**15  # the platform's instant of the boot clock's 0


def runtime(number: int) -> str:
    return f"runtime-00000000-0000-7000-8000-{number:012d}"


def seen(number: int, sent: int, state: str = "usable") -> Observed:
    name = f"allocation-{number}"
    return Observed(name, runtime(number), state, 0, counted=Counted(sent, 7))  # type: ignore[arg-type]


def anchored(kept: Usage, boot: str = BOOT) -> Usage:
    kept.anchor(fleet.Anchor("gpuaas-anchor/1", NODE, boot, 0, AHEAD))
    return kept


def opened(store: Store, boot: str = BOOT, enrolled: int = 5) -> Usage:
    return anchored(Usage(store, KEY, NODE, boot, enrolled), boot)


def answer(batch: usage.Batch, code: str = "", sequence: int | None = None) -> usage.Answer:
    said = batch.last if not code and sequence is None else sequence
    known = (batch.source, batch.epoch, batch.first, said, code, batch.last)
    return usage.Answer("gpuaas-usage-answer/1", *known)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.in_memory()
    yield made
    made.close()


class Platform:
    """What the desk does with batches: signature, chain, number; each reading once."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.readings: list[usage.Reading] = []
        self.refuses: dict[str, str] = {}  # resource -> code

    def take(self, batch: usage.Batch) -> usage.Answer:
        usage.check_signature(batch, public_hex(KEY))
        for one in batch.readings:
            usage.check_texts(one)
            if one.resource in self.refuses:
                return answer(batch, self.refuses[one.resource])
        try:
            skip = repeated(self.mark, batch.epoch, batch.first, len(batch.readings))
        except DomainError as error:
            expected = error.facts["expected"]
            assert isinstance(expected, int)
            return answer(batch, error.code, expected - 1)
        if skip == len(batch.readings):
            assert self.mark is not None
            if batch.epoch < self.mark.epoch:
                return answer(batch, "reading.epoch_over")
            return answer(batch, sequence=self.mark.sequence)
        same = self.mark is not None and self.mark.epoch == batch.epoch
        assert self.mark is None or same or batch.epoch > self.mark.epoch
        head = self.mark.chain if same and self.mark else usage.beginning(NODE, batch.epoch)
        for one in batch.readings[skip:]:
            head = usage.linked(head, usage.payload(one))
        assert head.hex() == batch.chain
        self.readings += batch.readings[skip:]
        self.mark = Mark(batch.epoch, batch.last, head)
        return answer(batch)

    def bytes_of(self, resource: str) -> int:
        return sum(one.quantity for one in self.readings if one.resource == resource)


class Counters(RuleBasedStateMachine):
    """Counters grow, batches get lost or come twice, the agent is killed, machines reboot."""

    @initialize()
    def begin(self) -> None:
        self.store = Store.in_memory()
        self.platform = Platform()
        self.boot, self.kept = BOOT, opened(self.store)
        self.now = MINUTE
        self.sent: list[usage.Batch] = []
        self.answers: list[usage.Answer] = []
        self.counters: dict[int, int] = {}
        self.used: dict[int, int] = {}
        self.read: dict[int, int] = {}  # of them, those that were looked at
        self.numbers = 0

    @rule()
    def start(self) -> None:
        self.numbers += 1
        self.counters[self.numbers], self.used[self.numbers] = 0, 0
        self.look(0)

    @rule(pick=st.integers(0, 3), more=st.integers(1, 10**6), seconds=st.integers(1, 90))
    def send_bytes(self, pick: int, more: int, seconds: int) -> None:
        self.now += seconds * SECOND
        if self.counters:
            number = sorted(self.counters)[pick % len(self.counters)]
            self.counters[number] += more
            self.used[number] += more

    @rule(over=st.integers(0, 3))
    def look(self, over: int) -> None:
        """One of four ends now, and is looked at once more."""
        states = [
            seen(n, total, "stopped" if over == 3 and n == max(self.counters) else "usable")
            for n, total in self.counters.items()
        ]
        self.kept.read(states, self.now)
        if over == 3 and self.counters:
            del self.counters[max(self.counters)]

    @rule(times=st.integers(1, 2))
    def publish(self, times: int) -> None:
        batch = self.kept.batch()
        if batch is not None:
            self.sent += [batch] * times

    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, again: bool) -> None:
        """Any of what was sent, in any order, perhaps once more later."""
        if self.sent:
            at = data.draw(st.integers(0, len(self.sent) - 1))
            self.answers.append(self.platform.take(self.sent[at]))
            if not again:
                del self.sent[at]

    @rule(data=st.data(), again=st.booleans())
    def hear(self, data: st.DataObject, again: bool) -> None:
        if self.answers:
            at = data.draw(st.integers(0, len(self.answers) - 1))
            self.kept.obey(self.answers[at], self.now)
            if not again:
                del self.answers[at]

    @rule()
    def kill(self) -> None:
        self.kept = opened(self.store, self.boot)

    @rule()
    def flush(self) -> None:
        """Somebody flushed the rules: counters begin anew, as the keeper's do not; looked at first."""
        self.kept.read([seen(n, t) for n, t in self.counters.items()], self.now + MINUTE)
        self.now += MINUTE
        self.counters = dict.fromkeys(self.counters, 0)
        # Less than before is noticed; the same or more would be no reset to anybody.
        self.kept.read([seen(n, t) for n, t in self.counters.items()], self.now)

    @rule()
    def reboot(self) -> None:
        """What ran is over, and was looked at before; what was not said goes on being said."""
        states = [seen(n, total, "stopped") for n, total in self.counters.items()]
        self.kept.read(states, self.now)
        self.counters = {}
        self.boot = NEXT if self.boot == BOOT else BOOT
        self.kept = opened(self.store, self.boot)

    @invariant()
    def never_more_than_was_counted(self) -> None:
        for number, total in getattr(self, "used", {}).items():
            assert self.platform.bytes_of(runtime(number)) <= total

    def teardown(self) -> None:
        """Once all is delivered: exactly the counter's bytes, each in one reading."""
        if not hasattr(self, "used"):
            return
        self.kept.read([seen(n, total, "stopped") for n, total in self.counters.items()], self.now)
        for batch in self.sent:
            self.kept.obey(self.platform.take(batch), self.now)
        while (last := self.kept.batch()) is not None:
            self.kept.obey(self.platform.take(last), self.now)
        found = {n: self.platform.bytes_of(runtime(n)) for n in self.used}
        assert found == self.used
        for one in self.platform.readings:
            assert AHEAD <= one.from_us <= one.to_us <= AHEAD + self.now
        self.store.close()


Counters.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
test_each_byte_is_in_one_reading = Counters.TestCase


def grown(kept: Usage, *numbers: int, sent: int = 100, at: int = MINUTE) -> None:
    """Each of these runtimes has sent so much more, in the minute that ends at `at`."""
    kept.read([seen(one, 0) for one in numbers], at - MINUTE)
    kept.read([seen(one, sent) for one in numbers], at)


def test_a_counter_is_read_once_a_minute_and_at_its_end(store: Store) -> None:
    """Times are the platform's, by the boot's anchor; before it is known counters wait."""
    kept = Usage(store, KEY, NODE, BOOT, 5)
    grown(kept, 1)
    assert kept.batch() is None
    anchored(kept)
    kept.read([seen(1, 0)], MINUTE)
    kept.read([seen(1, 5)], 2 * MINUTE - 1)
    assert kept.batch() is None
    kept.read([seen(1, 6)], 2 * MINUTE)
    kept.read([seen(1, 9, "failed")], 2 * MINUTE + 1)
    batch = kept.batch()
    assert batch is not None
    assert [(one.from_us - AHEAD, one.to_us - AHEAD, one.quantity) for one in batch.readings] == [
        (MINUTE, 2 * MINUTE, 6),
        (2 * MINUTE, 2 * MINUTE + 1, 3),
    ]
    assert {(one.meter, one.resource, *one.dimensions.items()) for one in batch.readings} == {
        ("network.egress", runtime(1), ("model", "internet"))
    }
    assert kept.batch() == batch, "the same until it is answered"


def test_a_counter_that_begins_anew_is_noted_before_it_shows_as_much_again(store: Store) -> None:
    """Seen at 0 within its minute: what it shows at its end has all come since."""
    kept = opened(store)
    grown(kept, 1, sent=5)
    kept.read([seen(1, 0)], MINUTE + 1)
    kept.read([seen(1, 5, "stopped")], MINUTE + SECOND)
    batch = kept.batch()
    assert batch is not None
    assert [one.quantity for one in batch.readings] == [5, 5]


def test_a_lost_disk_begins_a_higher_epoch(store: Store) -> None:
    """Which no number of the enrolment before reaches; the same enrolment goes on where it was."""
    kept = opened(store)
    grown(kept, 1)
    first = kept.batch()
    assert first is not None
    assert kept.obey(answer(first), 0)
    kept.read([seen(1, 200)], 2 * MINUTE)
    second = opened(store).batch()
    assert second is not None
    assert (second.epoch, second.first) == (first.epoch, 2)
    fresh = Store.in_memory()
    anew = opened(fresh, enrolled=6)
    grown(anew, 1)
    third = anew.batch()
    assert third is not None
    assert third.epoch == first.epoch + (1 << 23)
    fresh.close()


def test_what_nothing_prices_is_given_up_alone(store: Store) -> None:
    """And not read again for ten minutes; what was numbered behind it is said in the next epoch."""
    platform, kept = Platform(), opened(store)
    platform.refuses[runtime(2)] = "reading.no_price"
    grown(kept, 1, 2, 3)
    sent = list[usage.Batch]()
    while (batch := kept.batch()) is not None:
        sent.append(batch)
        assert kept.obey(platform.take(batch), MINUTE)
    assert [one.resource for one in platform.readings] == [runtime(1), runtime(3)]
    assert platform.take(sent[1]).code == "reading.no_price", "a copy of it stays refused"
    assert platform.mark is not None
    assert platform.mark.epoch == sent[0].epoch + 1
    platform.refuses.clear()
    kept.read([seen(2, 150), seen(3, 150)], 2 * MINUTE)
    kept.read([seen(2, 170), seen(3, 150)], 12 * MINUTE)
    while (batch := kept.batch()) is not None:
        assert kept.obey(platform.take(batch), 12 * MINUTE)
    assert [(one.resource[-1], one.quantity) for one in platform.readings[2:]] == [
        ("3", 50), ("2", 70),
    ]  # fmt: skip


def test_a_batch_is_of_one_runtime(store: Store) -> None:
    """Whose the others are, the node does not know; what an earlier release numbered, of all of
    them at once, keeps its numbers and is sent in pieces of one.
    """
    platform, kept = Platform(), opened(store)
    for minute in (1, 2, 3):
        grown(kept, 1, 2, sent=100 * minute, at=minute * MINUTE)
    grown(kept, 1, sent=400, at=4 * MINUTE)
    store.conn.execute("UPDATE usage_slice SET numbered = 1 WHERE id <= 3")
    said = list[list[tuple[int, str]]]()
    while (batch := kept.batch()) is not None:
        numbered = enumerate(batch.readings, batch.first)
        said.append([(number, one.resource[-1]) for number, one in numbered])
        assert kept.obey(platform.take(batch), 4 * MINUTE)
    assert said == [
        [(1, "1")], [(2, "2")], [(3, "1")],
        [(4, "2"), (5, "2")],
        [(6, "1"), (7, "1")],
    ]  # fmt: skip


def test_without_a_meter_a_batch_is_given_up_at_once(store: Store) -> None:
    """However many times it is of: none that is past will ever have one."""
    kept = opened(store)
    for minute in (1, 2):
        grown(kept, 1, 2, sent=100 * minute, at=minute * MINUTE)
    for _ in range(2):
        batch = kept.batch()
        assert batch is not None
        assert len(batch.readings) == 2
        assert kept.obey(answer(batch, "reading.no_meter"), 2 * MINUTE)
    assert kept.batch() is None


@pytest.mark.parametrize("code", ["reading.in_future", "reading.no_period", "source.unknown"])
def test_what_may_come_true_waits_for_a_week(store: Store, code: str) -> None:
    """The same batch, unchanged; then it is given up, or a disk would fill."""
    kept = opened(store)
    grown(kept, 1)
    batch = kept.batch()
    assert batch is not None
    week = 7 * 24 * 60 * MINUTE
    assert not kept.obey(answer(batch, code), MINUTE + week)
    assert kept.batch() == batch
    assert kept.obey(answer(batch, code), MINUTE + week + 1)
    assert kept.batch() is None


def test_a_platform_that_has_less_than_it_said_hears_the_rest_in_another_epoch(
    store: Store,
) -> None:
    """Once that is no lag: nothing sealed is said twice by a process of it that was behind."""
    kept = opened(store)
    grown(kept, 1)
    first = kept.batch()
    assert first is not None
    assert kept.obey(answer(first), MINUTE)
    kept.read([seen(1, 130)], 2 * MINUTE)
    second = kept.batch()
    assert second is not None
    behind = answer(second, "reading.gap", 0)
    assert not kept.obey(behind, 2 * MINUTE)
    assert kept.batch() == second
    assert kept.obey(behind, 12 * MINUTE)
    anew = kept.batch()
    assert anew is not None
    assert (anew.epoch, anew.first, anew.readings) == (second.epoch + 1, 1, second.readings)


@pytest.mark.parametrize("code", ["reading.conflict", "reading.epoch_over"])
def test_numbers_that_are_others_there_are_given_up(store: Store, code: str) -> None:
    """A disk that is older than what was said never charges anything twice."""
    kept = opened(store)
    grown(kept, 1)
    batch = kept.batch()
    assert batch is not None
    assert kept.obey(answer(batch, code), MINUTE)
    assert kept.batch() is None
    kept.read([seen(1, 130)], 2 * MINUTE)
    after = kept.batch()
    assert after is not None
    assert (after.epoch, after.readings[0].quantity) == (batch.epoch + 1, 30)


def test_a_platform_that_is_away_fills_no_disk(tmp_path: Path) -> None:
    """Beyond so many slices a runtime's last one grows: fewer times, every byte."""
    store = Store(tmp_path, enrolled=False)
    kept = anchored(Usage(store, KEY, NODE, BOOT, 5, most=4))
    grown(kept, 1, 2)
    sent = kept.batch()
    for minute in range(2, 40):
        kept.read([seen(1, 100 * minute), seen(2, 100 * minute)], minute * MINUTE)
    assert store.conn.execute("SELECT count(*) FROM usage_slice").fetchone() == (4,)
    platform = Platform()
    assert kept.batch() == sent, "what has left is as it was"
    while (batch := kept.batch()) is not None:
        kept.obey(platform.take(batch), 40 * MINUTE)
    assert [platform.bytes_of(runtime(one)) for one in (1, 2)] == [3900, 3900]
    assert platform.readings[-1].to_us == AHEAD + 39 * MINUTE
    store.close()


def test_answers_of_others_change_nothing(store: Store) -> None:
    """Another epoch's, another node's, and of a batch that is no longer sent."""
    kept = opened(store)
    grown(kept, 1)
    grown(kept, 1, sent=200, at=2 * MINUTE)
    batch = kept.batch()
    assert batch is not None
    known = (batch.first, batch.last, "", batch.last)
    for source, epoch in ((NODE, batch.epoch + 1), (NODE[:-1] + "2", batch.epoch)):
        told = usage.Answer("gpuaas-usage-answer/1", source, epoch, *known)
        assert not kept.obey(told, MINUTE)
    part = usage.Answer("gpuaas-usage-answer/1", NODE, batch.epoch, 1, None, "reading.no_price", 1)
    assert not kept.obey(part, MINUTE)
    assert kept.batch() == batch


def test_an_hour_is_told_once_nothing_of_it_is_left(store: Store) -> None:
    """Two minutes after it, counters are read and slices of it are sealed: then a period that ends
    there need not wait. A node that never reported says nothing.
    """
    platform, kept = Platform(), opened(store)
    hour = 3_600 * SECOND
    first = hour - AHEAD % hour  # on the boot clock
    kept.read([seen(1, 0), seen(2, 0)], first - 30 * SECOND)
    kept.read([seen(1, 5), seen(2, 0)], first + 119 * SECOND)
    assert kept.complete(first + 119 * SECOND) is None
    batch = kept.batch()
    assert batch is not None
    at = first + 121 * SECOND
    kept.read([seen(1, 5), seen(2, 0)], at)
    assert kept.complete(at) is None, "it never reported"
    kept.obey(platform.take(batch), at)
    kept.read([seen(1, 6), seen(2, 0)], at)
    told = kept.complete(at)
    assert told is not None
    usage.check_complete(told, public_hex(KEY))
    assert (told.until_us, told.sequence) == (AHEAD + first, batch.last)
    assert kept.complete(at) == told, "again until it is answered"
    heard = usage.Answer("gpuaas-usage-answer/1", NODE, told.epoch, 0, told.sequence, "")
    assert not kept.obey(replace(heard, code="reading.incomplete"), at)
    assert kept.complete(at) == told
    kept.obey(heard, at)
    assert kept.complete(at) is None
    later = at + hour
    kept.read([seen(1, 6), seen(2, 9)], later)
    assert kept.complete(later) is None, "the second one has sent something since the hour before"
    while (batch := kept.batch()) is not None:
        assert kept.obey(platform.take(batch), later)
    again = opened(store).complete(later)
    assert again is not None
    assert again.until_us == AHEAD + first + hour
    assert [one.from_us - AHEAD for one in platform.readings] == [
        *(first - 30 * SECOND, first + 119 * SECOND, at),
    ]
