# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

from typing import Any

import pytest

from templates_app.sql.lint import Finding, lint


def of_rule(sql: str, rule: str, **options: Any) -> list[Finding]:
    return [finding for finding in lint(sql, **options) if finding.rule == rule]


def marked(sql: str, finding: Finding) -> str:
    """Return the text a finding on the first line is about."""
    return sql[finding.column - 1 : finding.end_column - 1]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT user_id, SUM(clicks) AS c FROM dsp_clicks GROUP BY user_id",
        "SELECT MAX(user_id) AS u, SUM(clicks) AS c FROM dsp_clicks",
        "SELECT COLLECT(DISTINCT user_id) AS u, SUM(clicks) AS c FROM dsp_clicks",
        "SELECT CASE WHEN clicks > 1 THEN user_id END AS u, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1",
        "WITH a AS (SELECT user_id AS x, clicks FROM dsp_clicks)"
        " SELECT UPPER(x) AS y, SUM(clicks) AS c FROM a GROUP BY 1",
        "SELECT campaign AS x, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1"
        " UNION ALL SELECT user_id, COUNT(1) FROM conversions GROUP BY 1",
        "WITH a AS (SELECT user_id, clicks FROM dsp_clicks), b AS (SELECT * FROM a) SELECT * FROM b",
        "SELECT marketplace_id, SUM(conversions) AS c FROM conversions_all GROUP BY 1",
        "SELECT (SELECT MAX(user_id) FROM conversions) AS u, SUM(clicks) AS c FROM dsp_clicks",
        "WITH a(k) AS (SELECT request_tag FROM dsp_clicks)"
        " SELECT d.k, COUNT(1) AS c FROM (SELECT k FROM a) d GROUP BY 1",
        "SELECT user_id, COUNT(1) AS c FROM dsp_clicks_for_audiences GROUP BY 1",
        "SELECT MAX(user_id) AS user_id FROM dsp_clicks_for_audiences",
        "SELECT CONCAT(user_id, '') AS user_id FROM dsp_clicks_for_audiences GROUP BY 1",
        "WITH a AS (SELECT CAST(user_id AS VARCHAR) AS u FROM dsp_clicks_for_audiences)"
        " SELECT u, COUNT(1) AS c FROM a GROUP BY 1",
    ],
)
def test_user_level_columns_never_reach_the_output(sql: str) -> None:
    findings = of_rule(sql, "user-level-output")
    assert [finding.level for finding in findings] == ["error"]


def test_the_output_column_is_marked_and_the_source_named() -> None:
    sql = "SELECT SUM(c) AS c, u AS who FROM (SELECT user_id AS u, clicks AS c FROM dsp_clicks) GROUP BY u"
    (finding,) = of_rule(sql, "user-level-output")
    assert marked(sql, finding) == "u AS who"
    assert "dsp_clicks.user_id" in finding.message
    assert "VERY_HIGH" in finding.message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(DISTINCT user_id) AS users FROM dsp_clicks",
        "SELECT SUM(IF(user_id IS NULL, 1, 0)) AS unknown FROM dsp_clicks",
        "SELECT COUNT(CASE WHEN clicks > 1 THEN user_id END) AS u FROM dsp_clicks",
        "WITH a AS (SELECT user_id, COUNT(1) AS n FROM dsp_clicks GROUP BY 1)"
        " SELECT n, COUNT(1) AS users FROM a GROUP BY 1",
        "WITH a AS (SELECT campaign, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY click_dt) AS n FROM dsp_clicks)"
        " SELECT n, COUNT(1) AS c FROM a GROUP BY 1",
    ],
)
def test_counting_users_is_fine(sql: str) -> None:
    assert lint(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT user_id FROM conversions",
        "WITH a AS (SELECT user_id FROM conversions) SELECT a.user_id FROM a",
        "SELECT user_id FROM conversions UNION SELECT b.user_id FROM dsp_clicks b",
    ],
)
def test_a_list_of_users_alone_is_taken_for_an_audience_query(sql: str) -> None:
    [finding] = lint(sql)
    assert (finding.rule, finding.level) == ("audience-query", "warning")
    assert "A report never returns user_id" in finding.message
    assert "COUNT(DISTINCT user_id)" in finding.message


@pytest.mark.parametrize(
    "condition",
    [
        "user_id = 'x'",
        "'x' <> user_id",
        "UPPER(user_id) LIKE 'A%'",
        "postal_code IN ('1', '2')",
        "city_name SIMILAR TO '(?i)rome'",
        "postal_code BETWEEN '1' AND '2'",
        "postal_code = {{code}}",
        "postal_code IN {{codes}}",
        "user_id = CAST(5 AS VARCHAR)",
        "CONTAINED_IN(city_name, 'a', 'b')",
        "CASE city_name WHEN 'a' THEN TRUE END",
        "UPPER(city_name) = UPPER('rome')",
        "city_name = CONCAT('Ro', {{rest}})",
        "city_name = CUSTOM_PARAMETER('city')",
        "ARRAY_CONTAINS(ARRAY['a', 'b'], city_name)",
    ],
)
def test_protected_columns_are_not_compared_with_literals(condition: str) -> None:
    sql = f"SELECT SUM(clicks) AS c FROM dsp_clicks WHERE {condition}"
    assert [finding.level for finding in of_rule(sql, "literal-comparison")] == ["error"]


