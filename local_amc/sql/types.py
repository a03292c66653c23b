"""Repair what AMC casts by itself and DuckDB refuses at run time: text beside numbers."""

from __future__ import annotations

import re

from sqlglot import exp

_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?")
_TEXT = exp.DataType.TEXT_TYPES
_NUMBERS = exp.DataType.NUMERIC_TYPES
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


def repair(tree: exp.Expr) -> None:
    """Cast the number to text wherever a text and a number meet; the tree's types are annotated."""
    for node in list(tree.walk()):
        if isinstance(node, _COMPARISONS):
            _to_text([node.this, node.expression])
        elif isinstance(node, exp.In):
            _to_text([node.this, *_members(node)])
        elif isinstance(node, exp.Between):
            _to_text([node.this, node.args["low"], node.args["high"]])
        elif isinstance(node, exp.Coalesce):
            _to_text([node.this, *node.expressions])
        elif isinstance(node, exp.Case):
            _to_text(_branches(node))
        elif isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
            _to_text([part for part in (node.args["true"], node.args.get("false")) if part is not None])


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
