import json
import sqlite3
from collections.abc import Iterator
from typing import Any

IN_MEMORY = 40_000

_CREATE = "CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_PUT = "INSERT INTO kept VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_GET = "SELECT value FROM kept WHERE key = ?"
_DELETE = "DELETE FROM kept WHERE key = ?"
# Sorted by bytes, so zero-padded decimal keys come back in order.
_ALL = "SELECT key, value FROM kept ORDER BY key"


class Spill:
    """A map of text to JSON values that keeps at most `in_memory` items in memory, the rest in a
    temporary file.

    The file has no name and is gone with the process. Not for several threads. Lists come back from
    the file as lists; use lists, not tuples.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._limit = in_memory
        self._recent: dict[str, Any] = {}
        self._file: sqlite3.Connection | None = None

    def get(self, key: str) -> Any:
        """The value, or None when there is none."""
        if key in self._recent:
            return self._recent[key]
        if self._file is None:
            return None
        found = self._file.execute(_GET, (key,)).fetchone()
        return None if found is None else json.loads(found[0])

    def put(self, key: str, value: Any) -> None:
        self._recent[key] = value
        if len(self._recent) > self._limit:
            self._flush()

    def remove(self, key: str) -> None:
        self._recent.pop(key, None)
        if self._file is not None:
            self._file.execute(_DELETE, (key,))

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every item, by key in code point order; the map must not change meanwhile."""
        if self._file is None:
            yield from sorted(self._recent.items())
            return
        self._flush()
        for key, value in self._file.execute(_ALL):
            yield key, json.loads(value)

    def keys(self) -> Iterator[str]:
        yield from (item[0] for item in self.items())

    def values(self) -> Iterator[Any]:
        yield from (item[1] for item in self.items())

    def close(self) -> None:
        self._recent.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        if self._file is None:
            # "" is sqlite's private temporary file: pages beyond its cache go to disk.
            self._file = sqlite3.connect("", isolation_level=None)
            self._file.execute("PRAGMA journal_mode = OFF")
            self._file.execute("PRAGMA cache_size = -8192")
            self._file.execute(_CREATE)
        self._file.execute("BEGIN")
        rows = ((key, json.dumps(value)) for key, value in self._recent.items())
        self._file.executemany(_PUT, rows)
        self._file.execute("COMMIT")
        self._recent.clear()
