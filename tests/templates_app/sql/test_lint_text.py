# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

import pytest

from templates_app.sql.lint import Finding, apply_fix, lint


def found(sql: str, rule: str) -> Finding:
    """Return the only finding of a rule."""
    findings = [finding for finding in lint(sql) if finding.rule == rule]
    assert len(findings) == 1, [f"{f.rule}: {f.message}" for f in lint(sql)]
    return findings[0]


def rules(sql: str) -> set[str]:
    return {finding.rule for finding in lint(sql)}


GOOD = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


def test_a_plain_query_has_no_findings() -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize("sql", ["", "  \n", "/* nothing yet */", ";"])
def test_nothing_to_run_is_no_error(sql: str) -> None:
    assert [f for f in lint(sql) if f.level == "error"] == []


@pytest.mark.parametrize(
    ("sql", "at", "part"),
    [
        ("SELECT a b c FROM dsp_clicks", "c FROM", "not expected"),
        ("SELECT campaign FROM", "FROM", "expected table name"),
        ("SELECT SUM(clicks FROM dsp_clicks", "(", "never closed"),
        ("SELECT SUM(clicks)) FROM dsp_clicks", ") FROM", "closes nothing"),
        ("SELECT CONCAT('a, campaign) FROM dsp_clicks", "'a", "quote is never closed"),
        ("SELECT SUM(clicks) /* sum FROM dsp_clicks", "/*", "comment is never closed"),
        ("SELECT TOP 5 campaign FROM dsp_clicks", "5", "no TOP"),
        ("SELECT SUM(clicks) FROM [my_table]", "[", "[my_table] is a blank to fill in"),
        ("SELECT SUM(clicks) FROM dsp_clicks WHERE clicks > 0 {{filter}}", "{{filter}}", "placeholder"),
    ],
)
def test_syntax_error_says_where_and_what(sql: str, at: str, part: str) -> None:
    finding = found(sql, "syntax-error")
    assert finding.level == "error"
    assert (finding.line, finding.column) == (1, sql.index(at) + 1)
    assert part in finding.message


@pytest.mark.parametrize("braces", ["{% if x %}", "{{ x|upper }}", "{{a b}}", "{{#if x}}"])
def test_braces_that_are_no_placeholder_are_an_error(braces: str) -> None:
    sql = f"SELECT SUM(clicks) AS c FROM dsp_clicks WHERE site = {braces}"
    finding = found(sql, "malformed-placeholder")
    assert (finding.level, finding.column) == ("error", sql.index(braces) + 1)


def test_comma_before_from_is_an_error_with_a_fix() -> None:
    sql = "SELECT SUM(clicks) AS clicks, FROM dsp_clicks"
    finding = found(sql, "syntax-error")
    assert finding.fix is not None
    assert apply_fix(sql, finding.fix) == "SELECT SUM(clicks) AS clicks FROM dsp_clicks"


def test_positions_survive_comments_windows_line_ends_and_other_scripts() -> None:
    sql = "/* 日本\r\n語 */\r\nSELECT 'é' AS é,\r\n  GETDATE() AS today, SUM(clicks) AS clicks\r\nFROM dsp_clicks"
    finding = found(sql, "getdate")
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == (4, 3, 4, 10)


def test_findings_come_in_order_of_their_position() -> None:
    sql = "-- a\nSELECT * FROM dsp_clicks\nORDER BY 1\nLIMIT 5;"
    findings = lint(sql)
    assert [f.rule for f in findings if f.rule != "no-aggregate"] == [
        "line-comment",
        "select-star",
        "order-by",
        "row-limit",
        "trailing-semicolon",
    ]
    assert lint(sql) == findings


@pytest.mark.parametrize(
    ("clause", "rule"),
    [(" LIMIT 10", "row-limit"), (" FETCH FIRST 5 ROWS ONLY", "row-limit"), (" ORDER BY 2", "order-by")],
)
def test_clauses_the_documentation_refuses_are_warnings_that_can_be_removed(clause: str, rule: str) -> None:
    finding = found(GOOD + clause, rule)
    assert finding.level == "warning"
    assert "documentation" in finding.message
    assert finding.fix is not None
    assert apply_fix(GOOD + clause, finding.fix).strip() == GOOD


