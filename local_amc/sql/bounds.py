"""How much a query may consist of, so that none costs more time or memory than this machine has to give.

AMC documents no such limits but surely has some; these are far above what published queries use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from amc_facts.validation import relations_of
from local_amc.sql.errors import Source, SqlRejectedError, SqlSyntaxError

MAX_PARENTHESES = 300
MAX_SELECTS = 500
MAX_TABLES = 100
# Expressions in one another, of which a row of operators is a kind: `a AND b AND c` is `(a AND b) AND c`.
MAX_NESTED = 1_000
# What names of columns and windows stand for, and what the engine reads twice, is written out; so much more of it.
MAX_WRITTEN_OUT = 10_000

# Whose arguments the engine's SQL repeats, and how often.
_REPEATED: Mapping[type[exp.Expr] | str, int] = {
    exp.Nullif: 2, exp.Div: 2, exp.Mod: 2, exp.Greatest: 2, exp.Least: 2, exp.RegexpSubstr: 2, exp.Sqrt: 2,
    exp.Trunc: 2, exp.StrToMap: 2, exp.ArrayDistinct: 2, exp.ArrayIntersect: 2, exp.Between: 2,
    "epoch_to_utc_timestamp": 2,
}  # fmt: skip
_CLAUSES = ("where", "group", "having", "order")


def check_tokens(tokens: Sequence[Token], depth: int, source: Source) -> None:
    """Check what can be counted before parsing; raises SqlSyntaxError. `depth` is how deep parentheses are nested."""
    if depth > MAX_PARENTHESES:
        raise SqlSyntaxError(f"Parentheses are nested deeper than {MAX_PARENTHESES}.")
    selects = [token for token in tokens if token.token_type == TokenType.SELECT]
    if len(selects) > MAX_SELECTS:
        last = selects[MAX_SELECTS]
        raise SqlSyntaxError(
            f"The query has {len(selects)} SELECTs, and may have {MAX_SELECTS}: read a table once, with CASE or IN "
            "instead of a subquery for every case.",
            source.span(last.start, last.end),
        )


def check_tree(tree: exp.Expr, source: Source) -> None:
    """Check how deep expressions are nested and what they would be written out; raises SqlSyntaxError.

    It comes before anything that walks up and down, or puts expressions for names.
    """
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in node.iter_expressions()]
        depth += 1
        if depth > MAX_NESTED:
            raise SqlSyntaxError(
                f"The query is nested too deeply: more than {MAX_NESTED:,} expressions are in one another, or in a "
                "row of operators. Use IN for a long row of OR, and put inner parts into WITH."
            )
    for select in tree.find_all(exp.Select):
        if _written_out(select) > MAX_WRITTEN_OUT:
            raise SqlSyntaxError(
                "The query is nested too deeply: written out, a SELECT has more than "
                f"{MAX_WRITTEN_OUT:,} expressions, as columns are computed from columns of the same SELECT, or "
                "divisions and NULLIFs stand in one another. Compute inner parts in WITH.",
                source.span_of(select),
            )


def _written_out(select: exp.Select) -> int:
    """Return by how many nodes a SELECT grows when every name in it is replaced by what it stands for."""
    aliases: dict[str, int] = {}
    windows: dict[str, int] = {}
    added = 0
    for window in select.args.get("windows") or []:
        windows[window.this.name.lower()], more = _size(window, {}, windows)
        added += more
    for item in select.expressions:
        size, more = _size(item, aliases, windows)
        added += more
        if item.alias:
            aliases[item.alias.lower()] = size
    joined = [join.args.get("on") for join in select.args.get("joins") or []]
    for part in filter(None, [*(select.args.get(name) for name in _CLAUSES), *joined]):
        added += _size(part, aliases, windows)[1]
    return added


def _size(whole: exp.Expr, aliases: Mapping[str, int], windows: Mapping[str, int]) -> tuple[int, int]:
    """Return how many nodes an expression has when it is written out, and how many of them are not in the query."""
    nodes = list(whole.walk())
    sizes: dict[int, int] = {}
    for node in reversed(nodes):
        parts = sum(sizes[id(part)] * _times(node, part) for part in node.iter_expressions())
        if isinstance(node, exp.Column) and not node.table:
            parts = max(parts, aliases.get(node.name.lower(), 0))
        elif isinstance(node, exp.Window) and node.args.get("alias") is not None:
            parts += windows.get(node.args["alias"].name.lower(), 0)
        sizes[id(node)] = 1 + parts
    return sizes[id(whole)], sizes[id(whole)] - len(nodes)


def _times(node: exp.Expr, part: exp.Expr) -> int:
    """Return how often the engine's SQL has a part of a node."""
    if isinstance(node, exp.Case):
        # `CASE x WHEN 1 … WHEN 2 …` compares x as often.
        return max(1, len(node.args.get("ifs") or [])) if part is node.this else 1
    return _REPEATED.get(node.name.lower() if isinstance(node, exp.Anonymous) else type(node), 1)


def check_tables(tree: exp.Expr, read: Sequence[exp.Expr], source: Source) -> None:
    """Check how many tables a query reads, each as often as it is named, and how much one FROM joins.

    Raises SqlRejectedError.
    """
    if len(read) > MAX_TABLES:
        raise SqlRejectedError(
            f"The query reads {len(read)} tables, and may read {MAX_TABLES}: read each once in WITH, and join or "
            "unite fewer.",
            source.span_of(read[MAX_TABLES]),
        )
    for select in tree.find_all(exp.Select):
        joined = relations_of(select)
        if len(joined) > MAX_TABLES:
            raise SqlRejectedError(
                f"One FROM joins {len(joined)} relations, and may join {MAX_TABLES}: join some of them in WITH.",
                source.span_of(joined[MAX_TABLES]),
            )
