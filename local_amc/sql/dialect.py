"""What AMC SQL consists of. Everything else in a tree is refused: this list is the security boundary of the engine."""

from __future__ import annotations

import re

from sqlglot import exp

from amc_facts.functions import FUNCTIONS
from local_amc.sql.errors import Source, SqlSyntaxError

# Standard SQL that Calcite and Spark share and published queries use, beside the documented functions.
_UNDOCUMENTED = """
    PERCENT_RANK CUME_DIST LAG LEAD FIRST_VALUE LAST_VALUE MOD SIGN CEILING CHAR_LENGTH CHARACTER_LENGTH DAY QUARTER
    DAYOFYEAR UNNEST ARRAY SHA PI COS SIN TAN SUBSTR POW ANY_VALUE
"""
_KNOWN = FUNCTIONS | frozenset(_UNDOCUMENTED.split())
_INSTEAD = {
    "GETDATE": "use CAST('today' AS DATE) or CAST('now' AS TIMESTAMP)",
    "NOW": "use CAST('now' AS TIMESTAMP)",
    "NTILE": "use PERCENT_RANK() or RANK() in a subquery",
    "DATE_DIFF": "use SECONDS_BETWEEN(earlier, later)",
    "DATEDIFF": "use SECONDS_BETWEEN(earlier, later)",
    "DATE_ADD": "add an interval: d + INTERVAL '1' DAY",
    "STRING_AGG": "use ARRAY_TO_STRING(COLLECT(x), ',')",
    "ARRAY_AGG": "use COLLECT(x)",
}
# Words before a parenthesis that call nothing.
_WORDS = """
    IN AS AND OR NOT ON WHERE FROM JOIN SELECT DISTINCT ALL ANY SOME EXISTS OVER BY HAVING VALUES WHEN THEN ELSE UNION
    USING CASE BETWEEN LIKE TO IS TABLE FILTER WITHIN GROUP END DECIMAL NUMERIC VARCHAR CHAR CHARACTER VARBINARY BINARY
    TIMESTAMP TIME ARRAY STRUCT ROW WITH CROSS MULTISET EXCEPT INTERSECT ROLLUP CUBE SETS
"""
_NO_CALL = frozenset(_WORDS.split())

_TYPE_NAMES = (
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(p, s)", "FLOAT", "REAL", "DOUBLE", "DATE",
    "TIMESTAMP", "CHAR", "VARCHAR", "BINARY",
)  # fmt: skip
_QUANTITY = re.compile(r"[+-]?\d+(\.\d+)?")
_T = exp.DataType.Type
_TYPES = frozenset(
    {
        _T.BOOLEAN, _T.TINYINT, _T.SMALLINT, _T.INT, _T.BIGINT, _T.DECIMAL, _T.FLOAT, _T.DOUBLE, _T.DATE, _T.TIMESTAMP,
        _T.TIMESTAMPNTZ, _T.CHAR, _T.NCHAR, _T.VARCHAR, _T.NVARCHAR, _T.TEXT, _T.BINARY, _T.VARBINARY, _T.ARRAY,
        _T.LIST, _T.INTERVAL,
    }
)  # fmt: skip

