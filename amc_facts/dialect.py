"""Find what AMC SQL lacks in tokens and trees of sqlglot's DuckDB dialect; `grammar` says what it is.

Whatever is not listed here as part of AMC SQL is found, so the local AMC can rely on it as a security boundary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from amc_facts import grammar
from amc_facts.grammar import Unsupported

DIALECT = "duckdb"

STATEMENT_STARTS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN})
ROW_LIMITS = frozenset({TokenType.LIMIT, TokenType.FETCH, TokenType.OFFSET})
# What follows a list; a comma before it separates nothing.
AFTER_A_LIST = frozenset(
    {
        TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY, TokenType.UNION,
        TokenType.LIMIT, TokenType.R_PAREN, TokenType.SEMICOLON, TokenType.COMMA, TokenType.JOIN,
    }
)  # fmt: skip
# Otherwise LIMIT, FETCH and OFFSET are names.
_COUNTS_ROWS = frozenset(
    {
        TokenType.NUMBER, TokenType.STRING, TokenType.VAR, TokenType.PLACEHOLDER, TokenType.L_PAREN, TokenType.ALL,
        TokenType.FIRST, TokenType.NEXT,
    }
)  # fmt: skip
_BEFORE_A_QUERY = frozenset(
    {None, TokenType.L_PAREN, TokenType.FROM, TokenType.JOIN, TokenType.UNION, TokenType.ALL}
)
_BEFORE_A_NAME = frozenset({TokenType.L_PAREN, TokenType.COMMA, TokenType.DOT, TokenType.SELECT, TokenType.ALIAS})

_SIGN = re.compile(r"[^\w\s]+")
_KNOWN_SIGNS = frozenset(
    ["(", ")", "[", "]", ",", ".", ";", "+", "-", "*", "/", "%", "=", "<>", "!=", "<", "<=", ">", ">="]
)
_QUOTED = frozenset({TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER})
_OTHER_STRINGS = {
    TokenType.HEREDOC_STRING: grammar.DOLLAR_QUOTES,
    TokenType.BYTE_STRING: grammar.PREFIXED_STRING,
    TokenType.NATIONAL_STRING: grammar.PREFIXED_STRING,
    TokenType.UNICODE_STRING: grammar.PREFIXED_STRING,
}

# Words before a parenthesis that call nothing; what is wrong with them is found in the tree.
_WORDS = """
    IN AS AND OR NOT ON WHERE FROM JOIN SELECT DISTINCT ALL ANY SOME EXISTS OVER BY HAVING VALUES WHEN THEN ELSE UNION
    USING CASE BETWEEN LIKE ILIKE TO IS TABLE FILTER WITHIN GROUP END DECIMAL NUMERIC VARCHAR CHAR CHARACTER VARBINARY
    BINARY TIMESTAMP TIME ARRAY STRUCT ROW WITH CROSS MULTISET EXCEPT INTERSECT ROLLUP CUBE SETS LATERAL PIVOT UNPIVOT
    BERNOULLI SYSTEM RESERVOIR QUALIFY
