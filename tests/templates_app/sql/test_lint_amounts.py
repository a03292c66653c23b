# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

import pytest

from templates_app.sql.lint import Finding, lint


def of_rule(sql: str, rule: str) -> list[Finding]:
    return [finding for finding in lint(sql) if finding.rule == rule]


@pytest.mark.parametrize(
    ("expression", "divisor"),
    [
        ("SUM(impression_cost)", "100000 "),
        ("SUM(total_cost) / 1000", None),
        ("SUM(supply_cost) / 10", "100000000 "),
        ("SUM(supply_cost / 100000000)", None),
        ("SUM(supply_cost) / 1e8", None),
        ("SUM(supply_cost) / (100 * CAST(1000000 AS DOUBLE))", None),
        ("SUM(supply_cost) * 0.00000001", None),
        ("SUM(supply_cost) / {{divisor}}", None),
        ("SUM(impression_cost) / SUM(total_cost)", None),
        ("SUM(impression_cost) / SUM(impressions)", "100000 "),
        ("SUM(impressions) / SUM(impression_cost)", "100000 "),
        ("COUNT(impression_cost)", None),
        ("SUM(CASE WHEN impression_cost > 0 THEN 1 END)", None),
        ("SUM(CASE WHEN impressions > 0 THEN impression_cost END)", "100000 "),
    ],
)
def test_costs_in_small_units_are_pointed_out_with_their_divisor(expression: str, divisor: str | None) -> None:
    sql = f"SELECT campaign, {expression} AS value FROM dsp_impressions GROUP BY campaign"
    findings = of_rule(sql, "small-unit")
    assert [finding.level for finding in findings] == (["info"] if divisor else [])
    assert all(divisor in finding.message for finding in findings if divisor)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("SUM(supply_cost) / 100000", "divide by 100000000, not by 100000"),
        ("SUM(total_cost) / 100000000", "divide by 100000, not by 100000000"),
    ],
)
def test_the_divisor_of_the_other_unit_is_a_warning(expression: str, part: str) -> None:
    (finding,) = of_rule(f"SELECT {expression} AS value FROM dsp_impressions", "small-unit")
    assert finding.level == "warning"
    assert part in finding.message


def test_division_in_an_outer_query_counts() -> None:
    inner = "WITH a AS (SELECT campaign, SUM(spend) AS cost FROM sponsored_ads_traffic GROUP BY 1) "
    assert lint(inner + "SELECT campaign, SUM(cost / 100000000) AS cost FROM a GROUP BY 1") == []
    sql = inner + "SELECT campaign, SUM(cost) AS cost FROM a GROUP BY 1"
    (finding,) = of_rule(sql, "small-unit")
    assert finding.column == sql.index("spend") + 1


def test_a_cost_that_stays_inside_is_not_mentioned() -> None:
    inner = "WITH a AS (SELECT user_id, SUM(total_cost) AS cost FROM dsp_impressions GROUP BY 1) "
    sql = inner + "SELECT COUNT(1) AS n FROM a WHERE cost > 5"
    assert lint(sql) == []


def test_sums_over_segments_count_twice() -> None:
    sql = "SELECT campaign, SUM(impressions) AS i FROM dsp_impressions_by_user_segments GROUP BY campaign"
    (finding,) = of_rule(sql, "segment-sum")
    assert finding.level == "warning"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT behavior_segment_name, SUM(impressions) AS i FROM dsp_impressions_by_user_segments GROUP BY 1",
        "SELECT SUM(impressions) AS i FROM dsp_impressions_by_matched_segments WHERE behavior_segment_id = 5",
        "SELECT SUM(behavior_segment_matched) AS i FROM dsp_impressions_by_matched_segments",
        "SELECT COUNT(DISTINCT user_id) AS i FROM dsp_impressions_by_matched_segments",
        "SELECT campaign, SUM(impressions) AS i FROM dsp_impressions GROUP BY campaign",
    ],
)
def test_sums_per_segment_are_fine(sql: str) -> None:
    assert lint(sql) == []


def test_joining_traffic_with_conversions_row_by_row_is_a_warning() -> None:
    join = "FROM dsp_impressions a JOIN conversions b ON a.user_id = b.user_id"
    assert [f.level for f in of_rule(f"SELECT SUM(a.impressions) AS i {join}", "fan-out")] == ["warning"]
    assert of_rule(f"SELECT COUNT(DISTINCT a.user_id) AS i {join}", "fan-out") == []
