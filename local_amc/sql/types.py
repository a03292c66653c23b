"""Repair what AMC casts by itself and DuckDB refuses at run time: text beside numbers."""

from __future__ import annotations

import re

from sqlglot import exp

_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?")
_TEXT = exp.DataType.TEXT_TYPES
_NUMBERS = exp.DataType.NUMERIC_TYPES
_FRACTIONS = exp.DataType.REAL_TYPES
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


def repair(tree: exp.Expr) -> None:
    """Cast the number to text wherever a text and a number meet; the tree's types are annotated."""
    for node in list(tree.walk()):
        if isinstance(node, exp.ArrayContains):
            _match_elements(node)
        elif isinstance(node, exp.TryCast):
            _truncate(node)
        elif isinstance(node, exp.Anonymous) and node.name.lower() == "convert_time_zone_from_utc":
            _keep_date(node)
        else:
            _to_text(_alike(node))


def _alike(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts of a node that must be of one type."""
    if isinstance(node, _COMPARISONS):
        return [node.this, node.expression]
    if isinstance(node, exp.In):
        return [node.this, *_members(node)]
    if isinstance(node, exp.Between):
        return [node.this, node.args["low"], node.args["high"]]
    if isinstance(node, exp.Coalesce):
        return [node.this, *node.expressions]
    if isinstance(node, exp.Array):
        return list(node.expressions)
    if isinstance(node, exp.Case):
        return _branches(node)
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        return [part for part in (node.args["true"], node.args.get("false")) if part is not None]
    return []


def _match_elements(node: exp.Expr) -> None:
    """Look for a number among texts as the text it is, and for a text among numbers written as texts."""
    kind = node.this.type
    elements = kind.expressions[0] if kind is not None and kind.expressions else None
    if elements is None:
        return
    if elements.is_type(*_TEXT) and node.expression.is_type(*_NUMBERS):
        node.set("expression", exp.cast(node.expression.copy(), exp.DataType.Type.TEXT))
    elif elements.is_type(*_NUMBERS) and node.expression.is_type(*_TEXT):
        node.set("this", exp.cast(node.this.copy(), "VARCHAR[]", dialect="duckdb"))


def _truncate(node: exp.Expr) -> None:
    """A fraction becomes a whole number by cutting off, as in Java; DuckDB rounds."""
    if node.args["to"].is_type(*exp.DataType.INTEGER_TYPES) and node.this.is_type(*_FRACTIONS):
        node.set("this", exp.Anonymous(this="trunc", expressions=[node.this.copy()]))


def _keep_date(node: exp.Expr) -> None:
    """The result has the type of the moment given: a date stays a date."""
    if node.expressions and node.expressions[0].is_type(exp.DataType.Type.DATE):
        node.replace(exp.cast(node.copy(), exp.DataType.Type.DATE))


def _members(node: exp.In) -> list[exp.Expr]:
    query = node.args.get("query")
    if query is None:
        return list(node.expressions)
    select = query.this if isinstance(query, exp.Subquery) else query
    return [select.expressions[0]] if isinstance(select, exp.Select) and select.expressions else []


def _branches(node: exp.Case) -> list[exp.Expr]:
    branches = [branch.args["true"] for branch in node.args.get("ifs") or []]
    return branches + [node.args["default"]] * bool(node.args.get("default"))


def _to_text(values: list[exp.Expr]) -> None:
    texts = [value for value in values if value.is_type(*_TEXT)]
    if not texts or len(texts) == len(values):
        return
    if all(value.is_string and _NUMBER.fullmatch(value.name.strip()) for value in texts):
        # A number in quotes is compared as the number it is: '5' is less than 10.
        for value in texts:
            value.replace(exp.Literal.number(value.name.strip()))
        return
    for value in values:
        target = value.this if isinstance(value, exp.Alias) else value
        if target.is_type(*_NUMBERS):
            target.replace(exp.cast(target.copy(), exp.DataType.Type.TEXT))
