"""Every documented function, and how its values are written."""

from __future__ import annotations

import re

import pytest

from amc_facts.functions import FUNCTIONS
from tests.local_amc.shared import Amc

ROW = "FROM (VALUES ('a b c', 3, 2.5, TIMESTAMP '2026-10-25 22:11:33', DATE '2026-10-25')) AS one(s, n, d, t, day)"
NUMBERS = "FROM (VALUES (20), (45), (30), (66), (50), (60), (85), (70)) AS sample(x)"
# One row of values, then what stands in the file.
SCALARS = [
    ("CHARINDEX('b', s)", "3"), ("CONCAT(s, '-', n)", "a b c-3"), ("FORMAT('%s: %5.2f', s, d)", "a b c:  2.50"),
    ("INSTR(s, 'b')", "3"), ("LEFT(s, 2)", "a "), ("LENGTH(s)", "5"), ("s LIKE 'a%'", "true"), ("LOCATE('b', s)", "3"),
    ("LOCATE('b', s, 4)", "0"), ("LOWER('AB')", "ab"), ("LTRIM('  a ')", "a "), ("POSITION('b' IN s)", "3"),
    ("REGEXP_REPLACE('a1b2', '[0-9]', '#')", "a#b#"), ("REGEXP_REPLACE('ab', '(a)(b)', '$2$1')", "ba"),
    ("REGEXP_SUBSTR('abc123', '[0-9]+')", "123"), ("REGEXP_SUBSTR('abc', '[0-9]+')", ""),
    ("REGEXP_SPLIT('a_b', '_')", "[a, b]"), ("REPLACE(s, ' ', '-')", "a-b-c"), ("RIGHT(s, 2)", " c"),
    ("RTRIM(' a ')", " a"), ("STRPOS(s, 'b')", "3"), ("STR_TO_MAP('k:1,m:2')", "{k=1, m=2}"),
    ("STR_TO_MAP('k=1;m=2', ';', '=')", "{k=1, m=2}"), ("SUBSTRING(s, 3, 1)", "b"), ("SUBSTRING(s FROM 3)", "b c"),
    ("TRIM(' a ')", "a"), ("TRIM(BOTH 'x' FROM 'xax')", "a"), ("UPPER(s)", "A B C"),
    ("s SIMILAR TO '(?i)B'", "true"), ("s SIMILAR TO 'z'", "false"), ("s NOT SIMILAR TO '(?!)'", "true"),
    ("ABS(-2.5)", "2.5"), ("CEIL(2.1)", "3"), ("E()", "2.718281828459045"), ("EXP(0)", "1.0"), ("FLOOR(2.9)", "2"),
    ("LN(E())", "1.0"), ("LOG(E())", "1.0"), ("LOG10(1000)", "3.0"), ("POWER(2, 10)", "1024.0"),
    ("ROUND(2.567, 2)", "2.57"), ("SQRT(16)", "4.0"), ("TRUNC(-2.5)", "-2"), ("TRUNC(2.567, 2)", "2.56"),
    ("CONVERT_TIME_ZONE_FROM_UTC(t, 'America/New_York')", "2026-10-25T18:11:33.000Z"),
    ("DATE_TRUNC('month', t)", "2026-10-01T00:00:00.000Z"), ("DATE_TRUNC('week', t)", "2026-10-19T00:00:00.000Z"),
    ("DAYOFMONTH(t)", "25"), ("DAYOFWEEK(day)", "1"), ("EXTRACT(DOW FROM t)", "1"), ("EXTRACT(YEAR FROM t)", "2026"),
    ("EPOCH_TO_UTC_TIMESTAMP('abc')", ""), ("HOUR(t)", "22"), ("MINUTE(t)", "11"), ("MONTH(t)", "10"),
    ("SECOND(t)", "33"), ("WEEK(t)", "43"), ("YEAR(t)", "2026"),
    ("SECONDS_BETWEEN(t, t + INTERVAL '1' HOUR)", "3600"), ("SECONDS_BETWEEN(day, t)", "79893"),
    ("SECONDS_BETWEEN(s, t)", ""), ("EPOCH_TO_UTC_TIMESTAMP(1666735860)", "2022-10-25T22:11:00.000Z"),
    ("CASE n WHEN 3 THEN 'three' ELSE 4 END", "three"), ("CASE WHEN n > 3 THEN 'more' ELSE n END", "3"),
    ("COALESCE(NULL, n, 'x')", "3"), ("IF(n > 2, 1, 'no')", "1"), ("IFNULL(NULL, n)", "3"), ("n IN (1, 3)", "true"),
    ("NULLIF(n, 3)", ""), ("NVL(NULL, s)", "a b c"), ("NVL2(NULL, 1, 2)", "2"), ("NVL2(s, 1, 2)", "1"),
    ("GREATEST(1, 3, 2)", "3"), ("GREATEST(1, NULL)", ""), ("LEAST(1, 3, 2)", "1"), ("LEAST(NULL, 1)", ""),
    ("CONTAINED_IN(n, 1, 2, 3)", "true"), ("CONTAINED_IN(s, 'x')", "false"),
    ("ARRAY_CAT(ARRAY[1], ARRAY[2])", "[1, 2]"), ("ARRAY_CONTAINS(ARRAY['a'], 'a')", "true"),
    ("ARRAY_COMPLEMENT(ARRAY[1, 2], ARRAY[2])", "[1]"), ("ARRAY_DISTINCT(ARRAY[1, 1])", "[1]"),
    ("ARRAY_INTERSECT(ARRAY[1, 2], ARRAY[2])", "[2]"), ("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]"),
    ("ARRAY_SORT(ARRAY[2, 1])", "[1, 2]"), ("ARRAY_TO_STRING(ARRAY['a', 'b'], '-')", "a-b"),
    ("ARRAY_UNION(ARRAY[2, 1], ARRAY[3, 2])", "[1, 2, 3]"), ("CARDINALITY(ARRAY[1, 2])", "2"),
    ("EXPLODE(ARRAY[7])", "7"), ("FLATTEN(ARRAY[ARRAY[1], ARRAY[2]])", "[1, 2]"), ("ARRAY['a', NULL]", "[a, null]"),
    ("HASH64('a') = HASH64('a')", "true"), ("HASH64('a') = HASH64('b')", "false"),
    ("MD5('a')", "0cc175b9c0f1b6a831c399e269772661"), ("SHA1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("FROM_VARBINARY(TO_VARBINARY('a'))", "a"), ("TO_VARBINARY('a')", "61"),
    ("JSON_EXTRACT('{\"a\": {\"b\": 1}}', '$.a.b')", "1"), ("JSON_SERIALIZE(ARRAY[1, 2])", "[1,2]"),
    ("CAST(n AS VARCHAR)", "3"), ("CAST('' AS INTEGER)", ""), ("CAST('x' AS DATE)", ""), ("CAST(n AS REAL)", "3.0"),
    ("CAST(d AS DECIMAL(10, 4))", "2.5000"), ("CAST(t AS DATE)", "2026-10-25"), ("CAST('a' AS BINARY)", "61"),
    ("NAMED_ROW('k', 1, 'name', s)", "[1, a b c]"),
    ("n / 2", "1.5"), ("n / 0", ""), ("n % 2", "1"), ("MOD(n, 0)", ""), ("1.10 + 2.20", "3.30"),
    ("t + INTERVAL '1' DAY", "2026-10-26T22:11:33.000Z"), ("day - 7", "2026-10-18"),
    ("day + INTERVAL '1' DAY", "2026-10-26"), ("INTERVAL '2' WEEKS + day", "2026-11-08"),
    ("day - INTERVAL '1' MONTH + INTERVAL '1' YEAR", "2027-09-25"),
    ("day + INTERVAL '1' HOUR", "2026-10-25T01:00:00.000Z"),
    ("n < '10'", "true"), ("n = '3'", "true"), ("n IN ('3', 'x')", "true"), ("n BETWEEN '2' AND '10'", "true"),
    ("CAST(9007199254740993 AS BIGINT)", "9007199254740993"),
    ("CAST(1e20 AS DOUBLE)", "100000000000000000000"), ("SQRT(-1)", ""), ("POWER(10, 400)", "Infinity"),
    ("-POWER(10, 400)", "-Infinity"), ("TRUE AND NOT FALSE", "true"),
]  # fmt: skip
AGGREGATES = [
    ("AVG(x)", "53.25"), ("COUNT(x)", "8"), ("COUNT(DISTINCT x)", "8"), ("MIN(x)", "20"), ("MAX(x)", "85"),
    ("SUM(x)", "426"), ("STDDEV_POP(x)", "20.06708"), ("STDDEV_SAMP(x)", "21.45261"), ("STDDEV(x)", "21.45261"),
    ("VAR_POP(x)", "402.68750"), ("VAR_SAMP(x)", "460.21429"), ("VARIANCE(x)", "460.21429"),
    ("SKEWNESS(x)", "-0.20910"), ("PERCENTILE(x, 0.5)", "55.0"), ("APPROX_PERCENTILE(x, 0.5)", "55"),
    ("MEDIAN(x)", "55.0"), ("ARRAY_SORT(COLLECT(x))", "[20, 30, 45, 50, 60, 66, 70, 85]"),
    ("CARDINALITY(COLLECT(DISTINCT x > 50))", "2"), ("COUNT(x) FILTER (WHERE x > 50)", "4"),
    ("ANY_VALUE(x) > 0", "true"), ("ANY_VALUE(NULLIF(x, 20)) IS NULL", "false"),
]  # fmt: skip
WINDOWS = [
    ("RANK() OVER (ORDER BY x > 50)", ["1", "1", "1", "1", "5", "5", "5", "5"]),
    ("DENSE_RANK() OVER (ORDER BY x > 50)", ["1", "1", "1", "1", "2", "2", "2", "2"]),
    ("ROW_NUMBER() OVER (ORDER BY x)", ["1", "2", "3", "4", "5", "6", "7", "8"]),
    ("ANY_VALUE(x > 50) OVER (PARTITION BY x > 50)", ["false"] * 4 + ["true"] * 4),
    ("SUM(x) OVER (PARTITION BY x > 50)", ["145", "145", "145", "145", "281", "281", "281", "281"]),
    ("LAG(x) OVER (ORDER BY x)", ["", "20", "30", "45", "50", "60", "66", "70"]),
]


def digits(text: str) -> str:
    """Return a number with five digits after the point, if there are as many."""
    return f"{float(text):.5f}" if re.fullmatch(r"-?\d+\.\d{6,}", text) else text


@pytest.mark.parametrize(("expression", "text"), SCALARS)
def test_a_scalar_function(amc: Amc, expression: str, text: str) -> None:
    assert amc.values(f"SELECT {expression} AS r {ROW}") == [text]


@pytest.mark.parametrize(("expression", "text"), AGGREGATES)
def test_an_aggregate_function(amc: Amc, expression: str, text: str) -> None:
    [value] = amc.values(f"SELECT {expression} AS r {NUMBERS}")
    assert digits(value) == text


@pytest.mark.parametrize(("expression", "texts"), WINDOWS)
def test_a_window_function(amc: Amc, expression: str, texts: list[str]) -> None:
    found = amc.query(f"SELECT x, {expression} AS r {NUMBERS}")
    assert [row[1] for row in sorted(found.texts)] == texts


def test_the_clock_and_the_window(amc: Amc) -> None:
    sql = "SELECT CURRENT_DATE AS d, CURRENT_TIMESTAMP AS t, BUILT_IN_PARAMETER('TIME_WINDOW_START') AS s, " \
          "BUILT_IN_PARAMETER('TIME_WINDOW_END') AS e"  # fmt: skip
    [date, now, start, end] = amc.query(
        sql, start=amc.now.replace(month=1, day=2), end=amc.now.replace(day=1)
    ).rows[0]
    assert (date, now) == (amc.now.date(), amc.now.replace(microsecond=0))
    assert (start, end) == (amc.now.replace(month=1, day=2), amc.now.replace(day=1))


def test_each_identifier_is_another(amc: Amc) -> None:
    found = amc.query("SELECT UUID() AS a, UUID() AS b, LENGTH(CONCAT(UUID(), UPPER(UUID()))) AS c")
    [row] = found.texts
    assert [column["dataType"] for column in found.columns] == ["STRING", "STRING", "LONG"]
    assert row[2] == "72"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row[0])
    assert row[0] != row[1]


