"""What AMC SQL lacks, as the editor shows it: where, once, and never because of a placeholder's value."""

# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

import pytest

from templates_app.sql.lint import Finding, apply_fix, lint

CLICKS = "SELECT COUNT(*) AS c FROM dsp_clicks"
BY_SITE = "SELECT site, SUM(clicks) AS c FROM dsp_clicks"


def errors(sql: str) -> list[Finding]:
    return [finding for finding in lint(sql) if finding.level == "error"]


def text_at(sql: str, finding: Finding) -> str:
    """Return what a finding is about, as typed."""
    begins = [0]
    for line in sql.split("\n"):
        begins.append(begins[-1] + len(line) + 1)
    start, end = begins[finding.line - 1] + finding.column, begins[finding.end_line - 1] + finding.end_column
    return sql[start - 1 : end - 1]


@pytest.mark.parametrize(
    ("sql", "rule", "at"),
    [
        (f"{CLICKS} WHERE site ILIKE 'a%' AND site <> 'b'", "ilike", "ILIKE"),
        (f"{BY_SITE} GROUP BY ALL", "group-by-all", "GROUP BY"),
        (f"WITH a AS ({BY_SITE} GROUP BY site) SELECT site, SUM(c) AS c FROM a GROUP\n BY ALL", "group-by-all",
         "GROUP\n BY"),
        (f"{BY_SITE} GROUP BY 1 QUALIFY RANK() OVER (ORDER BY site) = 1", "qualify", "QUALIFY"),
        (f"{BY_SITE} GROUP BY ROLLUP (site)", "rollup", "ROLLUP"),
        (f"{BY_SITE} GROUP BY GROUPING SETS ((site), ())", "grouping-sets", "GROUPING SETS"),
        (f"{CLICKS} a NATURAL JOIN dsp_views b", "natural-join", "NATURAL"),
        (f"{BY_SITE} GROUP BY 1 EXCEPT {BY_SITE} GROUP BY 1", "except", "EXCEPT"),
        ("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "recursive", "RECURSIVE"),
        ("SELECT DISTINCT ON (site) site FROM (SELECT DISTINCT site FROM dsp_clicks)", "distinct-on", "DISTINCT"),
        (f"{CLICKS} WHERE site == 'x'", "double-equals", "=="),
        (f"{CLICKS} WHERE site ~ 'x'", "regex-operator", "~"),
        (f"{CLICKS} WHERE clicks // 2 = 1", "integer-division", "//"),
        ("SELECT {'a': COUNT(*)} AS c FROM dsp_clicks", "struct", "{"),
        ("SELECT SUM(clicks)::DOUBLE AS c FROM dsp_clicks", "cast-operator", "::"),
        ("SELECT CURRENT_USER AS a", "not-amc-sql", "CURRENT_USER"),
        ("SELECT CAST('a' AS UUID) AS a", "unknown-type", "'a'"),
        (f"{CLICKS} WHERE click_dt > 5", "unlike-types", "click_dt > 5"),
        (f"{CLICKS} WHERE SUM(clicks) > 1", "aggregate-placement", "SUM(clicks"),
        (f"{CLICKS} TABLESAMPLE BERNOULLI (10)", "tablesample", "TABLESAMPLE"),
    ],
)  # fmt: skip
def test_one_error_stands_at_the_construct(sql: str, rule: str, at: str) -> None:
    [finding] = errors(sql)
    assert (finding.rule, text_at(sql, finding)) == (rule, at)


@pytest.mark.parametrize(
    "condition",
    [
        "click_date > DATE {{day}}",
        "click_date > CURRENT_DATE - INTERVAL {{days}} DAY",
        "click_date > CURRENT_DATE - INTERVAL '{{days}}' DAY",
        "click_date > {{day}}",
        "{{condition}}",
        "clicks IN {{list}}",
        "site IN (SELECT x FROM (VALUES {{rows}}) AS t(x))",
        "click_dt > TIMESTAMP '{{day}} 00:00:00'",
        "site LIKE '{{\u00a0pattern\u00a0}}'",
        "clicks = {{\u2003number }}",
        "site = '\u2018quoted\u2019 \u200b'",
    ],
)
def test_what_a_placeholder_brings_or_a_string_holds_is_no_error(condition: str) -> None:
    assert errors(f"{CLICKS} WHERE {condition}") == []
    assert [finding.rule for finding in lint(f"{CLICKS} WHERE {condition}") if finding.rule == "look-alike"] == []


def test_a_placeholder_hides_no_construct() -> None:
    assert [finding.rule for finding in errors(f"{CLICKS} WHERE site ILIKE {{{{pattern}}}}")] == ["ilike"]
    assert [finding.rule for finding in errors(f"{CLICKS} WHERE click_date > :day::DATE")] == ["cast-operator"]


def test_filter_where_needs_no_group() -> None:
    condition = "FILTER (WHERE line_item = 'x' AND clicks > 0)"
    assert lint(f"SELECT site, SUM(clicks) {condition} AS c FROM dsp_clicks GROUP BY 1") == []
    assert lint(f"SELECT COUNT(*) {condition} AS c FROM dsp_clicks") == []
    [finding] = errors(f"SELECT line_item, SUM(clicks) {condition} AS c FROM dsp_clicks")
    assert (finding.rule, finding.column) == ("not-grouped", 8)


def test_back_ticks_become_double_quotes() -> None:
    sql = "SELECT `site`, SUM(clicks) AS `all clicks` FROM dsp_clicks GROUP BY 1"
    first, second = errors(sql)
    assert (first.rule, first.column, second.rule) == ("back-tick", 8, "back-tick")
    assert first.fix is not None
    assert second.fix is not None
    assert apply_fix(apply_fix(sql, second.fix), first.fix) == (
        'SELECT site, SUM(clicks) AS "all clicks" FROM dsp_clicks GROUP BY 1'
    )


def test_each_look_alike_is_named_once_and_all_are_replaced_at_once() -> None:
    first, second = (
        "SELECT site,\u00a0SUM(clicks)\u00a0AS c",
        "WHERE site <> \u2018{{x}}\u2019 GROUP\u00a0BY 1\u200b",
    )
    sql = f"{first}\nFROM dsp_clicks {second}"
    findings = lint(sql)
    assert [(finding.level, finding.line, finding.column) for finding in findings] == [
        ("warning", 1, 13), ("error", 2, 31), ("error", 2, 49),
    ]  # fmt: skip
    for finding in findings:
        assert finding.fix is not None
        assert apply_fix(sql, finding.fix) == (
            "SELECT site, SUM(clicks) AS c\nFROM dsp_clicks WHERE site <> '{{x}}' GROUP BY 1"
        )


def test_characters_that_no_request_carries_are_named() -> None:
    [finding] = lint("SELECT 'a\0b' AS a")
    assert (finding.rule, finding.level, finding.column) == ("look-alike", "error", 10)
    assert "NUL" in finding.message
