"""Queries made to cost much: each ends in little time and memory, with a message that says which bound it met."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local_amc.sql.bounds import MAX_NESTED, MAX_SELECTS, MAX_TABLES, MAX_WRITTEN_OUT
from local_amc.sql.sizes import MAX_GROWN
from tests.counting import count_calls
from tests.local_amc.shared import ENGINE_WORDS, INSTANCE, Amc

FROM_I = "FROM dsp_impressions"
# The engine may have 1 GB; the rest of a process needs a tenth of that.
MAX_MEGABYTES = 1_400


def nested(start: str, end: str, times: int, inner: str = "campaign", source: str = FROM_I) -> str:
    """Return a query of calls in one another."""
    return f"SELECT MD5({start * times}{inner}{end * times}) AS x, COUNT(*) AS c {source} GROUP BY 1"


def chained(step: str, times: int, start: str = "SELECT campaign AS x FROM dsp_impressions") -> str:
    """Return a query of CTEs, each of which makes its column from the one before; `{}` is that."""
    ctes = [f"t{n} AS (SELECT {step} AS x FROM t{n - 1})" for n in range(1, times + 1)]
    return f"WITH t0 AS ({start}), {', '.join(ctes)} SELECT MD5(x) AS m, COUNT(*) AS c FROM t{times} GROUP BY 1"


GROWING = {
    "REPLACE in one another": nested("REPLACE(", ", 'a', 'aa')", 30),
    "REPLACE of a written text": "SELECT MD5(" + "REPLACE(" * 30 + "'aaaa'" + ", 'a', 'aa')" * 30 + ") AS x",
    "REPLACE with a long replacement": nested("REPLACE(", f", 'a', '{'a' * 500}')", 4),
    "REPLACE with a column": nested("REPLACE(", ", 'a', campaign)", 8),
    "REGEXP_REPLACE that repeats what it finds": nested("REGEXP_REPLACE(", r", '([a-z])', '$1$1')", 20),
    "REGEXP_REPLACE that looks around": nested("REGEXP_REPLACE(", ", '(?=[a-z])', 'xxxxxxxxxxxxxxxxxx')", 6),
    "CONCAT in CTEs": chained("CONCAT(x, x)", 30),
    "CONCAT and REPLACE in CTEs": chained("REPLACE(CONCAT(x, 'a'), 'a', 'aaaa')", 12),
    "CONCAT of very many": nested("CONCAT(campaign", ")", 1, ", campaign" * 6_000),
    "hexadecimal digits of digits": nested("FROM_VARBINARY(TO_VARBINARY(", "), 'hex')", 14),
    "JSON in JSON": nested("JSON_SERIALIZE(", ")", 20),
}
REPEATING = {
    "NULLIF in one another": nested("NULLIF(", ", 'a')", 30),
    "NULLIF of other types": nested("NULLIF(", ", 1)", 30),
    "divisions in one another": f"SELECT SUM({'1 / (' * 30}impressions{')' * 30}) AS x {FROM_I}",
    "GREATEST in one another": nested("GREATEST(", ", 'a')", 30),
    "CASE of CASE": nested("CASE ", " WHEN 'a' THEN 'b' WHEN 'c' THEN 'd' END", 20),
    "BETWEEN in one another": nested("CAST(", " BETWEEN 'a' AND 'b' AS VARCHAR)", 30),
    "SQRT in one another": f"SELECT SUM({'SQRT(' * 30}impressions{')' * 30}) AS x {FROM_I}",
    "REGEXP_SUBSTR in one another": nested("REGEXP_SUBSTR(", ", '[a-z]+')", 30),
    "columns from columns": "SELECT SUM(impressions) AS a0, "
    + ", ".join(f"a{n} + a{n} AS a{n + 1}" for n in range(40))
    + f" {FROM_I}",
    "a long window under its name": f"SELECT {', '.join(f'SUM(impressions) OVER w AS a{n}' for n in range(500))} "
    f"{FROM_I} WINDOW w AS (PARTITION BY {' + '.join(['impressions'] * 500)})",
}
MANY = {
    "calls": ("REPLACE(" * 1_000 + "'a'" + ", 'a', 'b')" * 1_000, "nested deeper than 300"),
    "parentheses": ("(" * 290 + "1" + ")" * 290, "nested too deeply"),
    "a row of AND": ("COUNT(*)" + " AND impressions > 1" * 2_200, f"more than {MAX_NESTED:,} expressions"),
    "a row of OR": ("COUNT(*)" + " OR impressions = 1" * 2_200, "Use IN for a long row of OR"),
    "a row of +": ("SUM(impressions" + " + impressions" * 4_000 + ")", f"more than {MAX_NESTED:,} expressions"),
}
READING = {
    "UNION of 400": (" UNION ALL ".join([f"SELECT COUNT(*) AS c {FROM_I}"] * 400), f"may read {MAX_TABLES}"),
    "UNION of 600 values": (" UNION ".join(["SELECT 1 AS c"] * 600), f"600 SELECTs, and may have {MAX_SELECTS}"),
    "4,000 CTEs": (
        f"WITH {', '.join(f'a{n} AS (SELECT 1)' for n in range(3_000))} SELECT 1 AS x",
        f"may have {MAX_SELECTS}",
    ),
    "101 tables": (
        f"SELECT COUNT(*) AS c {FROM_I} t"
        + "".join(f" JOIN dsp_clicks t{n} ON t.user_id = t{n}.user_id" for n in range(100)),
        f"reads 101 tables, and may read {MAX_TABLES}",
    ),
    "101 lists of values": (
        "SELECT COUNT(*) AS c FROM (VALUES (1)) AS t(x)"
        + "".join(f" JOIN (VALUES (1)) AS t{n}(x) ON t.x = t{n}.x" for n in range(100)),
        f"joins 101 relations, and may join {MAX_TABLES}",
    ),
    "REPEAT": ("SELECT REPEAT('x', 1000000000) AS x", "No match found for function signature REPEAT"),
    "LPAD": ("SELECT MD5(LPAD('x', 1000000000, 'y')) AS x", "No match found for function signature LPAD"),
}


@pytest.mark.parametrize("sql", GROWING.values(), ids=GROWING)
def test_a_text_that_grows_too_long_is_not_made(amc: Amc, sql: str) -> None:
    refusal = amc.refusal(sql)
    assert f"{MAX_GROWN:,} characters" in refusal
    assert not ENGINE_WORDS.search(refusal)


@pytest.mark.parametrize("sql", REPEATING.values(), ids=REPEATING)
def test_what_would_double_with_every_step_is_refused_before(amc: Amc, sql: str) -> None:
    refusals: list[str] = []
    calls = count_calls(lambda: refusals.append(amc.refusal(sql)))
    assert f"more than {MAX_WRITTEN_OUT:,} expressions" in refusals[0]
    assert calls < 1_000 * len(sql)


@pytest.mark.parametrize(("expression", "message"), MANY.values(), ids=MANY)
def test_long_and_deep_expressions_are_refused_in_few_steps(amc: Amc, expression: str, message: str) -> None:
    sql = f"SELECT {expression} AS x {FROM_I}"
    refusals: list[str] = []
    calls = count_calls(lambda: refusals.append(amc.refusal(sql)))
    assert message in refusals[0]
    # As many for each character however long it is.
    assert calls < 100 * len(sql)


@pytest.mark.parametrize(("sql", "message"), READING.values(), ids=READING)
def test_many_parts_are_refused_with_their_number(amc: Amc, sql: str, message: str) -> None:
    assert message in amc.refusal(sql)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT MD5(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE('a&b', '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '\"', "
         "'&quot;'), '~', '&tilde;')) AS x", 1),
        (nested("CONCAT(", ", '-')", 20, "'a'", "FROM (VALUES (1)) AS t(x)"), 1),
        (chained("CONCAT(x, '-')", 40, "SELECT 'a' AS x"), 1),
        (f"SELECT COUNT(*) AS c {FROM_I} WHERE campaign_id NOT IN ({str(list(range(6_000)))[1:-1]})", 1),
        (f"SELECT COUNT(*) AS c {FROM_I} WHERE impressions >= 0" + " AND impressions < 9" * 300, 1),
        (f"SELECT CASE impressions {' '.join(f'WHEN {n} THEN {n}' for n in range(1_000))} END AS x, COUNT(*) AS c "
         "FROM dsp_impressions GROUP BY 1", 1),
        (" UNION ALL ".join(["SELECT COUNT(*) AS c FROM dsp_clicks"] * 40), 40),
        (f"WITH {', '.join(f'a{n} AS (SELECT {n} AS x)' for n in range(150))} SELECT x FROM a7", 1),
        (f"SELECT {', '.join(f'SUM(impressions) / NULLIF(COUNT(*), 0) AS c{n}' for n in range(200))} {FROM_I}", 1),
    ],
)  # fmt: skip
def test_what_is_only_long_runs(amc: Amc, sql: str, rows: int) -> None:
    assert len(amc.query(sql).rows) == rows


def test_a_text_may_grow_up_to_the_bound(amc: Amc) -> None:
    grown = "CAST(LENGTH(REPLACE(REPLACE(x, 'a', 'aaaaaaaaaa'), 'a', 'aaaaaaaaaa')) AS VARCHAR)"
    ten, thousand = "a" * 10, "a" * 1_000
    assert amc.values(f"SELECT {grown} AS n FROM (VALUES ('{ten}')) AS t(x)") == ["1000"]
    assert f"{MAX_GROWN:,} characters" in amc.refusal(f"SELECT {grown} AS n FROM (VALUES ('{thousand}')) AS t(x)")
    assert amc.values(f"SELECT {grown} AS n FROM (VALUES (CAST(NULL AS VARCHAR))) AS t(x)") == [""]


MEASURED = """
import json, resource, sys
from datetime import UTC, datetime
from tests.local_amc.shared import INSTANCES, Amc, SharedData, utc_now
queries = json.load(sys.stdin)
with SharedData.warehouse().cursor(INSTANCES[sys.argv[1]], datetime.now(UTC)) as cursor:
    amc = Amc(cursor, utc_now())
    refused = sum(bool(amc.refusal(sql)) for sql in queries)
print(refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_all_of_them_in_one_process_stay_within_the_engines_memory(amc: Amc) -> None:
    queries = [*GROWING.values(), *REPEATING.values(), *(f"SELECT {e} AS x {FROM_I}" for e, _ in MANY.values())]
    queries += [sql for sql, _ in READING.values()]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, INSTANCE],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    refused, megabytes = map(int, done.stdout.split())
    assert refused == len(queries)
    assert megabytes < MAX_MEGABYTES
