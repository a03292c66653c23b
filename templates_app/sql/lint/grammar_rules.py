"""Rules about what AMC's parser and validator refuse, as `amc_facts` finds it in every statement."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from sqlglot import Token, exp

from amc_facts import calls, dialect, validation
from amc_facts.dialect import SqlFault
from templates_app.sql.lint.findings import Finding
from templates_app.sql.lint.query import Query
from templates_app.sql.lint.types import Types

# Rules of their own find these with more to say, such as a fix.
_HAVE_RULES = frozenset({"right-join", "row-limit", "grouped-aggregate"})
# What a placeholder brings decides these.
_DEPEND_ON_VALUES = frozenset(
    {
        "argument", "fraction", "group-by-ordinal", "interval", "subquery-width", "union-types", "union-width",
        "unknown-unit", "unlike-types", "values-width",
    }
)  # fmt: skip


def unsupported(query: Query) -> Iterator[Finding]:
    """Refuse constructs, shapes, types and arguments that AMC does not accept."""
    has_unknown_calls = any(True for _ in dialect.unknown_calls(query.source.tokens, query.tree))
    has_token_faults = any(True for _ in dialect.token_faults(query.source.tokens))
    for fault in _faults(query):
        word = _word(query, fault)
        # An operator is found by its sign too; then the tree's name for it is not in the text.
        is_told = (
            _is_name(fault)
            or (has_unknown_calls and _is_function(fault))
            or (has_token_faults and bool(fault.word) and word is None)
        )
        if not is_told and not _depends_on_value(query, fault):
            message = fault.message if fault.message.endswith(".") else f"{fault.message}."
            place = (word.start, word.end + 1) if word is not None else _span(query, fault.node)
            yield query.source.finding(fault.code, "error", message, *place)


def _faults(query: Query) -> Iterator[SqlFault]:
    tree = query.tree
    # Other functions in FROM are no tables; that rule names them.
    extended = (table for table in tree.find_all(exp.Table) if calls.extension(table) is not None)
    return chain(
        dialect.faults(tree),
        validation.name_faults(tree),
        validation.window_faults(tree),
        validation.shape_faults(tree),
        validation.type_faults(tree, Types(query).family),
        filter(None, map(calls.call_fault, tree.walk())),
        filter(None, map(calls.extension_fault, extended)),
    )


def _is_name(fault: SqlFault) -> bool:
    """Return whether a rule of its own finds the same: with a fix, through aliases, or about tables."""
    node = fault.node
    if fault.code == "duplicate-alias":
        return node is not None and not isinstance(node.find_ancestor(exp.CTE, exp.From, exp.Join), exp.CTE)
    return fault.code in _HAVE_RULES or (
        node is not None and isinstance(node.parent, exp.Table) and node.arg_key == "this"
    )


def _is_function(fault: SqlFault) -> bool:
    """Return whether a fault is a function by its class; the rule about functions goes by the names."""
    return fault.code in ("not-amc-sql", "unknown-function") and isinstance(fault.node, exp.Func)


def _depends_on_value(query: Query, fault: SqlFault) -> bool:
    """Return whether the value of a placeholder decides."""
    return fault.code in _DEPEND_ON_VALUES and fault.node is not None and query.source.is_placeholder(fault.node)


def _span(query: Query, node: exp.Expr | None) -> tuple[int, int]:
    """Return where a node stands, or what it is in when it has no known place."""
    while node is not None and not any("start" in part.meta for part in node.walk()):
        node = node.parent
    return query.source.span(node or query.tree)


def _word(query: Query, fault: SqlFault) -> Token | None:
    """Return the construct's own word; None when it has none in the text."""
    words = [token for token in query.source.tokens if _is_word(token, fault.word)] if fault.word else []
    if not words:
        return None
    start, end = _span(query, fault.node)
    inside = [token for token in words if start <= token.start < end]
    behind = [token for token in words if token.start >= end]
    before = [token for token in words if token.start < start]
    # Where a query is at fault, the word may stand behind the last name in it.
    found = [*(behind[:1] if isinstance(fault.node, exp.Query) else []), *inside[-1:], *before[-1:]]
    return found[0] if found else None


def _is_word(token: Token, word: str) -> bool:
    return " ".join(token.text.upper().split()) == word


GRAMMAR_RULES = (unsupported,)
