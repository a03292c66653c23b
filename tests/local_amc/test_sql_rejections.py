"""What AMC SQL does not have, and names that do not exist: refused with the reason and its place."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import pytest

from amc_facts.tables import RETIRED_TABLES
from local_amc.sql.compiler import Rules
from tests.local_amc.shared import Amc

I = "SUM(impressions) AS i FROM dsp_impressions"  # noqa: E741
JOINED = "dsp_impressions a JOIN dsp_clicks b ON a.user_id = b.user_id"

# SQL, where (line, column), and what the message says.
REFUSED = [
    # Not in the dialect.
    (f"SELECT {I} LIMIT 10", (1, 51), "LIMIT is not supported"),
    (f"SELECT {I}\nLIMIT 10", (2, 1), "LIMIT is not supported"),
    (f"SELECT TOP 5 {I}", (1, 8), "TOP is not supported"),
    (f"SELECT {I} FETCH FIRST 5 ROWS ONLY", (1, 51), "FETCH is not supported"),
    (f"SELECT {I} OFFSET 3", (1, 51), "OFFSET is not supported"),
    ("SELECT * FROM dsp_impressions", (1, 8), "SELECT * is not supported"),
    ("SELECT d.* FROM dsp_impressions d", (1, 10), "SELECT * is not supported"),
    ("SELECT campaign,\n  *\nFROM dsp_impressions", (2, 3), "SELECT * is not supported"),
    (f"WITH a AS (SELECT {I}) SELECT * FROM a", (1, 70), "SELECT * is not supported"),
    ("SELECT 1 AS a UNION ALL SELECT * FROM (VALUES (2)) AS t(a)", (1, 32), "SELECT * is not supported"),
    ("SELECT COUNT(a) AS c FROM (SELECT * REPLACE (1 AS a) FROM (VALUES (1)) AS t(a))", (1, 35), "Only a plain *"),
    ("SELECT COUNT(*) AS c FROM dsp_impressions a RIGHT JOIN dsp_clicks b ON a.user_id = b.user_id", (1, 56),
     "RIGHT JOIN is not supported"),
    ("SELECT 1 AS a; SELECT 2 AS b", (1, 14), "Only one statement"),
    ("DELETE FROM dsp_impressions", (1, 1), "Only a SELECT statement"),
    ("CREATE TABLE x AS SELECT 1 AS a", (1, 1), "Only a SELECT statement"),
    ("WITH x AS (DELETE FROM y RETURNING 1) SELECT 1 AS a", (1, 24), "DELETE is not supported"),
    ("SELECT GETDATE() AS a", (1, 8), "use CAST('today' AS DATE)"),
    ("SELECT 'a' || 'b' AS c", (1, 12), "Concatenate with CONCAT(a, b)"),
    ("SELECT '1'::INTEGER AS c", (1, 11), "Convert with CAST"),
    (f"SELECT campaign, {I} GROUP BY 1\nORDER BY campaign", (2, 10), "ORDER BY on the outermost SELECT"),
    (f"SELECT {I} QUALIFY 1 = 1", (1, 8), "QUALIFY is not supported"),
    (f"SELECT {I} TABLESAMPLE 10%", (1, 63), "TABLESAMPLE is not supported"),
    (f"SELECT campaign, {I} GROUP BY ROLLUP(campaign)", (1, 77), "ROLLUP is not supported"),
    (f"SELECT campaign, {I} GROUP BY ALL", (1, 8), "Only plain GROUP BY"),
    (f"SELECT {I} GROUP BY", (1, 8), "GROUP BY names no column"),
    ("SELECT DISTINCT ON (campaign) campaign FROM dsp_impressions", (1, 21), "DISTINCT ON is not supported"),
    ("SELECT 1 AS a EXCEPT SELECT 2", (1, 8), "EXCEPT is not supported"),
    ("SELECT COUNT(*) AS c FROM dsp_impressions SEMI JOIN dsp_clicks USING (user_id)", (1, 53), "SEMI JOIN"),
    ("SELECT COUNT(*) AS c FROM dsp_impressions NATURAL JOIN dsp_clicks", (1, 56), "NATURAL JOIN"),
    ("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", (1, 16), "RECURSIVE"),
    ("WITH r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", (1, 53), "Object 'r' not found"),
    ("SELECT NTILE(4) OVER (ORDER BY a) AS n FROM (VALUES (1)) AS t(a)", (1, 8), "use PERCENT_RANK() or RANK()"),
    ("SELECT CURRENT_USER AS a", (1, 24), "CURRENT_USER is not supported"),
    ("VALUES (1)", (1, 1), "Only a SELECT statement"),
    ("EXPLAIN SELECT 1 AS a", (1, 1), "Only a SELECT statement"),
    # Syntax.
    ("SELECT SUM(impressions i FROM dsp_impressions", (1, 24), 'Encountered "i"'),
    ("SELECT campaign,\n       SUM(impressions AS i\nFROM dsp_impressions", (2, 24), 'Encountered "AS"'),
    (f"SELECT campaign {I} GROUP BY 1", (1, 20), 'Encountered "("'),
    ("SELECT campaign, SUM(impressions) AS i, FROM dsp_impressions GROUP BY 1", (1, 41), "a column before FROM"),
    ("SELECT FROM dsp_impressions", (1, 8), "a column before FROM"),
    ("SELEC 1 AS a", (1, 1), 'Encountered "SELEC"'),
    ("", None, "The query is empty"),
    (" -- only a comment", None, "The query is empty"),
    ("SELECT 'abc AS a", None, "a string or comment is not closed"),
    ('SELECT "abc AS a', None, "a string or comment is not closed"),
    ("SELECT 1 AS a /* never closed", None, "a string or comment is not closed"),
    ("SELECT a FROM (VALUES (1, 2), (3)) AS t(a, b)", (1, 24), "Number of columns must match"),
    ("WITH t (a) AS (VALUES (1, 2)) SELECT a FROM t", (1, 24), "Number of columns must match"),
    ("SELECT 1 AS a UNION ALL SELECT 1, 2", None, "Column count mismatch in UNION"),
    # Names.
    ("SELECT SUM(i) AS i FROM nope", (1, 25), "Object 'nope' not found"),
    ("SELECT SUM(i) AS i\nFROM dsp_impressions a\nJOIN nope b ON a.user_id = b.user_id", (3, 6), "'nope' not found"),
    (f"SELECT nope, {I} GROUP BY 1", (1, 8), "Column 'nope' not found in any table"),
    (f"-- nope\nSELECT campaign,\n  {I} -- nope\nWHERE nope = 1 GROUP BY 1", (4, 7), "Column 'nope' not found"),
    ("SELECT COUNT(*) AS c FROM dsp_impressions d WHERE d.nope = 1", (1, 51), "'nope' not found in table 'd'"),
    ("SELECT COUNT(*) AS c FROM dsp_impressions d WHERE x.campaign = 'a'", (1, 51), "Table 'x' not found"),
    (f"SELECT campaign, {I} GROUP BY 1 HAVING SUM(clicks) > 1", (1, 83), "Column 'clicks' not found"),
    (f"SELECT FOO(campaign) AS f, {I} GROUP BY 1", (1, 8), "No match found for function signature FOO"),
    (f"SELECT campaign, COUNT(*) AS c FROM {JOINED} GROUP BY 1", (1, 8), "Column 'campaign' is ambiguous"),
    ("SELECT c.n FROM (SELECT campaign, COUNT(*) AS n FROM dsp_clicks GROUP BY 1) AS c JOIN "
     "(SELECT campaign, COUNT(*) AS m FROM dsp_clicks GROUP BY 1) AS d ON campaign = d.campaign", (1, 155),
     "Column 'campaign' is ambiguous"),
    ("WITH x (k) AS (SELECT campaign FROM dsp_clicks), y (k) AS (SELECT campaign FROM dsp_impressions) "
     "SELECT k, COUNT(*) AS c FROM x CROSS JOIN y GROUP BY 1", (1, 105), "Column 'k' is ambiguous"),
    # Grouping.
    (f"SELECT campaign,\n  advertiser,\n  {I} GROUP BY 1", (2, 3), "Expression 'advertiser' is not being grouped"),
    (f"-- campaign\nSELECT campaign, {I}", (2, 8), "Expression 'campaign' is not being grouped"),
    ("SELECT SUM(SUM(impressions)) AS i FROM dsp_impressions", (1, 12), "expressions cannot be nested"),
    (f"SELECT campaign, {I} WHERE SUM(impressions) > 1 GROUP BY 1", (1, 67), "illegal in WHERE clause: use HAVING"),
    ("SELECT campaign FROM dsp_impressions", (1, 8), "no aggregate function"),
    ("SELECT campaign FROM dsp_impressions UNION ALL SELECT campaign FROM dsp_clicks", (1, 8), "no aggregate"),
    ("SELECT campaign, SUM(impressions) OVER () AS i FROM dsp_impressions", (1, 8), "no aggregate function"),
    # EXTEND_TIME_WINDOW.
    ("SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW('dsp_clicks', 'P1D'))", (1, 33), "three quoted texts"),
    ("SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW(dsp_clicks, 'P1D', 'P1D'))", (1, 33), "three quoted texts"),
    ("SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW('nope', 'P1D', 'P1D'))", (1, 52), "'nope' not found"),
    ("SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW('dsp_clicks', '1D', 'P1D'))", (1, 66), "not a period"),
    ("SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW('dsp_clicks', 'P', 'P1D'))", (1, 66), "not a period"),
    ("WITH z AS (SELECT 1 AS a) SELECT a FROM TABLE(EXTEND_TIME_WINDOW('z', 'P1D', 'P1D'))", (1, 66), "'z' not found"),
    ("SELECT COUNT(*) AS c FROM TABLE(FOO('x'))", (1, 33), "signature FOO"),
]  # fmt: skip
ACCEPTED = [
    f"SELECT {I};",
    f"(SELECT {I})",
    f"SELECT /* LIMIT 5; */ {I} -- LIMIT 5; SELECT *",
    "SELECT 'LIMIT 1; -- *' AS a",
    "SELECT COUNT(*) AS top FROM dsp_impressions",
    'SELECT COUNT(*) AS "limit" FROM dsp_impressions',
    "SELECT COUNT(*) AS c FROM (SELECT * FROM dsp_impressions)",
    f"SELECT CAMPAIGN, {I.upper()} GROUP BY Campaign",
    "SELECT campaign, campaign, COUNT(*) AS c FROM dsp_impressions GROUP BY 1",
    "SELECT LEFT(campaign, 3) AS p, COUNT(*) AS c FROM dsp_impressions GROUP BY p",
    "SELECT SUM(i) AS s FROM (SELECT impressions AS i FROM dsp_impressions ORDER BY 1)",
    "SELECT a.campaign, COUNT(*) AS c FROM dsp_impressions a JOIN dsp_clicks b USING (user_id) GROUP BY 1",
    "SELECT COUNT(*) AS c FROM dsp_impressions a FULL OUTER JOIN dsp_clicks b ON a.user_id = b.user_id",
    "SELECT COUNT(*) AS c FROM dsp_impressions a, dsp_clicks b WHERE a.user_id = b.user_id",
    "WITH dsp_clicks AS (SELECT campaign, COUNT(*) AS n FROM dsp_impressions GROUP BY 1) SELECT n FROM DSP_CLICKS",
    "SELECT d, COUNT(*) AS c FROM (SELECT RANK() OVER (ORDER BY campaign) AS d FROM dsp_impressions) GROUP BY 1",
    "SELECT campaign, RANK() OVER (PARTITION BY advertiser ORDER BY impression_dt_utc) AS r, COUNT(*) AS c "
    "FROM dsp_impressions GROUP BY 1, 2",
    "SELECT DISTINCT campaign FROM dsp_impressions UNION SELECT DISTINCT campaign FROM dsp_clicks",
    "SELECT COUNT(*) AS c FROM display_impressions WHERE winning_bid_cost > 0",
    "SELECT COUNT(*) AS c FROM dsp_impressions WHERE campaign_id = 'no number'",
]


@pytest.mark.parametrize(("sql", "place", "message"), REFUSED)
def test_refused_with_reason_and_place(amc: Amc, sql: str, place: tuple[int, int] | None, message: str) -> None:
    refusal = amc.refusal(sql)
    assert message in refusal
    assert place is None or f"line {place[0]}, column {place[1]}" in refusal


@pytest.mark.parametrize("sql", ACCEPTED)
def test_accepted(amc: Amc, sql: str) -> None:
    assert amc.refusal(sql) == ""


@pytest.mark.parametrize(("old", "new"), RETIRED_TABLES.items())
def test_retired_tables_are_read_as_their_successors(amc: Amc, old: str, new: str) -> None:
    count = "SELECT COUNT(*) AS c, COUNT(DISTINCT user_id) AS u FROM"
    assert amc.values(f"{count} {old}") == amc.values(f"{count} {new}")


def test_order_by_is_accepted_with_the_switch_and_sorts(amc: Amc) -> None:
    switched = Rules(accepts_order_by=True)
    for sql in (
        "SELECT campaign, COUNT(*) AS c FROM dsp_impressions GROUP BY 1 ORDER BY c DESC",
        "SELECT DISTINCT campaign FROM dsp_impressions ORDER BY campaign",
        "SELECT DISTINCT campaign FROM dsp_impressions UNION SELECT DISTINCT campaign FROM dsp_clicks ORDER BY 1",
    ):
        rows = amc.query(sql, rules=switched).rows
        keys = [-row[1] if len(row) == 2 else row[0] for row in rows]
        assert len(keys) > 5
        assert keys == sorted(keys), sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 290 + "1" + ")" * 290 + " AS a",
        "SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS a",
        "SELECT COUNT(*) AS c FROM " + "(SELECT * FROM " * 200 + "dsp_impressions" + ")" * 200,
        "SELECT " + "(SELECT " * 100 + "1" + ")" * 100 + " AS a",
        "SELECT " + "NOT " * 5000 + "TRUE AS a",
        "SELECT " + "- " * 5000 + "1 AS a",
        "SELECT " + "1 + " * 9000 + "1 AS a",
        "SELECT " + "CASE WHEN TRUE THEN " * 1500 + "1" + " END" * 1500 + " AS a",
        "SELECT " + "UPPER(" * 250 + "'a'" + ")" * 250 + " AS a",
        "SELECT 1 AS a" + " UNION ALL SELECT 1" * 450,
    ],
)
def test_deep_nesting_is_refused_or_run_but_breaks_nothing(amc: Amc, sql: str) -> None:
    refusal = amc.refusal(sql)
    assert refusal == "" or "nested" in refusal


def test_long_sql(amc: Amc) -> None:
    assert "longer than 65536 bytes" in amc.refusal("SELECT 'ä' AS a" + " " * 65_522)
    many = ", ".join(f"('{place}')" for place in range(6_000))
    assert len(amc.query(f"SELECT a FROM (VALUES {many}) AS t(a)").rows) == 6_000
    assert amc.refusal("SELECT " + ", ".join(f"{place} AS c{place}" for place in range(2_000))) == ""


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT '\ud800' AS a", "lone surrogate"),
        ("SELECT 1 AS \udfff", "lone surrogate"),
        ("SELECT 'a\0b' AS a", "NUL character"),
        ("SELECT 1 AS a \0; DROP TABLE x", "NUL character"),
    ],
)
def test_text_that_is_none_is_refused(amc: Amc, sql: str, message: str) -> None:
    assert message in amc.refusal(sql)


def test_comments_and_lines_are_kept_apart(amc: Amc) -> None:
    sql = "SELECT 1 AS a -- first\r\n, 2 AS b /* two\nlines */, 3 AS c -- last"
    assert amc.query(sql).texts == [["1", "2", "3"]]
