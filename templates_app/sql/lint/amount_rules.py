"""Rules about amounts that come out too large: costs in small units, rows that repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from amc_facts.tables import AUDIENCE_SUFFIX
from templates_app.sql.lint.findings import Finding, Level
from templates_app.sql.lint.lineage import LineageFold
from templates_app.sql.lint.query import BaseColumn, Query
from templates_app.sql.lint.shape_rules import output_scopes

MILLICENTS = 100_000
MICROCENTS = 100_000_000
_UNIT_NAMES = {MILLICENTS: "millicents", MICROCENTS: "microcents"}
_DIVISORS = {
    "impression_cost": MILLICENTS,
    "total_cost": MILLICENTS,
    "click_cost": MILLICENTS,
    "campaign_budget_amount": MILLICENTS,
    "line_item_budget_amount": MILLICENTS,
    "supply_cost": MICROCENTS,
    "audience_fee": MICROCENTS,
    "platform_fee": MICROCENTS,
    "managed_service_fee": MICROCENTS,
    "third_party_fees": MICROCENTS,
    "ocm_fee": MICROCENTS,
    "bid_price": MICROCENTS,
}
_DIVISORS_OF_TABLE = {"sponsored_ads_traffic": {"spend": MICROCENTS}}
# Smaller divisors are counts and percentages, not conversions between units.
_MIN_DIVISOR = 1000

_SEGMENT_TABLES = {"dsp_impressions_by_matched_segments", "dsp_impressions_by_user_segments"}
_SEGMENT_KEYS = {"behavior_segment_id", "behavior_segment_name", "behavior_segment_description"}
_SEGMENT_FLAG = "behavior_segment_matched"
_TRAFFIC = ("dsp_impressions", "dsp_clicks", "dsp_views", "dsp_video_events_feed", "sponsored_ads_traffic")
_CONVERSIONS = ("conversions", "amazon_attributed_", "amazon_retail_purchases")


@dataclass(frozen=True, slots=True)
class Amount:
    """A cost column on its way to the output: where it stands, and what it was divided by wrongly."""

    column: str
    divisor: int
    start: int
    end: int
    wrong_divisor: int | None = None


class Amounts(LineageFold[frozenset[Amount]]):
    """Finds the cost columns that reach an expression without being divided into currency units."""

    nothing: frozenset[Amount] = frozenset()

    def combine(self, values: Iterable[frozenset[Amount]]) -> frozenset[Amount]:
        return frozenset().union(*values)

    def of_base(self, base: BaseColumn, node: exp.Column | None) -> frozenset[Amount]:
        divisor = _divisor(base)
        if divisor is None or node is None:
            return self.nothing
        return frozenset({Amount(base.column.name, divisor, *self.query.source.span(node.this))})

    def of(self, scope: Scope, node: exp.Expr) -> frozenset[Amount]:
        if isinstance(node, exp.Div):
            return self._of_division(scope, node)
        if isinstance(node, exp.Mul):
            factor = constant(node.this) or constant(node.expression)
            if factor is not None and factor <= 1 / _MIN_DIVISOR:
                return self.nothing
        return super().of(scope, node)

    def _of_division(self, scope: Scope, node: exp.Div) -> frozenset[Amount]:
        dividend = self.of(scope, node.this)
        divisor = constant(node.expression)
        if divisor is None:
            if self.query.source.is_placeholder(node.expression):
                return self.nothing
            below = self.of(scope, node.expression)
            # A ratio of two costs has no unit.
            return self.nothing if dividend and below else dividend | below
        if divisor < _MIN_DIVISOR:
            return dividend
        swapped = {MILLICENTS: MICROCENTS, MICROCENTS: MILLICENTS}
        return frozenset(
            replace(amount, wrong_divisor=int(divisor))
            for amount in dividend
            if divisor == swapped[amount.divisor]
        )


def _divisor(base: BaseColumn) -> int | None:
    own = _DIVISORS_OF_TABLE.get(base.table.successor or base.table.name, {})
    return own.get(base.column.name) or _DIVISORS.get(base.column.name)


def constant(node: exp.Expr) -> float | None:
    """Return the value of a constant such as `100000.0` or `(100 * 1000)`; None for anything else."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    if isinstance(node, exp.Literal) and not node.is_string:
        try:
            return float(node.this)
        except ValueError:
            return None
    if isinstance(node, exp.Mul):
        left, right = constant(node.this), constant(node.expression)
        return None if left is None or right is None else left * right
    return None


