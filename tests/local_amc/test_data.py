"""The synthetic data: complete, repeatable, and consistent between tables."""

# Table names come from the facts, so queries are put together freely.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest

from amc_facts.tables import DISPLAY, RETIRED_COLUMNS, SPONSORED_ADS, TABLES
from local_amc.data import build

BOTH = frozenset({DISPLAY, SPONSORED_ADS})
FIRST, LAST = date(2025, 8, 1), date(2026, 10, 31)
# Their rows are not bound to a day: membership as of the last day, and sessions without a time.
TIMELESS = {name for name, table in TABLES.items() if table.time_column is None}
ATTRIBUTED = ("amazon_attributed_events_by_conversion_time", "amazon_attributed_events_by_traffic_time")


class Data:
    """A built database and short ways to ask it."""

    def __init__(
        self,
        *,
        seed: int = 7,
        first: date = FIRST,
        last: date = LAST,
        types: frozenset[str] = BOTH,
        threads: int = 2,
        zone: str = "UTC",
    ) -> None:
        self.connection = duckdb.connect(config={"threads": threads})
        self.connection.execute(f"SET TimeZone = '{zone}'")
        build(self.connection, seed=seed, first_day=first, last_day=last, advertiser_types=types)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        [row] = self.rows(query)
        return row

    def value(self, query: str) -> Any:
        return self.row(query)[0]

    def values(self, query: str) -> set[Any]:
        return {row[0] for row in self.rows(query)}

    def checksum(self, table: str, condition: str = "TRUE") -> tuple[Any, ...]:
        return self.row(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM raw.{table} AS t WHERE {condition}")


@pytest.fixture(scope="module")
def data() -> Iterator[Data]:
    built = Data()
    yield built
    built.connection.close()


class TestShape:
    @pytest.mark.parametrize("name", TABLES)
    def test_a_table_has_the_documented_columns_then_the_retired_ones(self, data: Data, name: str) -> None:
        columns = [*TABLES[name].columns.values(), *RETIRED_COLUMNS.get(name, {}).values()]
        described = data.rows(f"DESCRIBE raw.{name}")
        assert [(row[0], row[1]) for row in described] == [(column.name, column.type) for column in columns]

    @pytest.mark.parametrize("name", TABLES)
    def test_no_column_is_without_any_value(self, data: Data, name: str) -> None:
        counts = data.connection.execute(f"SELECT count(*) AS rows, count(COLUMNS(*)) FROM raw.{name}")
        names = [column[0] for column in counts.description or ()]
        [found] = counts.fetchall()
        assert [name for name, count in zip(names, found, strict=True) if count == 0] == []

    def test_nothing_but_the_tables_is_left_behind(self, data: Data) -> None:
        assert data.values("SELECT table_name FROM duckdb_tables()") == set(TABLES)
        assert data.rows("SELECT * FROM duckdb_functions() WHERE function_type = 'macro' AND NOT internal") == []

    def test_main_tables_have_tens_of_thousands_of_rows(self, data: Data) -> None:
        for name in ("dsp_impressions", "sponsored_ads_traffic", "conversions", *ATTRIBUTED):
            assert 20_000 <= data.value(f"SELECT count(*) FROM raw.{name}") <= 60_000, name

    def test_thousands_of_people_are_seen_and_some_rows_have_no_user(self, data: Data) -> None:
        people, rows, known = data.row(
            "SELECT count(DISTINCT user_id), count(*), count(user_id) FROM raw.dsp_impressions"
        )
        assert 3_000 < people < 10_000
        assert 0.9 * rows < known < rows

    def test_campaigns_are_of_all_sizes_so_that_thresholds_show_but_do_not_hide_all(self, data: Data) -> None:
        for table in ("dsp_impressions", "sponsored_ads_traffic"):
            small, large = data.row(
                "SELECT count(*) FILTER (people BETWEEN 2 AND 60), count(*) FILTER (people > 500) FROM "
                f"(SELECT count(DISTINCT user_id) AS people FROM raw.{table} GROUP BY campaign)"
            )
            assert small >= 2
            assert large >= 5


class TestRepeatability:
    def test_the_same_seed_gives_the_same_rows_whatever_the_threads_and_the_zone(self) -> None:
        first, last = date(2026, 1, 20), date(2026, 2, 20)
        one = Data(first=first, last=last, threads=1, zone="Asia/Tokyo")
        four = Data(first=first, last=last, threads=4, zone="America/Los_Angeles")
        assert {name: one.checksum(name) for name in TABLES} == {name: four.checksum(name) for name in TABLES}

    def test_a_day_is_the_same_in_every_range(self) -> None:
        early = Data(first=date(2025, 12, 20), last=date(2026, 3, 10))
        late = Data(first=date(2026, 2, 15), last=date(2026, 4, 5))
        for name in TABLES.keys() - TIMELESS:
            condition = f"{TABLES[name].time_column} >= '2026-02-15' AND {TABLES[name].time_column} < '2026-03-11'"
            if name.endswith("_by_traffic_time"):
                # The longer range knows more of the conversions that came later.
                condition += " AND conversion_event_dt_utc < '2026-03-11'"
            assert early.checksum(name, condition) == late.checksum(name, condition), name
            assert early.checksum(name, condition)[0] > 0, name

    def test_all_rows_lie_within_the_range(self, data: Data) -> None:
        for name in TABLES.keys() - TIMELESS:
            column = TABLES[name].time_column
            outside = f"NOT coalesce({column} >= '{FIRST}' AND {column}::DATE <= '{LAST}', FALSE)"
            assert data.checksum(name, outside)[0] == 0, name

    def test_other_seeds_give_other_campaigns_products_and_people(self, data: Data) -> None:
        other = Data(seed=8, first=date(2026, 1, 1), last=date(2026, 1, 31))
        for table, column in (
            ("dsp_impressions", "campaign_id"),
            ("sponsored_ads_traffic", "campaign_id_string"),
            ("dsp_impressions", "user_id"),
            ("conversions", "tracked_asin"),
            ("conversions", "conversion_id"),
        ):
            query = f"SELECT DISTINCT {column} FROM raw.{table} WHERE {column} IS NOT NULL"
            assert data.values(query).isdisjoint(other.values(query)), column
        names = "SELECT DISTINCT campaign FROM raw.sponsored_ads_traffic"
        assert data.values(names) != other.values(names)

    def test_building_again_replaces_everything(self) -> None:
        data = Data(first=date(2026, 1, 1), last=date(2026, 1, 10))
        build(
            data.connection, seed=9, first_day=date(2026, 1, 1), last_day=date(2026, 1, 5), advertiser_types=BOTH
        )
        fresh = Data(seed=9, first=date(2026, 1, 1), last=date(2026, 1, 5))
        assert data.checksum("dsp_impressions") == fresh.checksum("dsp_impressions")


class TestAdvertiserTypes:
    FIRST, LAST = date(2026, 1, 1), date(2026, 2, 10)

    @pytest.mark.parametrize(
        ("types", "sponsored_rows", "dsp_rows"),
        [
            (frozenset({DISPLAY}), False, True),
            (frozenset({SPONSORED_ADS}), True, False),
            (frozenset(), False, False),
        ],
    )
    def test_tables_of_a_missing_type_are_empty(
        self, types: frozenset[str], sponsored_rows: bool, dsp_rows: bool
    ) -> None:
        data = Data(first=self.FIRST, last=self.LAST, types=types)
        for name, table in TABLES.items():
            if table.advertiser_type is not None:
                assert (data.checksum(name)[0] > 0) is (table.advertiser_type in types), name
        for name in ATTRIBUTED:
            assert (data.checksum(name, "ad_product_type IS NOT NULL")[0] > 0) is sponsored_rows
            assert (data.checksum(name, "ad_product_type IS NULL")[0] > 0) is dsp_rows
        for name in ("conversions_all", "amazon_retail_purchases", "amazon_your_garage", "segment_metadata"):
            assert data.checksum(name)[0] > 0, name

    def test_one_type_has_the_same_rows_alone_as_with_the_other(self) -> None:
        both = Data(first=self.FIRST, last=self.LAST)
        alone = Data(first=self.FIRST, last=self.LAST, types=frozenset({DISPLAY}))
        assert both.checksum("dsp_impressions") == alone.checksum("dsp_impressions")
        assert both.checksum(ATTRIBUTED[0], "ad_product_type IS NULL") == alone.checksum(ATTRIBUTED[0])


class TestTraffic:
    def test_impressions_outnumber_clicks_and_clicks_purchases(self, data: Data) -> None:
        dsp = data.row(
            "SELECT (SELECT sum(impressions) FROM raw.dsp_impressions), (SELECT sum(clicks) FROM raw.dsp_clicks), "
            "(SELECT sum(total_purchases) FROM raw.amazon_attributed_events_by_traffic_time "
            "WHERE ad_product_type IS NULL)"
        )
        sponsored = data.rows(
            "SELECT sum(impressions), sum(clicks), (SELECT sum(total_purchases) "
            "FROM raw.amazon_attributed_events_by_traffic_time AS a WHERE a.ad_product_type = s.ad_product_type) "
            "FROM raw.sponsored_ads_traffic AS s GROUP BY s.ad_product_type"
        )
        assert len(sponsored) == 4
        for impressions, clicks, purchases in [dsp, *sponsored]:
            assert impressions > 5 * clicks
            assert clicks > purchases > 0

    def test_who_clicked_a_display_ad_had_seen_it(self, data: Data) -> None:
        assert (
            data.value(
                "SELECT count(*) FROM raw.dsp_clicks AS c LEFT JOIN raw.dsp_impressions AS i "
                "ON i.request_tag = c.request_tag AND i.user_id IS NOT DISTINCT FROM c.user_id "
                "AND i.creative_id = c.creative_id AND i.impression_dt_utc < c.click_dt_utc "
                "WHERE i.request_tag IS NULL"
            )
            == 0
        )

    def test_who_clicked_a_sponsored_ad_had_seen_it(self, data: Data) -> None:
        assert (
            data.value(
                "WITH clicks AS (SELECT * FROM raw.sponsored_ads_traffic WHERE clicks = 1), "
                "views AS (SELECT * FROM raw.sponsored_ads_traffic WHERE impressions = 1) "
                "SELECT count(*) FROM clicks AS c WHERE NOT EXISTS (SELECT 1 FROM views AS v "
                "WHERE v.user_id IS NOT DISTINCT FROM c.user_id AND v.campaign_id = c.campaign_id "
                "AND v.customer_search_term IS NOT DISTINCT FROM c.customer_search_term "
                "AND v.event_dt_utc < c.event_dt_utc)"
            )
            == 0
        )

    def test_a_sponsored_row_is_an_impression_or_a_click(self, data: Data) -> None:
        assert data.rows("SELECT DISTINCT impressions + clicks FROM raw.sponsored_ads_traffic") == [(1,)]

    @pytest.mark.parametrize(
        ("table", "column"),
        [
            ("dsp_views", "impression_id"),
            ("dsp_video_events_feed", "request_tag"),
            ("dsp_impressions_by_user_segments", "request_tag"),
            ("dsp_impressions_by_matched_segments", "request_tag"),
            ("adserver_traffic", "request_tag"),
        ],
    )
    def test_what_follows_an_impression_names_one_that_exists(self, data: Data, table: str, column: str) -> None:
        orphans = data.values(
            f"SELECT {column} FROM raw.{table} WHERE {column} IS NOT NULL "
            "EXCEPT SELECT request_tag FROM raw.dsp_impressions"
        )
        assert orphans == set()

    def test_matched_segments_are_among_the_persons_segments(self, data: Data) -> None:
        assert (
            data.value("SELECT count(*) FROM raw.dsp_impressions WHERE len(matched_behavior_segment_ids) > 0") > 0
        )
        assert (
            data.value(
                "SELECT count(*) FROM raw.dsp_impressions "
                "WHERE NOT list_has_all(user_behavior_segment_ids, matched_behavior_segment_ids)"
            )
            == 0
        )
        assert data.values(
            "SELECT DISTINCT behavior_segment_matched FROM raw.dsp_impressions_by_user_segments"
        ) == {
            0,
            1,
        }

    def test_costs_are_in_the_documented_units(self, data: Data) -> None:
        supply_cpm, impression_cpm, total_cpm = data.row(
            "SELECT avg(supply_cost) / 100000000 * 1000, avg(impression_cost) / 100000 * 1000, "
            "avg(total_cost) / 100000 * 1000 FROM raw.dsp_impressions"
        )
        assert 3 < supply_cpm < 30
        assert impression_cpm == pytest.approx(supply_cpm, rel=0.01)
        assert supply_cpm < total_cpm < 2 * supply_cpm
        cost_per_click = data.value(
            "SELECT sum(spend) / 100000000.0 / sum(clicks) FROM raw.sponsored_ads_traffic "
            "WHERE line_item_price_type = 'CPC'"
        )
        assert 0.3 < cost_per_click < 3

    def test_ids_are_longer_than_a_float_can_hold(self, data: Data) -> None:
        for table in ("dsp_impressions", "sponsored_ads_traffic"):
            lengths = data.values(f"SELECT DISTINCT len(campaign_id::VARCHAR) FROM raw.{table}")
            assert lengths <= {17, 18}

    def test_the_campaign_id_of_the_console_differs_for_sponsored_ads_only(self, data: Data) -> None:
        assert (
            data.value("SELECT count(*) FROM raw.dsp_impressions WHERE campaign_id_string <> campaign_id::VARCHAR")
            == 0
        )
        assert data.values(
            "SELECT DISTINCT campaign_id_string = campaign_id::VARCHAR FROM raw.sponsored_ads_traffic"
        ) == {False}

    def test_a_campaign_has_one_name_and_one_currency(self, data: Data) -> None:
        for table in ("dsp_impressions", "sponsored_ads_traffic"):
            campaigns, ids, names = data.row(
                "SELECT count(DISTINCT (campaign, campaign_id, currency_iso_code)), count(DISTINCT campaign_id), "
                f"count(DISTINCT campaign) FROM raw.{table}"
            )
            assert campaigns == ids == names

    def test_hours_and_weekdays_differ_in_volume(self, data: Data) -> None:
        for part in ("impression_hour", "dayofweek(impression_dt_utc)"):
            counts = [row[0] for row in data.rows(f"SELECT count(*) FROM raw.dsp_impressions GROUP BY {part}")]
            assert len(counts) in (7, 24)
            assert max(counts) > 1.2 * min(counts)


class TestTimes:
    def test_some_days_have_enough_people_for_the_highest_threshold(self, data: Data) -> None:
        per_day = (
            f"SELECT count(DISTINCT user_id) AS people FROM raw.{ATTRIBUTED[0]} GROUP BY conversion_event_dt::DATE"
        )
        most, all_days = data.row(f"SELECT count(*) FILTER (people >= 100), count(*) FROM ({per_day})")
        assert 3 <= most < all_days / 10

    def test_parts_of_a_time_agree_with_it(self, data: Data) -> None:
        assert (
            data.value(
                "SELECT count(*) FROM raw.dsp_impressions WHERE impression_date <> impression_dt::DATE "
                "OR impression_hour <> hour(impression_dt) OR impression_day_utc <> day(impression_dt_utc) "
                "OR impression_dt_hour_utc <> date_trunc('hour', impression_dt_utc)"
            )
            == 0
        )

    def test_local_times_follow_new_york_in_summer_and_winter(self, data: Data) -> None:
        shifts = data.rows(
            "SELECT month(event_dt_utc) AS month, any_value(date_diff('hour', event_dt_utc, event_dt)) "
            "FROM raw.sponsored_ads_traffic WHERE month(event_dt_utc) IN (1, 7) GROUP BY 1 ORDER BY 1"
        )
        assert shifts == [(1, -5), (7, -4)]

    def test_traffic_lies_within_its_campaigns_flight(self, data: Data) -> None:
        assert (
            data.value(
                "SELECT count(*) FROM raw.dsp_impressions WHERE impression_dt_utc::DATE "
                "NOT BETWEEN campaign_start_date::DATE AND campaign_end_date::DATE"
            )
            == 0
        )


class TestConversions:
    def test_an_item_is_also_an_asin_only_when_it_was_bought(self, data: Data) -> None:
        assert (
            data.value(
                "SELECT count(*) FROM raw.conversions "
                "WHERE (tracked_asin IS NOT NULL) <> (event_category = 'purchase') OR tracked_asin <> tracked_item"
            )
            == 0
        )
        assert 30 <= data.value("SELECT count(DISTINCT tracked_asin) FROM raw.conversions_all") <= 40
        assert data.value("SELECT bool_and(tracked_asin SIMILAR TO 'B0[0-9A-Z]{8}') FROM raw.conversions")

    def test_each_conversion_is_there_once_and_repeats_per_relevant_campaign(self, data: Data) -> None:
        rows, ids = data.row("SELECT count(*), count(DISTINCT conversion_id) FROM raw.conversions")
        assert rows == ids
        relevant, pairs, relevant_ids = data.row(
            "SELECT count(*), count(DISTINCT (conversion_id, campaign_id)), count(DISTINCT conversion_id) "
            "FROM raw.conversions_with_relevance"
        )
        assert relevant == pairs > relevant_ids == rows

    def test_relevant_campaigns_had_traffic(self, data: Data) -> None:
        orphans = data.values(
            "SELECT DISTINCT campaign_id FROM raw.conversions_with_relevance EXCEPT "
            "(SELECT campaign_id FROM raw.dsp_impressions UNION SELECT campaign_id FROM raw.sponsored_ads_traffic)"
        )
        known = data.value("SELECT count(DISTINCT campaign_id) FROM raw.conversions_with_relevance")
        # Campaigns that ended just before the range still cause conversions within it.
        assert len(orphans) <= 5 < known

    def test_exposed_and_unexposed_conversions_are_all_conversions(self, data: Data) -> None:
        kinds = dict(data.rows("SELECT exposure_type, count(*) FROM raw.conversions_all GROUP BY 1"))
        assert kinds.keys() == {"ad-exposed", "non-ad-exposed", "pixel"}
        exposed = data.values("SELECT conversion_id FROM raw.conversions")
        assert exposed <= data.values("SELECT conversion_id FROM raw.conversions_all")

    def test_people_meet_both_kinds_of_ads_and_convert(self, data: Data) -> None:
        overlap = data.value(
            "SELECT count(DISTINCT d.user_id) FROM raw.dsp_impressions AS d "
            "JOIN raw.sponsored_ads_traffic AS s USING (user_id) JOIN raw.conversions AS c USING (user_id)"
        )
        assert overlap > 1_000

    def test_sales_are_units_times_price(self, data: Data) -> None:
        assert (
            data.value(
                "SELECT count(*) FROM raw.conversions WHERE event_category = 'purchase' "
                "AND total_product_sales <> total_units_sold * purchase_unit_price"
            )
            == 0
        )


class TestAttribution:
    @pytest.mark.parametrize(("table", "days"), [(ATTRIBUTED[0], 14), (ATTRIBUTED[1], 30)])
    def test_conversions_follow_their_traffic_within_the_window(self, data: Data, table: str, days: int) -> None:
        shortest, longest = data.row(
            "SELECT min(date_diff('second', traffic_event_dt_utc, conversion_event_dt_utc)), "
            f"max(date_diff('second', traffic_event_dt_utc, conversion_event_dt_utc)) FROM raw.{table}"
        )
        assert shortest > 0
        assert (days - 3) * 86400 < longest <= days * 86400

    @pytest.mark.parametrize(
        "measure", ["purchases", "units_sold", "product_sales", "add_to_cart", "detail_page_view"]
    )
    def test_promoted_and_halo_make_the_total(self, data: Data, measure: str) -> None:
        prefixes = [""] if measure in ("add_to_cart", "detail_page_view") else ["", "new_to_brand_"]
        for prefix in prefixes:
            for suffix in ("", "_clicks", "_views"):
                names = [f"{prefix}{scope}{measure}{suffix}" for scope in ("", "brand_halo_", "total_")]
                promoted, halo, total, wrong = data.row(
                    f"SELECT sum({names[0]}), sum({names[1]}), sum({names[2]}), "
                    f"count(*) FILTER ({names[0]} + {names[1]} <> {names[2]}) FROM raw.{ATTRIBUTED[0]}"
                )
                assert wrong == 0
                assert total > promoted > 0 < halo

    def test_the_split_by_clicks_and_views_follows_the_traffic(self, data: Data) -> None:
        for name in TABLES[ATTRIBUTED[0]].columns:
            if f"{name}_clicks" in TABLES[ATTRIBUTED[0]].columns:
                wrong = data.value(
                    f"SELECT count(*) FROM raw.{ATTRIBUTED[0]} WHERE {name} <> CASE traffic_event_subtype "
                    f"WHEN 'AD_CLICK' THEN {name}_clicks ELSE {name}_views END "
                    f"OR {name} <> {name}_clicks + {name}_views"
                )
                assert wrong == 0, name

    def test_sponsored_traffic_is_real(self, data: Data) -> None:
        unmatched = data.value(
            f"SELECT count(*) FROM raw.{ATTRIBUTED[1]} AS a LEFT JOIN raw.sponsored_ads_traffic AS t "
            "ON t.event_id = a.traffic_event_id AND t.user_id IS NOT DISTINCT FROM a.user_id "
            "AND t.campaign_id = a.campaign_id AND t.ad_product_type = a.ad_product_type "
            "AND t.event_dt_utc = a.traffic_event_dt_utc AND t.clicks = a.clicks "
            "AND t.customer_search_term IS NOT DISTINCT FROM a.customer_search_term "
            "WHERE a.ad_product_type IS NOT NULL AND t.event_id IS NULL"
        )
        assert unmatched == 0

    def test_display_traffic_is_real(self, data: Data) -> None:
        unmatched = data.value(
            f"SELECT count(*) FROM raw.{ATTRIBUTED[1]} AS a LEFT JOIN raw.dsp_impressions AS i "
            "ON i.request_tag = a.request_tag AND i.user_id IS NOT DISTINCT FROM a.user_id "
            "AND i.campaign_id = a.campaign_id AND i.deal_id IS NOT DISTINCT FROM a.deal_id "
            "AND i.device_type IS NOT DISTINCT FROM a.device_type AND i.impression_dt_utc <= a.traffic_event_dt_utc "
            "WHERE a.ad_product_type IS NULL AND i.request_tag IS NULL"
        )
        assert unmatched == 0

    def test_conversions_are_real(self, data: Data) -> None:
        unmatched = data.value(
            f"SELECT count(*) FROM raw.{ATTRIBUTED[0]} AS a LEFT JOIN raw.conversions AS c "
            "ON c.event_dt_utc = a.conversion_event_dt_utc AND c.user_id IS NOT DISTINCT FROM a.user_id "
            "AND c.tracked_item = a.tracked_item AND c.combined_sales = a.combined_sales "
            "WHERE c.conversion_id IS NULL"
        )
        assert unmatched == 0


DOCUMENTED = [
    (
        "sponsored_ads_traffic.ad_product_type",
        "sponsored_products sponsored_brands sponsored_display sponsored_television",
    ),
    ("sponsored_ads_traffic.match_type", "BROAD PHRASE EXACT NULL"),
    ("sponsored_ads_traffic.line_item_price_type", "CPC VCPM CPM"),
    ("sponsored_ads_traffic.creative_type", "static_image video third_party_creative NULL"),
    ("sponsored_ads_traffic.campaign_budget_type", "DAILY_BUDGET LIFETIME_BUDGET"),
    ("sponsored_ads_traffic.ad_group_status", "ENABLED PAUSED ARCHIVED"),
    ("sponsored_ads_traffic.user_id_type", "adUserId sisDeviceId adBrowserId NULL"),
    ("dsp_impressions.user_id_type", "adUserId sisDeviceId adBrowserId NULL"),
    ("dsp_impressions.device_type", "Tablet Phone TV PC ConnectedDevice Unknown NULL"),
    ("dsp_impressions.environment_type", "Web App NULL"),
    ("dsp_impressions.creative_category", "Display Video NULL"),
    (
        "dsp_impressions.line_item_type",
        "AAP AAP_DISPLAY AAP_MOBILE AAP_VIDEO_CPM AAP_AUDIO_CPM CLASS_I_MOBILE_APP DTCP",
    ),
    ("dsp_impressions.campaign_status", "ENDED RUNNING ENABLED PAUSED ADS_NOT_RUNNING"),
    ("dsp_impressions.line_item_status", "ENDED ENABLED RUNNING PAUSED_BY_USER SUSPENDED"),
    ("dsp_impressions.campaign_sales_type", "BILLABLE BONUS"),
    ("dsp_impressions.slot_position", "ATF BTF UNKNOWN"),
    (
        "dsp_impressions.campaign_primary_goal",
        "ROAS TOTAL_ROAS REACH CPVC COMPLETION_RATE CTR CPC DPVR PAGE_VISIT CPDPV CPA OTHER NONE",
    ),
    ("dsp_views.event_type", "MEASURABLE_IMP VIEW UNMEASURABLE_IMP SYNTHETIC_VIEW"),
    ("conversions.event_category", "purchase website off-Amazon off-amazon pixel"),
    ("conversions.event_type_class", "consideration conversion NULL"),
    ("conversions.new_to_brand", "True False NULL"),
    ("conversions_with_relevance.engagement_scope", "PROMOTED BRAND_HALO NULL"),
    (
        "conversions_with_relevance.halo_code",
        "TRACKED_ASIN VARIATIONAL_ASIN BRAND_KEYWORD CATEGORY_KEYWORD BRAND_MARKETPLACE BRAND_GL_PRODUCT "
        "BRAND_CATEGORY BRAND_SUBCATEGORY NULL",
    ),
    ("amazon_retail_purchases.purchase_order_method", "S B 1"),
    ("amazon_retail_purchases.purchase_order_type", "Prime NON-PRIME"),
    ("amazon_brand_store_page_views.ingress_type", "0 1 2 4 6 7 8 9 10 11"),
    ("experian_vehicle_purchases.new_or_used", "N U"),
    ("adserver_traffic.campaign_type", "display search"),
    ("adserver_conversions.conversion_type", "sales counter"),
]


class TestValues:
    @pytest.mark.parametrize(("column", "expected"), DOCUMENTED)
    def test_every_documented_value_occurs_and_no_other(self, data: Data, column: str, expected: str) -> None:
        table, _, name = column.partition(".")
        assert {str(found) for found in data.values(f"SELECT DISTINCT {name} FROM raw.{table}")} == {
            "None" if value == "NULL" else value for value in expected.split()
        }

    @pytest.mark.parametrize(
        ("table", "column", "some"),
        [
            (
                "conversions",
                "event_subtype",
                "detailPageView shoppingCart order searchConversion brandStorePageView wishList babyRegistry "
                "weddingRegistry customerReview snsSubscription alexaSkillEnable 54 53 21 134 140 141 ADDTOCART",
            ),
            (
                "conversions",
                "marketplace_name",
                "AMAZON.COM AMAZON_CA WHOLE_FOODS_MARKET_US AMAZON_FRESH_STORES_US",
            ),
            ("sponsored_ads_traffic", "targeting", "close-match loose-match substitutes complements"),
            ("sponsored_ads_traffic", "currency_iso_code", "USD CAD"),
        ],
    )
    def test_documented_examples_occur(self, data: Data, table: str, column: str, some: str) -> None:
        assert set(some.split()) <= data.values(f"SELECT DISTINCT {column} FROM raw.{table}")

    @pytest.mark.parametrize(
        ("table", "condition"),
        [
            (
                "dsp_impressions",
                "supply_source = 'MOBILEAPP_AMAZON_FIRE_TV' AND site LIKE 'FireTV Service (ID: %'",
            ),
            ("dsp_impressions", "supply_source = 'ALEXA_DEVICES' AND line_item_type = 'CLASS_I_MOBILE_APP'"),
            ("dsp_impressions", "supply_source = 'MOBILEAPP_AMAZON_FIRE_TABLET' AND line_item_type = 'DTCP'"),
            ("dsp_impressions", "supply_source IN ('IMDbTV', 'Freevee') AND line_item_type = 'AAP_VIDEO_CPM'"),
            ("dsp_impressions", "supply_source = 'MOBILEAPP_IMDB_APPS' AND site LIKE 'IMDB App (ID: %'"),
            ("dsp_impressions", "supply_source = 'M.IMDB.COM' AND device_type = 'Phone'"),
            ("dsp_impressions", "supply_source = 'TWITCH MOBILEAPP VIDEO' AND site LIKE 'Twitch iOS (ID: %'"),
            ("dsp_impressions", "supply_source = 'AMAZON LIVE STREAM' AND device_type = 'TV'"),
            ("dsp_impressions", "regexp_matches(supply_source, '(?i)audio') AND line_item_type = 'AAP_AUDIO_CPM'"),
            ("dsp_impressions", "supply_source_id = 702 AND supply_source = 'Digital out-of-home (DOOH)'"),
            ("dsp_impressions_by_user_segments", "regexp_matches(behavior_segment_name, '(?i)twitch')"),
            ("dsp_impressions_by_matched_segments", "regexp_matches(behavior_segment_name, '(?i)twitch')"),
            (
                "conversions_with_relevance",
                "event_category = 'off-amazon' AND conversion_event_source_name IS NOT NULL",
            ),
            ("conversions", "event_subtype = 'ADDTOCART' AND event_category = 'off-Amazon'"),
            (ATTRIBUTED[0], "conversion_event_category = 'off-amazon' AND conversion_event_subtype = '54'"),
        ],
    )
    def test_what_published_queries_filter_on_is_there_for_enough_people(
        self, data: Data, table: str, condition: str
    ) -> None:
        # As many as the highest threshold asks for.
        assert data.value(f"SELECT count(DISTINCT user_id) FROM raw.{table} WHERE {condition}") >= 100

    def test_who_subscribes_to_a_product_buys_it(self, data: Data) -> None:
        subscribers, buyers = data.row(
            "SELECT count(*), count(first.conversion_id) FROM raw.conversions AS subscribed "
            "LEFT JOIN raw.conversions AS first ON first.user_id = subscribed.user_id "
            "AND first.tracked_item = subscribed.tracked_item AND first.event_subtype = 'order' "
            "AND first.event_dt_utc BETWEEN subscribed.event_dt_utc AND subscribed.event_dt_utc + INTERVAL 1 HOUR "
            "WHERE subscribed.event_subtype = 'snsSubscription' AND subscribed.user_id IS NOT NULL"
        )
        assert buyers > 0.9 * subscribers > 90
        later = "event_subtype = 'order' AND sns_subscription_id IS NOT NULL AND total_product_sales > 0"
        assert data.value(f"SELECT count(DISTINCT user_id) FROM raw.conversions_all WHERE {later}") >= 100

    def test_events_outside_amazon_have_values_but_no_product(self, data: Data) -> None:
        sales, worth, units = data.row(
            "SELECT sum(off_amazon_product_sales), sum(off_amazon_conversion_value), sum(total_units_sold) "
            "FROM raw.conversions WHERE event_category IN ('off-Amazon', 'off-amazon', 'pixel')"
        )
        assert sales > 0
        assert worth > 0
        assert units == 0

    def test_some_names_need_quoting_and_more_than_ascii(self, data: Data) -> None:
        names = " ".join(
            data.values(
                "SELECT campaign FROM raw.dsp_impressions UNION SELECT ad_group FROM raw.sponsored_ads_traffic"
            )
        )
        assert "," in names
        assert '"' in names
        assert not names.isascii()

    def test_weeks_of_groceries_end_on_saturday(self, data: Data) -> None:
        assert data.values("SELECT DISTINCT dayofweek(week_end_dt) FROM raw.ncs_cpg_insights_stream") == {6}

    def test_video_is_watched_less_and_less(self, data: Data) -> None:
        steps = data.row(
            "SELECT sum(video_start), sum(video_first_quartile), sum(video_midpoint), sum(video_third_quartile), "
            "sum(video_complete) FROM raw.dsp_video_events_feed"
        )
        assert list(steps) == sorted(steps, reverse=True)
        assert steps[-1] > 0

    def test_segment_members_are_described(self, data: Data) -> None:
        undescribed = data.value(
            "SELECT count(*) FROM raw.audience_segments_amer_inmarket AS s LEFT JOIN raw.segment_metadata AS m "
            "USING (segment_id, segment_marketplace_id) WHERE m.segment_id IS NULL"
        )
        assert undescribed == 0

    def test_snapshots_are_of_the_first_thursday(self, data: Data) -> None:
        days = data.values("SELECT DISTINCT snapshot_datetime FROM raw.audience_segments_eu_lifestyle_snapshot")
        assert len(days) >= 14
        assert all(day.weekday() == 3 and day.day <= 7 for day in days)