def test_every_documented_function_is_called_above() -> None:
    source = " ".join(
        [expression for expression, _ in [*SCALARS, *AGGREGATES]]
        + [expression for expression, _ in WINDOWS]
        # Below or in other tests: without a value that could stand in a table.
        + ["RANDOM UUID CURRENT_DATE CURRENT_TIMESTAMP BUILT_IN_PARAMETER CUSTOM_PARAMETER EXTEND_TIME_WINDOW"]
    )
    assert sorted(name for name in FUNCTIONS if not re.search(rf"\b{name}\b", source)) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("SECONDS_BETWEEN(t)", "Invalid number of arguments to function 'seconds_between'"),
        ("PERCENTILE(n)", "Invalid number of arguments to function 'percentile'"),
        ("SUM(s)", "Cannot apply 'sum' to (VARCHAR)"),
        ("CONTAINED_IN()", "CONTAINED_IN expects a value and those it may be"),
        ("CONTAINED_IN(n)", "CONTAINED_IN expects a value and those it may be"),
        ("NAMED_ROW('k')", "NAMED_ROW expects pairs"),
        ("NAMED_ROW(s, 1)", "NAMED_ROW expects pairs"),
        ("COLLECT(n, d)", "COLLECT expects one column"),
        ("BUILT_IN_PARAMETER('X')", "BUILT_IN_PARAMETER expects"),
        ("STR_TO_MAP(n)", "Cannot apply 'STR_TO_MAP'"),
        ("s SIMILAR TO '('", "Invalid regular expression: missing )"),
        ("REGEXP_SUBSTR(s, '(?=a')", "Invalid regular expression: missing )"),
        ("CONVERT_TIME_ZONE_FROM_UTC(t, 'Mars/Base')", "Unknown TimeZone 'Mars/Base'"),
        ("UPPER(s, s)", 'Encountered ")"'),
        ("CAST(n AS ARRAY)", "CAST to ARRAY needs the type of its elements"),
        ("CAST(n AS JSON)", "Type JSON is not supported by AMC SQL"),
        ("EXTEND_TIME_WINDOW('dsp_clicks', 'P1D', 'P1D')", "No match found for function signature"),
        ("TABLE('dsp_clicks')", "No match found for function signature"),
        ("CAST(9223372036854775807 AS BIGINT) + 1", "Overflow in addition"),
    ],
)
def test_a_wrong_call_is_explained(amc: Amc, call: str, message: str) -> None:
    refusal = amc.refusal(f"SELECT {call} AS r {ROW}")
    assert message in refusal
    assert not re.search(r"Macro|candidate|explicit type cast|LINE 1|Error:", refusal)


def test_headers_are_lower_case_and_unnamed_columns_are_counted(amc: Amc) -> None:
    found = amc.query('SELECT 1 AS CamelCase, COUNT(*), 2 AS "Quoted Name", 1 + 1 FROM (VALUES (1)) AS one(a)')
    assert found.titles == ["camelcase", "expr$1", "quoted name", "expr$3"]
