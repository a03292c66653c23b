# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from templates_app.sql import lint as lint_package
from templates_app.sql.lint import MAX_ANALYSED_LENGTH, Finding, apply_fix, lint, text_rules
from templates_app.sql.lint.reading import LintSource
from tests.counting import count_calls

WORDS = [
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "UNION", "ALL", "WITH", "AS",
    "JOIN", "LEFT", "RIGHT", "OUTER", "ON", "USING", "CASE", "WHEN", "THEN", "ELSE", "END", "IN", "BETWEEN",
    "LIKE", "NOT", "NULL", "OVER", "PARTITION", "DISTINCT", "VALUES", "CAST", "INTERVAL", "DATE", "TABLE",
    "EXTEND_TIME_WINDOW", "COLLECT", "SUM", "COUNT", "GETDATE", "NTILE", "TOP", "FETCH", "user_id", "clicks",
    "campaign", "dsp_clicks", "conversions", "a", "b", "*", "1", "100000", "'x'", '"q"', "`", "'", '"', "(",
    ")", "[", "]", "{", "}", ",", ";", ".", "/", "||", "+", "-", "=", "<>", "::", "--", "/*", "*/", "{{x}}",
    "{{", "y", ":p", "$p", "$$", "{%", "é", "日本", '\n', '\r\n', '\t',
]  # fmt: skip


