"""One SQLite file per agent: what must survive kill -9, and be changed together or not at all.

Spool and journal share it on purpose: "command done" and "event that says so" become durable in
one transaction, so a crash between them is impossible rather than handled.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from contracts.signing import FleetError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbering (boot TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS spool (
  id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, seq INTEGER NOT NULL,
  lease INTEGER NOT NULL, refusal INTEGER NOT NULL, message BLOB NOT NULL,
  UNIQUE (boot, seq)) STRICT;
CREATE TABLE IF NOT EXISTS journal (
  number INTEGER PRIMARY KEY, command BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('RECEIVED', 'INTENT', 'DONE')), answer BLOB) STRICT;
CREATE TABLE IF NOT EXISTS refusal (
  sha256 TEXT PRIMARY KEY, number INTEGER NOT NULL, answer BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fence (
  allocation TEXT PRIMARY KEY, runtime TEXT NOT NULL, epoch INTEGER NOT NULL,
  number INTEGER NOT NULL, stopped INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS told (
  allocation TEXT PRIMARY KEY, state TEXT NOT NULL, message BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS nonce (
  id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, nonce TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS device_work (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, devices BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS probed (idx INTEGER PRIMARY KEY, boot TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS volume_work (number INTEGER PRIMARY KEY, work BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS volume_fence (
  volume TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage_anchor (
  boot TEXT PRIMARY KEY, boottime_us INTEGER NOT NULL, anchor_us INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage_read (
  allocation TEXT PRIMARY KEY, boot TEXT NOT NULL, total INTEGER NOT NULL,
  at_us INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage_slice (
  id INTEGER PRIMARY KEY AUTOINCREMENT, numbered INTEGER NOT NULL, resource TEXT NOT NULL,
  from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, quantity INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage_epoch (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
  head BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS usage_told (
  id INTEGER PRIMARY KEY CHECK (id = 1), until_us INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lease (
  boot TEXT PRIMARY KEY, until_us INTEGER NOT NULL, renewed_us INTEGER NOT NULL) STRICT;
"""


class Store:
    """The agent's database, open and locked by this program alone.

    Every commit is fsynced (WAL, synchronous=FULL) before `transaction` returns.
    Raises: FleetError state.in_use when another agent runs on the same directory;
    journal.missing when the node is enrolled but its journal is gone.
    """

    def __init__(self, state: Path, *, enrolled: bool) -> None:
        self._lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise FleetError("state.in_use", f"another agent runs on {state}") from error
        path = state / "agent.db"
        if enrolled and not path.exists():
            os.close(self._lock)
            raise FleetError("journal.missing", f"{path} is gone: all epochs are void, enrol anew")
        self.conn = sqlite3.connect(path, isolation_level=None)
        self.conn.execute("PRAGMA journal_mode=WAL")
        self.conn.execute("PRAGMA synchronous=FULL")
        self.conn.executescript(_SCHEMA)

    @classmethod
    def in_memory(cls) -> Self:
        """A store that lives as long as this object: for simulated agents, whose disk it plays."""
        made = cls.__new__(cls)
        made._lock = -1  # noqa: SLF001  our own
        made.conn = sqlite3.connect(":memory:", isolation_level=None)
        made.conn.executescript(_SCHEMA)
        return made

    def close(self) -> None:
        """Releases the directory; a crash instead releases it too."""
        self.conn.close()
        if self._lock >= 0:
            os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable on return; joins the transaction that is already open."""
        if self.conn.in_transaction:
            yield self.conn
            return
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            yield self.conn
            self.conn.execute("COMMIT")
        finally:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
