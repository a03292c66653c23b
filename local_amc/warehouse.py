"""One DuckDB database per instance: built once per seed and month, attached read-only, nothing else in reach."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
from dateutil.relativedelta import relativedelta

from amc_facts.limits import MONTHS_KEPT
from amc_facts.tables import Column, Table
from local_amc import data
from local_amc.fixtures import Instance, pick
from local_amc.sql import sizes, users
from local_amc.sql.catalogue import place_of
from local_amc.sql.functions import MACROS

logger = logging.getLogger("local_amc")

# As far back as AMC keeps data; and one month ahead, so that the clock can be moved without building anew.
MONTHS_BACK, MONTHS_AHEAD = MONTHS_KEPT, 1
_MAX_OPEN_DATABASES = 6
_MEMORY = "1GB"
_UPLOADED_ROWS = 2_000
_KEPT_SECONDS = 86_400


@dataclass
class _Opened:
    connection: duckdb.DuckDBPyConnection
    path: Path
    users: int = 0
    uploads: set[str] = field(default_factory=set)


class Warehouse:
    """The data of all instances; safe for many threads, and for several processes on one folder.

    Without a folder they are built in a temporary one.
    """

    def __init__(self, folder: str | Path | None, seed: int) -> None:
        self._is_temporary = folder is None
        self._folder = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="local-amc-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._building: list[duckdb.DuckDBPyConnection] = []

    @contextmanager
    def cursor(
        self, instance: Instance, now: datetime, uploads: Sequence[Table] = ()
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection that sees this instance's data and nothing else; builds them when they are missing."""
        path = self._built(instance, now.date())
        opened = self._open(instance, path, tuple(uploads))
        cursor = opened.connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()
            with self._lock:
                opened.users -= 1

    def interrupt(self) -> None:
        """Stop building: the run that waits for the data gets an InterruptException."""
        for connection in list(self._building):
            connection.interrupt()

    def close(self) -> None:
        """Close all databases, and remove them when no folder was named for them."""
        with self._lock:
            for opened in self._opened.values():
                opened.connection.close()
            self._opened.clear()
        if self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, instance: Instance, path: Path, uploads: tuple[Table, ...]) -> _Opened:
        with self._lock:
            opened = self._opened.get(instance.instance_id)
            if opened is None or opened.path != path:
                opened = _Opened(connect(path), path)
                self._opened[instance.instance_id] = opened
            _create_uploads(opened, uploads)
            opened.users += 1
            self._opened.move_to_end(instance.instance_id)
            self._close_idle()
            return opened

    def _close_idle(self) -> None:
        idle = [key for key, opened in self._opened.items() if opened.users == 0]
        for key in idle[: max(0, len(self._opened) - _MAX_OPEN_DATABASES)]:
            self._opened.pop(key).connection.close()

    def _built(self, instance: Instance, today: date) -> Path:
        first = today.replace(day=1) - relativedelta(months=MONTHS_BACK)
        last = today.replace(day=1) + relativedelta(months=MONTHS_AHEAD + 1) - timedelta(days=1)
        name = f"{instance.instance_id}-{self._seed}-{data.DATA_VERSION}"
        path = self._folder / f"{name}-{today:%Y%m}.duckdb"
        if not path.exists():
            with _locked(self._folder / f"{instance.instance_id}.lock"):
                if not path.exists():
                    self._build(instance, path, first, last)
                    self._forget_others(instance, path)
        return path

    def _build(self, instance: Instance, path: Path, first: date, last: date) -> None:
        logger.info("building data instance=%s from=%s to=%s", instance.instance_id, first, last)
        unfinished = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        connection = duckdb.connect(str(unfinished), config={"threads": "2"})
        self._building.append(connection)
        try:
            types = frozenset(instance.body.get("advertiserTypes") or ())
            seed = pick(self._seed, f"data of {instance.instance_id}", 2**31)
            data.build(connection, seed=seed, first_day=first, last_day=last, advertiser_types=types)
            connection.execute("CHECKPOINT")
            connection.close()
            # By the clock that later tells its age; the kernel's may be another one when a clock was moved.
            os.utime(unfinished, (time.time(), time.time()))
            unfinished.replace(path)
        finally:
            self._building.remove(connection)
            connection.close()
            unfinished.unlink(missing_ok=True)

    def _forget_others(self, instance: Instance, kept: Path) -> None:
        """Remove this instance's databases of other months and versions; a process that has one open keeps it.

        Young ones stay: another process, whose clock was moved, may be about to open one.
        """
        for old in self._folder.glob(f"{instance.instance_id}-{self._seed}-*.duckdb"):
            with suppress(OSError):
                if old != kept and old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    old.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time build."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads the database at `path` as `data` and can reach nothing else."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": "2",
            "memory_limit": _MEMORY,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
    )
    # SQL text, as ATTACH takes no parameter; the path is ours.
    quoted = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS data (READ_ONLY)")
    connection.execute("CREATE SCHEMA uploaded")
    for macro in (*MACROS, *sizes.MACROS, *users.MACROS):
        connection.execute(f"CREATE MACRO {macro}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET temp_directory = ''")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _create_uploads(opened: _Opened, uploads: tuple[Table, ...]) -> None:
    """Create the uploaded tables that are not there yet, with rows that match the instance's users.

    None is ever replaced or dropped: a query that runs may read it.
    """
    for table in uploads:
        place = place_of(table)
        if place not in opened.uploads:
            columns = ", ".join(_uploaded_column(column) for column in table.columns.values())
            opened.connection.execute(f'CREATE TABLE uploaded."{place}" AS SELECT {columns} FROM {_UPLOADERS}')
            opened.uploads.add(place)


# Four of five uploaded rows match a user, as Amazon says of its own synthetic data.
_UPLOADERS = f"""(
    SELECT row_number() OVER (ORDER BY user_id) AS n, user_id, md5(user_id) AS other
    FROM (SELECT DISTINCT user_id FROM data.raw.conversions WHERE user_id IS NOT NULL
          ORDER BY user_id LIMIT {_UPLOADED_ROWS})
)"""


def _uploaded_column(column: Column) -> str:
    n = f"(hash(n, '{column.name}') % 1000)"
    if column.name == "user_id":
        value = "CASE WHEN n % 5 < 4 THEN user_id ELSE other END"
    elif column.type == "VARCHAR":
        value = f"'{column.name}_' || ({n} % 12)"
    elif column.type == "DATE":
        value = f"CAST(current_date - CAST({n} % 300 AS INTEGER) AS DATE)"
    elif column.type == "TIMESTAMP":
        value = f"CAST(current_date - CAST({n} % 300 AS INTEGER) AS TIMESTAMP) + to_minutes(CAST({n} AS INTEGER))"
    elif column.type == "BOOLEAN":
        value = f"{n} % 2 = 0"
    else:
        value = f"{n}"
    return f'CAST({value} AS {column.type}) AS "{column.name}"'