def small_units(query: Query) -> Iterator[Finding]:
    """Point out costs that reach the output in millicents or microcents."""
    amounts = Amounts(query)
    found: set[Amount] = set()
    for scope in output_scopes(query.root):
        for output in query.outputs(scope) or []:
            found |= amounts.of_output(output)
    for amount in sorted(found, key=lambda amount: amount.start):
        unit = _UNIT_NAMES[amount.divisor]
        level: Level = "info"
        message = f"{amount.column} is in {unit}: divide by {amount.divisor} to get currency units."
        if amount.wrong_divisor is not None:
            level = "warning"
            message = f"{amount.column} is in {unit}: divide by {amount.divisor}, not by {amount.wrong_divisor}."
        yield query.source.finding("small-unit", level, message, amount.start, amount.end)


def segment_sums(query: Query) -> Iterator[Finding]:
    """Warn of sums over tables with one row per impression and segment."""
    for scope in query.scopes:
        items = query.from_items(scope).values()
        if not any(item.table and _base_name(item.table.name) in _SEGMENT_TABLES for item in items):
            continue
        if _is_per_segment(query, scope):
            continue
        for node in query.own_nodes(scope):
            if isinstance(node, exp.Sum) and isinstance(node.this, exp.Column):
                origin = query.origin(scope, node.this)
                if _repeats_per_segment(origin):
                    message = (
                        f"This table has a row per impression and segment, so SUM({node.this.name}) counts "
                        "impressions several times. Group by the segment, or sum over dsp_impressions."
                    )
                    yield query.source.finding("segment-sum", "warning", message, *query.source.span(node))


def _repeats_per_segment(origin: object) -> bool:
    if not isinstance(origin, BaseColumn) or _base_name(origin.table.name) not in _SEGMENT_TABLES:
        return False
    return origin.column.kind == "METRIC" and origin.column.name != _SEGMENT_FLAG


def _is_per_segment(query: Query, scope: Scope) -> bool:
    """Return whether a SELECT is about single segments: by its groups, its filter or its output."""
    select = scope.expression
    if not isinstance(select, exp.Select):
        return True
    places = [select.args.get("where"), select.args.get("group"), *select.selects]
    return any(
        column.name in _SEGMENT_KEYS
        for place in places
        if place is not None
        for column in place.find_all(exp.Column)
    )


def fan_outs(query: Query) -> Iterator[Finding]:
    """Warn of sums over traffic joined row by row with conversions."""
    for scope in query.scopes:
        tables = [item.table.name for item in query.from_items(scope).values() if item.table]
        is_both = any(n.startswith(_TRAFFIC) for n in tables) and any(n.startswith(_CONVERSIONS) for n in tables)
        if not is_both or not isinstance(scope.expression, exp.Select):
            continue
        total = next((node for node in query.own_nodes(scope) if isinstance(node, exp.Sum)), None)
        if total is not None:
            message = (
                "Traffic joined with conversions repeats each row per match, so sums come out too large. "
                "Aggregate both sides first, or UNION ALL them."
            )
            yield query.source.finding("fan-out", "warning", message, *query.source.span(total))


def _base_name(name: str) -> str:
    return name.removesuffix(AUDIENCE_SUFFIX)


AMOUNT_RULES = (small_units, segment_sums, fan_outs)
