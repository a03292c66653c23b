"""Cast what AMC casts by itself and DuckDB refuses or compares otherwise: text beside numbers, moments and flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.optimizer.annotate_types import annotate_types as annotate
from sqlglot.schema import MappingSchema

from amc_facts.dialect import DATE_UNITS, DIALECT, interval_unit

_TEXT = exp.DataType.TEXT_TYPES
_NUMBERS = exp.DataType.NUMERIC_TYPES
_FRACTIONS = exp.DataType.REAL_TYPES
_MOMENTS = exp.DataType.TEMPORAL_TYPES
_DATE, _BOOLEAN = exp.DataType.Type.DATE, exp.DataType.Type.BOOLEAN
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
# Holds an ID of 18 digits as well as a price; a DOUBLE takes different IDs for equal.
_EXACT = "DECIMAL(38, 10)"
_ZONED = "convert_time_zone_from_utc"
# What calls give that the parser does not know as functions.
_CALL_TYPES = {
    **dict.fromkeys(
        (
            "regexp_substr",
            "regexp_replace",
            "json_serialize",
            "printf",
            "format",
            "strftime",
            "decode",
            "to_base64",
        ),
        "VARCHAR",
    ),
    **dict.fromkeys(("seconds_between", "hash64", "dayofweek", "cardinality_of"), "BIGINT"),
    **dict.fromkeys(("trunc_to", "square_root", "percentile", "approx_percentile", "e"), "DOUBLE"),
    "regexp_matches": "BOOLEAN",
    "regexp_split": "VARCHAR[]",
    "epoch_to_utc_timestamp": "TIMESTAMP",
}
_TYPED_BY_ARGUMENT = frozenset(
    {"greatest", "least", "array_remove_all", "array_distinct_of", "array_intersect_of"}
)


def annotate_types(tree: exp.Expr, schema: MappingSchema) -> None:
    """Note the type of every expression in place; columns are qualified."""
    annotate(tree, schema=schema, dialect=DIALECT, expression_metadata=_METADATA)


@cache
def _type(kind: str) -> exp.DataType:
    return exp.DataType.build(kind, dialect=DIALECT)


def _annotate_call(annotator: Any, call: exp.Anonymous) -> None:
    name = call.name.lower()
    first = call.expressions[0].type if call.expressions else None
    kind = first if name in _TYPED_BY_ARGUMENT else None
    if name in _CALL_TYPES:
        kind = _type(_CALL_TYPES[name])
    elif name == _ZONED:
        kind = _type("DATE" if first is not None and first.is_type(_DATE) else "TIMESTAMP")
    annotator._set_type(call, kind)


def _annotate_sum(annotator: Any, node: exp.Expr) -> None:
    """A date plus days or months is a date in AMC, and a timestamp in the engine."""
    _ENGINES[type(node)]["annotator"](annotator, node)
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        interval = other.unnest()
        if one.is_type(_DATE) and isinstance(interval, exp.Interval) and interval_unit(interval) in DATE_UNITS:
            annotator._set_type(node, _DATE)


_ENGINES: Any = Dialect.get_or_raise(DIALECT).EXPRESSION_METADATA
_METADATA = {
    **_ENGINES,
    exp.Anonymous: {"annotator": _annotate_call},
    exp.Add: {"annotator": _annotate_sum},
    exp.Sub: {"annotator": _annotate_sum},
}


def repair(tree: exp.Expr) -> None:
    """Write casts in place where AMC casts by itself; the tree's types are annotated."""
    # From the leaves up, so that what is moved into a cast has its own casts.
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.ArrayContains):
            _match_elements(node.this, node.expression)
        elif isinstance(node, exp.TryCast):
            _truncate(node)
        elif isinstance(node, _ARITHMETIC):
            _compute_alike(node)
        elif _is_zoned_date(node):
            _cast(node, "DATE")
        elif isinstance(node, exp.Nullif):
            _null_if(node)
        else:
            for values in _compared(node):
                _compare_alike(values)
            _make_text(node, _unified(node))


def _compared(node: exp.Expr) -> Iterator[Sequence[exp.Expr]]:
    """Return the groups of values that a node compares with each other."""
    if isinstance(node, _COMPARISONS):
        yield from zip(*_rows(node.this), *_rows(node.expression), strict=False)
    elif isinstance(node, exp.In):
        query = node.args.get("query")
        members = _selected(query) if query is not None else [row for e in node.expressions for row in _rows(e)]
        yield from zip(*_rows(node.this), *members, strict=False)
    elif isinstance(node, exp.Between):
        yield node.this, node.args["low"], node.args["high"]
    elif isinstance(node, exp.Case) and node.this is not None:
        yield node.this, *(branch.this for branch in node.args.get("ifs") or [])


def _rows(side: exp.Expr) -> list[list[exp.Expr]]:
    """Return the rows that one side of a comparison has, each as its columns: mostly one row of one."""
    while isinstance(side, exp.Paren):
        side = side.this
    if isinstance(side, exp.Tuple):
        return [side.expressions]
    if isinstance(side, exp.Any | exp.All) and isinstance(side.this, exp.Query):
        return _selected(side.this)
    return [[side]]


