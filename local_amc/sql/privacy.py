"""AMC's aggregation thresholds: leave out or blank the rows with too few users behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amc_facts.tables import MINIMUM_USERS, NEVER_IN_OUTPUT
from local_amc.sql.lineage import Output
from local_amc.sql.users import USERS


@dataclass(frozen=True, slots=True)
class PrivacyOptions:
    """What a workflow asks of the check; the three texts are names of columns to add."""

    discriminator_column: str | None = None
    user_count_column: str | None = None
    reason_column: str | None = None
    # REMOVE_VALUES: blank small rows without saying so, instead of leaving them out.
    removes_values: bool = False

    @property
    def blanks(self) -> bool:
        """Return whether small rows stay, with their values blanked."""
        return self.removes_values or bool(self.discriminator_column)


def required_users(outputs: Sequence[Output]) -> int:
    """Return the number of distinct users a row of these columns needs."""
    return max((MINIMUM_USERS[output.threshold] for output in outputs), default=1)


def forbidden(outputs: Sequence[Output]) -> list[Output]:
    """Return the columns that may never be in an output."""
    return [output for output in outputs if output.threshold in NEVER_IN_OUTPUT]


def protect(
    sql: str, outputs: Sequence[Output], options: PrivacyOptions, *, summable: Sequence[bool], table: str | None
) -> str:
    """Wrap a query in the check and give the SQL to run.

    Its rows have the columns of `outputs` as `c0`, `c1`, … and then those asked for, in the order discriminator,
    user count, reason. With `table`, whose name stands in the reason, the query's last column lists a row's users;
    without it no table has users and nothing is filtered. `summable` says which columns hold numbers.
    """
    names = [f"c{place}" for place in range(len(outputs))]
    if table is None:
        return (
            f"SELECT {_listed(names, options, 'FALSE', 'NULL', 'NULL')} FROM ({sql}) AS output({', '.join(names)})"
        )
    needed = required_users(outputs)
    counted = f"SELECT *, len(list_distinct({USERS})) AS n FROM ({sql}) AS output({', '.join([*names, USERS])})"
    if not options.blanks:
        columns = _listed(names, options, "FALSE", f"least(n, {needed})", "NULL")
        return f"SELECT {columns} FROM ({counted}) WHERE n >= {needed}"
    return _blanked(counted, outputs, options, summable, table)


def _listed(names: Sequence[str], options: PrivacyOptions, flag: str, count: str, reason: str) -> str:
    added = [
        (options.discriminator_column, flag),
        (options.user_count_column, f"CAST({count} AS BIGINT)"),
        (options.reason_column, f"CAST({reason} AS VARCHAR)"),
    ]
    return ", ".join([*names, *(expression for column, expression in added if column)])


def _blanked(
    counted: str, outputs: Sequence[Output], options: PrivacyOptions, summable: Sequence[bool], table: str
) -> str:
    """Blank the columns whose threshold a row misses, then merge those rows that now look equal by SUM.

    Columns without a threshold are never blanked, so that totals reconcile.
    """
    needed = required_users(outputs)
    blanks, keys, merged = [], [], []
    for place, (output, can_sum) in enumerate(zip(outputs, summable, strict=True)):
        name, minimum = f"c{place}", MINIMUM_USERS[output.threshold]
        blanks.append(f"CASE WHEN n >= {minimum} THEN {name} END AS {name}" if minimum > 1 else name)
        if output.is_metric and can_sum:
            merged.append(f"sum({name}) AS {name}")
        else:
            keys.append(name)
            merged.append(name)
    names = [f"c{place}" for place in range(len(outputs))]
    reason = "smallest || ' ''" + table.replace("'", "''") + f"'' users < {needed} required'"
    small = _listed(names, options, "TRUE", f"least(n, {needed})", reason)
    large = _listed(names, options, "FALSE", f"least(n, {needed})", "NULL")
    grouped = (
        f"SELECT {', '.join(merged)}, len(list_distinct(flatten(list({USERS})))) AS n, min(n) AS smallest "
        f"FROM (SELECT {', '.join(blanks)}, {USERS}, n FROM counted WHERE n < {needed})"
        + (f" GROUP BY {', '.join(keys)}" if keys else " HAVING count(*) > 0")
    )
    return (
        f"WITH counted AS ({counted}) SELECT {large} FROM counted WHERE n >= {needed} "
        f"UNION ALL SELECT {small} FROM ({grouped})"
    )
