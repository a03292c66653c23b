"""The SQL of executions: compiled for instance, window and parameters, and its rows written to files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from amc_facts.tables import Table
from local_amc import engine, formatting
from local_amc.clock import Clock
from local_amc.fixtures import Instance
from local_amc.options import Options
from local_amc.records import UPLOADS, Records
from local_amc.runs.execution import WorkflowExecution
from local_amc.runs.uploads import table_of
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Compiled, compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.warehouse import Warehouse

MAX_PARTS = 5


@dataclass(frozen=True)
class ExecutionQueries:
    """The SQL of executions, prepared with what the server keeps."""

    clock: Clock
    records: Records
    options: Options
    instances: dict[str, Instance]
    warehouse: Warehouse

    @contextmanager
    def prepare(
        self, execution: WorkflowExecution
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, Compiled, Source]]:
        """Compile the SQL and lend a connection to the instance's data; raises SqlError."""
        instance = self.instances[execution.instance_id]
        _check_data_kind(instance, execution)
        uploads = self.uploads(execution.instance_id)
        now = self.clock.now()
        start, end = execution.bounds
        run = Run(
            window_start=start.replace(tzinfo=None),
            window_end=end.replace(tzinfo=None),
            now=now.replace(tzinfo=None),
            parameters=declare(execution.workflow.get("inputParameters") or [], execution.parameter_values),
            advertiser_types=execution.advertiser_types,
        )
        rules = self.options.sql_rules(controls_aggregation=not execution.disables_aggregation_controls)
        compiled = compile_query(execution.sql, run, build(uploads, is_sandbox=instance.is_sandbox), rules)
        with self.warehouse.cursor(instance, now, uploads) as cursor:
            yield cursor, compiled, Source(execution.sql)

    def check(self, execution: WorkflowExecution) -> None:
        """Check all that is checked before the first row; raises SqlError."""
        with self.prepare(execution) as (cursor, compiled, source):
            check_output_columns(execution, engine.prepare(cursor, compiled, execution.options, source))

    def uploads(self, instance_id: str) -> tuple[Table, ...]:
        """Return an instance's uploaded tables, by name."""
        return tuple(table_of(body) for body in self.records.all(UPLOADS, instance_id))


def check_output_columns(execution: WorkflowExecution, prepared: engine.Prepared) -> None:
    """Raise SqlError when the workflow declares another number of columns than its query has."""
    declared = execution.workflow.get("outputColumns")
    if declared and len(declared) != len(prepared.columns):
        raise SqlError("Number of columns must match number of query columns")


def write_result(
    execution: WorkflowExecution,
    folder: Path,
    prepared: engine.Prepared,
    rows: Iterator[tuple[Any, ...]],
    rows_per_part: int,
) -> None:
    """Write the result into `folder` as 1.csv, 2.csv, … and note files and rows in the execution.

    Each part begins with the header row and has `rows_per_part` rows; the last of MAX_PARTS takes the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    titles = [column.name for column in prepared.columns]
    parts: list[str] = []
    count = 0
    while len(parts) < MAX_PARTS:
        size = rows_per_part if len(parts) < MAX_PARTS - 1 else None
        batch = _Counted(islice(rows, size))
        name = f"{len(parts) + 1}.csv"
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            formatting.write(file, titles, batch, execution.format)
        if batch.count == 0 and parts:
            (folder / name).unlink()
            break
        parts.append(name)
        count += batch.count
        if size is None or batch.count < size:
            break
    execution.parts, execution.rows = parts, count


class _Counted:
    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.count += 1
            yield row


def _check_data_kind(instance: Instance, execution: WorkflowExecution) -> None:
    if instance.is_sandbox and not execution.requires_synthetic_data:
        raise SqlError("A SANDBOX instance runs on synthetic data only: set requireSyntheticData to true.")
    if execution.disables_aggregation_controls and not (instance.is_sandbox and execution.requires_synthetic_data):
        raise SqlError("disableAggregationControls is only for synthetic data in a SANDBOX instance.")