def test_removing_the_order_keeps_the_limit() -> None:
    sql = GOOD + " ORDER BY 2 DESC, 1 LIMIT 10;"
    fix = found(sql, "order-by").fix
    assert fix is not None
    assert apply_fix(sql, fix) == GOOD + " LIMIT 10;"


def test_order_inside_a_window_is_fine() -> None:
    sql = "SELECT campaign, RANK() OVER (ORDER BY SUM(clicks)) AS place FROM dsp_clicks GROUP BY campaign"
    assert lint(sql) == []


def test_right_join_is_refused_and_the_function_right_is_not() -> None:
    join = (
        "SELECT COUNT(a.user_id) AS users FROM dsp_clicks a RIGHT OUTER JOIN dsp_views b ON a.user_id = b.user_id"
    )
    assert found(join, "right-join").level == "error"
    assert lint("SELECT RIGHT(campaign, 3) AS c, SUM(clicks) AS clicks FROM dsp_clicks GROUP BY 1") == []


def test_several_statements_are_refused() -> None:
    sql = GOOD + ";\n" + GOOD
    finding = found(sql, "several-statements")
    assert (finding.level, finding.line, finding.column) == ("error", 2, 1)


@pytest.mark.parametrize(
    "sql", ["DROP TABLE dsp_clicks", "INSERT INTO a VALUES (1)", "CREATE TABLE a AS SELECT 1", "foo bar"]
)
def test_what_is_no_query_is_refused(sql: str) -> None:
    assert found(sql, "not-a-query").level == "error"


def test_several_statements_are_refused_behind_a_first_semicolon_too() -> None:
    assert found(f"; {GOOD}; {GOOD}", "several-statements").level == "error"
    assert rules(f"; {GOOD}") == {"trailing-semicolon"}


@pytest.mark.parametrize("end", [";;", "; /* the end */ ;", ";\n;\n"])
def test_all_trailing_semicolons_are_removed_at_once(end: str) -> None:
    sql = GOOD + end
    finding = found(sql, "trailing-semicolon")
    assert finding.fix is not None
    repaired = apply_fix(sql, finding.fix)
    assert lint(repaired) == []
    assert repaired == sql.replace(";", "")


@pytest.mark.parametrize("clause", ["ORDER BY 1", "LIMIT 5", "ORDER BY 1 LIMIT 5"])
def test_removing_a_clause_keeps_the_other_branches_of_a_union(clause: str) -> None:
    sql = f"{GOOD} {clause} UNION ALL {GOOD}"
    for rule in rules(sql):
        fix = found(sql, rule).fix
        assert fix is not None
        assert apply_fix(sql, fix).count("SELECT") == 2


def test_columns_called_like_clauses_limit_nothing() -> None:
    cte = 'WITH a AS (SELECT site AS "offset", clicks AS "limit" FROM dsp_clicks)'
    assert "row-limit" not in rules(
        f"{cte} SELECT offset, SUM(limit) AS x FROM a WHERE offset > 'a' GROUP BY offset"
    )


def test_trailing_semicolon_can_be_removed() -> None:
    fix = found(GOOD + " ;\n", "trailing-semicolon").fix
    assert fix is not None
    assert apply_fix(GOOD + " ;\n", fix) == GOOD + " \n"