def test_the_comparison_is_followed_through_a_cte() -> None:
    sql = "WITH a AS (SELECT user_id AS u, clicks FROM dsp_clicks) SELECT SUM(clicks) AS c FROM a WHERE u <> ''"
    assert len(of_rule(sql, "literal-comparison")) == 1


@pytest.mark.parametrize(
    "condition",
    [
        "user_id IS NOT NULL",
        "campaign = 'x'",
        "user_id IN (SELECT user_id FROM dsp_views)",
        "user_id = request_tag",
    ],
)
def test_other_conditions_are_fine(condition: str) -> None:
    assert lint(f"SELECT SUM(clicks) AS c FROM dsp_clicks WHERE {condition}") == []


def test_star_over_a_table_is_refused_and_over_a_subquery_is_a_warning() -> None:
    (raw,) = of_rule("SELECT * FROM dsp_clicks", "select-star")
    assert raw.level == "error"
    sql = "SELECT * FROM (SELECT campaign, SUM(clicks) AS clicks FROM dsp_clicks GROUP BY 1) a"
    (finding,) = of_rule(sql, "select-star")
    assert finding.level == "warning"
    assert finding.fix is not None
    assert finding.fix.replacement == "campaign, clicks"
    assert of_rule("SELECT COUNT(*) AS n FROM (SELECT * FROM dsp_clicks)", "select-star") == []


def test_a_qualified_star_is_seen_in_each_branch_of_a_union() -> None:
    sql = "SELECT a.* FROM dsp_clicks a UNION ALL SELECT b.* FROM dsp_clicks b"
    assert len(of_rule(sql, "select-star")) == 2


def test_rows_as_they_are_are_a_warning_unless_controls_are_off() -> None:
    sql = "SELECT campaign, user_id FROM dsp_clicks"
    assert {f.rule for f in lint(sql)} == {"no-aggregate", "user-level-output"}
    assert lint(sql, aggregation_controls=False) == []


def test_a_union_that_merges_no_rows_aggregates_nothing() -> None:
    branches = "SELECT campaign FROM dsp_clicks UNION {} SELECT campaign FROM dsp_views"
    assert [f.rule for f in lint(branches.format("ALL"))] == ["no-aggregate"]
    assert lint(branches.format("")) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ROUND(5.5) AS five",
        "SELECT DISTINCT campaign FROM dsp_clicks",
        "SELECT campaign FROM dsp_clicks GROUP BY 1",
        "SELECT COLLECT(campaign) AS list FROM dsp_clicks",
        "SELECT segment_name FROM segment_metadata",
    ],
)
def test_distinct_groups_and_tables_without_users_need_no_aggregate(sql: str) -> None:
    assert lint(sql) == []


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT campaign, SUM(clicks) AS c FROM dsp_clicks", "campaign"),
        ("SELECT campaign_id, SUM(clicks) AS clicks FROM dsp_clicks GROUP BY clicks", "campaign_id"),
        ("SELECT UPPER(a.site), SUM(clicks) AS c FROM dsp_clicks a GROUP BY a.campaign", "a.site"),
        ("SELECT RANK() OVER (ORDER BY clicks) AS r, campaign FROM dsp_clicks GROUP BY campaign", "clicks"),
    ],
)
def test_columns_beside_aggregates_have_to_be_grouped(sql: str, column: str) -> None:
    (finding,) = of_rule(sql, "not-grouped")
    assert finding.level == "error"
    assert marked(sql, finding) == column


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT UPPER(a.site) AS s, SUM(clicks) AS c FROM dsp_clicks a GROUP BY UPPER(site)",
        "SELECT site, campaign, SUM(clicks) AS c FROM dsp_clicks GROUP BY (campaign, site)",
        "SELECT LOWER(site) AS s, CONCAT(LOWER(site), 'x') AS t, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1",
        "SELECT CONCAT(campaign, 'x') AS k, SUM(clicks) / SUM(SUM(clicks)) OVER () AS c FROM dsp_clicks GROUP BY k",
        "SELECT campaign, SUM(clicks) AS c FROM dsp_clicks GROUP BY {{columns}}",
        "SELECT 'x' AS x, {{label}} AS l, CURRENT_DATE AS today, SUM(clicks) AS c FROM dsp_clicks",
    ],
)
def test_grouped_expressions_are_recognised(sql: str) -> None:
    assert lint(sql) == []


@pytest.mark.parametrize("key", ["2", "SUM(clicks)"])
def test_aggregates_are_not_grouped_by(key: str) -> None:
    sql = f"SELECT campaign, SUM(clicks) AS c FROM dsp_clicks GROUP BY campaign, {key}"
    (finding,) = of_rule(sql, "grouped-aggregate")
    assert (finding.level, marked(sql, finding)[: len(key)]) == ("error", key if key == "2" else "SUM(clicks")