"""
_NO_CALL = frozenset(_WORDS.split())

TYPE_NAMES = (
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(p, s)", "FLOAT", "REAL", "DOUBLE", "DATE",
    "TIMESTAMP", "CHAR", "VARCHAR", "BINARY",
)  # fmt: skip
DATE_UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
INTERVAL_UNITS = ("SECOND", "MINUTE", "HOUR", *DATE_UNITS)
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
    *(kind for kind in exp.ALL_FUNCTIONS if any(name in grammar.KNOWN_FUNCTIONS for name in kind.sql_names())),
)
# Arguments of queries that AMC SQL has no clause for, by the words of the clause.
_CLAUSES = {
    "qualify": "QUALIFY", "sample": "TABLESAMPLE", "pivots": "PIVOT", "laterals": "LATERAL", "connect": "CONNECT BY",
    "into": "INTO", "locks": "FOR UPDATE", "limit": "LIMIT", "offset": "OFFSET", "fetch": "FETCH",
    "kind": "SELECT AS STRUCT", "hint": "HINT", "by_name": "BY NAME",
}  # fmt: skip
_GROUPINGS = {"rollup": "ROLLUP", "cube": "CUBE", "grouping_sets": "GROUPING SETS", "totals": "TOTALS",
              "all": "GROUP BY ALL"}  # fmt: skip
# Classes that are not called what is written.
_WORDS_OF: dict[type[exp.Expr], str] = {
    exp.ILike: "ILIKE", exp.RegexpLike: "RLIKE", exp.GroupingSets: "GROUPING SETS", exp.TableSample: "TABLESAMPLE",
    exp.AtTimeZone: "AT TIME ZONE", exp.Lock: "FOR UPDATE", exp.Connect: "CONNECT BY",
    exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>",
}  # fmt: skip


def unwrap_any_value(tree: exp.Expr) -> None:
    """Take away, in place, the IGNORE NULLS that the parser writes around ANY_VALUE, which skips them anyway."""
    for node in list(tree.find_all(exp.IgnoreNulls)):
        if isinstance(node.this, exp.AnyValue):
            node.replace(node.this)


class SqlFault(NamedTuple):
    """What AMC refuses and the node it is about; `word` is in the text where the construct stands."""

    code: str
    message: str
    node: exp.Expr | None
    word: str = ""


class TokenFault(NamedTuple):
    """What AMC refuses and the token it is about."""

    unsupported: Unsupported
    token: Token


def token_faults(tokens: Sequence[Token]) -> Iterator[TokenFault]:
    """Return words and signs AMC SQL does not have, in order; they are found without a tree."""
    braces = 0
    for index, token in enumerate(tokens):
        braces += token.token_type == TokenType.L_BRACE
        found = _word_fault(tokens, index) or _sign_fault(token)
        # What stands in braces was found with them.
        is_inside = braces and token.token_type in (TokenType.COLON, TokenType.R_BRACE)
        if found is not None and not is_inside:
            yield TokenFault(found, token)
        braces -= token.token_type == TokenType.R_BRACE and braces > 0


def _word_fault(tokens: Sequence[Token], index: int) -> Unsupported | None:
    token = tokens[index]
    before = tokens[index - 1].token_type if index else None
    after = tokens[index + 1].token_type if index + 1 < len(tokens) else None
    if is_row_limit(tokens, index):
        return grammar.ROW_LIMITS[token.text.split()[0].upper()]
    if token.token_type == TokenType.VAR and token.text.upper() == "TOP" and before == TokenType.SELECT:
        return grammar.TOP
    if token.token_type == TokenType.FROM and before in (TokenType.SELECT, TokenType.COMMA):
        return grammar.NO_COLUMN
    if token.token_type == TokenType.FROM and before in _BEFORE_A_QUERY:
        return grammar.NO_SELECT
    if token.token_type == TokenType.COMMA and (after is None or after in AFTER_A_LIST - {TokenType.FROM}):
        return grammar.STRAY_COMMA
    if token.token_type == TokenType.SEMICOLON:
        return grammar.ONE_STATEMENT
    return _OTHER_STRINGS.get(token.token_type)


def is_row_limit(tokens: Sequence[Token], index: int) -> bool:
    """Return whether a token is LIMIT, FETCH or OFFSET with a count, and no name."""
    if tokens[index].token_type not in ROW_LIMITS or index == 0 or index + 1 == len(tokens):
        return False
    return tokens[index - 1].token_type not in _BEFORE_A_NAME and tokens[index + 1].token_type in _COUNTS_ROWS


def _sign_fault(token: Token) -> Unsupported | None:
    if token.token_type in _QUOTED or token.text in _KNOWN_SIGNS or not _SIGN.fullmatch(token.text):
        return None
    return grammar.SIGNS.get(token.text, grammar.UNKNOWN_SIGN)


def unknown_calls(tokens: Sequence[Token], tree: exp.Expr) -> Iterator[Token]:
    """Return the names of called functions that AMC does not have; the tree has lost how they were spelled."""
    names = {alias.name.upper() for alias in tree.find_all(exp.TableAlias)}
    for token, following in pairwise(tokens):
        name = token.text.upper()
        if (
            following.token_type == TokenType.L_PAREN
            and token.token_type != TokenType.STRING
            and name.isidentifier()
            and name not in names | _NO_CALL | grammar.KNOWN_FUNCTIONS
        ):
            yield token


def faults(tree: exp.Expr) -> Iterator[SqlFault]:
    """Return every construct of a statement that AMC SQL does not have."""
    for query in tree.find_all(exp.Query):
        yield from _clause_faults(query)
    for join in tree.find_all(exp.Join):
        yield from _join_faults(join)
    for values in tree.find_all(exp.Values):
        yield from _values_faults(values)
    refused: set[int] = set()
    for node in tree.walk(prune=lambda node: id(node) in refused):
        fault = _node_fault(node) or _argument_fault(node)
        if fault is not None:
            refused.add(id(node))
            yield fault


def _construct(words: str, node: exp.Expr | None) -> SqlFault:
    unsupported = grammar.construct(words)
    return SqlFault(unsupported.code, str(unsupported), node, unsupported.word)


def _clause_faults(query: exp.Expr) -> Iterator[SqlFault]:
    for clause, words in _CLAUSES.items():
        if query.args.get(clause):
            yield _construct(words, query)
    group, distinct, with_ = (query.args.get(part) for part in ("group", "distinct", "with_"))
    if group is not None and not (group.expressions or any(group.args.values())):
        yield SqlFault("empty-group-by", "GROUP BY names no column", query, "GROUP BY")
    for part, words in _GROUPINGS.items():
        if group is not None and group.args.get(part):
            yield _construct(words, query)
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        yield _construct("DISTINCT ON", distinct)
    if with_ is not None and with_.args.get("recursive"):
        yield _construct("WITH RECURSIVE", with_)


def _join_faults(join: exp.Join) -> Iterator[SqlFault]:
    if join.side == "RIGHT":
        yield _construct("RIGHT JOIN", join.this)
    if join.kind in ("SEMI", "ANTI", "POSITIONAL") or join.method:
        yield _construct(f"{join.method or join.kind} JOIN", join.this)


def _values_faults(values: exp.Values) -> Iterator[SqlFault]:
    rows = [row.expressions for row in values.expressions]
    columns = [alias.args.get("columns") for alias in (values.args.get("alias"), _cte_alias(values)) if alias]
    widths = {len(row) for row in rows} | {len(names) for names in columns if names}
    if len(widths) > 1:
        yield SqlFault(
            "values-width",
            "Number of columns must match number of query columns: every row of VALUES needs one value for each "
            "name in the list of columns",
            values,
        )
    if values.find(exp.Query) is not None:
        yield SqlFault("values-subquery", "VALUES may hold no subquery", values)


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


def _node_fault(node: exp.Expr) -> SqlFault | None:
    if not isinstance(node, _ALLOWED):
        return _construct(_words_of(node), node)
    if isinstance(node, exp.Anonymous) and not _is_callable(node):
        unsupported = grammar.no_such_function(node.name)
        return SqlFault(unsupported.code, unsupported.message, node)
    if isinstance(node, exp.Star) and any(node.args.values()):
        return SqlFault("star", "Only a plain * is supported by AMC SQL", node)
    if isinstance(node, exp.Star) and not _stands_alone(node):
        # The engine would read it as all columns, whatever is around it.
        return SqlFault("star", "* is only supported as a column of its own and in COUNT(*)", node)
    if isinstance(node, exp.DataType) and node.this not in _TYPES:
        message = f"Type {node.sql()} is not supported by AMC SQL: cast to one of {', '.join(TYPE_NAMES)}"
        return SqlFault("unknown-type", message, node)
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.ARRAY and not node.expressions:
        message = "CAST to ARRAY needs the type of its elements, such as VARCHAR ARRAY"
        return SqlFault("unknown-type", message, node)
    return None


def _words_of(node: exp.Expr) -> str:
    """Return a construct as SQL spells it: CURRENT_USER, not CurrentUser."""
    kind = type(node)
    return _WORDS_OF.get(kind) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()


def _is_callable(call: exp.Expr) -> bool:
    name, is_table = call.name.upper(), isinstance(call.parent, exp.Table)
    is_inside = isinstance(call.parent, exp.Anonymous) and isinstance(call.parent.parent, exp.Table)
    if name in ("TABLE", "EXTEND_TIME_WINDOW"):
        return is_table or is_inside
    return name in grammar.KNOWN_FUNCTIONS


def _stands_alone(star: exp.Expr) -> bool:
    if isinstance(star.parent, exp.Count):
        return star.parent.this is star
    whole = star.parent if isinstance(star.parent, exp.Column) else star
    return isinstance(whole.parent, exp.Select) and whole.arg_key == "expressions"


def _argument_fault(node: exp.Expr) -> SqlFault | None:
    """Return what is wrong with what has a form of its own: intervals, and calls that need an argument."""
    literal = node.this if isinstance(node, exp.Interval) else None
    if isinstance(literal, exp.Literal) and not _QUANTITY.fullmatch(literal.name.strip()):
        return SqlFault("interval", f"Illegal interval literal '{literal.name}': a number is expected", node)
    unit = interval_unit(node) if isinstance(node, exp.Interval) else ""
    if unit and unit not in INTERVAL_UNITS:
        message = f"Unknown unit {unit} of an interval: use one of {', '.join(INTERVAL_UNITS)}"
        return SqlFault("interval", message, node)
    if isinstance(node, exp.Count) and node.this is None:
        return SqlFault("argument", "Invalid number of arguments to function 'COUNT'", node)
    return None


def interval_unit(node: exp.Interval) -> str:
    """Return the unit of an interval, such as DAY, whether it is written as DAY or DAYS; empty when it has none."""
    unit = node.args.get("unit")
    return unit.name.upper().removesuffix("S") if isinstance(unit, exp.Var) else ""