def test_line_comments_become_block_comments_and_strings_stay() -> None:
    sql = "-- first */ here\nSELECT '--x' AS x, -- second\n--\nSUM(clicks) AS clicks FROM dsp_clicks"
    finding = found(sql, "line-comment")
    assert (finding.level, finding.line, finding.end_column) == ("info", 1, 17)
    assert finding.fix is not None
    fixed = apply_fix(sql, finding.fix)
    assert (
        fixed == "/* first * / here */\nSELECT '--x' AS x, /* second */\n\nSUM(clicks) AS clicks FROM dsp_clicks"
    )
    assert lint(fixed) == []


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("campaign || 'x'", "CONCAT(campaign, 'x')"),
        ("a.campaign || '-' || UPPER(TRIM(a.site))", "CONCAT(CONCAT(a.campaign, '-'), UPPER(TRIM(a.site)))"),
        ("LEFT(campaign, 2) || (site)", "CONCAT(LEFT(campaign, 2), (site))"),
        ("{{prefix}} || campaign", "CONCAT({{prefix}}, campaign)"),
        ("CASE WHEN clicks > 0 THEN (site) || 'y' END", "CASE WHEN clicks > 0 THEN CONCAT((site), 'y') END"),
    ],
)
def test_concatenation_is_refused_with_a_fix(expression: str, fixed: str) -> None:
    sql = f"SELECT {expression} AS c, SUM(clicks) AS clicks FROM dsp_clicks a GROUP BY 1"
    finding = found(sql, "concat-operator")
    assert finding.level == "error"
    assert finding.fix is not None
    assert apply_fix(sql, finding.fix) == sql.replace(expression, fixed)
    assert lint(apply_fix(sql, finding.fix)) == []


@pytest.mark.parametrize(
    "expression",
    [
        "1 + clicks || 'x'",
        "site || CASE WHEN TRUE THEN 'a' END",
        "site || clicks::VARCHAR",
        "DATE '2025-01-31' || site",
        "click_dt AT TIME ZONE 'UTC' || site",
        "site || click_dt AT TIME ZONE 'UTC'",
        "site || 'x' COLLATE y",
    ],
)
def test_concatenation_of_unclear_operands_has_no_fix(expression: str) -> None:
    sql = f"SELECT COUNT({expression}) AS c FROM dsp_clicks"
    assert found(sql, "concat-operator").fix is None


def test_interval_is_a_warning() -> None:
    sql = "SELECT SUM(clicks) AS c FROM dsp_clicks WHERE click_date > CURRENT_DATE - INTERVAL '3' DAY"
    assert found(sql, "interval").level == "warning"


PLACEHOLDERS = """
WITH ids (id) AS (VALUES {{campaign_ids}}), one (id) AS (VALUES :x),
rows_ (id) AS (VALUES ({{ asins }}), ('x'), {{more_rows}})
SELECT campaign, SUM(clicks) AS clicks
FROM dsp_clicks
WHERE campaign_id IN {{ campaign_ids }} AND campaign IN (:names, $other) AND campaign_id_string IN :more
  AND click_date >= DATE {{start_date}} AND click_date < CAST(:end_date AS DATE)
  AND click_dt < TIMESTAMP '{{end}} 00:00:00'
  AND campaign LIKE '%{{brand}}%' AND site <> $site AND clicks > {{ minimum }}
  AND campaign_id IN (SELECT id FROM ids) AND campaign_id IN (SELECT id FROM one)
GROUP BY campaign
"""


def test_placeholders_of_all_syntaxes_are_read() -> None:
    assert lint(PLACEHOLDERS) == []


def test_positions_behind_placeholders_are_those_of_the_source() -> None:
    sql = "SELECT SUM(clicks) AS c FROM dsp_clicks WHERE site = {{a}} AND line_item = :b AND sit = $c"
    finding = found(sql, "unknown-column")
    assert finding.column == sql.index("sit =") + 1


def test_a_placeholder_may_name_a_table() -> None:
    assert lint('SELECT SUM(x) AS x, a FROM "{{table}}" GROUP BY a') == []
    assert lint("SELECT SUM(x) AS x, a FROM {{table}} t GROUP BY t.a") == []
    assert lint("SELECT SUM(x) AS x FROM TABLE(EXTEND_TIME_WINDOW('{{table}}', 'P{{days}}D', 'P0D'))") == []


def test_casts_and_slices_are_no_placeholders() -> None:
    assert lint("SELECT SUM(CAST(clicks AS FLOAT)) AS a, COLLECT(clicks)[1] AS b FROM dsp_clicks") == []
    sql = "SELECT SUM(clicks::FLOAT) AS a, SUM(:x::FLOAT) AS b, COLLECT(clicks)[1:2] AS c FROM dsp_clicks"
    assert [(f.rule, f.level) for f in lint(sql)] == [
        ("cast-operator", "error"), ("cast-operator", "error"), ("colon", "error"),
    ]  # fmt: skip
