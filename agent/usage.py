"""What runtimes used, from counters that only grow to signed readings, each byte in exactly one.

A counter's growth becomes a slice of time, numbered when it leaves, freed when the control plane
has sealed it: all on disk, each step one transaction (contracts/rating.md section 8).
"""

from collections.abc import Iterable
from itertools import takewhile
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent.runtimes import Observed
from agent.store import Store
from contracts import fleet, usage

SLICE_US: Final = 60_000_000
MOST_SLICES: Final = 10_000
_BATCH: Final = 100
_REST_US: Final = 600_000_000
_AGE_US: Final = 7 * 86_400_000_000
_OVER: Final = ("stopped", "failed")
# Periods end with hours. What keepers last saw is on disk so long after it was.
_HOUR_US: Final = 3_600_000_000
_SETTLED_US: Final = 120_000_000
# Enough epochs for an enrolment, and enough enrolments, below 2^53.
_EPOCHS: Final = 1 << 23
# What can never become true later: nothing prices a time that is past, no meter begins before now.
_FOR_GOOD: Final = (
    *("reading.no_meter", "reading.no_price", "reading.no_resource"),
    *("reading.invalid", "reading.malformed"),
)
# Numbers of ours that are other readings there: this disk is older than what was said.
_ANOTHERS: Final = ("reading.conflict", "reading.epoch_over")

_ANCHOR: Final = "SELECT boottime_us, anchor_us FROM usage_anchor WHERE boot = :boot"
_ANCHORED: Final = """
INSERT INTO usage_anchor (boot, boottime_us, anchor_us) VALUES (:boot, :boottime_us, :anchor_us)
ON CONFLICT DO NOTHING"""
_READ: Final = "SELECT total, at_us FROM usage_read WHERE allocation = :allocation"
_SET_READ: Final = """
INSERT INTO usage_read (allocation, boot, total, at_us) VALUES (:allocation, :boot, :total, :at_us)
ON CONFLICT (allocation) DO UPDATE SET total = excluded.total, at_us = excluded.at_us"""
_FORGET: Final = "DELETE FROM usage_read WHERE boot <> :boot"
_EPOCH: Final = "SELECT epoch, sequence, head FROM usage_epoch"
_SET_EPOCH: Final = """
INSERT INTO usage_epoch (id, epoch, sequence, head) VALUES (1, :epoch, :sequence, :head)
ON CONFLICT (id) DO UPDATE SET
  epoch = excluded.epoch, sequence = excluded.sequence, head = excluded.head"""
_ADD: Final = """
INSERT INTO usage_slice (numbered, resource, from_us, to_us, quantity)
VALUES (0, :resource, :from_us, :to_us, :quantity)"""
_GROW: Final = """
UPDATE usage_slice SET to_us = :to_us, quantity = quantity + :quantity
WHERE id = (SELECT max(id) FROM usage_slice WHERE resource = :resource AND numbered = 0)"""
_COUNT: Final = "SELECT count(*) FROM usage_slice"
_NUMBERED: Final = """
SELECT id, resource, from_us, to_us, quantity FROM usage_slice WHERE numbered = 1 ORDER BY id"""
# Of one runtime: which of them are one customer's, a node does not know (ADR 44).
_NUMBER: Final = """
UPDATE usage_slice SET numbered = 1 WHERE id IN (
  SELECT id FROM usage_slice
  WHERE resource = (SELECT resource FROM usage_slice ORDER BY id LIMIT 1)
  ORDER BY id LIMIT :most)"""
_UNNUMBER: Final = "UPDATE usage_slice SET numbered = 0"
_TOLD: Final = "SELECT until_us FROM usage_told"
_TELL: Final = """
INSERT INTO usage_told (id, until_us) VALUES (1, :until_us)
ON CONFLICT (id) DO UPDATE SET until_us = max(until_us, excluded.until_us)"""
_LEFT: Final = "SELECT 1 FROM usage_slice WHERE from_us < :until_us LIMIT 1"
_FREE: Final = "DELETE FROM usage_slice WHERE id = :id"


class Slice(Struct, frozen=True):
    """Bytes that a runtime sent by its network's policy in `[from_us, to_us)`, platform's time."""

    id: int
    resource: str
    from_us: int
    to_us: int
    quantity: int

    def reading(self) -> usage.Reading:
        """As the contract has it."""
        of = (usage.EGRESS, self.resource, {"model": usage.INTERNET})
        return usage.Reading(*of, self.from_us, self.to_us, self.quantity)