class Failures(logging.Handler):
    """Collects what the lint logs: a rule that fails is logged and skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


def check(sql: str) -> list[Finding]:
    """Lint and check what holds for every result: no rule fails, places are in the text, fixes apply."""
    # What was logged already is not logged again.
    lint_package._logged.clear()
    failures = Failures()
    logger = logging.getLogger("templates_app.sql.lint")
    logger.addHandler(failures)
    findings = lint(sql)
    logger.removeHandler(failures)
    assert failures.messages == []
    for finding in findings:
        assert 1 <= finding.line <= finding.end_line
        assert finding.column >= 1
        if finding.line == finding.end_line:
            assert finding.column <= finding.end_column
        if finding.fix:
            assert 0 <= finding.fix.start <= finding.fix.end <= len(sql)
            assert apply_fix(sql, finding.fix) != sql
    return findings


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
@example("SELECT a FROM dsp_clicks a JOIN dsp_clicks a")
@example("WITH a AS (SELECT * FROM a) SELECT * FROM a")
@example("WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x FROM a) SELECT x, SUM(x) AS y FROM a GROUP BY 9")
@example("SELECT COLLECT() , CONTAINED_IN(), || FROM TABLE()")
@example("SELECT SUM(x) AS x, x AS x FROM (VALUES :x) GROUP BY x, 0, 99999999999999999999")
def test_no_sequence_of_words_breaks_it(sql: str) -> None:
    check(sql)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_text_breaks_it(sql: str) -> None:
    check(sql)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["campaign", "SUM(clicks)", "a.*", "*", "user_id AS u", "{{x}}", "(SELECT 1)"]), min_size=1
    ),
    st.sampled_from(["dsp_clicks a", "(SELECT * FROM conversions) a", "{{t}} a", "(VALUES (1, 2)) a(x, y)"]),
    st.sampled_from(["", "GROUP BY 1", "GROUP BY campaign", "ORDER BY 1 LIMIT 3", "UNION ALL SELECT 1"]),
)
def test_queries_of_many_shapes_are_read(projections: list[str], table: str, tail: str) -> None:
    findings = check(f"SELECT {', '.join(projections)} FROM {table} {tail}")
    assert all(f.rule not in ("syntax-error", "not-analysed") for f in findings)


def test_rules_do_not_fail_on_odd_but_valid_sql() -> None:
    for sql in (
        "SELECT 1",
        "(SELECT SUM(clicks) AS c FROM dsp_clicks)",
        "((SELECT SUM(clicks) AS c FROM dsp_clicks)) ORDER BY 1",
        "FROM dsp_clicks",
        "VALUES (1)",
        "SELECT x FROM UNNEST([1, 2]) AS t(x)",
        "SELECT SUM(clicks) FILTER (WHERE clicks > 1) AS c FROM dsp_clicks",
        "SELECT PERCENTILE(clicks, 0.5) AS p FROM dsp_clicks, LATERAL (SELECT 1 AS one) l",
        "SELECT SUM(clicks) AS c FROM dsp_clicks GROUP BY ROLLUP (campaign)",
        "SELECT EXTRACT(DAY FROM click_dt) AS d, DATE_TRUNC('day', click_dt) AS t, COUNT(1) AS n"
        " FROM dsp_clicks GROUP BY 1, 2",
        "SELECT campaign.x.y AS z, COUNT(1) AS n FROM dsp_clicks GROUP BY 1",
        "SELECT COUNT(1) AS n FROM dsp_clicks a SEMI JOIN dsp_views b ON a.user_id = b.user_id",
        "SELECT COUNT(1) AS n FROM dsp_clicks"
        " WHERE clicks IN (SELECT clicks FROM dsp_clicks WHERE clicks > ALL (SELECT 1))",
        "WITH a AS (SELECT 1 AS x), a AS (SELECT 2 AS x) SELECT x FROM a",
        "PIVOT dsp_clicks ON campaign USING SUM(clicks)",
    ):
        check(sql)


def assert_linear(text: Callable[[int], str], size: int) -> None:
    """Check a text and one of twice the size, which may take little more than twice the work."""
    once, twice = (count_calls(partial(check, text(length))) for length in (size, 2 * size))
    assert twice <= 2.5 * once + 1_000


def test_long_sql_is_checked_by_its_words_only() -> None:
    values = ", ".join(f"'B{number:09d}'" for number in range(8_000))
    sql = f"SELECT nothing FROM nowhere WHERE asin IN ({values}) LIMIT 5"
    assert len(sql) > 100_000 > MAX_ANALYSED_LENGTH
    findings = check(sql)
    assert [(f.rule, f.level) for f in findings] == [("not-analysed", "info"), ("row-limit", "warning")]


REPEATED = (
    "(", "((1))", "SELECT ", "a.", "{{x}}", "'", "/*", "--\n", "CASE WHEN ", "NOT ", "[", ":x ", "a||", "-", "UNION ",
)  # fmt: skip
TABLES = ("UNION ALL SELECT SUM(clicks) AS c FROM dsp_clicks ", "JOIN dsp_clicks USING (site) ")


@pytest.mark.parametrize("unit", REPEATED)
def test_repetition_takes_work_in_proportion_to_the_length(unit: str) -> None:
    assert_linear(lambda times: "SELECT " + unit * times, 1_000)
    # Of texts as long as these only the words are read.
    assert MAX_ANALYSED_LENGTH < 50_000
    assert_linear(lambda times: "SELECT " + unit * times, 50_000 // len(unit))


@pytest.mark.parametrize("unit", TABLES)
def test_many_tables_take_work_in_proportion_to_their_number(unit: str) -> None:
    def text(times: int) -> str:
        return "SELECT SUM(clicks) AS c FROM dsp_clicks a " + unit * times

    assert_linear(text, 100)
    check(text(300))


def test_findings_of_one_rule_are_capped() -> None:
    sql = "SELECT " + ", ".join(f"SUM(wrong_{i}) AS c{i}" for i in range(300)) + " FROM dsp_clicks"
    assert len([f for f in check(sql) if f.rule == "unknown-column"]) == 50


def steps(
    count: int, step: str = "SELECT x FROM {before}", first: str = "SELECT campaign AS x FROM dsp_clicks"
) -> str:
    """Return a query of so many CTEs, each of which reads the one before it."""
    ctes = [f"s0 AS ({first})"]
    ctes += (f"s{number} AS ({step.format(before=f's{number - 1}')})" for number in range(1, count))
    return f"WITH {', '.join(ctes)} SELECT x, COUNT(1) AS n FROM s{count - 1} GROUP BY x"


DEEP = {
    "steps": lambda size: steps(size // 33),
    "steps with subqueries": lambda size: steps(size // 50, "SELECT (SELECT MAX(x) FROM {before}) AS x"),
    "sum": lambda size: f"SELECT SUM({'+'.join(['clicks'] * (size // 7))}) AS c FROM dsp_clicks",
    "comparison": lambda size: f"SELECT COUNT(1) AS c FROM dsp_clicks WHERE a {'= b ' * (size // 4)}",
    "casts": lambda size: f"SELECT SUM(clicks{'::INT' * (size // 5)}) AS c FROM dsp_clicks",
    "negations": lambda size: f"SELECT COUNT(1) AS c FROM dsp_clicks WHERE {'NOT ' * (size // 4)}clicks = 1",
    "brackets": lambda size: f"SELECT SUM({'(' * (size // 2)}clicks{')' * (size // 2)}) AS c FROM dsp_clicks",
    "union": lambda size: " UNION ALL ".join(["SELECT SUM(clicks) AS c FROM dsp_clicks"] * (size // 48)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_what_is_too_deep_is_said_in_bounded_work_and_not_logged(kind: str) -> None:
    deep = DEEP[kind](MAX_ANALYSED_LENGTH // 2)
    assert "not-analysed" in {finding.rule for finding in check(deep)}
    assert_linear(DEEP[kind], MAX_ANALYSED_LENGTH // 3)


def test_four_thousand_steps_are_not_logged() -> None:
    assert [finding.rule for finding in check(steps(4_000))] == ["not-analysed"]


def test_a_long_chain_of_and_or_of_or_is_checked_like_any_other() -> None:
    for word in ("AND", "OR"):
        chain = f" {word} ".join(["wrong > 1"] * 2_200)
        findings = check(f"SELECT campaign, COUNT(1) AS c FROM dsp_clicks WHERE {chain} GROUP BY 1")
        assert {finding.rule for finding in findings} == {"unknown-column"}


def test_stars_of_stars_stay_small() -> None:
    sql = steps(40, "SELECT *, * FROM {before}", "SELECT * FROM dsp_impressions")
    tracemalloc.start()
    check(sql)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


def test_a_bug_of_a_rule_is_logged_once_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(source: LintSource) -> Iterator[Finding]:
        raise ZeroDivisionError(str(source))

    monkeypatch.setattr(lint_package, "_logged", set())
    monkeypatch.setattr(lint_package, "TEXT_RULES", (breaks, *text_rules.TEXT_RULES))
    for limit in (1, 2, 3):
        assert "row-limit" in {finding.rule for finding in lint(f"SELECT 1 AS one LIMIT {limit}")}
    assert [record.message for record in caplog.records] == ["lint rule failed rule=breaks length=23"]


def test_the_parser_says_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for sql in (
        "SELECT campaign[1][2] AS c FROM dsp_clicks",
        "SELECT 1 AS x FROM a FOR UPDATE",
        "SHOW TABLES",
        "ALTER x",
    ):
        check(sql)
    assert [record.message for record in caplog.records] == []
