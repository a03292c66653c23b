"""The SQL of one execution: compiled for its instance, window and parameters, executed, written to files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from amc_facts.tables import Table
from local_amc import engine, formatting
from local_amc.fixtures import Instance
from local_amc.records import UPLOADS
from local_amc.reporting.execution import Execution
from local_amc.reporting.uploads import table_of
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Compiled, Rules, compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

MOST_PARTS = 5


@contextmanager
def prepare(app: LocalAmc, execution: Execution) -> Iterator[tuple[duckdb.DuckDBPyConnection, Compiled, Source]]:
    """Compile the SQL and open the instance's data for it; raises SqlError."""
    instance = app.instances[execution.instance_id]
    _check_data_kind(instance, execution)
    uploads = uploads_of(app, execution.instance_id)
    catalogue = build(uploads, is_sandbox=instance.is_sandbox)
    compiled = compile_query(execution.sql, _run(app, execution), catalogue, _rules(app.rules, execution))
    with app.warehouse.cursor(instance, app.clock.now(), uploads) as cursor:
        yield cursor, compiled, Source(execution.sql)


def check(app: LocalAmc, execution: Execution) -> None:
    """Do all that comes before the first row; raises SqlError."""
    with prepare(app, execution) as (cursor, compiled, source):
        engine.prepare(cursor, compiled, execution.options, source)


def uploads_of(app: LocalAmc, instance_id: str) -> tuple[Table, ...]:
    """Return an instance's uploaded tables."""
    return tuple(table_of(body) for body in app.store.records.all(UPLOADS, instance_id))


def write(
    execution: Execution, folder: Path, prepared: engine.Prepared, rows: Iterator[tuple[Any, ...]], part_rows: int
) -> None:
    """Write the result in parts of so many rows, each with the header row; the last part takes whatever is left."""
    folder.mkdir(parents=True, exist_ok=True)
    titles = [column.name for column in prepared.columns]
    parts: list[str] = []
    count = 0
    while len(parts) < MOST_PARTS:
        size = part_rows if len(parts) < MOST_PARTS - 1 else None
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


def _check_data_kind(instance: Instance, execution: Execution) -> None:
    if instance.is_sandbox and not execution.requires_synthetic_data:
        raise SqlError("A SANDBOX instance runs on synthetic data only: set requireSyntheticData to true.")
    if execution.disables_aggregation_controls and not (instance.is_sandbox and execution.requires_synthetic_data):
        raise SqlError("disableAggregationControls is only for synthetic data in a SANDBOX instance.")


def _rules(rules: Rules, execution: Execution) -> Rules:
    return Rules(
        controls_aggregation=not execution.disables_aggregation_controls, accepts_order_by=rules.accepts_order_by
    )


def _run(app: LocalAmc, execution: Execution) -> Run:
    start, end = execution.bounds
    parameters = declare(execution.workflow.get("inputParameters") or [], execution.parameter_values)
    return Run(
        window_start=start.replace(tzinfo=None),
        window_end=end.replace(tzinfo=None),
        now=app.clock.now().replace(tzinfo=None),
        parameters=parameters,
    )
