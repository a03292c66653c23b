"""From AMC SQL to SQL for DuckDB: one parser, no text replacement."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlglot import ErrorLevel, exp

from amc_facts import grammar
from amc_facts.dialect import DIALECT
from amc_facts.validation import family_of_type, name_faults, shape_faults, type_faults, window_faults
from local_amc.sql import patterns, privacy, sizes, users
from local_amc.sql.carrying import carry
from local_amc.sql.catalogue import Catalogue, Readable
from local_amc.sql.errors import Source, SqlError, SqlRejectedError, SqlSyntaxError, reject
from local_amc.sql.functions import Run, rewrite
from local_amc.sql.lineage import Lineage, Output
from local_amc.sql.parsing import parse
from local_amc.sql.resolution import resolve
from local_amc.sql.scans import resolve_time_windows, scan, tables_read
from local_amc.sql.types import annotate_types, repair
from local_amc.sql.windows import expand_windows, hoist_windows

logger = logging.getLogger("local_amc")


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL to run and what is known of its columns.

    `paths` are the tables with users by the number of their path, none when there is no user to protect. With them the
    last column of `sql` is the hidden list of a row's counts of users.
    """

    sql: str
    outputs: Sequence[Output]
    paths: tuple[str, ...]
    needs_java_patterns: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed beyond the usual: row-level output of synthetic data, ORDER BY on the outermost SELECT."""

    controls_aggregation: bool = True
    accepts_order_by: bool = False


USUAL = Rules()


def compile_query(sql: str, run: Run, catalogue: Catalogue, rules: Rules = USUAL) -> Compiled:
    """Compile one AMC SQL statement; raises SqlSyntaxError and SqlRejectedError."""
    source = Source(sql)
    with _in_words(SqlRejectedError):
        return _compile(_parse(sql, source, rules), run, catalogue, source, rules)


def check_syntax(sql: str, rules: Rules = USUAL) -> None:
    """Check what AMC checks when SQL is sent, before any table is looked up; raises SqlSyntaxError."""
    with _in_words(SqlSyntaxError):
        _parse(sql, Source(sql), rules)


@contextmanager
def _in_words(error: type[SqlError]) -> Iterator[None]:
    """Turn whatever the parser and the optimizer stumble over into a refusal that says what to do."""
    try:
        yield
    except SqlError:
        raise
    except RecursionError as problem:
        raise error("The query is nested too deeply: put inner parts into WITH.") from problem
    except Exception as problem:
        # A statement may be odd in more ways than we know; what is said of it must be of use to its author.
        logger.exception("compiling failed")
        raise error(
            "The query is too unusual to be read here: write subqueries as WITH, and name every column."
        ) from problem


def _parse(sql: str, source: Source, rules: Rules) -> exp.Query:
    tree = parse(sql)
    order = tree.args.get("order")
    if order is not None and not rules.accepts_order_by:
        raise SqlSyntaxError(str(grammar.ORDER_BY), source.span_of(order))
    return tree


def _compile(tree: exp.Query, run: Run, catalogue: Catalogue, source: Source, rules: Rules) -> Compiled:
    resolve_time_windows(tree, source)
    reject(window_faults(tree), source)
    expand_windows(tree)
    reject(name_faults(tree), source)
    tables = tables_read(tree, catalogue, source)
    rewrite(tree, run, source)
    tree = resolve(tree, catalogue, source, lambda: _written(source))
    reject(shape_faults(tree), source)
    hoist_windows(tree)
    outputs = Lineage(catalogue, source, checks_literals=rules.controls_aggregation).of(tree)
    if rules.controls_aggregation:
        _check_output(tree, tables, outputs, source)
    annotate_types(tree, catalogue.mapping)
    reject(type_faults(tree, _family), source)
    repair(tree)
    sizes.bound(tree, source)
    scan(tree, run, catalogue)
    paths: tuple[str, ...] = ()
    if rules.controls_aggregation and any(table.has_users for table in tables):
        tree, paths = carry(tree, privacy.required_users(outputs))
    # What the writer would say of the engine's limits is nothing for a log.
    sql = tree.sql(DIALECT, comments=False, unsupported_level=ErrorLevel.IGNORE)
    return Compiled(sql, outputs, paths, patterns.are_used(sql))


def _written(source: Source) -> exp.Query:
    """Return the statement as it was written, but for time windows, which stand for tables."""
    tree = parse(source.text)
    resolve_time_windows(tree, source)
    return tree


def _family(node: exp.Expr) -> str:
    return family_of_type(node.type)


def _check_output(tree: exp.Query, tables: Sequence[Readable], outputs: Sequence[Output], source: Source) -> None:
    for output in privacy.forbidden(outputs):
        raise SqlRejectedError(
            f"Column '{output.name}' has the aggregation threshold {output.threshold} and cannot be in the output: "
            "count it, or join and group by it in a subquery",
            source.span_of(_projection(tree, output.name)),
        )
    if any(table.has_users for table in tables) and not _aggregates(tree):
        raise SqlRejectedError(
            "The query has no aggregate function. At least one is required, for example SUM(impressions) with "
            "GROUP BY",
            source.span_of(tree),
        )


def _aggregates(tree: exp.Query) -> bool:
    """Return whether anything in the query makes one row of many."""
    return any(
        query.args.get("distinct")
        or query.args.get("group")
        or (isinstance(query, exp.Select) and any(True for _ in users.aggregates(query)))
        for query in tree.find_all(exp.Select, exp.Union)
    )


def _projection(tree: exp.Query, name: str) -> exp.Expr | None:
    select = tree
    while not isinstance(select, exp.Select):
        select = select.this
    return next((p for p in select.expressions if p.alias_or_name.lower() == name.lower()), None)
