"""Why runs fail, in words: where in the user's own SQL, the likely cause, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from executions.models import Execution
from templates_app.sql.parameters import ParameterError, substitute_with_map

_POSITION = re.compile(r"(?i)(?:from )?line (\d+), column (\d+)")
# The first that fits counts; texts as AMC words them.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"undeclared parameter",
        "The SQL uses CUSTOM_PARAMETER, which runs from here do not declare. Write it as {{name}}.",
    ),
    (
        r"Object '.*' not found",
        "This table does not exist in this instance. Check its name, and whether it is a paid feature or an upload.",
    ),
    (
        r"(Column|Table) '.*' not found",
        "This name does not exist where it is used. The editor suggests names while you type.",
    ),
    (r"ambiguous", "Several tables have a column of this name. Put the table's name before it."),
    (r"not being grouped", "A column is neither grouped by nor aggregated. Add it to GROUP BY or aggregate it."),
    (r"no aggregate function", "AMC gives no single rows. Aggregate, for example with SUM and GROUP BY."),
    (
        r"aggregation threshold|privacy",
        "AMC does not show this column, nor compare it with a value. Count it, or join on it in a subquery.",
    ),
    (
        r"too many workflows have already been run",
        "AMC protects these records from too many similar runs. Change the query or the window, or wait.",
    ),
    (
        r"requireSyntheticData|SANDBOX",
        "This instance has synthetic data only. Import it again, so that this is known.",
    ),
    (
        r"timed out|timeout",
        "AMC ran out of time. Shorten the window, filter earlier, or aggregate before joining.",
    ),
    (r"Encountered|not supported", "AMC SQL does not have this. The editor's remarks say what to write instead."),
)


@dataclass(frozen=True)
class Failure:
    """What is shown of a failed run. Lines and columns count from 1; None where AMC tells none."""

    message: str
    advice: str
    line: int | None = None
    column: int | None = None
    source_line: int | None = None
    source_column: int | None = None


def failure_of(execution: Execution) -> Failure | None:
    """Return why a run did not succeed; None when there is nothing to explain."""
    if not execution.error:
        return None
    return explain(execution.error, execution.source_sql, execution.parameter_values)


def explain(error: str, source_sql: str, values: Mapping[str, object]) -> Failure:
    """Return what AMC's words mean for SQL that was made of a source and its values."""
    advice = next((text for pattern, text in _CAUSES if re.search(pattern, error, re.IGNORECASE)), "")
    place = _POSITION.search(error)
    if place is None:
        return Failure(error, advice)
    line, column = int(place[1]), int(place[2])
    return Failure(error, advice, line, column, *_in_source(source_sql, values, line, column))


def _in_source(
    source_sql: str, values: Mapping[str, object], line: int, column: int
) -> tuple[int | None, int | None]:
    """Return the place in the SQL as the user typed it."""
    try:
        _, positions = substitute_with_map(source_sql, values)
        found = positions.source_position(line, column)
    except (ParameterError, IndexError, ValueError):
        return None, None
    return found.line, found.column
