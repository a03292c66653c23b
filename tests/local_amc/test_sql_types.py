"""Text beside numbers, moments and flags is read as what it is compared with, as Calcite and Spark do."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import pytest

from tests.local_amc.shared import Amc

ROW = (
    "FROM (VALUES ('007', 7, 7.5, DATE '2026-10-25', TIMESTAMP '2026-10-25 22:11:33', TRUE, '2026-10-25', 'x', "
    "ARRAY['007', 'x'], ARRAY[7, 8])) AS one(s, n, d, day, t, f, written, word, texts, numbers)"
)
# An expression on that row, then what stands in the file.
COMPARED = [
    ("s = n", "true"), ("n = s", "true"), ("s <> n", "false"), ("s < 10", "true"), ("'10' > 9", "true"),
    ("'7.50' = d", "true"), ("'7.5e0' = CAST(d AS DOUBLE)", "true"), ("word = n", ""), ("word <> n", ""),
    ("s IS DISTINCT FROM n", "false"), ("NOT s = n", "false"), ("-7 < s", "true"), ("' 7 ' = n", "true"),
    # All digits of an ID count.
    ("'12345678901234567' = CAST(12345678901234568 AS BIGINT)", "false"),
    ("s IN (6, 7)", "true"), ("n IN ('8', '007', 'x')", "true"), ("s NOT IN (7)", "false"), ("n IN ('x')", ""),
    ("CONTAINED_IN(s, 6, 7)", "true"), ("s IN (SELECT 7)", "true"), ("n IN (SELECT '007' UNION SELECT 'x')", "true"),
    ("(s, word) IN ((7, 'x'))", "true"), ("(n, s) = ('7', 7)", "true"), ("(n, word) IN (SELECT '07', 'x')", "true"),
    ("s = ANY(ARRAY[7])", "true"), ("n = ANY(ARRAY['x', '07'])", "true"), ("n = ANY(SELECT '07')", "true"),
    ("s = (SELECT 7)", "true"), ("s BETWEEN 6 AND 8", "true"), ("n BETWEEN '6' AND '10'", "true"),
    ("10 BETWEEN s AND '11'", "true"), ("CASE s WHEN 7 THEN 'seven' END", "seven"),
    ("CASE n WHEN 'x' THEN 1 WHEN '07' THEN 2 END", "2"), ("NULLIF(s, 7)", ""), ("NULLIF(s, 8)", "007"),
    ("NULLIF(n, '07')", ""), ("ARRAY_CONTAINS(texts, n)", "true"), ("ARRAY_CONTAINS(numbers, s)", "true"),
    ("SUBSTRING(s, 2) = n", "true"), ("REGEXP_SUBSTR(s, '[1-9]') = n", "true"),
    ("CASE WHEN n = '7' THEN word ELSE n END", "x"), ("COALESCE(n, word) = s", "false"), ("IF(s = n, n, word)", "7"),
    # Computing with one beside a number.
    ("s + 1", "8.0"), ("n * '2'", "14.0"), ("n / NULLIF('2', 0)", "3.5"),
    # Moments and flags.
    ("day = written", "true"), ("t > written", "true"), ("written < t", "true"), ("day = word", ""),
    ("t = '2026-10-25T22:11:33.000Z'", "true"), ("day IN (written, word)", "true"), ("day = '2026-10-25'", "true"),
    ("day BETWEEN written AND CONCAT('2026-', '12-31')", "true"), ("CAST(day AS VARCHAR) = day", "true"),
    ("f = 'true'", "true"), ("f = word", ""), ("LOWER('TRUE') = f", "true"), ("f = 1", "true"),
]  # fmt: skip
CAST = [
    ("CAST('1.9' AS INTEGER)", "1"), ("CAST('-1.9' AS BIGINT)", "-1"), ("CAST(CONCAT(s, '.9') AS INTEGER)", "7"),
    ("CAST('12345678901234567.8' AS BIGINT)", "12345678901234567"), ("CAST(word AS INTEGER)", ""),
    ("CAST('' AS INTEGER)", ""), ("CAST(1.9 AS INTEGER)", "1"), ("CAST('1.9' AS DOUBLE)", "1.9"),
    ("CAST('300' AS TINYINT)", ""), ("CAST('1e3' AS INTEGER)", "1000"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "text"), COMPARED + CAST)
def test_text_is_read_as_what_stands_beside_it(amc: Amc, expression: str, text: str) -> None:
    assert amc.values(f"SELECT {expression} AS r {ROW}") == [text]


@pytest.mark.parametrize(
    "condition", ["u.c = t.n", "t.n = u.c", "t.n < u.c AND u.c <> 3", "u.c BETWEEN t.n AND t.n + 1"]
)
def test_tables_are_joined_by_number(amc: Amc, condition: str) -> None:
    numbers, texts = "(VALUES (1), (2)) AS t(n)", "(VALUES ('01'), ('x'), ('2.0')) AS u(c)"
    [[count]] = amc.query(f"SELECT COUNT(*) AS c FROM {numbers} JOIN {texts} ON {condition}").rows
    expected = {"t.n < u.c AND u.c <> 3": 1, "u.c BETWEEN t.n AND t.n + 1": 3}
    assert count == expected.get(condition, 2)


def test_using_joins_text_with_numbers(amc: Amc) -> None:
    sql = "SELECT COUNT(*) AS c FROM (VALUES ('07')) AS t(k) JOIN (VALUES (7)) AS u(k) USING (k)"
    assert amc.query(sql).rows == [(1,)]


def test_a_year_that_is_text_is_larger_than_a_number(amc: Amc) -> None:
    found = "SELECT COUNT(DISTINCT user_id) AS c FROM amazon_your_garage WHERE {} > 999"
    [[cast]] = amc.query(found.format("CAST(garage_year AS INTEGER)")).rows
    assert cast > 0
    assert amc.query(found.format("garage_year")).rows == [(cast,)]


def test_a_written_moment_that_is_none_is_refused(amc: Amc) -> None:
    sql = "SELECT COUNT(*) AS c FROM conversions WHERE event_dt_utc > '2026-13-01'"
    assert "Cannot convert '2026-13-01' to a date or timestamp" in amc.refusal(sql)


def test_a_date_stays_one_through_subqueries(amc: Amc) -> None:
    inner = "SELECT event_date_utc + INTERVAL '1' DAY AS d, COUNT(*) AS n FROM conversions GROUP BY 1"
    for sql in (inner, f"SELECT d, SUM(n) AS n FROM ({inner}) AS t GROUP BY 1"):
        found = amc.query(sql)
        assert [column["dataType"] for column in found.columns] == ["DATE", "LONG"]
        assert len(found.rows) > 100
