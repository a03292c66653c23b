"""AMC's aggregation thresholds: leave out or blank the rows with too few users behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amc_facts.tables import (
    MINIMUM_EFFECTIVE_USERS,
    MINIMUM_EQUIVALENT_USERS,
    MINIMUM_USERS,
    NEVER_IN_OUTPUT,
)
from local_amc.sql.lineage import Output
from local_amc.sql.users import COUNTS

# What AMC calls its counts.
_WORDS = ("", "effective ", "equivalent ")


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
    sql: str, outputs: Sequence[Output], options: PrivacyOptions, *, summable: Sequence[bool], paths: Sequence[str]
) -> str:
    """Wrap a query in the check and give the SQL to run.

    Its rows have the columns of `outputs` as `c0`, `c1`, … and then those asked for, in the order discriminator,
    user count, reason. With `paths`, the tables that stand in the reason by number, the query's last column lists the
    counts of a row's users; without them no table has users and nothing is filtered. `summable` says which columns
    hold numbers.
    """
    names = [f"c{place}" for place in range(len(outputs))]
    if not paths:
        return (
            f"SELECT {_listed(names, options, 'FALSE', 'NULL', 'NULL')} FROM ({sql}) AS output({', '.join(names)})"
        )
    needed = required_users(outputs)
    smallest = f"coalesce(list_min(list_transform({COUNTS}, lambda c: c.n)), 0) AS n"
    if options.blanks:
        smallest += f", {_why(needed)} AS why"
    counted = f"SELECT *, {smallest} FROM ({sql}) AS output({', '.join([*names, COUNTS])})"
    if not options.blanks:
        columns = _listed(names, options, "FALSE", f"least(n, {needed})", "NULL")
        return f"SELECT {columns} FROM ({counted}) WHERE {_suffices(needed)}"
    return _blanked(counted, outputs, options, summable, paths)


def _suffices(needed: int) -> str:
    """Return the condition that a row has enough users of every table: the smallest count decides."""
    effective, equivalent = MINIMUM_EFFECTIVE_USERS[needed], MINIMUM_EQUIVALENT_USERS[needed]
    if needed == 1:
        return "n >= 1"
    small = f"list_filter({COUNTS}, lambda c: c.f < {effective} OR c.e < {equivalent})"
    return f"n >= {needed} AND len({small}) = 0"


def _why(needed: int) -> str:
    """Return the first reason to filter a row: kind of count, count and path; NULL when it has enough users."""
    reasons = [
        f"list_min(list_transform(list_filter({COUNTS}, lambda c: c.{name} < {minimum}), "
        f"lambda c: {{'kind': {kind}, 'count': trunc(c.{name})::BIGINT, 'path': c.p}}))"
        for kind, (name, minimum) in enumerate(_minima(needed))
    ]
    nobody = "CASE WHEN n = 0 THEN {'kind': 0, 'count': 0::BIGINT, 'path': 1::UBIGINT} END"
    return f"coalesce({', '.join([*reasons, nobody])})"


def _minima(needed: int) -> list[tuple[str, int]]:
    """Return the counts of a path, standard first, and what each must reach."""
    return [
        ("n", needed),
        ("f", MINIMUM_EFFECTIVE_USERS[needed]),
        ("e", MINIMUM_EQUIVALENT_USERS[needed]),
    ]


def _listed(names: Sequence[str], options: PrivacyOptions, flag: str, count: str, reason: str) -> str:
    added = [
        (options.discriminator_column, flag),
        (options.user_count_column, f"CAST({count} AS BIGINT)"),
        (options.reason_column, f"CAST({reason} AS VARCHAR)"),
    ]
    return ", ".join([*names, *(expression for column, expression in added if column)])


def _blanked(
    counted: str,
    outputs: Sequence[Output],
    options: PrivacyOptions,
    summable: Sequence[bool],
    paths: Sequence[str],
) -> str:
    """Blank the columns whose threshold a row misses, then merge those rows that now look equal by SUM.

    Columns without a threshold are never blanked, so that totals reconcile. A merged row has the largest count and the
    worst reason of those it was made of.
    """
    needed = required_users(outputs)
    blanks, keys, merged = [], [], []
    for place, (output, can_sum) in enumerate(zip(outputs, summable, strict=True)):
        name, minimum = f"c{place}", MINIMUM_USERS[output.threshold]
        blanks.append(f"CASE WHEN {_suffices(minimum)} THEN {name} END AS {name}" if minimum > 1 else name)
        if output.is_metric and can_sum:
            merged.append(f"sum({name}) AS {name}")
        else:
            keys.append(name)
            merged.append(name)
    names = [f"c{place}" for place in range(len(outputs))]
    small = _listed(names, options, "TRUE", f"least(n, {needed})", _reason(needed, paths))
    large = _listed(names, options, "FALSE", f"least(n, {needed})", "NULL")
    grouped = (
        f"SELECT {', '.join(merged)}, max(n) AS n, min(why) AS why "
        f"FROM (SELECT {', '.join(blanks)}, n, why FROM counted WHERE why IS NOT NULL)"
        + (f" GROUP BY {', '.join(keys)}" if keys else " HAVING count(*) > 0")
    )
    return (
        f"WITH counted AS ({counted}) SELECT {large} FROM counted WHERE why IS NULL "
        f"UNION ALL SELECT {small} FROM ({grouped})"
    )


def _reason(needed: int, paths: Sequence[str]) -> str:
    """Return the reason in AMC's words: `6 'sponsored_ads_traffic' (path 2 of 3) effective users < 10 required`."""
    texts = []
    for path, table in enumerate(paths):
        name = "'" + table + "'"
        if paths.count(table) > 1:
            name += f" (path {paths[: path + 1].count(table)} of {paths.count(table)})"
        texts.append("'" + name.replace("'", "''") + "'")
    words = [
        f"'{word}users < {minimum} required'" for word, (_, minimum) in zip(_WORDS, _minima(needed), strict=True)
    ]
    named = f"[{', '.join(texts)}][why.path::BIGINT + 1]"
    return f"why.count || ' ' || {named} || ' ' || [{', '.join(words)}][why.kind + 1]"
