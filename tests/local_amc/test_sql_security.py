"""No query reaches files, settings, other instances or functions of the engine, by whatever name."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tests.local_amc.outcomes import Shell
from tests.local_amc.shared import INSTANCE, INSTANCES, Amc, SharedData

FILES = [
    "SELECT a FROM read_csv('/etc/passwd') AS t(a)",
    "SELECT a FROM read_csv_auto('/etc/passwd') AS t(a)",
    "SELECT a FROM \"read_csv\"('/etc/passwd') AS t(a)",
    "SELECT a FROM ReAd_TeXt('/etc/passwd') AS t(a)",
    "SELECT a FROM read_parquet('x.parquet') AS t(a)",
    "SELECT a FROM read_blob('x') AS t(a)",
    "SELECT a FROM read_json('x') AS t(a)",
    "SELECT column0 FROM '/etc/passwd'",
    'SELECT column0 FROM "/etc/passwd"',
    "SELECT column0 FROM 'x.csv'",
    "SELECT column0 FROM 'https://example.com/x.parquet'",
    "SELECT column0 FROM 's3://bucket/x.parquet'",
    "SELECT a FROM TABLE(EXTEND_TIME_WINDOW('/etc/passwd', 'P1D', 'P1D'))",
    "SELECT a FROM glob('*') AS t(a)",
    "SELECT getenv('HOME') AS a",
    "SELECT \"getenv\"('HOME') AS a",
    "COPY (SELECT 1) TO 'x.csv'",
    "COPY dsp_impressions FROM 'x.csv'",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "ATTACH 'x.duckdb' AS other",
    "DETACH data",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
]
SETTINGS = [
    "SET threads = 1",
    "RESET threads",
    "PRAGMA database_list",
    "USE data",
    "CHECKPOINT",
    "SELECT current_setting('threads') AS a",
    "SELECT \"current_setting\"('threads') AS a",
    "SELECT name FROM duckdb_settings() AS t(name)",
    "SELECT database_name FROM duckdb_databases() AS t(database_name)",
    "SELECT name FROM duckdb_secrets() AS t(name)",
    "SELECT name FROM duckdb_settings",
    "SELECT name FROM pragma_database_list",
    "SELECT version() AS a",
    'SELECT "version"() AS a',
    "SELECT current_database() AS a",
    "SELECT current_schema() AS a",
    'SELECT "current_schema"() AS a',
    "SELECT nextval('x') AS a",
    "SELECT txid_current() AS a",
    "CREATE MACRO m(a) AS a",
    "DROP SCHEMA uploaded",
]
OTHERS = [
    "SELECT COUNT(*) AS c FROM data.raw.dsp_impressions",
    "SELECT COUNT(*) AS c FROM raw.dsp_impressions",
    'SELECT COUNT(*) AS c FROM "data"."raw"."dsp_impressions"',
    'SELECT COUNT(*) AS c FROM "data.raw.dsp_impressions"',
    "SELECT COUNT(*) AS c FROM memory.uploaded.x",
    "SELECT COUNT(*) AS c FROM uploaded.x",
    "SELECT COUNT(*) AS c FROM information_schema.tables",
    "SELECT COUNT(*) AS c FROM information_schema.columns",
    "SELECT COUNT(*) AS c FROM pg_catalog.pg_class",
    "SELECT COUNT(*) AS c FROM pg_class",
    "SELECT COUNT(*) AS c FROM sqlite_master",
    "SELECT COUNT(*) AS c FROM sqlite_schema",
    "SELECT COUNT(*) AS c FROM amclocalus2.dsp_impressions",
    "SELECT COUNT(*) AS c FROM (SHOW TABLES)",
    "SELECT COUNT(*) AS c FROM (DESCRIBE dsp_impressions)",
    "SELECT COUNT(*) AS c FROM (SUMMARIZE dsp_impressions)",
    "SELECT COUNT(*) AS c FROM (SELECT data.raw.dsp_impressions.user_id FROM dsp_impressions)",
    "SELECT COUNT(*) AS c FROM (VALUES ((SELECT COUNT(*) FROM raw.dsp_impressions))) AS t(a)",
    "SELECT (SELECT COUNT(*) FROM raw.dsp_clicks) AS a",
    "SELECT a FROM query('SELECT 1 AS a')",
    "SELECT COUNT(*) AS c FROM query_table('dsp_impressions')",
    "SELECT COUNT(*) AS c FROM range(10)",
    "SELECT COUNT(*) AS c FROM generate_series(1, 10)",
    "SELECT COUNT(*) AS c FROM dsp_impressions WHERE user_id IN (SELECT user_id FROM raw.dsp_clicks)",
    "SELECT COUNT(*) AS c FROM dsp_impressions a JOIN dsp_clicks b ON a.user_id = "
    "(SELECT MAX(name) FROM sqlite_master)",
    "SELECT SUM(x) OVER (ORDER BY (SELECT COUNT(*) FROM sqlite_master)) AS s FROM (VALUES (1)) AS t(x)",
    "SELECT COUNT(*) AS c FROM dsp_impressions HAVING COUNT(*) > (SELECT COUNT(*) FROM sqlite_master)",
]
LANGUAGE = [
    "SELECT list_transform(ARRAY[1], x -> x + 1) AS a",
    "SELECT ARRAY_SORT(ARRAY[1], x -> x + 1) AS a",
    "SELECT ARRAY_SORT(ARRAY[1], lambda x: x + 1) AS a",
    "SELECT [x FOR x IN [1, 2]] AS a",
    "SELECT {'a': 1} AS a",
    "SELECT MAP {'a': 1} AS a",
    "SELECT COLUMNS('.*') FROM dsp_impressions",
    "SELECT COLUMNS(*) FROM dsp_impressions",
    "SELECT COUNT(a) AS c FROM (SELECT * EXCLUDE (user_id) FROM dsp_impressions)",
    "SELECT $1 AS a",
    "SELECT ? AS a",
    "SELECT #1 AS a",
    "SELECT $$text$$ AS a",
    "SELECT E'\\n' AS a",
    "SELECT hash('a') AS a",
    "SELECT \"hash\"('a') AS a",
    'SELECT "array_remove_all"(ARRAY[1], 1) AS a',
    'SELECT "list_value"(1) AS a',
    "SELECT ROW(1, 2) AS a",
    "SELECT error('x') AS a",
    "SELECT CAST('dsp_clicks' AS regclass) AS a",
    "SELECT a FROM (FROM (VALUES (1)) AS t(a))",
    "SELECT 1 AS a INTO x",
    "SELECT COUNT(*) AS c FROM dsp_impressions FOR UPDATE",
    "SELECT COUNT(*) AS c FROM dsp_impressions, LATERAL (SELECT 1) AS x",
    "SELECT COUNT(*) AS c FROM dsp_impressions PIVOT (COUNT(*) FOR campaign IN ('a'))",
]
# Names that hide, and places where a name is easily overlooked.
HIDDEN = [
    "SELECT COUNT(*) AS c FROM (SELECT * FROM '/etc/passwd')",
    "WITH a AS (SELECT * FROM read_csv('/etc/passwd')) SELECT COUNT(*) AS c FROM a",
    'WITH a AS (SELECT 1 AS x) SELECT x FROM a, "/etc/passwd"',
    'SELECT u.x FROM (WITH "x.csv" AS (SELECT 1 AS x) SELECT x FROM "x.csv") t, "x.csv" u',
    "SELECT a FROM $$/etc/passwd$$",
    "SELECT a FROM $x$/etc/passwd$x$ t",
    "SELECT U&'\\0041' AS a",
    "SELECT a FROM TABLE(read_csv('/etc/passwd'))",
    "SELECT a FROM EXTEND_TIME_WINDOW('/etc/passwd', 'P1D', 'P0D')",
    "SELECT a FROM EXTEND_TIME_WINDOW('read_csv(''/etc/passwd'')', 'P1D', 'P0D')",
    "SELECT COUNT(*) AS c FROM EXTEND_TIME_WINDOW('data.raw.dsp_clicks', 'P1D', 'P0D')",
    "SELECT COUNT(*) AS c FROM EXTEND_TIME_WINDOW('dsp_clicks\"; DROP TABLE x; --', 'P1D', 'P0D')",
    "SELECT COUNT(*) AS c FROM EXTEND_TIME_WINDOW(EXTEND_TIME_WINDOW('dsp_clicks', 'P1D', 'P1D'), 'P1D', 'P0D')",
    "SELECT COUNT(*) AS c FROM dsp_impressions WHERE campaign IN (SELECT value FROM duckdb_settings())",
    "SELECT a FROM duckdb_functions() AS t(a)",
    "SELECT \"getenv\"/**/('HOME') AS a",
    "SELECT system.main.getenv('HOME') AS a",
    "SELECT ('HOME').getenv() AS a",
    "SELECT campaign.upper() AS a, COUNT(*) AS c FROM dsp_impressions GROUP BY 1",
    "SELECT getvariable('x') AS a",
    "SELECT @@version AS a",
    "SELECT a FROM (COPY (SELECT 1) TO 'x')",
    "FROM dsp_impressions SELECT campaign",
    "SELECT COUNT(*) AS c FROM dsp_impressions AT (VERSION => 1)",
    "SELECT COUNT(*) AS c FROM dsp_impressions ASOF JOIN dsp_clicks USING (user_id)",
]
# A table's name or a star inside an expression is a whole row to the engine, with the user in it.
WHOLE_ROWS = [
    "SELECT d AS a, COUNT(*) AS c FROM dsp_impressions d GROUP BY 1",
    "SELECT dsp_impressions AS a, COUNT(*) AS c FROM dsp_impressions GROUP BY 1",
    "SELECT COLLECT(x) AS a FROM (SELECT user_id FROM dsp_impressions) x",
    "WITH q AS (SELECT user_id FROM dsp_clicks) SELECT MD5(CAST(q AS VARCHAR)) AS m, COUNT(*) AS c FROM q GROUP BY 1",
    "SELECT COUNT(*) AS c FROM dsp_impressions d WHERE JSON_SERIALIZE(d) LIKE '%a%'",
    "SELECT COLLECT(d.*) AS a FROM dsp_impressions d",
    "SELECT CONCAT(*) AS a, COUNT(*) AS c FROM (SELECT user_id FROM dsp_impressions) GROUP BY 1",
    "SELECT NAMED_ROW('a', d.*) AS a, COUNT(*) AS c FROM dsp_impressions d GROUP BY 1",
    "SELECT ARRAY[*] AS a FROM (SELECT user_id FROM dsp_impressions) d",
    "SELECT (d.*) AS a FROM dsp_impressions d",
    "SELECT campaign, COUNT(*) AS c FROM dsp_impressions GROUP BY *",
    "SELECT x.u AS a, COUNT(*) AS c FROM (SELECT NAMED_ROW('u', user_id) AS x FROM dsp_impressions) GROUP BY 1",
]
# Much work or memory from few characters.
GREEDY = [
    "SELECT COUNT(*) AS c FROM UNNEST(generate_series(1, 1000000000)) AS t(x)",
    "SELECT repeat('x', 1000000000) AS a",
    "SELECT FORMAT('%2000000000d', 1) AS a",
    "SELECT FORMAT('%.2000000000f', 1) AS a",
]
# Looks like something else, and is nothing.
UNICODE = [
    "SELECT COUNT(*) AS c FROM ｄsp_impressions",
    "SELECT COUNT(*) AS c FROM dsp_ımpressions",
    "SELECT COUNT(*) AS c FROM dsp_impreſſions",
    "SELECT COUNT(*) AS c FROM dsp_impressions\u200b",
    "SELECT a FROM read_csv\u2060('x') AS t(a)",
    "SELECT ｒead_csv('x') AS a",
    "SELECT 1 AS a\uff1b DROP TABLE x",
]


@pytest.mark.parametrize("sql", [*FILES, *SETTINGS, *OTHERS, *LANGUAGE, *HIDDEN, *WHOLE_ROWS, *GREEDY, *UNICODE])
def test_refused_before_anything_runs(amc: Amc, sql: str) -> None:
    refusal = amc.refusal(sql)
    assert refusal
    # The engine's words would mean that it was asked.
    assert not re.search(r"Catalog|Binder|Permission|disabled by configuration|Parser", refusal)


@pytest.mark.parametrize(
    ("sql", "title", "value"),
    [
        ('SELECT 1 AS "x\'; DROP TABLE y --"', "x'; drop table y --", "1"),
        ('SELECT "a""b" FROM (VALUES (1)) AS t("a""b")', 'a"b', "1"),
        ('SELECT 1 AS "/* x */"', "/* x */", "1"),
        ("SELECT 'it''s; -- \\ \" fine' AS a", "a", "it's; -- \\ \" fine"),
        ('WITH "a b;" AS (SELECT 1 AS "c d") SELECT "c d" FROM "a b;"', "c d", "1"),
        ("SELECT 1 AS ｃｏｕｎｔ", "ｃｏｕｎｔ", "1"),
        ("SELECT '=1+1' AS a", "a", "=1+1"),
    ],
)
def test_odd_characters_stay_what_they_are(amc: Amc, sql: str, title: str, value: str) -> None:
    found = amc.query(sql)
    assert (found.titles, found.texts) == ([title], [[value]])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT campaign, i FROM (SELECT campaign, COLLECT(impression_dt_utc) AS __users, SUM(impressions) AS i "
        "FROM dsp_impressions GROUP BY 1)",
        'SELECT 1 AS "__USERS"',
        "WITH __users AS (SELECT 1 AS a) SELECT a FROM __users",
        "SELECT __users FROM dsp_impressions",
        "SELECT a.campaign, COUNT(*) AS c FROM dsp_impressions AS __windowed GROUP BY 1",
    ],
)
def test_no_query_passes_off_its_own_users(amc: Amc, sql: str) -> None:
    assert "reserved" in amc.refusal(sql)


class TestConnection:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM glob('/*')",
            "SELECT * FROM read_text('/etc/hostname')",
            "COPY (SELECT 1) TO '/tmp/written-by-a-query.csv'",
            "ATTACH '/tmp/other.duckdb' AS other",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET lock_configuration = false",
            "SET memory_limit = '100GB'",
            "SET threads = 64",
            "PRAGMA memory_limit = '100GB'",
            "CREATE TABLE data.raw.mine (a INTEGER)",
            "DELETE FROM data.raw.dsp_clicks",
            "DROP TABLE data.raw.dsp_clicks",
        ],
    )
    def test_the_engine_itself_refuses(self, sql: str) -> None:
        with (
            SharedData.warehouse().cursor(INSTANCES[INSTANCE], datetime.now(UTC)) as cursor,
            pytest.raises(duckdb.Error),
        ):
            cursor.execute(sql)
        assert not Path("/tmp/written-by-a-query.csv").exists()  # noqa: S108

    def test_it_is_locked_up(self) -> None:
        with SharedData.warehouse().cursor(INSTANCES[INSTANCE], datetime.now(UTC)) as cursor:
            names = ("enable_external_access", "lock_configuration", "memory_limit", "temp_directory", "TimeZone")
            found = dict(
                cursor.execute(f"SELECT name, value FROM duckdb_settings() WHERE name IN {names}").fetchall()
            )
            databases = [
                row[0] for row in cursor.execute("SELECT database_name FROM duckdb_databases()").fetchall()
            ]
        assert (found["enable_external_access"], found["lock_configuration"]) == ("false", "true")
        assert float(found["memory_limit"].split()[0]) < 1024
        assert found["temp_directory"] == ""
        assert found["TimeZone"] == "UTC"
        assert set(databases) == {"data", "memory", "system", "temp"}

    def test_an_array_that_doubles_ends_with_a_message(self, amc: Amc) -> None:
        ctes = [f"t{n} AS (SELECT ARRAY_CAT(x, x) AS x FROM t{n - 1})" for n in range(1, 31)]
        refusal = amc.refusal(
            f"WITH t0 AS (SELECT ARRAY[1, 2] AS x), {', '.join(ctes)} SELECT MD5(CAST(x AS VARCHAR)) AS a FROM t30"
        )
        assert "needs more memory than a run may use" in refusal

    def test_parameters_are_values_whatever_is_in_them(self, amc: Amc) -> None:
        for text in ("'; DROP TABLE x; --", "/etc/passwd", "' OR '1'='1", "$$x$$", 'a"b', "\\'", "{x}", "%s"):
            one = [{"name": "p", "dataType": "STRING", "defaultValue": text}]
            assert amc.values("SELECT CUSTOM_PARAMETER('p') AS a", definitions=one) == [text]
            assert amc.refusal("SELECT a FROM CUSTOM_PARAMETER('p')", definitions=one)
            window = "SELECT COUNT(*) AS c FROM EXTEND_TIME_WINDOW(CUSTOM_PARAMETER('p'), 'P1D', 'P0D')"
            assert "three quoted texts" in amc.refusal(window, definitions=one)

    def test_an_exploding_query_ends_with_a_message(self, amc: Amc) -> None:
        sql = "SELECT COUNT(DISTINCT CONCAT(a.user_id, b.user_id, c.user_id)) AS c FROM dsp_impressions a " \
              "CROSS JOIN dsp_impressions b CROSS JOIN dsp_clicks c"  # fmt: skip
        assert "needs more memory than a run may use" in amc.refusal(sql)


def test_instances_do_not_see_each_others_uploads(shell: Shell) -> None:
    shell.amc.control("POST", "tables", {"instance": INSTANCE, "name": "crm", "columns": ["user_id", "segment"]})
    sql = "SELECT COUNT(DISTINCT user_id) AS c FROM crm"
    assert shell.run(sql)[0] == "SUCCEEDED"
    state, reason, _ = shell.run(sql, instance="amclocalus2")
    assert (state, "Object 'crm' not found" in reason) == ("REJECTED", True)