_SYNTAX: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.Union, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.With,
    exp.CTE, exp.Subquery, exp.Values, exp.Tuple, exp.Paren, exp.Column, exp.Identifier, exp.Table, exp.TableAlias,
    exp.Alias, exp.Literal, exp.Boolean, exp.Null, exp.Star, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg,
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between,
    exp.Like, exp.SimilarTo, exp.Escape, exp.Exists, exp.Any, exp.All, exp.Case, exp.If, exp.Cast, exp.DataType,
    exp.DataTypeParam, exp.Distinct, exp.Window, exp.WindowSpec, exp.Interval, exp.IntervalSpan, exp.Extract, exp.Var,
    exp.Anonymous, exp.Filter, exp.Array, exp.Bracket, exp.NullSafeEQ, exp.NullSafeNEQ, exp.JSONPath, exp.JSONPathPart,
)  # fmt: skip
# Classes whose own name is another than the one AMC documents.
_CALLS: tuple[type[exp.Expr], ...] = (
    exp.StrPosition, exp.TimestampTrunc, exp.DateTrunc, exp.CurrentDate, exp.CurrentTimestamp, exp.Coalesce, exp.Rand,
    exp.Uuid, exp.SHA, exp.MD5, exp.Variance, exp.VariancePop, exp.Stddev, exp.StddevPop, exp.StddevSamp,
    exp.ArrayConcat, exp.ArrayContains, exp.Explode, exp.Unnest, exp.Substring, exp.Pow, exp.Trim, exp.Left, exp.Right,
    exp.JSONExtract, exp.Trunc, exp.Log, exp.Count, exp.Day, exp.DayOfWeek, exp.DayOfMonth, exp.Concat, exp.RowNumber,
)  # fmt: skip
_ALLOWED = (
    *_SYNTAX,
    *_CALLS,
    *(kind for kind in exp.ALL_FUNCTIONS if any(name in _KNOWN for name in kind.sql_names())),
)
_CLAUSES = (
    "qualify",
    "sample",
    "pivots",
    "laterals",
    "connect",
    "into",
    "locks",
    "limit",
    "offset",
    "fetch",
)


def is_known_call(name: str) -> bool:
    """Return whether an upper-case name before a parenthesis is a function of AMC, or calls nothing."""
    return name in _KNOWN or name in _NO_CALL


def no_such_function(name: str) -> str:
    """Return the message for an unknown function, with a way out where there is one."""
    hint = _INSTEAD.get(name.upper())
    return f"No match found for function signature {name}" + (f"; {hint}" if hint else "")


def check(tree: exp.Expr, source: Source) -> None:
    """Check every node of a statement; raises SqlSyntaxError."""
    for query in tree.find_all(exp.Query):
        _check_clauses(query, source)
    for join in tree.find_all(exp.Join):
        _check_join(join, source)
    for values in tree.find_all(exp.Values):
        _check_values(values, source)
    for node in tree.walk():
        _check_node(node, source)


def _check_node(node: exp.Expr, source: Source) -> None:
    fault = _fault(node) or _fault_of_values(node)
    if fault:
        # Looking for the place walks all that is below, so it is done for what is wrong only.
        raise SqlSyntaxError(fault, source.span_of(node) or source.span_of(node.parent))


def _fault(node: exp.Expr) -> str:
    """Return what is wrong with a node; empty when it is part of AMC SQL."""
    if not isinstance(node, _ALLOWED):
        return f"{_written(node)} is not supported by AMC SQL"
    if isinstance(node, exp.Anonymous) and not _is_callable(node):
        return no_such_function(node.name)
    if isinstance(node, exp.Star) and any(node.args.values()):
        return "Only a plain * is supported by AMC SQL"
    if isinstance(node, exp.Star) and not _stands_alone(node):
        # The engine would read it as all columns, whatever is around it.
        return "* is only supported as a column of its own and in COUNT(*)"
    if isinstance(node, exp.DataType) and node.this not in _TYPES:
        return f"Type {node.sql()} is not supported by AMC SQL: cast to one of {', '.join(_TYPE_NAMES)}"
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.ARRAY and not node.expressions:
        return "CAST to ARRAY needs the type of its elements, such as VARCHAR ARRAY"
    return ""


def _stands_alone(star: exp.Expr) -> bool:
    if isinstance(star.parent, exp.Count):
        return star.parent.this is star
    whole = star.parent if isinstance(star.parent, exp.Column) else star
    return isinstance(whole.parent, exp.Select) and whole.arg_key == "expressions"


