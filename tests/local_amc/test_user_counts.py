"""AMC counts users per table that is read, and per total: the smallest count decides whether a row is filtered."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local_amc.sql.privacy import PrivacyOptions
from tests.local_amc.shared import Amc, Rows, tiny

NOW = datetime.fromisoformat("2026-11-01")
ALL = PrivacyOptions(discriminator_column="filtered", user_count_column="users", reason_column="why")


def events(table: str, column: str, users: Sequence[int], total: int, **values: Any) -> list[dict[str, Any]]:
    """Return one row per user that together have a total, as evenly as it goes."""
    whole, rest = divmod(total, len(users))
    return [{**values, "user_id": f"u{user}", column: whole + (n < rest)} for n, user in enumerate(users)]


def engine_on(folder: Path, **tables: list[dict[str, Any]]) -> Iterator[Amc]:
    connection = tiny(folder, **tables)
    yield Amc(connection.cursor(), NOW)
    connection.close()


# Impressions, clicks, device, postal code, users of the first and of the second: the example of Amazon's page.
EXAMPLE = [
    (1100, 300, "iPhone", "11111", 50, 13),
    (200, 100, "Android", "22222", 30, 8),
    (1300, 500, "Android", "33333", 133, 87),
    (1700, 700, "Android", "44444", 108, 359),
]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amc]:
    shown: list[dict[str, Any]] = []
    clicked: list[dict[str, Any]] = []
    for impressions, clicks, device, code, viewers, clickers in EXAMPLE:
        where = {"device_type": device, "postal_code": code}
        shown += events("dsp_impressions", "impressions", range(viewers), impressions, **where)
        clicked += events("dsp_clicks", "clicks", range(clickers), clicks, **where)
    yield from engine_on(tmp_path_factory.mktemp("example"), dsp_impressions=shown, dsp_clicks=clicked)


BY_CODE = "SELECT device_type, postal_code, SUM({0}) AS {0} FROM dsp_{0} GROUP BY 1, 2"
SAME = "i.device_type = c.device_type AND i.postal_code = c.postal_code"
# The same question in the ways it is asked.
SHAPES = {
    "joined CTEs": f"WITH i AS ({BY_CODE.format('impressions')}), c AS ({BY_CODE.format('clicks')}) "
    f"SELECT impressions, clicks, i.device_type, i.postal_code FROM i JOIN c ON {SAME}",
    "joined derived tables": f"SELECT impressions, clicks, i.device_type, i.postal_code FROM ("
    f"{BY_CODE.format('impressions')}) AS i LEFT JOIN ({BY_CODE.format('clicks')}) AS c ON {SAME}",
    "summed once more": f"WITH i AS ({BY_CODE.format('impressions')}), c AS ({BY_CODE.format('clicks')}) "
    f"SELECT SUM(impressions), SUM(clicks), i.device_type, i.postal_code FROM i JOIN c ON {SAME} GROUP BY 3, 4",
    "one above the other": "SELECT SUM(impressions), SUM(clicks), device_type, postal_code FROM ("
    "SELECT device_type, postal_code, impressions, 0 AS clicks FROM dsp_impressions UNION ALL "
    "SELECT device_type, postal_code, 0, clicks FROM dsp_clicks) AS u GROUP BY 3, 4",
    "groups one above the other": "WITH u AS (SELECT device_type, postal_code, SUM(impressions) AS impressions, "
    "0 AS clicks FROM dsp_impressions GROUP BY 1, 2 UNION ALL SELECT device_type, postal_code, 0, SUM(clicks) "
    "FROM dsp_clicks GROUP BY 1, 2) "
    "SELECT SUM(impressions), SUM(clicks), device_type, postal_code FROM u GROUP BY 3, 4",
}


class TestAmazonsExample:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_rows_with_too_few_users_of_one_table_are_left_out(self, example: Amc, shape: str) -> None:
        assert example.query(SHAPES[shape]).rows == [(1700, 700, "Android", "44444")]

    @pytest.mark.parametrize("shape", SHAPES)
    def test_with_the_discriminator_they_are_blanked_and_merged(self, example: Amc, shape: str) -> None:
        found = example.query(SHAPES[shape], options=PrivacyOptions(discriminator_column="filtered"))
        assert sorted(found.rows, key=lambda row: row[0]) == [
            (1100, 300, "iPhone", None, True),
            (1500, 600, "Android", None, True),
            (1700, 700, "Android", "44444", False),
        ]

    @pytest.mark.parametrize("shape", SHAPES)
    def test_the_smallest_count_is_told_with_its_table(self, example: Amc, shape: str) -> None:
        rows = sorted(example.query(SHAPES[shape], options=ALL).rows, key=lambda row: row[0])
        assert [row[5:] for row in rows] == [
            (13, "13 'dsp_clicks' users < 100 required"),
            # Of the merged rows the most users and the worst reason.
            (87, "8 'dsp_clicks' users < 100 required"),
            (100, None),
        ]

    def test_one_table_alone_is_counted_by_itself(self, example: Amc) -> None:
        rows = example.query(BY_CODE.format("impressions")).rows
        assert sorted(rows) == [("Android", "33333", 1300), ("Android", "44444", 1700)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amc]:
    """150 see the campaigns a and b; 20 click a, one whom nobody knows clicks c, 150 click e."""
    shown = [
        *events("dsp_impressions", "impressions", range(150), 300, campaign="a", city_name="Oslo"),
        *events("dsp_impressions", "impressions", range(150), 300, campaign="b", city_name="Oslo"),
    ]
    clicked = [
        *events("dsp_clicks", "clicks", range(20), 40, campaign="a", city_name="Oslo"),
        *events("dsp_clicks", "clicks", range(150), 150, campaign="e", city_name="Rome"),
        {"campaign": "c", "city_name": "Oslo", "user_id": None, "clicks": 1},
    ]
    yield from engine_on(tmp_path_factory.mktemp("paths"), dsp_impressions=shown, dsp_clicks=clicked)


def whys(amc: Amc, sql: str) -> dict[Any, Any]:
    """Return the reason of each row by its first value."""
    return {row[0]: row[-1] for row in amc.query(sql, options=ALL).rows}


class TestPaths:
    def test_a_table_without_part_in_a_row_does_not_count(self, paths: Amc) -> None:
        sql = "SELECT i.campaign, MAX(i.city_name) AS city, COUNT(DISTINCT c.user_id) AS n FROM dsp_impressions i " \
              "LEFT JOIN dsp_clicks c ON i.user_id = c.user_id AND i.campaign = c.campaign GROUP BY 1"  # fmt: skip
        assert paths.query(sql).rows == [("b", "Oslo", 0)]
        assert whys(paths, sql) == {"b": None, "a": "20 'dsp_clicks' users < 100 required"}

    def test_a_table_with_nobody_known_counts_none(self, paths: Amc) -> None:
        both = "SELECT {} AS k, COUNT(*) AS n FROM (SELECT campaign, city_name FROM dsp_impressions WHERE " \
               "campaign = 'b' UNION ALL SELECT campaign, city_name FROM dsp_clicks WHERE campaign = 'c') AS u " \
               "GROUP BY 1"  # fmt: skip
        assert paths.query(both.format("city_name")).rows == []
        assert paths.query(both.format("campaign")).rows == [("b", 150)]

    @pytest.mark.parametrize("table", ["dsp_clicks", "t"])
    def test_every_reading_of_a_table_is_a_path_of_its_own(self, paths: Amc, table: str) -> None:
        sql = "WITH t AS (SELECT campaign, city_name, clicks, user_id FROM dsp_clicks) SELECT x.campaign, " \
              f"MAX(x.city_name) AS city, COUNT(*) AS n FROM {table} x JOIN {table} y ON x.clicks <= y.clicks AND " \
              "y.campaign = 'a' WHERE x.campaign = 'e' GROUP BY 1"  # fmt: skip
        assert paths.query(sql).rows == []
        assert whys(paths, sql) == {"e": "20 'dsp_clicks' (path 2 of 2) users < 100 required"}
        assert len(paths.query(sql.replace("y.campaign = 'a'", "y.campaign = 'e'")).rows) == 1

    def test_the_path_is_told_where_a_table_is_read_again(self, paths: Amc) -> None:
        sql = "SELECT a.campaign, MAX(b.city_name) AS city, COUNT(*) AS n FROM dsp_clicks a JOIN dsp_clicks b " \
              "ON a.user_id = b.user_id GROUP BY 1"  # fmt: skip
        assert whys(paths, sql) == {"e": None, "a": "20 'dsp_clicks' (path 1 of 2) users < 100 required"}
        twice = "WITH t AS (SELECT campaign, city_name, SUM(clicks) AS n FROM dsp_clicks WHERE campaign = 'a' " \
                "GROUP BY 1, 2) SELECT x.campaign, x.n, y.city_name FROM t x " \
                "JOIN t y ON x.campaign = y.campaign"  # fmt: skip
        assert whys(paths, twice) == {"a": "20 'dsp_clicks' (path 1 of 2) users < 100 required"}

    def test_values_that_stand_beside_count_too(self, paths: Amc) -> None:
        few = "(SELECT SUM(clicks) FROM dsp_clicks WHERE campaign = 'a')"
        for value in (f"SUM(impressions) AS i, {few} AS c", f"SUM(impressions / {few}) AS i"):
            sql = f"SELECT campaign, city_name, {value} FROM dsp_impressions GROUP BY 1, 2"
            assert paths.query(sql).rows == []
            assert set(whys(paths, sql).values()) == {"20 'dsp_clicks' users < 100 required"}

    def test_conditions_are_not_what_a_row_is_made_of(self, paths: Amc) -> None:
        sql = "SELECT campaign, city_name, COUNT(*) AS n FROM dsp_impressions WHERE campaign IN " \
              "(SELECT campaign FROM dsp_clicks) GROUP BY 1, 2"  # fmt: skip
        assert paths.query(sql).rows == [("a", "Oslo", 150)]

    @pytest.mark.parametrize(
        ("sql", "rows"),
        [
            # Grouped by users first, by what is known of them then.
            ("WITH u AS (SELECT user_id, campaign, COUNT(*) AS n FROM dsp_impressions GROUP BY 1, 2) "
             "SELECT n, MAX(campaign) AS c, COUNT(DISTINCT user_id) AS r FROM u GROUP BY 1", [(1, "b", 150)]),
            ("SELECT DISTINCT campaign, city_name FROM dsp_impressions", [("a", "Oslo"), ("b", "Oslo")]),
            ("SELECT campaign, city_name FROM dsp_impressions UNION SELECT campaign, city_name FROM dsp_clicks",
             [("b", "Oslo"), ("e", "Rome")]),
            ("SELECT campaign, MAX(city_name) AS c FROM dsp_impressions GROUP BY 1 UNION ALL "
             "SELECT campaign, MAX(city_name) FROM dsp_clicks GROUP BY 1",
             [("a", "Oslo"), ("b", "Oslo"), ("e", "Rome")]),
            ("SELECT c, n FROM (SELECT city_name AS c, COUNT(*) AS n, 'x' AS k FROM dsp_impressions GROUP BY 1, 3) "
             "AS t WHERE k = 'x'", [("Oslo", 300)]),
            ("SELECT 'x' AS k, city_name AS c, COUNT(*) AS n FROM dsp_impressions GROUP BY 1, 2",
             [("x", "Oslo", 300)]),
            ("SELECT MAX(city_name) AS c, SUM(impressions) AS i FROM dsp_impressions WHERE RANDOM() <= 1",
             [("Oslo", 600)]),
            ("SELECT city_name, SUM(impressions) OVER (PARTITION BY city_name) AS s, COUNT(*) AS n "
             "FROM dsp_impressions GROUP BY city_name, impressions", [("Oslo", 2, 300)]),
            ("SELECT MAX(city_name) AS c, SUM(impressions) AS i FROM dsp_impressions WHERE campaign = 'z'", []),
        ],
    )  # fmt: skip
    def test_shapes_of_queries(self, paths: Amc, sql: str, rows: Rows) -> None:
        assert sorted(paths.query(sql).rows) == rows

    def test_users_of_a_joined_list_stay_apart(self, paths: Amc) -> None:
        sql = "WITH v AS (SELECT i.user_id, MAX(i.city_name) AS city, SUM(i.impressions) AS i, SUM(c.clicks) AS c " \
              "FROM dsp_impressions i JOIN dsp_clicks c ON i.user_id = c.user_id AND i.campaign = c.campaign " \
              "GROUP BY 1) SELECT city, SUM(i) AS i, SUM(c) AS c FROM v GROUP BY 1"  # fmt: skip
        [row] = paths.query(sql, options=ALL).rows
        assert row[1:3] == (40, 40)
        assert row[-1] == "20 'dsp_impressions' users < 100 required"


@pytest.fixture(scope="module")
def totals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amc]:
    """Oslo: 150 users, 6 of whom cost something. Bergen: 150, one with nearly everything. Pair: two, one with most."""
    rows = [
        *events("dsp_impressions", "impressions", range(150), 150, city_name="Oslo", campaign="a", total_cost=0),
        *events("dsp_impressions", "total_cost", range(6), 60, city_name="Oslo", campaign="a", impressions=0),
        *events("dsp_impressions", "impressions", range(150), 150, city_name="Bergen", campaign="b", total_cost=1),
        {"user_id": "u1", "city_name": "Bergen", "campaign": "b", "impressions": 500, "total_cost": 0},
        *events("dsp_impressions", "impressions", range(2), 2, city_name="Voss", campaign="pair", total_cost=0),
        *events("dsp_impressions", "impressions", range(2), 2, city_name="Voss", campaign="uneven", total_cost=0),
        {"user_id": "u1", "city_name": "Voss", "campaign": "uneven", "impressions": 3, "total_cost": 0},
    ]
    yield from engine_on(tmp_path_factory.mktemp("totals"), dsp_impressions=rows)


class TestTotals:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT city_name, SUM(total_cost) AS c FROM dsp_impressions WHERE campaign = 'a' GROUP BY 1",
            "SELECT city_name, SUM(impressions) AS i, SUM(total_cost) / 100000 AS c FROM dsp_impressions "
            "WHERE campaign = 'a' GROUP BY 1",
            "SELECT city_name, SUM(IF(total_cost > 0, impressions + 1, 0)) AS i FROM dsp_impressions "
            "WHERE campaign = 'a' GROUP BY 1",
            "SELECT city_name, SUM(impressions) FILTER (WHERE total_cost > 0) + "
            "COUNT(*) FILTER (WHERE total_cost > 0) AS n FROM dsp_impressions WHERE campaign = 'a' GROUP BY 1",
            "SELECT c, t FROM (SELECT city_name AS c, SUM(total_cost) AS t FROM dsp_impressions WHERE campaign = 'a' "
            "GROUP BY 1) AS inner_one",
            "WITH u AS (SELECT user_id, city_name, SUM(total_cost) AS t FROM dsp_impressions WHERE campaign = 'a' "
            "GROUP BY 1, 2) SELECT city_name, SUM(t) AS t FROM u GROUP BY 1",
        ],
    )
    def test_users_who_add_nothing_to_a_total_are_not_effective(self, totals: Amc, sql: str) -> None:
        assert totals.query(sql).rows == []
        [row] = totals.query(sql, options=ALL).rows
        assert row[-3:] == (True, 100, "6 'dsp_impressions' effective users < 10 required")

    def test_a_total_of_nothing_asks_for_nobody(self, totals: Amc) -> None:
        sql = "SELECT city_name, SUM(impressions) AS i, SUM(total_cost) AS c FROM dsp_impressions " \
              "WHERE campaign = 'a' AND total_cost = 0 GROUP BY 1"  # fmt: skip
        assert totals.query(sql).rows == [("Oslo", 150, 0)]

    def test_one_user_may_not_be_most_of_a_total(self, totals: Amc) -> None:
        sql = "SELECT city_name, SUM(impressions) AS i FROM dsp_impressions WHERE campaign = 'b' GROUP BY 1"
        assert totals.query(sql).rows == []
        [row] = totals.query(sql, options=ALL).rows
        assert row == (None, 650, True, 100, "1 'dsp_impressions' equivalent users < 2 required")
        # A count of users has no largest one.
        counted = sql.replace("SUM(impressions)", "COUNT(DISTINCT user_id)")
        assert totals.query(counted).rows == [("Bergen", 150)]

    def test_two_users_are_enough_when_they_are_equal(self, totals: Amc) -> None:
        sql = "SELECT campaign, SUM(impressions) AS i FROM dsp_impressions WHERE city_name IS NOT NULL GROUP BY 1 " \
              "HAVING SUM(impressions) < 100"  # fmt: skip
        assert totals.query(sql).rows == [("pair", 2)]
        assert whys(totals, sql) == {"pair": None, None: "1 'dsp_impressions' equivalent users < 2 required"}

    def test_columns_that_need_one_user_need_no_equals(self, totals: Amc) -> None:
        rows = totals.query("SELECT SUM(impressions) AS i FROM dsp_impressions GROUP BY campaign").rows
        assert sorted(rows) == [(2,), (5,), (150,), (650,)]

    def test_only_the_columns_that_miss_their_level_are_blanked(self, totals: Amc) -> None:
        sql = "SELECT campaign, city_name, SUM(total_cost) AS c FROM dsp_impressions WHERE campaign = 'a' " \
              "GROUP BY 1, 2"  # fmt: skip
        # Six are enough for a campaign, not for a city.
        assert totals.query(sql, options=PrivacyOptions(removes_values=True)).rows == [("a", None, 60)]
