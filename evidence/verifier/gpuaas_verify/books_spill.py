"""State of any size in bounded memory: dictionaries and queues that overflow into one SQLite file.

Nothing here is durable or shared: the file is made for one derivation and removed with it.
Values are what JSON carries (lists come back for tuples), integers of any size included.
"""

import json
import sqlite3
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Counted in items, not bytes: an item of the books is well under 1 KB, so about 40 MB.
ITEMS_IN_MEMORY = 40_000
ROWS_IN_MEMORY = 20_000

CREATE_ITEM = (
    "CREATE TABLE item (space TEXT, grp TEXT, key TEXT, value TEXT,"
    " PRIMARY KEY (space, grp, key)) WITHOUT ROWID"
)
CREATE_QUEUED = (
    "CREATE TABLE queued (queue TEXT, number INTEGER, value TEXT,"
    " PRIMARY KEY (queue, number)) WITHOUT ROWID"
)
PUT_ITEM = "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)"
GET_ITEM = "SELECT value FROM item WHERE space = ? AND grp = ? AND key = ?"
SCAN_GROUP = (
    "SELECT key, value FROM item WHERE space = ? AND grp = ? AND key > ? ORDER BY key LIMIT 1000"
)
DELETE_ITEM = "DELETE FROM item WHERE space = ? AND grp = ? AND key = ?"
DELETE_GROUP = "DELETE FROM item WHERE space = ? AND grp = ?"
PUT_QUEUED = "INSERT INTO queued VALUES (?, ?, ?)"
TAKE_QUEUED = "SELECT number, value FROM queued WHERE queue = ? ORDER BY number LIMIT ?"
DELETE_QUEUED = "DELETE FROM queued WHERE queue = ? AND number <= ?"


class Spill:
    """Items by (space, group, key), and queues by name; one temporary file, made when first needed.

    A value taken out and changed must be put back: what is in memory may move to disk at any
    `put`. Items of one group are scanned in the order of their keys (code points).
    """

    def __init__(
        self, spill_dir: str | None, items: int = ITEMS_IN_MEMORY, rows: int = ROWS_IN_MEMORY
    ) -> None:
        self._dir = spill_dir
        self._items, self._rows = items, rows
        self._memory: dict[tuple[str, str], dict[str, Any]] = {}
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._db: sqlite3.Connection | None = None
        self._item_spilled = False
        # Per queue: rows at the front, rows at the back, and how many lie between them on disk.
        self._front: dict[str, deque[list[Any]]] = {}
        self._back: dict[str, list[Any]] = {}
        self._middle: dict[str, int] = {}
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing left on disk. Safe to call twice."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def get(self, space: str, group: str, key: str) -> Any:
        """The value, or None where there is none (None is never stored)."""
        members = self._memory.get((space, group))
        if members is not None and key in members:
            return members[key]
        if not self._item_spilled:
            return None
        found = self._disk().execute(GET_ITEM, (space, group, key)).fetchone()
        if found is None:
            return None
        value = json.loads(found[0])
        self.put(space, group, key, value)  # what is asked for once is asked for again
        return value

    def put(self, space: str, group: str, key: str, value: Any) -> None:
        """The value stands under its key, in memory until there are too many."""
        members = self._memory.setdefault((space, group), {})
        if key not in members:
            self._count += 1
        members[key] = value
        if self._count > self._items:
            self._flush()

    def delete(self, space: str, group: str, key: str) -> None:
        """No such item any more; it need not have been there."""
        members = self._memory.get((space, group))
        if members is not None and key in members:
            del members[key]
            self._count -= 1
            if not members:
                del self._memory[space, group]
        if self._item_spilled:
            self._disk().execute(DELETE_ITEM, (space, group, key))

    def drop(self, space: str, group: str) -> None:
        """No item of the group any more."""
        self._count -= len(self._memory.pop((space, group), ()))
        if self._item_spilled:
            self._disk().execute(DELETE_GROUP, (space, group))

    def scan(self, space: str, group: str) -> Iterator[tuple[str, Any]]:
        """Every item of the group in order of key. The group must not change meanwhile."""
        if not self._item_spilled:
            members = self._memory.get((space, group), {})
            for key in sorted(members):
                yield key, members[key]
            return
        self._flush()
        last = ""
        # In portions: other groups may be written while the caller works on one.
        while portion := self._disk().execute(SCAN_GROUP, (space, group, last)).fetchall():
            for key, value in portion:
                yield key, json.loads(value)
            last = portion[-1][0]

    def push(self, queue: str, row: Any) -> None:
        """The row stands at the end of the queue."""
        back = self._back.setdefault(queue, [])
        back.append(row)
        if len(back) >= self._rows:
            self._spill_back(queue, back)

    def peek(self, queue: str) -> Any:
        """The first row of the queue, left in place; None when it is empty."""
        front = self._front.setdefault(queue, deque())
        if not front:
            self._refill(queue, front)
        return front[0] if front else None

    def pop(self, queue: str) -> None:
        """The first row, seen by `peek`, is gone."""
        self._front[queue].popleft()

    def _spill_back(self, queue: str, back: list[Any]) -> None:
        numbered = []
        for row in back:
            self._number += 1
            numbered.append((queue, self._number, json.dumps(row)))
        self._write_many(PUT_QUEUED, numbered)
        self._middle[queue] = self._middle.get(queue, 0) + len(numbered)
        back.clear()

    def _refill(self, queue: str, front: deque[Any]) -> None:
        if self._middle.get(queue, 0):
            taken = self._disk().execute(TAKE_QUEUED, (queue, self._rows)).fetchall()
            self._disk().execute(DELETE_QUEUED, (queue, taken[-1][0]))
            self._middle[queue] -= len(taken)
            front.extend(json.loads(value) for _, value in taken)
        else:
            back = self._back.setdefault(queue, [])
            front.extend(back)
            back.clear()

    def _flush(self) -> None:
        rows = [
            (space, group, key, json.dumps(value))
            for (space, group), members in self._memory.items()
            for key, value in members.items()
        ]
        self._write_many(PUT_ITEM, rows)
        self._memory.clear()
        self._count = 0
        self._item_spilled = True

    def _write_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        disk = self._disk()
        disk.execute("BEGIN")
        disk.executemany(statement, rows)
        disk.execute("COMMIT")

    def _disk(self) -> sqlite3.Connection:
        if self._db is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gpuaas-books-", dir=self._dir)
            self._db = sqlite3.connect(Path(self._folder.name) / "spill", isolation_level=None)
            # Losing the file loses one verification, so no journal and no fsync.
            for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8192"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.execute(CREATE_ITEM)
            self._db.execute(CREATE_QUEUED)
        return self._db