class Usage:
    """One node's readings under one boot. Owned by the agent's loop.

    Kill -9 at any instant loses and doubles nothing: run again over the same store. `enrolled`: the
    enrolment's log position, so a node that lost its disk and enrolled anew has a higher epoch.
    """

    def __init__(
        self, store: Store, key: Ed25519PrivateKey, node: str, boot: str, enrolled: int,
        slice_us: int = SLICE_US, most: int = MOST_SLICES,
    ) -> None:  # fmt: skip
        self._store = store
        self._key = key
        self.node = node
        self._boot = boot
        self._slice_us = slice_us
        self._most = most
        self._alone = False  # one at a time: of more the answer does not say which it is of
        self._resting: dict[str, int] = {}
        self._gap_us = 0
        self._telling_us = 0
        with store.transaction() as conn:
            conn.execute(_FORGET, {"boot": boot})
            first = 1 + enrolled * _EPOCHS
            if self._reporter().epoch < first:
                self._begin(first)

    def anchor(self, told: fleet.Anchor) -> None:
        """From now on instants of this boot are known; the first word of it counts."""
        if (told.node, told.boot) == (self.node, self._boot):
            with self._store.transaction() as conn:
                values = {"boottime_us": told.boottime_us, "anchor_us": told.anchor_us}
                conn.execute(_ANCHORED, {"boot": told.boot, **values})

    def read(self, seen: Iterable[Observed], now_us: int) -> int:
        """How many slices began: of each counter that grew, once its time is up or at its end.

        `now_us` on CLOCK_BOOTTIME. Nothing before the anchor is known: counters wait. With so many
        slices unsaid (`most`) a runtime's latest one grows instead: the disk fills no
        further, no byte is lost, times get coarser.
        """
        row = self._store.conn.execute(_ANCHOR, {"boot": self._boot}).fetchone()
        if row is None:
            return 0
        begun, ahead_us = 0, int(row[1]) - int(row[0])
        hour_us = self._settled_hour(now_us)
        for one in seen:
            total, last = one.counted.sent_bytes, self._last(one.allocation)
            if last is None:
                if total or one.state == "usable":
                    self._read(one.allocation, 0, now_us)
                    last = (0, now_us)
                else:
                    continue
            closes = last[1] + ahead_us < hour_us and one.state not in _OVER
            # A counter that shows less was begun anew: all that it shows has come since. That is
            # noted at once: a minute later it may show what it showed before.
            anew = total < last[0]
            waits = total == last[0] or not self._due(one, last[1], now_us)
            if waits and not closes and not anew:
                continue
            grown = total if anew else total - last[0]
            with self._store.transaction():
                if grown:
                    self._keep(one.runtime, last[1] + ahead_us, now_us + ahead_us, grown)
                self._read(one.allocation, total, now_us)
            begun += bool(grown)
        return begun

    def batch(self) -> usage.Batch | None:
        """What is to be sent now, of one runtime, the same until it is answered; None: everything
        is sealed.
        """
        with self._store.transaction() as conn:
            slices = self._numbered()
            if not slices:
                conn.execute(_NUMBER, {"most": _BATCH})
                slices = self._numbered()
        if not slices:
            return None
        # An earlier release numbered those of all runtimes: they keep their numbers.
        same = list(takewhile(lambda one: one.resource == slices[0].resource, slices))
        readings = tuple(one.reading() for one in same[: 1 if self._alone else _BATCH])
        return self._reporter().batch(readings)

    def complete(self, now_us: int) -> usage.Complete | None:
        """That nothing more comes of an hour that is over: once all of it is sealed, and only where
        something ever was. After `read` at the same instant.
        """
        hour_us = self._settled_hour(now_us)
        told = self._store.conn.execute(_TOLD).fetchone()
        left = self._store.conn.execute(_LEFT, {"until_us": hour_us}).fetchone()
        if told is None or hour_us <= int(told[0]) or left is not None:
            return None
        self._telling_us = hour_us
        return self._reporter().complete(hour_us)

    def obey(self, answer: usage.Answer, now_us: int) -> bool:
        """True when something else is to be sent now. The answer's signature was checked.

        Refused for what can never come true, a reading is given up, and what was numbered behind it
        goes on in the next epoch; refused otherwise, all of it is sent again later, for a week.
        """
        reporter = self._reporter()
        if (answer.source, answer.epoch) != (self.node, reporter.epoch):
            return False
        if not answer.first:
            if not answer.code and self._telling_us:
                self._tell(self._telling_us)
            return False
        if not answer.code:
            return self._taken(answer.sequence or 0, reporter)
        sent = self.batch()
        if sent is None or (sent.first, sent.last) != (answer.first, answer.last):
            return False  # of an older try
        if answer.code == "reading.gap":
            return self._behind(reporter.epoch, now_us)
        slices = self._numbered()[: len(sent.readings)]
        if answer.code in _ANOTHERS:
            self._give_up(slices, reporter.epoch)
            return True
        old = slices[0].to_us < self._instant(now_us) - _AGE_US
        if answer.code not in _FOR_GOOD and not old:
            return False
        if answer.code != "reading.no_meter" and len(slices) > 1:
            self._alone = True
            return True
        for one in slices:
            self._resting[one.resource] = now_us + _REST_US
        self._give_up(slices, reporter.epoch)
        return True

    def _taken(self, sequence: int, reporter: usage.Reporter) -> bool:
        slices = self._numbered()[: max(0, sequence - reporter.sequence)]
        if not slices:
            return False
        reporter.batch(tuple(one.reading() for one in slices))
        with self._store.transaction() as conn:
            for one in slices:
                conn.execute(_FREE, {"id": one.id})
            self._set(reporter.epoch, reporter.sequence, reporter.head)
            self._tell(0)
        self._alone, self._gap_us = False, 0
        return True

    def _behind(self, epoch: int, now_us: int) -> bool:
        """The platform has less than it said it had: once that is no lag of one of its processes,
        and no copy of what we sent is on its way any more, another epoch says it anew.
        """
        self._gap_us = self._gap_us or now_us
        if now_us - self._gap_us < _REST_US:
            return False
        self._gap_us = 0
        self._begin(epoch + 1)
        return True

    def _give_up(self, slices: list[Slice], epoch: int) -> None:
        with self._store.transaction() as conn:
            for one in slices:
                conn.execute(_FREE, {"id": one.id})
            self._begin(epoch + 1)

    def _begin(self, epoch: int) -> None:
        """No number of this epoch was ever given."""
        with self._store.transaction() as conn:
            conn.execute(_UNNUMBER)
            self._set(epoch, 0, usage.beginning(self.node, epoch))

    def _set(self, epoch: int, sequence: int, head: bytes) -> None:
        values = {"epoch": epoch, "sequence": sequence, "head": head}
        self._store.conn.execute(_SET_EPOCH, values)

    def _reporter(self) -> usage.Reporter:
        row = self._store.conn.execute(_EPOCH).fetchone() or (0, 0, b"")
        return usage.Reporter(self._key, self.node, row[0], row[1], row[2])

    def _numbered(self) -> list[Slice]:
        return [Slice(*row) for row in self._store.conn.execute(_NUMBERED).fetchall()]

    def _due(self, one: Observed, at_us: int, now_us: int) -> bool:
        if one.state in _OVER:
            return True
        resting = self._resting.get(one.runtime, 0) > now_us
        return now_us - at_us >= self._slice_us and not resting

    def _keep(self, resource: str, from_us: int, to_us: int, quantity: int) -> None:
        conn = self._store.conn
        values = {"resource": resource, "to_us": to_us, "quantity": quantity}
        full = conn.execute(_COUNT).fetchone()[0] >= self._most
        if not (full and conn.execute(_GROW, values).rowcount):
            conn.execute(_ADD, {**values, "from_us": from_us})

    def _last(self, allocation: str) -> tuple[int, int] | None:
        row = self._store.conn.execute(_READ, {"allocation": allocation}).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def _read(self, allocation: str, total: int, at_us: int) -> None:
        values = {"allocation": allocation, "boot": self._boot, "total": total, "at_us": at_us}
        self._store.conn.execute(_SET_READ, values)

    def _tell(self, until_us: int) -> None:
        with self._store.transaction() as conn:
            conn.execute(_TELL, {"until_us": until_us})

    def _settled_hour(self, now_us: int) -> int:
        """The end of the last hour of which counters show everything by now."""
        return (self._instant(now_us) - _SETTLED_US) // _HOUR_US * _HOUR_US

    def _instant(self, now_us: int) -> int:
        row = self._store.conn.execute(_ANCHOR, {"boot": self._boot}).fetchone()
        return 0 if row is None else now_us + int(row[1]) - int(row[0])


def encoded(word: usage.Batch | usage.Complete) -> bytes:
    """The message on `.use`."""
    return msgspec.json.encode(word)
