"""Built data that all tests share, and AMC SQL run in this process: compiled, checked, executed, formatted."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from amc_facts.tables import TABLES, Table
from local_amc import engine, formatting
from local_amc.fixtures import build_instances
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Rules, compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.sql.privacy import PrivacyOptions
from local_amc.warehouse import Warehouse, connect
from tests.shared_data import DATA, SEED

INSTANCE = "amclocalus1"

# Words of the engine, of the parser and of Python, which no analyst can act on.
ENGINE_WORDS = re.compile(
    r"DuckDB|Binder|Catalog|Parser|Conversion|Invalid Input|INTERNAL|Internal|Exception|Traceback|Error:|sqlglot|"
    r"__users|_col_|data\.raw|LINE 1|struct_|STRUCT\(|TUPLE\(|MAP\(|list_|java_|regexp_matches|strpos|~~|TRY_CAST|UDF|"
    r"BLOB|BIGINT\[|UBIGINT|HUGEINT|INT\d|BOOL\b|SQLNULL|_LITERAL|WITH TIME ZONE|explicit|candidate|[Mm]acro|lambda|"
    r"template|source column|Unimplemented|UNNEST|QUANTILE|No function matches|too unusual"
)

_NOON = datetime.fromisoformat("2026-10-01T12:00:00")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gave: titles, values, and the same values as text."""

    titles: list[str]
    rows: Rows
    columns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def texts(self) -> list[list[str]]:
        """Return the values as they stand in a CSV file."""
        return [[formatting.cell(value) for value in row] for row in self.rows]


class Amc:
    """Run AMC SQL on a connection of the engine."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, now: datetime) -> None:
        self.cursor, self.now = cursor, now

    def query(
        self,
        sql: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        definitions: Sequence[Mapping[str, Any]] = (),
        values: Mapping[str, Any] | None = None,
        options: PrivacyOptions | None = None,
        rules: Rules | None = None,
        uploads: Sequence[Table] = (),
    ) -> Result:
        """Run a query; raises SqlError."""
        run = Run(
            window_start=start or self.now - timedelta(days=400),
            window_end=end or self.now,
            now=self.now,
            parameters=declare(definitions, values or {}),
        )
        source = Source(sql)
        compiled = compile_query(sql, run, build(uploads), rules or Rules())
        prepared = engine.prepare(self.cursor, compiled, options or PrivacyOptions(), source)
        rows = list(engine.rows(self.cursor, prepared, source))
        columns = [column.to_json() for column in prepared.columns]
        return Result([column["name"] for column in columns], rows, columns)

    def values(self, sql: str, **options: Any) -> list[str]:
        """Return the first row as text."""
        return self.query(sql, **options).texts[0]

    def refusal(self, sql: str, **options: Any) -> str:
        """Return why a query is refused; empty when it runs."""
        try:
            self.query(sql, **options)
        except SqlError as problem:
            return str(problem)
        return ""

    def plain(self, sql: str) -> Rows:
        """Run DuckDB's own SQL, to compare with."""
        return self.cursor.execute(sql).fetchall()


class SharedData:
    """One warehouse for all tests of a process."""

    _lock = threading.Lock()
    _warehouse: Warehouse | None = None

    @classmethod
    def warehouse(cls) -> Warehouse:
        """Return the warehouse on the shared folder."""
        with cls._lock:
            if cls._warehouse is None:
                cls._warehouse = Warehouse(DATA, SEED)
            return cls._warehouse


INSTANCES = build_instances(SEED)


def utc_now() -> datetime:
    """Return the time without a zone, in UTC, as the engine has it."""
    return datetime.now(UTC).replace(tzinfo=None)


def tiny(folder: Path, **tables: Sequence[Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """Return a connection of the engine on tables with just these rows; columns not named are NULL.

    Rows without an event time happened at noon on 1 October 2026.
    """
    path = folder / "tiny.duckdb"
    with suppress(FileNotFoundError):
        path.unlink()
    building = duckdb.connect(str(path))
    building.execute("CREATE SCHEMA raw")
    for name, rows in tables.items():
        table = TABLES[name]
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns.values())
        building.execute(f"CREATE TABLE raw.{name} ({columns})")
        for row in rows:
            filled = {table.time_column: _NOON, **row} if table.time_column else dict(row)
            marks = ", ".join("?" for _ in filled)
            names = ", ".join(str(key) for key in filled)
            building.execute(f"INSERT INTO raw.{name} ({names}) VALUES ({marks})", list(filled.values()))
    building.close()
    return connect(path)
