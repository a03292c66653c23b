"""Note how long each write transaction held SQLite's lock, by the clock and by the CPU time of its thread.

On a busy machine a thread that holds the lock also waits for a core: its CPU time says what our code costs, the clock
what others waited for. One file per process, in the folder that HOLDS_DIR names.
"""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_SHOWN = 120
_file_lock = threading.Lock()


class WatchedCursor(base.SQLiteCursorWrapper):
    """A cursor that tells its connection when a write begins."""

    watch: DatabaseWrapper

    def execute(self, query: str, params: Any = None) -> Any:
        return self.watch.watched(query, lambda: super(WatchedCursor, self).execute(query, params))

    def executemany(self, query: str, param_list: Any) -> Any:
        return self.watch.watched(query, lambda: super(WatchedCursor, self).executemany(query, param_list))


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend with a watch on when the lock is taken and when it is given back."""

    _began: tuple[float, float] | None = None
    _first = ""

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=WatchedCursor)
        cursor.watch = self
        return cursor

    def watched(self, query: str, execute: Any) -> Any:
        """Execute a statement; one that writes outside a transaction gets one, which says when it has the lock."""
        if query.startswith("BEGIN"):
            result = execute()
            self._begin()
            return result
        if not _WRITES.match(query):
            return execute()
        self._first = self._first or query
        # One that returns what it wrote is not over before that was read; by itself it writes one row.
        if self.connection.in_transaction or " RETURNING " in query:
            return execute()
        self.connection.execute("BEGIN IMMEDIATE")
        self._begin()
        self._first = query
        try:
            return execute()
        finally:
            self.connection.execute("COMMIT")
            self._end()

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]  # the stubs leave it out
        self._end()

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]  # as above
        self._end()

    def _begin(self) -> None:
        self._began, self._first = (time.monotonic(), time.thread_time()), ""

    def _end(self) -> None:
        if self._began is None:
            return
        wall, cpu = time.monotonic() - self._began[0], time.thread_time() - self._began[1]
        self._began = None
        with _file_lock, (Path(os.environ["HOLDS_DIR"]) / str(os.getpid())).open("a") as file:
            file.write(f"{wall:.4f}\t{cpu:.4f}\t{self._first[:_SHOWN]!r}\n")