def _fault_of_values(node: exp.Expr) -> str:
    """Return what is wrong with what has a form of its own: intervals, and calls that need an argument."""
    literal = node.this if isinstance(node, exp.Interval) else None
    if isinstance(literal, exp.Literal) and not _QUANTITY.fullmatch(literal.name.strip()):
        return f"Illegal interval literal '{literal.name}': a number is expected"
    if isinstance(node, exp.Count) and node.this is None:
        return "Invalid number of arguments to function 'COUNT'"
    return ""


def _is_callable(call: exp.Expr) -> bool:
    name, is_table = call.name.upper(), isinstance(call.parent, exp.Table)
    is_inside = isinstance(call.parent, exp.Anonymous) and isinstance(call.parent.parent, exp.Table)
    if name in ("TABLE", "EXTEND_TIME_WINDOW"):
        return is_table or is_inside
    return name in _KNOWN


def _written(node: exp.Expr) -> str:
    """Return a construct's name as somebody may have written it: CURRENT_USER, not CURRENTUSER."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(node).__name__).upper()
    return {"TABLE_SAMPLE": "TABLESAMPLE"}.get(name, name)


def _check_values(values: exp.Expr, source: Source) -> None:
    rows = [row.expressions for row in values.expressions]
    columns = [alias.args.get("columns") for alias in (values.args.get("alias"), _cte_alias(values)) if alias]
    widths = {len(row) for row in rows} | {len(names) for names in columns if names}
    if len(widths) > 1:
        raise SqlSyntaxError(
            "Number of columns must match number of query columns: every row of VALUES needs one value for each "
            "name in the list of columns",
            source.span_of(values),
        )
    if values.find(exp.Query) is not None:
        raise SqlSyntaxError("VALUES may hold no subquery", source.span_of(values))


def _cte_alias(values: exp.Expr) -> exp.Expr | None:
    """Return the alias of `WITH t(a, b) AS (VALUES …)`, which parses as a SELECT of everything from VALUES."""
    cte = values.find_ancestor(exp.CTE)
    select = cte.this if cte is not None else None
    is_all = isinstance(select, exp.Select) and select.is_star and len(select.expressions) == 1
    return (
        cte.args.get("alias")
        if cte is not None and is_all and values.find_ancestor(exp.Select) is select
        else None
    )


def _check_clauses(query: exp.Expr, source: Source) -> None:
    for clause in _CLAUSES:
        if query.args.get(clause):
            raise SqlSyntaxError(f"{clause.upper()} is not supported by AMC SQL", source.span_of(query))
    group, distinct, with_ = (query.args.get(part) for part in ("group", "distinct", "with_"))
    if group is not None and not (group.expressions or any(group.args.values())):
        raise SqlSyntaxError("GROUP BY names no column", source.span_of(query))
    if group is not None and any(
        group.args.get(part) for part in ("rollup", "cube", "grouping_sets", "totals", "all")
    ):
        raise SqlSyntaxError("Only plain GROUP BY is supported by AMC SQL", source.span_of(query))
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        raise SqlSyntaxError("DISTINCT ON is not supported by AMC SQL", source.span_of(query))
    if with_ is not None and with_.args.get("recursive"):
        raise SqlSyntaxError("WITH RECURSIVE is not supported by AMC SQL", source.span_of(with_))
    if query.args.get("kind") or query.args.get("hint") or query.args.get("by_name"):
        raise SqlSyntaxError(
            "SELECT AS STRUCT, hints and BY NAME are not supported by AMC SQL", source.span_of(query)
        )


def _check_join(join: exp.Join, source: Source) -> None:
    if join.side == "RIGHT":
        raise SqlSyntaxError(
            "RIGHT JOIN is not supported: swap the sides and use LEFT JOIN", source.span_of(join.this)
        )
    if join.kind in ("SEMI", "ANTI", "POSITIONAL") or join.method:
        raise SqlSyntaxError(
            f"{join.method or join.kind} JOIN is not supported by AMC SQL", source.span_of(join.this)
        )
