"""Aggregation thresholds: the level of every output column, and what happens to rows with too few users."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from local_amc.runs.uploads import check_upload, table_of
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Compiled, Rules, compile_query
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.sql.privacy import PrivacyOptions
from tests.local_amc.shared import Amc, Rows, tiny

# The engine works in UTC, without a zone.
START, NOW = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-11-01")
FROM_I = "FROM dsp_impressions GROUP BY 1"
LEVELS = [
    # A column has its own level.
    (f"SELECT campaign AS x, COUNT(*) AS c {FROM_I}", "LOW"),
    (f"SELECT impression_dt_utc AS x, COUNT(*) AS c {FROM_I}", "MEDIUM"),
    (f"SELECT postal_code AS x, COUNT(*) AS c {FROM_I}", "HIGH"),
    ("SELECT SUM(impressions) AS x FROM dsp_impressions", "NONE"),
    ("SELECT MAX(campaign) AS x FROM dsp_impressions", "LOW"),
    ("SELECT SUM(bid_price) AS x FROM dsp_impressions", "MEDIUM"),
    # Counting, ranks and predicates say nothing about a value.
    ("SELECT COUNT(postal_code) AS x FROM dsp_impressions", "NONE"),
    ("SELECT COUNT(DISTINCT user_id) AS x FROM dsp_impressions", "NONE"),
    ("SELECT COUNT(DISTINCT user_id) OVER (PARTITION BY city_name) AS x, COUNT(*) AS c FROM dsp_impressions "
     "GROUP BY user_id, city_name", "NONE"),
    ("SELECT RANK() OVER (ORDER BY MAX(city_name)) AS x, COUNT(*) AS c FROM dsp_impressions GROUP BY user_id", "NONE"),
    (f"SELECT city_name IS NULL AS x, COUNT(*) AS c {FROM_I}", "NONE"),
    ("SELECT MAX(a.city_name) = MAX(b.city_name) AS x FROM dsp_impressions a "
     "JOIN dsp_clicks b ON a.user_id = b.user_id", "NONE"),
    # CASE and IF: their branches only.
    (f"SELECT CASE WHEN city_name IS NULL THEN 'none' ELSE 'some' END AS x, COUNT(*) AS c {FROM_I}", "NONE"),
    (f"SELECT CASE WHEN impressions > 0 THEN campaign ELSE postal_code END AS x, COUNT(*) AS c {FROM_I}", "HIGH"),
    ("SELECT SUM(CASE WHEN user_id IS NOT NULL THEN 1 ELSE 0 END) AS x FROM dsp_impressions", "NONE"),
    (f"SELECT IF(user_id IS NULL, campaign, 'known') AS x, COUNT(*) AS c {FROM_I}", "LOW"),
    (f"SELECT NULLIF(campaign, city_name) AS x, COUNT(*) AS c {FROM_I}", "LOW"),
    # Everything else: the strictest of its parts.
    (f"SELECT CONCAT(campaign, '-', CAST(impression_dt_utc AS VARCHAR)) AS x, COUNT(*) AS c {FROM_I}", "MEDIUM"),
    (f"SELECT COALESCE(city_name, campaign) AS x, COUNT(*) AS c {FROM_I}", "HIGH"),
    (f"SELECT UPPER(REPLACE(postal_code, ' ', '')) AS x, COUNT(*) AS c {FROM_I}", "HIGH"),
    (f"SELECT NAMED_ROW('k', campaign, 'm', bid_price) AS x, COUNT(*) AS c {FROM_I}", "MEDIUM"),
    ("SELECT COLLECT(DISTINCT city_name) AS x FROM dsp_impressions", "HIGH"),
    ("SELECT SUM(clicks) / SUM(click_cost) AS x FROM dsp_clicks", "MEDIUM"),
    ("SELECT SUM(impressions) + 1 AS x FROM dsp_impressions", "NONE"),
    ("SELECT LAG(MAX(city_name)) OVER (ORDER BY campaign) AS x, COUNT(*) AS c FROM dsp_impressions GROUP BY campaign",
     "HIGH"),
    # Through CTEs, renames, derived tables.
    ("WITH a AS (SELECT postal_code AS p, impressions FROM dsp_impressions) SELECT p AS x, SUM(impressions) AS i "
     "FROM a GROUP BY 1", "HIGH"),
    ("WITH a (p, i) AS (SELECT postal_code, impressions FROM dsp_impressions), b AS (SELECT p AS q, i FROM a) "
     "SELECT q AS x, SUM(i) AS i FROM b GROUP BY 1", "HIGH"),
    ("SELECT x, c FROM (SELECT bid_price AS x, COUNT(*) AS c FROM dsp_impressions GROUP BY 1) AS t", "MEDIUM"),
    ("SELECT t.k AS x, c FROM (SELECT bid_price, COUNT(*) FROM dsp_impressions GROUP BY 1) AS t(k, c)", "MEDIUM"),
    ("SELECT x, COUNT(*) AS c FROM dsp_impressions JOIN (SELECT user_id, MAX(city_name) AS x FROM dsp_clicks "
     "GROUP BY 1) AS b ON dsp_impressions.user_id = b.user_id GROUP BY 1", "HIGH"),
    ("WITH dsp_clicks AS (SELECT campaign AS city_name FROM dsp_impressions) SELECT city_name AS x, COUNT(*) AS c "
     "FROM dsp_clicks GROUP BY 1", "LOW"),
    ("SELECT p AS x, COUNT(*) AS c FROM (SELECT * FROM (SELECT postal_code AS p FROM dsp_impressions) AS a) AS b "
     "GROUP BY 1", "HIGH"),
    # UNION: the strictest at each place.
    (f"SELECT campaign AS x, COUNT(*) AS c {FROM_I} UNION ALL SELECT city_name, COUNT(*) FROM dsp_clicks GROUP BY 1",
     "HIGH"),
    ("SELECT x, COUNT(*) AS c FROM (SELECT city_name AS x FROM dsp_impressions UNION SELECT campaign FROM dsp_clicks "
     "UNION ALL SELECT NULL) AS u GROUP BY 1", "HIGH"),
    # Scalar subqueries.
    ("SELECT (SELECT MAX(city_name) FROM dsp_impressions) AS x, COUNT(*) AS c FROM dsp_clicks", "HIGH"),
    ("SELECT (SELECT COUNT(DISTINCT city_name) FROM dsp_impressions) AS x, COUNT(*) AS c FROM dsp_clicks", "NONE"),
    ("SELECT COUNT(*) + (SELECT SUM(bid_price) FROM dsp_impressions) AS x FROM dsp_clicks", "MEDIUM"),
    # Out of arrays.
    ("SELECT c AS x, COUNT(*) AS n FROM (SELECT COLLECT(city_name) AS cities FROM dsp_impressions) AS t "
     "CROSS JOIN UNNEST(t.cities) AS u(c) GROUP BY 1", "HIGH"),
    ("SELECT EXPLODE(cities) AS x FROM (SELECT COLLECT(city_name) AS cities FROM dsp_impressions) AS t", "HIGH"),
    ("SELECT cities[1] AS x FROM (SELECT COLLECT(city_name) AS cities FROM dsp_impressions) AS t", "HIGH"),
]  # fmt: skip
NEVER = [
    f"SELECT user_id, COUNT(*) AS c {FROM_I}",
    "SELECT MAX(user_id) AS u FROM dsp_impressions",
    f"SELECT HASH64(user_id) AS u, COUNT(*) AS c {FROM_I}",
    f"SELECT MD5(CONCAT('salt', user_id)) AS u, COUNT(*) AS c {FROM_I}",
    "SELECT LENGTH(MIN(user_id)) AS u FROM dsp_impressions",
    f"SELECT COALESCE(user_id, 'none') AS u, COUNT(*) AS c {FROM_I}",
    "SELECT COLLECT(user_id) AS u FROM dsp_impressions",
    f"SELECT CASE WHEN impressions > 0 THEN user_id END AS u, COUNT(*) AS c {FROM_I}",
    f"SELECT device_id, COUNT(*) AS c {FROM_I}",
    f"SELECT request_tag, COUNT(*) AS c {FROM_I}",
    "SELECT marketplace_id, COUNT(*) AS c FROM conversions_all GROUP BY 1",
    "SELECT DISTINCT user_id FROM dsp_impressions",
    f"SELECT campaign, COUNT(*) AS c {FROM_I} UNION ALL SELECT user_id, 1 FROM dsp_clicks",
    "WITH a AS (SELECT user_id AS harmless, COUNT(*) AS c FROM dsp_impressions GROUP BY 1) SELECT harmless, c FROM a",
    "WITH a (x) AS (SELECT user_id FROM dsp_impressions) SELECT x, COUNT(*) AS c FROM a GROUP BY 1",
    "SELECT (SELECT MAX(user_id) FROM dsp_impressions) AS u, COUNT(*) AS c FROM dsp_clicks",
    "SELECT (SELECT MAX(user_id) FROM dsp_impressions) AS u",
    "SELECT u, COUNT(*) AS c FROM (SELECT COLLECT(user_id) AS us FROM dsp_impressions) AS t "
    "CROSS JOIN UNNEST(t.us) AS x(u) GROUP BY 1",
    "SELECT EXPLODE(us) AS u FROM (SELECT COLLECT(user_id) AS us FROM dsp_impressions) AS t",
    "SELECT us[1] AS u FROM (SELECT COLLECT(user_id) AS us FROM dsp_impressions) AS t",
    "SELECT NAMED_ROW('u', MAX(user_id)) AS u FROM dsp_impressions",
    "SELECT JSON_SERIALIZE(COLLECT(user_id)) AS u FROM dsp_impressions",
    f"SELECT FIRST_VALUE(user_id) OVER (ORDER BY user_id) AS u, COUNT(*) AS c {FROM_I}, user_id",
    "SELECT ARRAY_TO_STRING(COLLECT(DISTINCT user_id), ',') AS u FROM dsp_impressions",
    "SELECT GREATEST(MAX(user_id), MIN(user_id)) AS u FROM dsp_impressions",
    "SELECT campaign AS user_id, device_id AS d, COUNT(*) AS c FROM dsp_impressions_for_audiences GROUP BY 1, 2",
    "SELECT user_id FROM dsp_impressions_for_audiences",
    "SELECT user_id, campaign FROM dsp_impressions_for_audiences",
    "SELECT user_id, city_name FROM dsp_impressions_for_audiences",
    "SELECT CAST(user_id AS VARCHAR) AS user_id FROM dsp_impressions_for_audiences",
    "WITH a AS (SELECT user_id FROM dsp_impressions_for_audiences) SELECT user_id FROM a",
    "SELECT MAX(user_id) AS user_id FROM dsp_impressions_for_audiences",
    "SELECT a.user_id FROM dsp_impressions_for_audiences a JOIN dsp_clicks b ON a.user_id = b.user_id",
]
COUNTED = "SELECT COUNT(*) AS c FROM dsp_impressions WHERE "
LITERALS = [
    "city_name = 'Oslo'", "'Oslo' = city_name", "city_name <> 'Oslo'", "city_name < 'Oslo'",
    "NOT (city_name = 'Oslo')",
    "postal_code IN ('1', '2')", "postal_code NOT IN ('1')", "postal_code LIKE '9%'", "postal_code NOT LIKE '9%'",
    "postal_code SIMILAR TO '9.*'", "postal_code NOT SIMILAR TO '9'", "postal_code BETWEEN '1' AND '2'",
    "'1' BETWEEN postal_code AND postal_code", "LOWER(city_name) = 'oslo'", "city_name = LOWER('OSLO')",
    "city_name = CONCAT('Os', 'lo')", "city_name = IF(impressions > 0, 'Oslo', campaign)", "LENGTH(city_name) = 4",
    "CAST(postal_code AS INTEGER) > 100", "NULLIF(city_name, 'Oslo') IS NULL", "STRPOS(city_name, 'Os') > 0",
    "POSITION('Os' IN city_name) = campaign_id", "REGEXP_SUBSTR(city_name, 'Os') IS NOT NULL",
    "CONTAINED_IN(city_name, 'Oslo')", "ARRAY_CONTAINS(ARRAY['Oslo'], city_name)", "city_name = ANY(ARRAY['Oslo'])",
    "city_name = (SELECT 'Oslo')", "city_name IN (SELECT 'Oslo')", "(city_name, campaign) = ('Oslo', 'a')",
    "city_name IN (SELECT a FROM (VALUES ('Oslo')) AS t(a))", "city_name IS DISTINCT FROM 'Oslo'",
    "GREATEST(city_name, 'Oslo') = city_name", "NAMED_ROW('a', city_name) = NAMED_ROW('a', 'Oslo')",
    "CARDINALITY(ARRAY_INTERSECT(ARRAY[city_name], ARRAY['Oslo'])) = impressions",
    "CARDINALITY(ARRAY_COMPLEMENT(ARRAY[city_name], ARRAY['Oslo'])) = impressions",
    "ARRAY_REMOVE(ARRAY[city_name], 'Oslo') IS NULL", "ARRAY[city_name] = ARRAY['Oslo']",
    "CASE city_name WHEN 'Oslo' THEN TRUE END", "user_id = 'somebody'",
    "user_id = 'a' OR impressions = 1", "user_id IN (SELECT user_id FROM dsp_clicks WHERE user_id = 'a')",
    "EXISTS (SELECT 1 FROM dsp_clicks b WHERE b.user_id = dsp_impressions.user_id AND b.city_name = 'Oslo')",
    "IF(city_name = 'Oslo', TRUE, FALSE)", "SUBSTRING(user_id, 1, 1) = 'a'", "MD5(user_id) = 'a'",
]  # fmt: skip
LITERALS_ELSEWHERE = [
    "SELECT SUM(CASE WHEN city_name = 'Oslo' THEN 1 ELSE 0 END) AS c FROM dsp_impressions",
    "SELECT SUM(CASE city_name WHEN 'Oslo' THEN 1 ELSE 0 END) AS c FROM dsp_impressions",
    "SELECT COUNT(NULLIF(city_name, 'Oslo')) AS c FROM dsp_impressions",
    "SELECT COUNT(*) FILTER (WHERE city_name = 'Oslo') AS c FROM dsp_impressions",
    "SELECT COUNT(*) AS c FROM dsp_impressions GROUP BY city_name HAVING MAX(city_name) = 'Oslo'",
    "SELECT COUNT(*) AS c FROM dsp_impressions a JOIN dsp_clicks b ON a.user_id = b.user_id AND a.city_name = 'Oslo'",
    "SELECT RANK() OVER (PARTITION BY city_name = 'Oslo' ORDER BY campaign) AS r, COUNT(*) AS c FROM dsp_impressions "
    "GROUP BY city_name, campaign",
    "WITH a AS (SELECT city_name AS c FROM dsp_impressions) SELECT COUNT(*) AS n FROM a WHERE c = 'Oslo'",
    "WITH a (c) AS (SELECT city_name FROM dsp_impressions), b AS (SELECT c AS d FROM a) "
    "SELECT COUNT(*) AS n FROM b WHERE d > 'Oslo'",
    "WITH a (c) AS (VALUES ('Oslo')) SELECT COUNT(*) AS n FROM dsp_impressions JOIN a ON city_name = c",
    "WITH a AS (SELECT 'Oslo' AS c) SELECT COUNT(*) AS n FROM dsp_impressions CROSS JOIN a WHERE city_name = c",
    "SELECT COUNT(*) AS n FROM (SELECT city_name AS z FROM dsp_impressions WHERE city_name = 'Oslo') AS t",
    "SELECT campaign, COUNT(*) AS n FROM dsp_impressions GROUP BY campaign, city_name = 'Oslo'",
    "SELECT COUNT(*) AS n FROM (SELECT city_name AS x FROM dsp_impressions UNION ALL SELECT 'Oslo') AS u GROUP BY x",
]
HARMLESS = [
    "city_name IS NULL", "user_id IS NOT NULL AND city_name IS NOT NULL", "campaign = 'a' AND postal_code = city_name",
    "user_id IN (SELECT user_id FROM dsp_clicks WHERE campaign = 'a')",
    "COALESCE(city_name, '') = COALESCE(campaign, '')",
    "impression_dt_utc > CAST('2026-01-01' AS TIMESTAMP)", "bid_price > 100", "dma_code IN ('501')",
    "REPLACE(postal_code, ' ', '') = postal_code",
]  # fmt: skip


def compiled(sql: str, rules: Rules | None = None) -> Compiled:
    run = Run(START, NOW, NOW, {})
    return compile_query(sql, run, build(), rules or Rules())


class TestLineage:
    @pytest.mark.parametrize(("sql", "level"), LEVELS)
    def test_the_level_of_x(self, sql: str, level: str) -> None:
        assert compiled(sql).outputs[0].threshold == level

    @pytest.mark.parametrize("sql", NEVER)
    def test_identifiers_of_people_are_never_in_the_output(self, amc: Amc, sql: str) -> None:
        refusal = amc.refusal(sql)
        assert "cannot be in the output" in refusal
        assert "line 1, column" in refusal

    @pytest.mark.parametrize("sql", [COUNTED + condition for condition in LITERALS] + LITERALS_ELSEWHERE)
    def test_no_literal_beside_a_protected_column(self, amc: Amc, sql: str) -> None:
        refusal = amc.refusal(sql)
        assert "cannot be compared with a literal" in refusal
        assert "line 1, column" in refusal

    @pytest.mark.parametrize("condition", HARMLESS)
    def test_other_comparisons_are_fine(self, amc: Amc, condition: str) -> None:
        assert amc.refusal(COUNTED + condition) == ""

    @pytest.mark.parametrize("value", ["Oslo", None])
    def test_a_parameter_is_a_literal(self, amc: Amc, value: str | None) -> None:
        one = [{"name": "city", "dataType": "STRING", "defaultValue": value}]
        for condition in (
            "city_name = CUSTOM_PARAMETER('city')",
            "UPPER(CUSTOM_PARAMETER('city')) = UPPER(city_name)",
        ):
            assert "compared with a literal" in amc.refusal(COUNTED + condition, definitions=one)
        many = [{"name": "cities", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}, "defaultValue": []}]
        contains = "ARRAY_CONTAINS(CUSTOM_PARAMETER('cities'), city_name)"
        assert "compared with a literal" in amc.refusal(COUNTED + contains, definitions=many)

    def test_reports_read_audience_tables_and_count_their_users(self, amc: Amc) -> None:
        assert amc.query("SELECT COUNT(DISTINCT user_id) AS c FROM dsp_impressions_for_audiences").rows
        joined = "SELECT a.campaign, COUNT(*) AS c FROM dsp_impressions_for_audiences a JOIN dsp_clicks b " \
                 "ON a.user_id = b.user_id GROUP BY 1"  # fmt: skip
        assert amc.refusal(joined) == ""

    def test_users_of_uploaded_tables_are_not_in_the_output_either(self, amc: Amc) -> None:
        table = table_of(check_upload({"name": "crm", "columns": ["user_id", "score"]}))
        sql = "SELECT user_id FROM crm GROUP BY 1"
        assert "cannot be in the output" in amc.refusal(sql, uploads=[table])

    def test_kinds_of_output_columns(self, amc: Amc) -> None:
        found = amc.query(
            "SELECT campaign, COUNT(DISTINCT user_id) AS reach, SUM(impressions) AS i, AVG(total_cost) AS f "
            "FROM dsp_impressions GROUP BY 1"
        )
        assert found.columns == [
            {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"},
            {"name": "reach", "columnType": "DIMENSION", "dataType": "LONG"},
            {"name": "i", "columnType": "METRIC", "dataType": "LONG"},
            {"name": "f", "columnType": "METRIC", "dataType": "DOUBLE"},
        ]


def shown(campaign: str, city: str, users: range, impressions: int) -> list[dict[str, Any]]:
    """Return impressions: each user sees the campaign so often."""
    return [
        {
            "campaign": campaign, "city_name": city, "user_id": f"u{user}", "impressions": impressions, "bid_price": 7,
            "device_type": "TV",
        }
        for user in users
    ]  # fmt: skip


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amc]:
    """Two large cities, two small ones that hold 1,500 impressions together, and one user all alone."""
    rows = [
        *shown("spring", "Bergen", range(0, 120), 10),
        *shown("spring", "Oslo", range(100, 200), 20),
        *shown("spring", "Bodø", range(200, 260), 10),
        *shown("spring", "Voss", range(200, 297), 5),
        *shown("spring", "Voss", range(200, 283), 5),
        *shown("autumn", "Bergen", range(0, 1), 3),
        # No user is known for these.
        {"campaign": "autumn", "city_name": "Oslo", "user_id": None, "impressions": 40},
    ]
    connection = tiny(tmp_path_factory.mktemp("groups"), dsp_impressions=rows)
    yield Amc(connection.cursor(), NOW)
    connection.close()


BY_CITY = "SELECT campaign, city_name, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY 1, 2"
BY_CAMPAIGN = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY 1"
TOTAL = 120 * 10 + 100 * 20 + 60 * 10 + 97 * 5 + 83 * 5 + 3 + 40


def by_first(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row])


class TestSmallGroups:
    def test_by_default_the_row_is_left_out(self, groups: Amc) -> None:
        assert by_first(groups.query(BY_CITY).rows) == [("spring", "Bergen", 1200), ("spring", "Oslo", 2000)]

    def test_low_needs_two_users_and_none_needs_one(self, groups: Amc) -> None:
        assert groups.query(BY_CAMPAIGN).rows == [("spring", 4700)]
        totals = "SELECT SUM(impressions) AS i FROM dsp_impressions GROUP BY campaign"
        assert by_first(groups.query(totals).rows) == [(43,), (4700,)]
        without_user = "SELECT SUM(impressions) AS i FROM dsp_impressions WHERE user_id IS NULL"
        assert groups.query(without_user).rows == []

    def test_the_discriminator_blanks_flags_merges_and_reconciles(self, groups: Amc) -> None:
        found = groups.query(BY_CITY, options=PrivacyOptions(discriminator_column="filtered"))
        assert found.titles == ["campaign", "city_name", "impressions", "filtered"]
        assert by_first(found.rows) == [
            # One user and rows without one: not even the campaign is shown.
            (None, None, 43, True),
            # 600 of Bodø and 900 of Voss look equal without their names, and become one row.
            ("spring", None, 1500, True),
            ("spring", "Bergen", 1200, False),
            ("spring", "Oslo", 2000, False),
        ]
        assert sum(row[2] for row in found.rows) == TOTAL

    def test_only_the_columns_that_miss_their_level_are_blanked(self, groups: Amc) -> None:
        sql = "SELECT campaign, device_type, MAX(bid_price) AS bid, city_name, SUM(impressions) AS i " \
              "FROM dsp_impressions WHERE city_name IS NOT NULL GROUP BY 1, 2, 4"  # fmt: skip
        rows = groups.query(sql, options=PrivacyOptions(discriminator_column="filtered")).rows
        assert ("spring", "TV", None, None, 1500, True) in rows
        assert ("spring", "TV", 7, "Oslo", 2000, False) in rows

    def test_counts_reach_as_far_as_the_highest_level_asks(self, groups: Amc) -> None:
        options = PrivacyOptions(user_count_column="users")
        assert {row[3] for row in groups.query(BY_CITY, options=options).rows} == {100}
        assert groups.query(BY_CAMPAIGN, options=options).rows == [("spring", 4700, 2)]
        reach = groups.query("SELECT COUNT(DISTINCT user_id) AS r FROM dsp_impressions", options=options)
        assert reach.rows == [(297, 1)]

    def test_the_reason_names_table_users_and_what_is_required(self, groups: Amc) -> None:
        options = PrivacyOptions(discriminator_column="small", user_count_column="users", reason_column="why")
        sql = f"{BY_CITY} HAVING MAX(city_name) = MIN(city_name)".replace(
            "GROUP BY", "WHERE impressions = 5 GROUP BY"
        )
        found = groups.query(sql, options=options)
        assert found.titles == ["campaign", "city_name", "impressions", "small", "users", "why"]
        assert found.rows == [("spring", None, 900, True, 97, "97 'dsp_impressions' users < 100 required")]
        assert {row[5] for row in groups.query(BY_CITY, options=options).rows if not row[3]} == {None}

    def test_remove_values_blanks_without_a_flag(self, groups: Amc) -> None:
        found = groups.query(BY_CITY, options=PrivacyOptions(removes_values=True))
        assert found.titles == ["campaign", "city_name", "impressions"]
        assert ("spring", None, 1500) in found.rows
        assert sum(row[2] for row in found.rows) == TOTAL

    def test_without_the_controls_every_row_is_there(self, groups: Amc) -> None:
        free = Rules(controls_aggregation=False)
        assert len(groups.query(BY_CITY, rules=free).rows) == 6
        sql = "SELECT user_id, city_name FROM dsp_impressions WHERE city_name = 'Voss' AND impressions = 5"
        assert len(groups.query(sql, rules=free).rows) == 180

    def test_a_query_without_people_filters_nothing(self, groups: Amc) -> None:
        options = PrivacyOptions(discriminator_column="small", user_count_column="users", reason_column="why")
        assert groups.query("SELECT 1 AS a", options=options).rows == [(1, False, None, None)]

    def test_values_of_a_subquery_are_protected_by_their_own_users(self, groups: Amc) -> None:
        few = "SELECT (SELECT MAX(city_name) FROM dsp_impressions WHERE impressions = 3) AS x"
        many = "SELECT (SELECT MAX(city_name) FROM dsp_impressions WHERE impressions = 20) AS x"
        assert (groups.query(few).rows, groups.query(many).rows) == ([], [("Oslo",)])
        for_each = "SELECT n, (SELECT MAX(campaign) FROM dsp_impressions WHERE impressions = n) AS x " \
                   "FROM (VALUES (3), (20), (99)) AS t(n)"  # fmt: skip
        assert groups.query(for_each).rows == [(20, "spring")]

    def test_a_total_over_all_does_not_hide_a_small_group(self, groups: Amc) -> None:
        sql = "SELECT city_name, COUNT(*) AS c, (SELECT SUM(impressions) FROM dsp_impressions) AS all_of_it " \
              "FROM dsp_impressions WHERE campaign = 'autumn' GROUP BY 1"  # fmt: skip
        assert groups.query(sql).rows == []

    def test_parameters_reach_the_check(self, groups: Amc) -> None:
        definitions = [{"name": "c", "dataType": "STRING"}]
        sql = BY_CITY.replace("GROUP BY", "WHERE campaign = CUSTOM_PARAMETER('c') GROUP BY")
        assert declare(definitions, {"c": "spring"})["c"].has_value
        assert len(groups.query(sql, definitions=definitions, values={"c": "spring"}).rows) == 2
        assert groups.query(sql, definitions=definitions, values={"c": "autumn"}).rows == []
