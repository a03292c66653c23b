"""A DuckDB in memory that can reach the named files and nothing else."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb

from executions.results.errors import ResultMemoryError, ResultTimeoutError
from executions.results.spill import spill_folder
from executions.results.watching import Stop

MEMORY_LIMIT = "128MB"
_THREADS = "2"
_SPILL_LIMIT = "8GB"
_INTERRUPT_EVERY = 0.01
_FATAL = (duckdb.FatalException, duckdb.InternalException)
# The process it was opened in, the folder it may write into, and a DuckDB.
_kept: tuple[int, Path, duckdb.DuckDBPyConnection] | None = None
_keeping = threading.Lock()
# What a disk refuses with; DuckDB tells it only in its words.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def open_files(
    *files: Path,
    memory_limit: str = MEMORY_LIMIT,
    timeout_seconds: float | None = None,
    stop: Stop | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that may read and write `files` only; ends whatever runs after `timeout_seconds` or a `stop`.

    Raises ResultMemoryError and ResultTimeoutError, and OSError for a disk that takes no more.
    """
    with spill_folder() as spill:
        connection = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "threads": _THREADS,
                "async_threads": "0",
                "temp_directory": str(spill),
                "max_temp_directory_size": _SPILL_LIMIT,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
            }
        )
        try:
            _lock(connection, "allowed_paths", files)
            reaching = stop.reaching(connection) if stop else nullcontext()
            with _deadline(connection, timeout_seconds), reaching, _explained():
                yield connection
        finally:
            connection.close()


@contextmanager
def open_kept(folder: Path, *, stop: Stop) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection for something small that may write into `folder`; a `stop` ends what runs.

    Its DuckDB is kept for the next one, because opening one takes longer than writing a small result. Its statements
    are not planned well, which would take longer too. Raises what `open_files` raises.
    """
    connection = _kept_instance(folder).cursor()
    try:
        with stop.reaching(connection), _explained():
            yield connection
    except duckdb.Error as error:
        if isinstance(error, _FATAL):
            _forget_kept()
        raise
    finally:
        connection.close()


class FileQueries:
    """Statements about one file, which is the first value that each of them binds."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection, self._path = connection, str(path)

    def _fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, [self._path, *values]).fetchall()


def quote_name(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL literal, for statements that take no bound value."""
    return "'" + text.replace("'", "''") + "'"


def _kept_instance(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return the DuckDB of this process that may write into a folder."""
    global _kept
    with _keeping:
        # A forked process has its own: threads of a DuckDB do not come along.
        if _kept is None or _kept[:2] != (os.getpid(), folder):
            connection = duckdb.connect(
                config={
                    "memory_limit": MEMORY_LIMIT,
                    "threads": "1",
                    # Of eight more that wait for nothing here, and keep a forked process from ending.
                    "async_threads": "0",
                    "temp_directory": "",
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                    "python_enable_replacements": "false",
                }
            )
            optimizers = connection.execute("SELECT string_agg(name, ',') FROM duckdb_optimizers()").fetchone()
            connection.execute("SET disabled_optimizers = ?", optimizers)
            _lock(connection, "allowed_directories", [folder])
            _kept = os.getpid(), folder, connection
        return _kept[2]


def _forget_kept() -> None:
    """Have the next one begin anew: after an error of its own a DuckDB answers nothing any more."""
    global _kept
    with _keeping:
        _kept = None


def _lock(connection: duckdb.DuckDBPyConnection, setting: str, places: Sequence[Path]) -> None:
    """Shut out all other files, extensions and later changes of these settings."""
    # None of them is accepted among the settings of the start.
    # A bar of progress would be written into the log of a worker.
    connection.execute("SET enable_progress_bar = false")
    paths = ", ".join(quote_text(str(place)) for place in places)
    connection.execute(f"SET {setting} = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def _deadline(connection: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    """Interrupt the connection when the time is over."""
    if seconds is None:
        yield
        return
    is_over = threading.Event()
    watch = threading.Thread(target=_interrupt, args=(connection, seconds, is_over), daemon=True)
    watch.start()
    try:
        yield
    except duckdb.InterruptException:
        raise ResultTimeoutError(
            f"This took longer than {seconds:g} seconds and was stopped. Use fewer filters, or download the result."
        ) from None
    finally:
        is_over.set()
        watch.join()


def _interrupt(connection: duckdb.DuckDBPyConnection, seconds: float, is_over: threading.Event) -> None:
    """Interrupt after so long, again and again: one that comes between two statements is lost."""
    is_late = not is_over.wait(seconds)
    while is_late:
        connection.interrupt()
        is_late = not is_over.wait(_INTERRUPT_EVERY)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn a lack of memory or disk into an error people can act on."""
    try:
        yield
    except duckdb.IOException as problem:
        told = next((code for code in _DISK_ERRORS if os.strerror(code) in str(problem)), None)
        if told is None:
            raise
        raise OSError(told, os.strerror(told)) from problem
    except duckdb.OutOfMemoryException:
        raise ResultMemoryError(
            "This needs more memory than a result page may use. Narrow the filters, or download the result."
        ) from None
