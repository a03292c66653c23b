"""Rewrite what AMC's functions and operators mean into what DuckDB calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from amc_facts.calls import call_fault
from local_amc.sql import patterns
from local_amc.sql.errors import Source, SqlRejectedError, reject
from local_amc.sql.formats import format_call, varbinary_call
from local_amc.sql.parameters import Declared, resolve

# Created once per connection; names as AMC documents them.
MACROS = (
    "seconds_between(a, b) AS "
    "CAST(floor(epoch(TRY_CAST(b AS TIMESTAMP)) - epoch(TRY_CAST(a AS TIMESTAMP))) AS BIGINT)",
    "regexp_split(s, p) AS string_split_regex(s, p)",
    "regexp_substr(s, p) AS CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p) END",
    "percentile(x, p) AS quantile_cont(x, p)",
    "approx_percentile(x, p) AS approx_quantile(x, p)",
    # Seconds up to the year 5138; what is larger are milliseconds.
    "epoch_to_utc_timestamp(s) AS CAST(make_timestamp(TRY_CAST(TRY_CAST(s AS DOUBLE) * "
    "CASE WHEN abs(TRY_CAST(s AS DOUBLE)) < 1e11 THEN 1e6 ELSE 1e3 END AS BIGINT)) AS TIMESTAMP)",
    "convert_time_zone_from_utc(t, z) AS timezone(z, timezone('UTC', CAST(t AS TIMESTAMP)))",
    "e() AS exp(1.0::DOUBLE)",
    "hash64(x) AS CAST(CAST(hash(x) AS HUGEINT) - 9223372036854775808 AS BIGINT)",
    "array_complement(a, b) AS list_filter(a, lambda item: NOT list_contains(b, item))",
    "array_remove_all(a, x) AS list_filter(a, lambda item: item IS DISTINCT FROM x)",
    # In the order of first occurrence, as AMC gives them.
    "array_distinct_of(a) AS list_filter(a, lambda item, place: list_position(a, item) = place)",
    "array_intersect_of(a, b) AS "
    "list_filter(a, lambda item, place: list_position(a, item) = place AND list_contains(b, item))",
    "square_root(x) AS CASE WHEN x >= 0 THEN sqrt(x) END",
    "array_union(a, b) AS list_sort(list_distinct(list_concat(a, b)))",
    "str_to_map_of(s, pairs, keys) AS map_from_entries(list_transform(string_split(s, pairs), lambda item: "
    "{'k': split_part(item, keys, 1), "
    "'v': CASE WHEN contains(item, keys) THEN item[instr(item, keys) + len(keys):] END}))",
    "json_serialize(x) AS CAST(to_json(x) AS VARCHAR)",
    "cardinality_of(x) AS len(x)",
    "trunc_to(x, n) AS trunc(CAST(x AS DOUBLE) * power(10, n)) / power(10, n)",
)
_RENAMED = {"cardinality": "cardinality_of", "array_remove": "array_remove_all", "str_to_map": "str_to_map_of"}


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gives to its query: the window in UTC, the clock, the declared parameters, and whose data it reads.

    `advertiser_types`: only data of advertisers of these types; None: of all.
    """

    window_start: datetime
    window_end: datetime
    now: datetime
    parameters: Mapping[str, Declared]
    advertiser_types: frozenset[str] | None = None


def rewrite(tree: exp.Expr, run: Run, source: Source) -> None:
    """Rewrite all calls in place, from the leaves up; raises SqlRejectedError."""
    for node in reversed(list(tree.walk())):
        rule = _RULES.get(type(node))
        if rule is None:
            continue
        reject([call_fault(node)], source)
        new = rule(node, run, source)
        if new is not node:
            _keep_place(node, new)
            node.replace(new)


def _keep_place(old: exp.Expr, new: exp.Expr) -> None:
    """Leave the old node's place on the new one, for messages."""
    place = next((n for n in old.walk() if "start" in n.meta), None)
    if place is not None and "start" not in new.meta:
        new.meta.update({key: place.meta[key] for key in ("line", "col", "start", "end")})


def _anonymous(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    name, arguments = node.name.lower(), node.expressions
    if name == "custom_parameter":
        return resolve(node, run.parameters, source)  # type: ignore[arg-type]
    if name == "built_in_parameter":
        return _built_in(node, run)
    if name == "collect":
        return exp.ArrayAgg(this=arguments[0].copy())
    if name == "named_row":
        return _named_row(node)
    if name == "contained_in":
        return exp.In(this=arguments[0], expressions=arguments[1:])
    if name in ("to_varbinary", "from_varbinary"):
        return varbinary_call(node)
    if name in _RENAMED:
        return exp.Anonymous(this=_RENAMED[name], expressions=[argument.copy() for argument in arguments])
    return node


def _built_in(node: exp.Expr, run: Run) -> exp.Expr:
    is_start = node.expressions[0].name.upper() == "TIME_WINDOW_START"
    return timestamp(run.window_start if is_start else run.window_end)


def timestamp(moment: datetime) -> exp.Expr:
    """Return a timestamp literal."""
    text = exp.Literal.string(moment.replace(tzinfo=None).isoformat(sep=" "))
    return exp.cast(text, exp.DataType.Type.TIMESTAMP)


def _named_row(node: exp.Expr) -> exp.Expr:
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(key.name, quoted=True), expression=value.copy())
            for key, value in zip(node.expressions[::2], node.expressions[1::2], strict=True)
        ]
    )


