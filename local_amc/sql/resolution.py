"""Find the table of every column, and say in AMC's words what could not be found."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify

from amc_facts.dialect import DIALECT
from amc_facts.validation import relations_of
from local_amc.sql.catalogue import Catalogue
from local_amc.sql.errors import Source, SqlRejectedError

_UNRESOLVED = re.compile(
    r"(?:Column '(?P<name>[^']+)' could not be resolved(?: for table: '(?P<table>[^']+)')?"
    r"(?:\. Line: (?P<line>\d+), Col: (?P<column>\d+))?)|(?:Unknown column: (?P<unknown>\S+))"
)


def resolve(tree: exp.Query, catalogue: Catalogue, source: Source, written: Callable[[], exp.Query]) -> exp.Query:
    """Return the tree with every column's table named, in lower case as AMC's headers are; raises SqlRejectedError.

    `written` gives the tree as it was parsed, for places in messages: the optimizer leaves it half done.
    """
    _name_subqueries(tree)
    try:
        qualified = qualify(tree, schema=catalogue.mapping, dialect=DIALECT, quote_identifiers=True)
    except OptimizeError as problem:
        raise _rejection(problem, written(), catalogue, source) from problem
    if not isinstance(qualified, exp.Query):
        raise SqlRejectedError("Exactly one SELECT statement is expected.")
    for row in qualified.find_all(exp.TableColumn):
        # A table's name alone is its whole row to the engine, with every column in it.
        columns = [column for column in written().find_all(exp.Column) if column.name.lower() == row.name.lower()]
        raise SqlRejectedError(
            f"Column '{row.name}' not found in any table", source.span_of(columns[0] if columns else None)
        )
    return qualified


def _name_subqueries(tree: exp.Query) -> None:
    """Name output columns that are subqueries as the optimizer would: its GROUP BY 1 knows columns with names only."""
    for select in tree.find_all(exp.Select):
        for place, projection in enumerate(list(select.expressions)):
            if isinstance(projection, exp.Subquery) and not projection.alias:
                named = exp.Alias(alias=exp.to_identifier(f"_col_{place}"))
                projection.replace(named)
                named.set("this", projection)


def _rejection(problem: OptimizeError, tree: exp.Query, catalogue: Catalogue, source: Source) -> SqlRejectedError:
    found = _UNRESOLVED.search(str(problem))
    if found is None:
        return SqlRejectedError(str(problem).split(". Line:")[0])
    name = found["name"] or found["unknown"]
    columns = [column for column in tree.find_all(exp.Column) if column.name.lower() == name.lower()]
    column = _at(columns, found, source) or (columns[0] if columns else None)
    return SqlRejectedError(_why(name, column, found["table"], catalogue), source.span_of(column))


def _at(columns: list[exp.Column], found: re.Match[str], source: Source) -> exp.Column | None:
    """Return the column the optimizer means; it counts to the last character of the name."""
    if not found["line"]:
        return None
    for column in columns:
        span = source.span_of(column.this)
        if span is not None and (span.end_line, span.end_column) == (int(found["line"]), int(found["column"])):
            return column
    return None


def _why(name: str, column: exp.Column | None, table: str | None, catalogue: Catalogue) -> str:
    if column is not None and column.table:
        return f"Table '{table}' not found" if table else f"Column '{name}' not found in table '{column.table}'"
    select = column.find_ancestor(exp.Select) if column is not None else None
    if select is not None and sum(_has(relation, name, catalogue) for relation in relations_of(select)) > 1:
        return f"Column '{name}' is ambiguous: put the table's name before it"
    return f"Column '{name}' not found in any table"


def _has(relation: exp.Expr, name: str, catalogue: Catalogue) -> bool:
    """Return whether a relation has a column of that name, as far as the text shows."""
    if isinstance(relation, exp.Subquery):
        return name.lower() in [title.lower() for title in relation.this.named_selects]
    for cte in relation.root().find_all(exp.CTE):
        if cte.alias.lower() == relation.name.lower():
            renamed = [column.name for column in cte.args["alias"].args.get("columns") or []]
            return name.lower() in [title.lower() for title in renamed or cte.this.named_selects]
    table = catalogue.find(relation.name)
    return table is not None and name.lower() in table.columns
