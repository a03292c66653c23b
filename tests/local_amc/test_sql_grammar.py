"""What AMC's grammar and function reference allow beyond everyday queries, and what its validator says of the rest."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.local_amc.shared import Amc

SAMPLE = "(VALUES ('a', 1), ('a', 2), ('b', 4)) AS t(k, n)"
ROWS = [
    # Named windows, one built on another.
    (f"SELECT k, SUM(n) OVER w AS s FROM {SAMPLE} WINDOW w AS (PARTITION BY k)", [["a", "3"], ["a", "3"], ["b", "4"]]),
    (f"SELECT n, RANK() OVER v AS r, SUM(n) OVER (w ORDER BY n) AS s FROM {SAMPLE} "
     "WINDOW w AS (PARTITION BY k), v AS (w ORDER BY n DESC)", [["1", "2", "1"], ["2", "1", "3"], ["4", "1", "4"]]),
    (f"SELECT k, RANK() OVER W AS r FROM (SELECT k, SUM(n) AS s FROM {SAMPLE} GROUP BY k) AS u "
     "WINDOW w AS (ORDER BY s)", [["a", "1"], ["b", "2"]]),
    # Comments: between any two words, not nested, and not in texts.
    ("SELECT/**/k,/* one /* not two */COUNT(*)AS c--'\nFROM" + f" {SAMPLE} GROUP/* x */BY -- \"\n k",
     [["a", "2"], ["b", "1"]]),
    ("SELECT '--' AS a, '/* */' AS b, 'it''s' AS c", [["--", "/* */", "it's"]]),
    # Values of functions as their reference describes them.
    ("SELECT COUNT(ALL x) AS c, COLLECT(ALL x) AS l, COLLECT(x) AS m FROM (VALUES (1), (NULL)) AS t(x)",
     [["1", "[1, null]", "[1, null]"]]),
    ("SELECT ARRAY_DISTINCT(ARRAY['c', 'a', 'c']) AS d, ARRAY_INTERSECT(ARRAY[3, 1, 2, 3], ARRAY[2, 3]) AS i",
     [["[c, a]", "[3, 2]"]]),
    ("SELECT ARRAY_DISTINCT(t.item) AS a, ARRAY_INTERSECT(place, place) AS b "
     "FROM (VALUES (ARRAY[3, 1, 3], ARRAY[1])) AS t(item, place)", [["[3, 1]", "[1]"]]),
    ("SELECT TO_VARBINARY('61', 'hex') AS a, TO_VARBINARY('YQ==', 'base64') AS b, TO_VARBINARY('a', 'utf-8') AS c",
     [["61", "61", "61"]]),
    ("SELECT FROM_VARBINARY(TO_VARBINARY('a'), 'HEX') AS a, FROM_VARBINARY(TO_VARBINARY('a'), 'base64') AS b, "
     "FROM_VARBINARY(TO_VARBINARY('a', 'utf-8'), 'utf-8') AS c", [["61", "YQ==", "a"]]),
    ("SELECT EPOCH_TO_UTC_TIMESTAMP(1666735860) AS s, EPOCH_TO_UTC_TIMESTAMP('1666735860000') AS m",
     [["2022-10-25T22:11:00.000Z"] * 2]),
    ("SELECT CONVERT_TIME_ZONE_FROM_UTC(DATE '2026-10-25', 'Asia/Tokyo') AS d", [["2026-10-25"]]),
    ("SELECT LOG(2, 8) AS l, SQRT(-4) AS s, CAST(1.7 AS INTEGER) AS i, CAST(-1.5 AS BIGINT) AS j",
     [["3.0", "", "1", "-1"]]),
    ("SELECT FORMAT(1234567.891, '#,##0.00') AS a, FORMAT(DATE '2026-10-25', 'yyyy/MM/dd') AS b, "
     "FORMAT(12.54, '%.1f') AS c, FORMAT('%s: %d', 7, 3.2) AS d", [["1,234,567.89", "2026/10/25", "12.5", "7: 3"]]),
    ("SELECT ARRAY[1, 'x'] AS a, ARRAY_CONTAINS(ARRAY['1'], 1) AS b, ARRAY_CONTAINS(ARRAY[1], '1') AS c",
     [["[1, x]", "true", "true"]]),
    ("SELECT SUM(n) AS s FROM (VALUES (TRUE, 1), (FALSE, 2)) AS t(flag, n) WHERE flag = 1", [["1"]]),
]  # fmt: skip
I = "SUM(impressions) AS i FROM dsp_impressions"  # noqa: E741
REFUSED = [
    (f"SELECT RANK() OVER v AS r FROM {SAMPLE} WINDOW w AS (ORDER BY n)", (1, 20), "Window 'v' not found"),
    (f"SELECT RANK() OVER v AS r FROM {SAMPLE} WINDOW v AS (w ORDER BY n), w AS (ORDER BY n)", None, "'w' not found"),
    ("SELECT COUNT(*) OVER () AS c FROM dsp_impressions GROUP BY campaign", (1, 8), "0 value expressions"),
    (f"SELECT campaign, {I} GROUP BY 3", (1, 70), "Ordinal out of range, there are 2 columns"),
    (f"SELECT campaign, {I} GROUP BY 2", (1, 18), "Aggregate expression is illegal in GROUP BY clause"),
    (f"SELECT {I} a JOIN dsp_clicks b ON SUM(a.impressions) = 1", (1, 74), "illegal in ON clause"),
    (f"SELECT campaign, {I} WHERE RANK() OVER (ORDER BY campaign) = 1 GROUP BY 1", (1, 67),
     "Windowed aggregate expression is illegal in WHERE clause: compute it in a subquery"),
    (f"SELECT campaign, RANK() OVER (ORDER BY campaign) AS r, {I} GROUP BY 1 HAVING r < 3", (1, 18),
     "Windowed aggregate expression is illegal in HAVING clause"),
    (f"SELECT {I} a JOIN dsp_clicks a ON a.user_id = a.user_id", (1, 69), "Duplicate relation name 'a' in FROM"),
    ("WITH a AS (SELECT 1 AS x),\n a AS (SELECT 2 AS x) SELECT x FROM a", (2, 2), "name 'a' in WITH clause"),
    (f"SELECT (SELECT campaign, COUNT(*) FROM dsp_clicks GROUP BY 1) AS x, {I}", (1, 16), "1 column, not 2"),
    (f"SELECT {I} WHERE user_id IN (SELECT user_id, campaign FROM dsp_clicks)", (1, 76), "1 column, not 2"),
    (f"SELECT {I} WHERE impressions", (1, 57), "WHERE clause must be a condition, not a number"),
    (f"SELECT {I} WHERE campaign AND TRUE", (1, 57), "AND must be a condition, not text"),
    (f"SELECT {I} WHERE impression_dt > 5", (1, 57), "Cannot compare a date or timestamp with a number"),
    (f"SELECT {I} WHERE impression_date > 'soon'", (1, 75), "Cannot convert 'soon' to a date or timestamp"),
    ("SELECT 1 AS a UNION ALL SELECT DATE '2026-01-01'", None, "Type mismatch in column 1 of UNION"),
    ("SELECT 1 AS a UNION ALL SELECT 1, 2", None, "Column count mismatch in UNION: 1 columns above, 2 below"),
    ("SELECT DATE '2026-02-30' AS a", (1, 8), "Illegal DATE literal '2026-02-30': not in format 'yyyy-MM-dd'"),
    ("SELECT TIMESTAMP 'yesterday' AS a", (1, 8), "Illegal TIMESTAMP literal"),
    ("SELECT CURRENT_DATE + INTERVAL 'x' DAY AS a", (1, 32), "Illegal interval literal 'x'"),
    (f"SELECT DATE_TRUNC('fortnight', impression_dt) AS d, {I} GROUP BY 1", (1, 8), "no unit FORTNIGHT"),
    (f"SELECT EXTRACT(FORTNIGHT FROM impression_dt) AS d, {I} GROUP BY 1", (1, 31), "EXTRACT knows no unit FORTNIGHT"),
    ("SELECT PERCENTILE(impressions, 50) AS p FROM dsp_impressions", (1, 8), "a fraction between 0 and 1, not 50"),
    ("SELECT NAMED_ROW('a', 1, 'A', 2) AS r", (1, 8), "NAMED_ROW expects each name once"),
    ("SELECT EXPLODE(campaign) AS e, COUNT(*) AS c FROM dsp_impressions GROUP BY 1", (1, 8), "Cannot apply 'EXPLODE'"),
    ("SELECT COUNT() AS c FROM dsp_impressions", (1, 8), "Invalid number of arguments to function 'COUNT'"),
    ("SELECT TO_VARBINARY('a', 'rot13') AS a", None, "one of 'hex', 'base64' and 'utf-8'"),
    ("SELECT FORMAT('%d of %d', 1) AS a", None, "does not fit 1 value"),
    ("SELECT FORMAT(1, 'abc') AS a", None, "FORMAT does not know the pattern 'abc'"),
    ("SELECT 1 AS a\n  /* never closed", (2, 3), "a string or comment is not closed"),
    ("SELECT 'never closed", (1, 8), "a string or comment is not closed"),
    ("SELECT SUM(i) AS i FROM EXTEND_TIME_WINDOW('nope', 'P1D', 'P1D')", (1, 44), "Object 'nope' not found"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "rows"), ROWS)
def test_the_grammar(amc: Amc, sql: str, rows: list[list[str]]) -> None:
    assert sorted(amc.query(sql).texts) == rows


@pytest.mark.parametrize(("sql", "place", "message"), REFUSED)
def test_the_validator(amc: Amc, sql: str, place: tuple[int, int] | None, message: str) -> None:
    refusal = amc.refusal(sql)
    assert message in refusal
    assert place is None or f"line {place[0]}, column {place[1]}" in refusal
    assert not re.search(r"Binder|Catalog|_LITERAL|INT\d|BOOL\b|UNNEST|QUANTILE|explicit cast", refusal)


@pytest.mark.parametrize(
    "call", ["EXTEND_TIME_WINDOW({})", "TABLE(EXTEND_TIME_WINDOW({}))", "table(extend_time_window({}))"]
)
def test_a_window_is_extended_with_and_without_table(amc: Amc, call: str) -> None:
    until = amc.now.replace(hour=0, minute=0, second=0, microsecond=0)
    window: dict[str, Any] = {"start": until, "end": until}
    total = "SELECT SUM(x.impressions) AS i FROM {} AS x"
    assert amc.query(total.format(call.format("'dsp_impressions', 'P0D', 'P0D'")), **window).rows == []
    [[extended]] = amc.query(total.format(call.format("'dsp_impressions', 'p30d', 'P0D'")), **window).rows
    assert extended > 100


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS c FROM dsp_impressions d",
        "SELECT SUM(impressions) AS i FROM dsp_impressions d WHERE d.device_type = 'TV' HAVING MIN(d.campaign) <> ''",
        "SELECT COUNT(*) AS c FROM dsp_clicks c JOIN dsp_impressions i ON c.request_tag = i.request_tag",
        "SELECT COUNT(*) AS c FROM dsp_clicks JOIN dsp_impressions USING (request_tag, campaign_id)",
        "SELECT COUNT(*) AS c FROM dsp_impressions d WHERE EXISTS (SELECT 1 AS x FROM dsp_clicks c WHERE "
        "c.request_tag = d.request_tag)",
        "SELECT d.campaign, (SELECT COUNT(*) FROM dsp_clicks c WHERE c.campaign = d.campaign) AS n, "
        "COUNT(*) AS c FROM dsp_impressions d GROUP BY 1",
        "WITH t AS (SELECT * FROM dsp_clicks) SELECT site, COUNT(*) AS c FROM t GROUP BY 1",
        "SELECT COUNT(*) AS c FROM (SELECT RANK() OVER (PARTITION BY campaign ORDER BY impression_dt_utc) AS r "
        "FROM dsp_impressions) WHERE r = 1",
        "SELECT COUNT(*) AS c FROM segment_metadata",
    ],
)
def test_wherever_a_column_is_named_it_is_read(amc: Amc, sql: str) -> None:
    assert amc.query(sql).rows
