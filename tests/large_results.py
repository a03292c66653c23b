"""Results of any size, written in moments: what a run would have brought, without the run."""

# ruff: noqa: S608 - names and values are constants of this module.
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
from django.utils import timezone

from executions.models import Execution, ExecutionStatus
from executions.results.columns import METADATA_KEY, Kind, ResultColumn, pack_columns
from executions.results.connection import quote_name, quote_text
from executions.services.result_files import result_name, result_storage
from templates_app.models import InstanceTemplate

# Name, kind, type, and how a value comes of a row's number.
_COLUMNS = (
    ("campaign", Kind.TEXT, "VARCHAR", "'Campaign ' || (n % 500)"),
    ("event_date", Kind.DATE, "DATE", "DATE '2026-01-01' + (n % 365)::INTEGER"),
    ("impressions", Kind.INTEGER, "BIGINT", "n * 2654435761 % 100003"),
    ("spend", Kind.DECIMAL, "DECIMAL(18,2)", "(n % 1000) + 0.25"),
    ("asin", Kind.TEXT, "VARCHAR", "'B0' || lpad((n % 100000000)::VARCHAR, 8, '0')"),
)


def store_run(template: InstanceTemplate, rows: int, *, columns: int = 5, name: str = "Large") -> Execution:
    """Store a run of a template that brought so many rows, with its CSV and its Parquet file."""
    return _store(template, name, rows, lambda csv, parquet: write_result(csv, parquet, rows, columns))


def store_wide_run(
    template: InstanceTemplate,
    columns: int,
    *,
    rows: int = 100,
    typed_columns: int | None = None,
    name: str = "Wide",
) -> Execution:
    """Store a run that brought so many columns; its CSV has only the titles."""

    def write(csv: Path, parquet: Path) -> int:
        csv.write_text(",".join(f"column {column}" for column in range(columns)))
        write_wide(parquet, rows, columns, typed_columns=typed_columns)
        return csv.stat().st_size

    return _store(template, name, rows, write)


def _store(template: InstanceTemplate, name: str, rows: int, write: Callable[[Path, Path], int]) -> Execution:
    execution = Execution(
        created_by=template.user, instance=template.instance, template=template, template_name=template.name,
        template_version=1, name=name, source_sql="SELECT 1", sql_query="SELECT 1",
        window_start="2026-01-01", window_end="2026-01-31",
    )  # fmt: skip
    names = [result_name(execution.pk, extension) for extension in ("csv", "parquet")]
    csv, parquet = (Path(result_storage().path(name)) for name in names)
    csv.parent.mkdir(parents=True, exist_ok=True)
    size = write(csv, parquet)
    execution.status, execution.finished_at = ExecutionStatus.SUCCEEDED, timezone.now()
    execution.csv_file, execution.parquet_file = names
    execution.row_count, execution.byte_count = rows, size
    execution.save()
    return execution


def write_result(csv: Path, parquet: Path, rows: int, columns: int = 5) -> int:
    """Write the files of a result; further columns are numbers. Returns the bytes of the CSV."""
    further = [
        (f"n{number}", Kind.INTEGER, "BIGINT", f"n + {number}") for number in range(columns - len(_COLUMNS))
    ]
    chosen = [*_COLUMNS[:columns], *further]
    values = ", ".join(f"({value})::{kind} AS {name}" for name, _, kind, value in chosen)
    query = f"SELECT {values} FROM range({rows}) AS numbers(n)"
    described = [ResultColumn(name, name, kind, sql_type) for name, kind, sql_type, _ in chosen]
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO {quote_text(str(csv))} (FORMAT csv, HEADER)")
        size = csv.stat().st_size
        said = quote_text(pack_columns(described, csv_bytes=size))
        connection.execute(
            f"COPY ({query}) TO {quote_text(str(parquet))} (FORMAT parquet, KV_METADATA {{{METADATA_KEY}: {said}}})"
        )
    return size


# Kinds of a wide result's columns, in turns, and how a value comes of a row's and a column's number.
_WIDE = (
    (Kind.TEXT, "VARCHAR", "'t' || (n * {column})"),
    (Kind.INTEGER, "BIGINT", "n + {column} - 1"),
    (Kind.DECIMAL, "DECIMAL(18,2)", "n % 1000 + 0.25"),
    (Kind.DATE, "DATE", "DATE '2026-01-01' + (n % 365)::INTEGER"),
    (Kind.DOUBLE, "DOUBLE", "n / 7.0"),
)


def write_wide(parquet: Path, rows: int, columns: int, *, typed_columns: int | None = None) -> Path:
    """Write the Parquet file of a result of very many columns, of all kinds; those that are not typed are texts."""
    described, values = [], []
    for column in range(1, columns + 1):
        kind, sql_type, value = _WIDE[(column - 1) % len(_WIDE)]
        name = f"column {column} {kind}"
        if typed_columns is not None and column > typed_columns:
            kind, sql_type = Kind.TEXT, "VARCHAR"
        described.append(ResultColumn(name, name, kind, sql_type))
        values.append(f"({value.format(column=column)})::{sql_type} AS {quote_name(name)}")
    said = quote_text(pack_columns(described, csv_bytes=8 * rows * columns, typed_columns=typed_columns))
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {', '.join(values)} FROM range({rows}) AS numbers(n)) TO {quote_text(str(parquet))}"
            f" (FORMAT parquet, KV_METADATA {{{METADATA_KEY}: {said}}})"
        )
    return parquet
