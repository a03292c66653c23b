"""Run one query from the shell: `python -m local_amc query "SELECT …"`, without a server."""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local_amc import engine, formatting
from local_amc.fixtures import build_instances
from local_amc.records import UPLOADS
from local_amc.runs.uploads import table_of
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Rules, compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import Declared, declare
from local_amc.sql.privacy import PrivacyOptions
from local_amc.store import MEMORY, Store
from local_amc.warehouse import Warehouse

# The usual window of a run: 30 days that end when data are complete.
_DAYS, _LAG = 30, timedelta(hours=48)
_MAX_CELL_WIDTH = 60
# What would break a line or move the cursor.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UsageError(Exception):
    """An argument that cannot be used; `str()` says what to give instead."""


def main(arguments: Sequence[str], out: IO[str] = sys.stdout, err: IO[str] = sys.stderr) -> int:
    """Run the query of a command line; returns 0, 1 for rejected SQL and 2 for a wrong argument."""
    options = _parser().parse_args(arguments)
    if options.sql == "-":
        options.sql = sys.stdin.read()
    try:
        titles, rows = run_query(options)
    except UsageError as problem:
        err.write(f"{problem}\n")
        return 2
    except SqlError as problem:
        err.write(f"{problem}\n")
        return 1
    try:
        if options.format == "csv":
            formatting.write(out, titles, rows, formatting.Format())
        else:
            _write_table(out, titles, rows)
        out.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python would complain once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run_query(options: argparse.Namespace) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and all rows of the query; raises UsageError and SqlError."""
    instance = build_instances(options.seed).get(options.instance)
    if instance is None or not instance.is_ready:
        raise UsageError(f"There is no instance {options.instance} with data; try amclocalus1.")
    run = _run(options)
    source = Source(options.sql)
    try:
        store = Store(options.store)
        warehouse = Warehouse(None if options.store == MEMORY else f"{options.store}/data", options.seed)
    except (OSError, sqlite3.Error) as problem:
        raise UsageError(f"Cannot use {options.store} as --store: {problem}") from problem
    try:
        uploads = tuple(table_of(body) for body in store.records.all(UPLOADS, options.instance))
        compiled = compile_query(options.sql, run, build(uploads), Rules(accepts_order_by=True))
        privacy = PrivacyOptions(discriminator_column="filtered" if options.show_filtered else None)
        with warehouse.cursor(instance, run.now, uploads) as cursor:
            prepared = engine.prepare(cursor, compiled, privacy, source)
            return [column.name for column in prepared.columns], list(engine.rows(cursor, prepared, source))
    finally:
        warehouse.close()
        store.close()


def _run(options: argparse.Namespace) -> Run:
    try:
        zone = ZoneInfo(options.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise UsageError(f"{options.zone} is not an IANA time zone such as America/New_York.") from problem
    now = datetime.now(UTC)
    end = _moment(options.to, zone) or (now - _LAG).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        start = _moment(options.from_, zone) or end - timedelta(days=_DAYS)
    except OverflowError as problem:
        raise UsageError(f"{options.to} is outside the calendar.") from problem
    if start >= end:
        raise UsageError("--from must be before --to; --to itself is not included.")
    return Run(
        start.replace(tzinfo=None), end.replace(tzinfo=None), now.replace(tzinfo=None), _parameters(options)
    )


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise UsageError(f"{text} is not a date such as 2026-10-01.") from problem
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as problem:
        raise UsageError(f"{text} is outside the calendar.") from problem


def _parameters(options: argparse.Namespace) -> dict[str, Declared]:
    try:
        values = json.loads(options.parameters)
        if not isinstance(values, dict):
            raise UsageError("this is not an object")
        definitions = [{"name": name, "dataType": _type(value)} for name, value in values.items()]
        return declare(definitions, values)
    except (ValueError, RecursionError, UsageError) as problem:
        raise UsageError(f'--parameters wants a JSON object such as {{"ids": ["1", "2"]}}: {problem}') from problem


def _type(value: Any) -> Any:
    if isinstance(value, list):
        return {"type": "ARRAY", "elementDataType": _type(value[0]) if value else "STRING"}
    if isinstance(value, bool):
        return "BOOLEAN"
    return "LONG" if isinstance(value, int) else "DOUBLE" if isinstance(value, float) else "STRING"


def _write_table(out: IO[str], titles: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Write columns of one width, numbers to the right, and how many rows there are."""
    shown = [
        [_cut(text) for text in row] for row in [titles, *([formatting.cell(v) for v in row] for row in rows)]
    ]
    widths = [max(len(row[place]) for row in shown) for place in range(len(titles))]
    aligns = [">" if _is_numeric(row[place] for row in rows) else "<" for place in range(len(titles))]
    for number, row in enumerate(shown):
        line = "  ".join(f"{text:{align}{width}}" for text, align, width in zip(row, aligns, widths, strict=True))
        out.write(line.rstrip() + "\n")
        if number == 0:
            out.write("  ".join("-" * width for width in widths) + "\n")
    out.write(f"({len(rows)} row{'' if len(rows) == 1 else 's'})\n")


def _is_numeric(values: Iterable[Any]) -> bool:
    filled = [value for value in values if value is not None]
    return bool(filled) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in filled)


def _cut(text: str) -> str:
    line = _CONTROL.sub(" ", text)
    return line if len(line) <= _MAX_CELL_WIDTH else line[: _MAX_CELL_WIDTH - 1] + "…"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_amc query", description="Run one AMC query on synthetic data.")
    parser.add_argument("sql", help="one SELECT statement, or - to read it from standard input")
    parser.add_argument(
        "--instance", default="amclocalus1", help="AMC's ID of the instance (default: amclocalus1)"
    )
    parser.add_argument(
        "--from", dest="from_", help="first moment of the window, 2026-09-01 or 2026-09-01T06:00:00"
    )
    parser.add_argument("--to", help="end of the window, itself not included")
    parser.add_argument("--zone", default="UTC", help="IANA zone of the two (default: UTC)")
    parser.add_argument("--format", default="table", choices=["table", "csv"])
    parser.add_argument("--parameters", default="{}", help="values of CUSTOM_PARAMETERs as a JSON object")
    parser.add_argument(
        "--show-filtered", action="store_true", help="blank small groups instead of leaving them out"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", default="var/local_amc", help="folder of its data")
    return parser
