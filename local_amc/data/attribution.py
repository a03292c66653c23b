"""Attributed events: each conversion with the traffic event that is credited for it."""

from __future__ import annotations

from collections.abc import Iterator

from local_amc.data.dsp import DSP_DETAILS
from local_amc.data.generators import TableGenerator

# What an order or visit counts for; each is split by scope, by new customers and by the kind of traffic.
_MEASURES = {
    "purchases": "is_order::BIGINT",
    "units_sold": "total_units_sold",
    "product_sales": "order_sales",
    "add_to_cart": "(event_subtype = 'shoppingCart')::BIGINT",
    "detail_page_view": "(event_subtype = 'detailPageView')::BIGINT",
}
_NEW_CUSTOMER_MEASURES = ("purchases", "units_sold", "product_sales")
_SCOPES = {"": "is_promoted", "brand_halo_": "NOT is_promoted", "total_": "TRUE"}
_SIDES = {"": "TRUE", "_clicks": "is_click", "_views": "NOT is_click"}

_SUBSCRIPTIONS = {
    "digital_subscription_signup_purchases": ("freeTrialSubscriptionSignup", "paidSubscriptionSignup"),
    "digital_free_trial_subscription_signup_purchases": ("freeTrialSubscriptionSignup",),
    "digital_paid_subscription_signup_purchases": ("paidSubscriptionSignup",),
    "digital_app_subscription_signup_purchases": (
        "freeTrialAppSubscriptionSignup",
        "paidAppSubscriptionSignup",
    ),
    "digital_free_trial_app_subscription_signup_purchases": ("freeTrialAppSubscriptionSignup",),
    "digital_paid_app_subscription_signup_purchases": ("paidAppSubscriptionSignup",),
}

_CREDITED = """
    SELECT
        traffic_key, source_key, is_click, is_order, is_promoted, total_units_sold, new_to_brand,
        total_product_sales AS order_sales, event_dt_utc, event_subtype,
        traffic_event_dt_utc, local_time(traffic_event_dt_utc) AS traffic_event_dt,
        CASE WHEN is_click THEN 'AD_CLICK' ELSE 'AD_IMP' END AS traffic_event_subtype,
        event_dt_utc AS conversion_event_dt_utc, local_time(event_dt_utc) AS conversion_event_dt,
        event_category AS conversion_event_category, event_subtype AS conversion_event_subtype,
        event_type AS conversion_event_type, event_type_class AS conversion_event_type_class,
        event_type_description AS conversion_event_type_description,
        conversion_event_name, conversion_event_source_name, marketplace_name AS conversion_event_marketplace_name,
        conversions, combined_sales, off_amazon_conversion_value, off_amazon_product_sales, purchase_currency,
        purchase_retail_program, purchase_unit_price, tracked_asin, tracked_item
    FROM conversion
    WHERE system = '$system'
"""

_DSP = """
    SELECT
        credited.*, ad.* EXCLUDE (ad_no, tactic, kind, theme),
        person.* EXCLUDE (user_no, user_id, user_id_type), device.* EXCLUDE (device_no),
        event.has_user, user_id AS person_id, user_id_type AS person_type,
        request_tag, request_tag AS traffic_event_id, supply_source, site, page_type, supply_cost, bid_price,
        winning_bid_cost, platform_fee, audience_fee, event.key,
        between_(event.key, 'click cost', 10000, 180000) AS cost_of_click
    FROM ($credited) AS credited
    JOIN dsp_event AS event ON event.key = credited.source_key
    JOIN dsp_ad AS ad ON ad.ad_no = event.ad_no
    JOIN person ON person.user_no = event.user_no
    JOIN device ON device.device_no = event.device_no
"""

_SPONSORED = """
    SELECT
        credited.*, ad.* EXCLUDE (ad_no, tactic, kind, theme, price),
        operating_system, os_version, device_type, event.has_user, user_id AS person_id, user_id_type AS person_type,
        event_id AS traffic_event_id, placement_type,
        tilt(impression_key, 'term', search_terms) AS customer_search_term, event.key
    FROM ($credited) AS credited
    JOIN sponsored_event AS event ON event.key = credited.source_key
    JOIN sponsored_ad AS ad ON ad.ad_no = event.ad_no
    JOIN person ON person.user_no = event.user_no
    JOIN device ON device.device_no = event.device_no
"""

_PAIRS = """
    SELECT
        *, marketplace_name AS traffic_event_marketplace_name, 'TRAFFIC' AS traffic_event_type,
        CASE WHEN has_user THEN person_id END AS user_id, CASE WHEN has_user THEN person_type END AS user_id_type,
        CASE WHEN is_click THEN traffic_event_dt_utc END AS click_dt_utc,
        CASE WHEN is_click THEN traffic_event_dt END AS click_dt,
        CASE WHEN NOT is_click THEN traffic_event_dt_utc END AS impression_dt_utc,
        CASE WHEN NOT is_click THEN traffic_event_dt END AS impression_dt,
        is_click::INTEGER AS clicks, (NOT is_click)::INTEGER AS impressions,
        CASE WHEN is_click THEN cost_of_click END AS click_cost
    FROM ($dsp UNION ALL BY NAME $sponsored)
"""

_ATTRIBUTION_DAYS = 14
_TRAFFIC_TIME_DAYS = 30


def _splits(name: str, value: str, condition: str = "TRUE") -> Iterator[tuple[str, str]]:
    """Return a measure's expression in total and by click and view."""
    for suffix, side in _SIDES.items():
        yield f"{name}{suffix}", f"CASE WHEN {condition} AND {side} THEN {value} ELSE 0 END"


def _measures() -> dict[str, str]:
    columns: dict[str, str] = {}
    for measure, value in _MEASURES.items():
        for scope, condition in _SCOPES.items():
            columns.update(_splits(scope + measure, value, condition))
            if measure in _NEW_CUSTOMER_MEASURES:
                columns.update(
                    _splits(
                        f"new_to_brand_{scope}{measure}", value, f"coalesce(new_to_brand, FALSE) AND {condition}"
                    )
                )
    for name, subtypes in _SUBSCRIPTIONS.items():
        columns.update(_splits(name, f"(event_subtype IN {subtypes})::BIGINT".replace(",)", ")")))
    return columns


def build(generator: TableGenerator) -> None:
    """Publish the attributed events, by conversion time and by traffic time."""
    dsp = _DSP.replace("$credited", _CREDITED.replace("$system", "DSP"))
    sponsored = _SPONSORED.replace("$credited", _CREDITED.replace("$system", "SPONSORED_ADS"))
    pairs = _PAIRS.replace("$dsp", dsp).replace("$sponsored", sponsored)
    for time, first, days in (
        ("conversion", "conversion_event_dt_utc", _ATTRIBUTION_DAYS),
        ("traffic", "traffic_event_dt_utc", _TRAFFIC_TIME_DAYS),
    ):
        generator.publish(
            f"amazon_attributed_events_by_{time}_time",
            pairs + f" WHERE {first} >= first_day() "
            f"AND date_diff('second', traffic_event_dt_utc, conversion_event_dt_utc) <= {days} * 86400",
            **DSP_DETAILS,
            **_measures(),
        )
