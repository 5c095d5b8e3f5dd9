"""Everything re-read, again and again, in small steps: database against storage against signature.

EVIDENCE.md section 4. A pass is pinned to one checkpoint; a step is one bundle of 256 entries with
what it seals. A fault stays until a whole later pass has found nothing.
"""

import threading
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from evidence.bundle import StorageSource
from evidence.comparing import Columns, check_private, check_unsealed, compare_bundle
from evidence.condition import Condition, Fault, be_nice, fault_of, now_us, report
from evidence.storage import Storage
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import complete_root
from gpuaas_verify.note import Vkey, parse_note, verify_note
from gpuaas_verify.tiles import TILE_WIDTH
from gpuaas_verify.tree import TreeCheck

PAUSE_MS: Final = 50  # 256 entries each: 5,000 entries a second, a few percent of one core
NICE: Final = 10  # of its thread: there is always time for another pass
_REST_MS: Final = 2000  # between passes, and while there is nothing to read
_REPORT_EVERY: Final = 20
_WORDS: Final = 256  # people's words a step


class Scrubber:
    """One pass after the other; `condition` is what readiness shows. Reads only."""

    def __init__(self, conn: psycopg.Connection[Any], storage: Storage) -> None:
        self._conn = conn
        self._storage = storage
        self.fault: Fault | None = None
        self.passes = 0
        self.passed_us: int | None = None
        self._pass: _Pass | None = None

    @property
    def condition(self) -> Condition:
        now = self._pass
        done, size = (now.next, now.source.checkpoint.size) if now else (0, 0)
        return Condition(now_us(), done, size - done, self.passes, self.passed_us, self.fault)

    def step(self) -> bool:
        """True when a pass ended with this step, or none could begin.

        Raises: psycopg.Error, OSError: nothing was compared; the same step is due again.
        """
        if self._pass is None and not self._begin():
            return True
        now = self._pass
        assert now is not None, "a pass has begun"
        if now.next < now.source.checkpoint.size:
            try:
                now.compare_next(self._conn)
            except (Invalid, DomainError) as error:
                self._found(error)
                now.skip()
            return False
        if self._look_beside(now):
            return False
        self._end(now)
        return True

    def _look_beside(self, now: "_Pass") -> bool:
        """Whether more of what is in no entry bundle is left to look at in this pass."""
        try:
            return now.look_beside(self._conn)
        except Invalid as error:
            self._found(error)
            return False

    def _begin(self) -> bool:
        """False when nothing is signed yet, or when what is published is not signed by our key."""
        try:
            source = StorageSource(self._storage)
            vkey = Vkey.parse(self._storage.need("vkey").decode().strip())
            verify_note(parse_note(source.note), [vkey])
        except (Invalid, DomainError) as error:
            if not (isinstance(error, DomainError) and error.code == "receipt.not_signed"):
                self._found(error)
            return False
        self._pass = _Pass(source)
        return True

    def _end(self, now: "_Pass") -> None:
        try:
            now.check_root()
        except Invalid as error:
            self._found(error)
        if now.clean:
            self.fault = None
            self.passed_us = now_us()
        self.passes += 1
        self._pass = None

    def _found(self, error: Invalid | DomainError) -> None:
        if self._pass is not None:
            self._pass.clean = False
        if self.fault is None:
            self.fault = fault_of(error)


class _Pass:
    """Where one pass stands; `next` is the first position it has not compared."""

    def __init__(self, source: StorageSource) -> None:
        self.source = source
        self.next = 0
        self.clean = True
        self._tree: TreeCheck | None = TreeCheck(source)
        self._columns = Columns()
        self._said = b""  # people's words up to this digest were looked at

    def compare_next(self, conn: psycopg.Connection[Any]) -> None:
        hashes = compare_bundle(conn, self.source, self.next // TILE_WIDTH, self._columns)
        if self._tree is not None and len(hashes) == 32 * TILE_WIDTH:
            self._tree.full(complete_root(hashes))
        elif self._tree is not None:
            self._tree.partial(hashes)
        self.next += len(hashes) // 32

    def skip(self) -> None:
        """Past a bad bundle. The tree cannot be rebuilt without it: later bundles still count."""
        self._tree = None
        self._columns.skip()
        self.next = min(
            self.next - self.next % TILE_WIDTH + TILE_WIDTH, self.source.checkpoint.size
        )

    def look_beside(self, conn: psycopg.Connection[Any]) -> bool:
        """True while people's words are left to be looked at; rows beyond the seals come first."""
        if not self._said:
            check_unsealed(conn, self.source.seal_streams)
        last = check_private(conn, self._said, _WORDS)
        self._said = last or b""
        return last is not None

    def check_root(self) -> None:
        if self._tree is not None and self._tree.root() != self.source.checkpoint.root:
            raise Invalid("checkpoint.root", "the tiles do not give the signed root", field="root")


def keep_scrubbing(
    database_url: str, storage: Storage, stop: threading.Event, pause_ms: int = PAUSE_MS
) -> None:
    """Until `stop`. A database that is away is reported and tried again, the pass from
    its start.
    """
    be_nice(NICE)
    while not stop.is_set():
        try:
            with psycopg.connect(database_url, autocommit=True) as conn:
                _scrub(Scrubber(conn, storage), storage, stop, pause_ms)
        except (psycopg.Error, OSError) as error:
            report(storage, "scrubber", Condition(now_us(), fault=fault_of(error)))
            stop.wait(_REST_MS / 1000)


def _scrub(scrubber: Scrubber, storage: Storage, stop: threading.Event, pause_ms: int) -> None:
    steps, shown = 0, scrubber.fault
    while not stop.is_set():
        ended = scrubber.step()
        steps += 1
        if ended or steps % _REPORT_EVERY == 0 or scrubber.fault is not shown:
            shown = scrubber.fault
            report(storage, "scrubber", scrubber.condition)
        stop.wait((_REST_MS if ended else pause_ms) / 1000)
