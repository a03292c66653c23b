"""Long work on a result in a thread of its own, watched by the one that waits for it."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import TypeVar

import duckdb

T = TypeVar("T")

# How often the one that waits looks around; a worker that is asked to stop notices as soon.
PULSE_SECONDS = 1.0
_INTERRUPT_EVERY_SECONDS = 0.01


class StoppedError(Exception):
    """The work was told to end. Nobody but the thread that does it ever sees this."""


class Stop:
    """Ends what another thread does for a result: its statements, and its loops where they look."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._connections: set[duckdb.DuckDBPyConnection] = set()

    def request(self) -> None:
        """End the work; called again and again, for an interruption between two statements is lost."""
        self._requested.set()
        for connection in tuple(self._connections):
            # One that was closed meanwhile has nothing to interrupt.
            with suppress(duckdb.ConnectionException):
                connection.interrupt()

    def check(self) -> None:
        """Raise StoppedError when the work is to end."""
        if self._requested.is_set():
            raise StoppedError

    @contextmanager
    def reaching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let a stop interrupt what the connection executes inside."""
        self._connections.add(connection)
        try:
            self.check()
            yield
        finally:
            self._connections.discard(connection)


def run_watched(work: Callable[[Stop], T], pulse: Callable[[], None], *, every: float = PULSE_SECONDS) -> T:
    """Return what `work` returns; `pulse` is called every second meanwhile, and what it raises ends the work."""
    stop = Stop()
    with ThreadPoolExecutor(1, thread_name_prefix="result") as pool:
        future = pool.submit(contextvars.copy_context().run, work, stop)
        try:
            while not wait([future], timeout=every).done:
                pulse()
        except BaseException:
            stop.request()
            while not wait([future], timeout=_INTERRUPT_EVERY_SECONDS).done:
                stop.request()
            raise
    return future.result()