def _selected(query: exp.Expr) -> list[list[exp.Expr]]:
    """Return the columns that a subquery selects, for each arm of a UNION."""
    arms, found = [query], []
    while arms:
        arm = arms.pop()
        if isinstance(arm, exp.Subquery):
            arms.append(arm.this)
        elif isinstance(arm, exp.Union):
            arms += [arm.this, arm.expression]
        elif isinstance(arm, exp.Select):
            found.append([column.unalias() for column in arm.selects])
    return found


def _compare_alike(values: Sequence[exp.Expr]) -> None:
    """Read texts as what they are compared with; what cannot be read is NULL, as in AMC."""
    for value in values:
        if isinstance(value, exp.Any | exp.All):
            for other in values:
                _match_elements(value.this.unnest(), other)
            return
    kind = _kind_beside([value for value in values if not value.is_type(*_TEXT)])
    for value in values:
        # The engine refuses a written moment that is none, and says so.
        is_written_moment = value.is_string and kind in ("DATE", "TIMESTAMP")
        if kind and value.is_type(*_TEXT) and not is_written_moment:
            _cast(value, kind)


def _kind_beside(others: Sequence[exp.Expr]) -> str:
    """Return the type as which a text is read beside others; empty when it stays a text."""
    if any(other.is_type(*exp.DataType.FLOAT_TYPES) for other in others):
        return "DOUBLE"
    if any(other.is_type(*_NUMBERS) for other in others):
        return _EXACT
    moments = [other for other in others if other.is_type(*_MOMENTS)]
    if moments:
        return "DATE" if all(moment.is_type(_DATE) for moment in moments) else "TIMESTAMP"
    return "BOOLEAN" if any(other.is_type(_BOOLEAN) for other in others) else ""


def _match_elements(array: exp.Expr, item: exp.Expr) -> None:
    """Compare the items of an array with a value as `_compare_alike` does."""
    elements = array.type.expressions[0] if array.type is not None and array.type.expressions else None
    if elements is None:
        return
    if elements.is_type(*_TEXT) and (kind := _kind_beside([item])):
        _cast(array, f"{kind}[]")
    elif item.is_type(*_TEXT) and elements.is_type(*_NUMBERS):
        _cast(item, "DOUBLE" if elements.is_type(*exp.DataType.FLOAT_TYPES) else _EXACT)


def _cast(value: exp.Expr, kind: str) -> None:
    """Put a value into a cast, in place."""
    cast = exp.TryCast(to=_type(kind).copy(), safe=True)
    cast.type = cast.args["to"]
    value.replace(cast)
    cast.set("this", value)


def _truncate(node: exp.TryCast) -> None:
    """A fraction becomes a whole number by cutting off, as in Java, also one that is a text; DuckDB rounds."""
    if not node.args["to"].is_type(*exp.DataType.INTEGER_TYPES):
        return
    if node.this.is_type(*_TEXT):
        _cast(node.this, _EXACT)
    elif not node.this.is_type(*_FRACTIONS):
        return
    number = node.this
    call = exp.Anonymous(this="trunc")
    number.replace(call)
    call.append("expressions", number)


def _compute_alike(node: exp.Expr) -> None:
    """Compute with a text beside a number as the number it is, and leave a date plus days a date."""
    sides = [node.this, node.expression]
    if any(side.is_type(*_NUMBERS) for side in sides):
        for side in sides:
            if side.is_type(*_TEXT):
                _cast(side, "DOUBLE")
    elif node.is_type(_DATE) and any(isinstance(side.unnest(), exp.Interval) for side in sides):
        _cast(node, "DATE")


def _is_zoned_date(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == _ZONED and node.is_type(_DATE)


def _null_if(node: exp.Nullif) -> None:
    """Give the first value as it is, and not as what it was compared as."""
    value = node.this.copy()
    _compare_alike([node.this, node.expression])
    if node.this != value:
        equal = exp.EQ(this=node.this, expression=node.expression)
        node.replace(exp.Case(ifs=[exp.If(this=equal, true=exp.null())], default=value))


def _unified(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts of a node of which its value is one."""
    if isinstance(node, exp.Coalesce):
        return [node.this, *node.expressions]
    if isinstance(node, exp.Array):
        return list(node.expressions)
    if isinstance(node, exp.Case):
        branches = [branch.args["true"] for branch in node.args.get("ifs") or []]
        return branches + [node.args["default"]] * bool(node.args.get("default"))
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        return [part for part in (node.args["true"], node.args.get("false")) if part is not None]
    return []


def _make_text(node: exp.Expr, values: Sequence[exp.Expr]) -> None:
    """Write numbers as texts where a value is the one or the other."""
    if not any(value.is_type(*_TEXT) for value in values):
        return
    for value in values:
        if value.is_type(*_NUMBERS):
            _cast(value, "VARCHAR")
    if not isinstance(node, exp.Array):
        node.type = exp.DataType.Type.TEXT