def _similar(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return _pattern_call("regexp_matches", node, source, node.expression)


def _pattern_call(
    name: str, node: exp.Expr, source: Source, pattern: exp.Expr, replacement: exp.Expr | None = None
) -> exp.Expr:
    try:
        return patterns.call(name, node.this, pattern, replacement)
    except patterns.PatternError as problem:
        raise SqlRejectedError(f"Invalid regular expression: {problem}", source.span_of(pattern)) from problem


def _cast(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    if isinstance(node, exp.TryCast):
        return node
    if node.this.is_string and node.this.name.strip().lower() in ("today", "now"):
        return _clock(node, run)
    return exp.TryCast(this=node.this.copy(), to=node.args["to"].copy(), safe=True)


def _clock(node: exp.Expr, run: Run) -> exp.Expr:
    moment = run.now.replace(microsecond=0)
    if node.this.name.strip().lower() == "today":
        moment = moment.replace(hour=0, minute=0, second=0)
    return exp.TryCast(this=timestamp(moment), to=node.args["to"].copy(), safe=True)


def _plus_one(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    """AMC counts Sunday as 1, DuckDB as 0."""
    if isinstance(node, exp.Extract):
        if node.name.upper() not in ("DOW", "DAYOFWEEK"):
            return node
        day: exp.Expr = exp.Anonymous(this="dayofweek", expressions=[node.expression.copy()])
    else:
        day = exp.Anonymous(this="dayofweek", expressions=[node.this.copy()])
    return exp.paren(exp.Add(this=day, expression=exp.Literal.number(1)), copy=False)


def _divide(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    """Unguarded ratios are everywhere in published queries; AMC gives NULL."""
    if isinstance(node.expression, exp.Literal) and node.expression.name.strip("0.") != "":
        return node
    node.set("expression", exp.Nullif(this=node.expression.copy(), expression=exp.Literal.number(0)))
    return node


def _null_if_any(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    """GREATEST and LEAST are NULL when any argument is."""
    arguments = [node.this, *node.expressions]
    any_null = exp.or_(*(exp.Is(this=argument.copy(), expression=exp.null()) for argument in arguments))
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    call = exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
    return exp.Case(ifs=[exp.If(this=any_null, true=exp.null())], default=call)


def _replace_all(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    replacement = node.args.get("replacement") or exp.Literal.string("")
    return _pattern_call("regexp_replace", node, source, node.expression, replacement)


def _substring_match(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return _pattern_call("regexp_substr", node, source, node.expression)


def _split(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return _pattern_call("regexp_split", node, source, node.expression)


def _now(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    moment = timestamp(run.now.replace(microsecond=0))
    return exp.cast(moment, exp.DataType.Type.DATE) if isinstance(node, exp.CurrentDate) else moment


def _uuid(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    """A UUID is a text in AMC, and a type of its own in the engine."""
    return exp.cast(node.copy(), exp.DataType.Type.VARCHAR)


def _format(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return format_call(node)


def _square_root(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return exp.Anonymous(this="square_root", expressions=[node.this.copy()])


def _distinct_items(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return exp.Anonymous(this="array_distinct_of", expressions=[node.this.copy()])


def _common_items(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return exp.Anonymous(this="array_intersect_of", expressions=[argument.copy() for argument in node.expressions])


def _remove(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return exp.Anonymous(this="array_remove_all", expressions=[node.this.copy(), node.expression.copy()])


def _map(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    pairs = node.args.get("pair_delim") or exp.Literal.string(",")
    keys = node.args.get("key_value_delim") or exp.Literal.string(":")
    return exp.Anonymous(this="str_to_map_of", expressions=[node.this.copy(), pairs.copy(), keys.copy()])


def _truncate(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    if node.args.get("decimals") is None:
        return node
    return exp.Anonymous(this="trunc_to", expressions=[node.this.copy(), node.args["decimals"].copy()])


def _log(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    return node if node.args.get("expression") else exp.Ln(this=node.this.copy())


def _json(node: exp.Expr, run: Run, source: Source) -> exp.Expr:
    path = node.args["expression"]
    text = path.sql("duckdb") if not path.is_string else f"'{path.name}'"
    return exp.Anonymous(this="json_extract", expressions=[node.this.copy(), exp.Literal.string(text.strip("'"))])


_Rule = Callable[[exp.Expr, Run, Source], exp.Expr]
_RULES: dict[type[exp.Expr], _Rule] = {
    exp.Anonymous: _anonymous,
    exp.SimilarTo: _similar,
    exp.Cast: _cast,
    exp.Extract: _plus_one,
    exp.DayOfWeek: _plus_one,
    exp.Div: _divide,
    exp.Mod: _divide,
    exp.Greatest: _null_if_any,
    exp.Least: _null_if_any,
    exp.RegexpReplace: _replace_all,
    exp.RegexpSubstr: _substring_match,
    exp.RegexpSplit: _split,
    exp.CurrentDate: _now,
    exp.CurrentTimestamp: _now,
    exp.Uuid: _uuid,
    exp.Format: _format,
    exp.ArrayRemove: _remove,
    exp.StrToMap: _map,
    exp.Trunc: _truncate,
    exp.Sqrt: _square_root,
    exp.ArrayDistinct: _distinct_items,
    exp.ArrayIntersect: _common_items,
    exp.Log: _log,
    exp.JSONExtract: _json,
}
