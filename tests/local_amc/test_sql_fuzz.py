"""Queries with words dropped, doubled, swapped or replaced: they run or are refused, and nothing else happens."""

# Queries are put together freely here.

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from local_amc.sql.catalogue import RAW, build
from local_amc.sql.compiler import compile_query
from local_amc.sql.errors import SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from tests.local_amc.shared import ENGINE_WORDS, Amc, utc_now

QUERIES = [
    "SELECT campaign , SUM ( impressions ) AS i FROM dsp_impressions WHERE device_type = 'TV' AND user_id IS NOT NULL "
    "GROUP BY 1 HAVING COUNT ( DISTINCT user_id ) > 1",
    "WITH a ( u , n ) AS ( SELECT user_id , COUNT ( * ) FROM dsp_clicks GROUP BY user_id ) , b AS ( SELECT u , "
    "CASE WHEN n >= 2 THEN 'more' ELSE CAST ( n AS VARCHAR ) END AS f FROM a ) SELECT f , COUNT ( DISTINCT u ) AS c "
    "FROM b GROUP BY f",
    "SELECT d . campaign , c . campaign AS other , COUNT ( DISTINCT d . user_id ) AS n FROM dsp_clicks AS d LEFT JOIN "
    "( SELECT DISTINCT user_id , campaign FROM dsp_clicks ) AS c ON d . user_id = c . user_id GROUP BY 1 , 2",
    "SELECT x , RANK ( ) OVER ( PARTITION BY y ORDER BY x DESC ) AS r , SUM ( x ) OVER w AS s FROM ( VALUES "
    "( 1 , 'a' ) , ( 2 , NULL ) ) AS t ( x , y ) WINDOW w AS ( ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW )",
    "SELECT ARRAY_TO_STRING ( ARRAY_SORT ( COLLECT ( DISTINCT campaign ) ) , ' > ' ) AS p , NAMED_ROW ( 'a' , 1 ) "
    "AS r FROM TABLE ( EXTEND_TIME_WINDOW ( 'dsp_clicks' , 'P7D' , 'P0D' ) ) WHERE click_dt_utc > "
    "BUILT_IN_PARAMETER ( 'TIME_WINDOW_START' ) AND campaign NOT SIMILAR TO '(?i)x' OR campaign IN ( 'a' , 'b' )",
    "SELECT 'all' AS k , SUM ( clicks ) AS n FROM dsp_clicks UNION ALL SELECT CUSTOM_PARAMETER ( 'p' ) , ( SELECT "
    "MAX ( click_date ) FROM dsp_clicks ) - INTERVAL '1' DAY",
]  # fmt: skip
_WORDS = r"""
'/etc/passwd' "/etc/passwd" read_text raw . * ( ) , ; '' "" $$ -- /* */ NULL SELECT FROM WITH LATERAL UNNEST ARRAY [ ]
{ } : :: || -> => ? $1 @ # \ % ^ ~ & | ! - INTERVAL DATE CAST AS OVER FILTER WITHIN GROUP ORDER BY USING NATURAL EXISTS
NOT IS __users user_id dsp_clicks getenv COPY SET PRAGMA ATTACH duckdb_settings information_schema 1e999 é
99999999999999999999 -9223372036854775808
"""
# Beside the words a wide letter, and a space of no width.
STRANGERS = [*_WORDS.split(), "\uff46", "\u200b"]
# What the engine may be asked to read: scans of AMC's tables.
_PLACE = re.compile(rf"{re.escape(RAW)}\.\w+")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    tokens = draw(st.sampled_from(QUERIES)).split(" ")
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(tokens) - 1))
        kind = draw(st.sampled_from(["drop", "double", "swap", "replace", "insert"]))
        if kind == "drop" and len(tokens) > 1:
            del tokens[place]
        elif kind == "double":
            tokens.insert(place, tokens[place])
        elif kind == "swap":
            other = draw(st.integers(0, len(tokens) - 1))
            tokens[place], tokens[other] = tokens[other], tokens[place]
        elif kind == "replace":
            tokens[place] = draw(st.sampled_from(STRANGERS))
        else:
            tokens.insert(place, draw(st.sampled_from(STRANGERS)))
    return " ".join(tokens)


NOW = utc_now()
PARAMETERS = [{"name": "p", "dataType": "STRING", "defaultValue": "x"}]
SHORT = settings(
    derandomize=True, database=None, deadline=None, max_examples=400, suppress_health_check=list(HealthCheck)
)


@SHORT
@given(sql=mutated())
def test_only_amc_tables_are_read_and_only_sql_errors_come_out(sql: str) -> None:
    run = Run(NOW.replace(day=1), NOW, NOW, declare(PARAMETERS, {}))
    try:
        compiled = compile_query(sql, run, build())
    except SqlError:
        return
    tree: exp.Expression = exp.maybe_parse(compiled.sql, dialect="duckdb")
    names = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        written = ".".join(part.name for part in table.parts)
        assert _PLACE.fullmatch(written) or table.name in names, compiled.sql


@SHORT
@given(sql=mutated())
def test_what_compiles_runs_or_is_refused_in_amcs_words(amc: Amc, sql: str) -> None:
    refusal = amc.refusal(sql, start=amc.now.replace(day=1), definitions=PARAMETERS)
    # Words that a query holds come back to its author.
    words = ENGINE_WORDS.search(refusal)
    assert not words or words[0] in sql, (sql, refusal)
