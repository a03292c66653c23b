"""Sponsored ads traffic: one row per impression and one per click."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_IMPRESSIONS = """
    WITH ads AS (
        SELECT campaign_no, list(ad_no ORDER BY ad_no) AS ad_nos FROM sponsored_ad GROUP BY campaign_no
    ), slots AS (
        SELECT campaign_no, ad_nos, brand_no, parity, audience, audience_start, tactic_.*, day_no,
               unnest(counted(volume * factor + unit(key_of('volume', campaign_no, day_no), 'rest'))) AS n
        FROM campaign JOIN ads USING (campaign_no) JOIN sponsored_tactic AS tactic_ USING (tactic)
        JOIN days ON day BETWEEN first_date AND last_date
    ), drawn AS (
        SELECT *, key_of('sponsored', campaign_no, day_no * 4096 + n) AS key,
               (audience_start + floor(pow(unit(key, 'user'), 1.5) * audience)::BIGINT) % $users AS user_no
        FROM slots
    )
    SELECT
        key, campaign_no, brand_no, parity, user_no, ad_product_type, line_item_price_type AS charged_by, price,
        tilt(key, 'ad', ad_nos) AS ad_no,
        NOT chance(key, 'anonymous', 0.05) AS has_user,
        moment(day_no, key) AS impression_dt_utc,
        pick(key_of('device', user_no, (draw(key, 'device') % 2)::BIGINT), 'device',
            CASE ad_product_type WHEN 'sponsored_television' THEN [12, 13, 14] ELSE [1, 2, 3, 4, 7, 8, 9, 10] END)
            AS device_no,
        tilt(key, 'placement', placements) AS placement_type,
        creative_type = 'video' AS is_video,
        chance(key, 'click', click_rate) AS is_clicked
    FROM drawn
"""

# Prices are in currency units, spend is in microcents: 100,000,000 of them are one dollar.
_EVENTS = """
    WITH both_kinds AS (
        SELECT *, key AS impression_key, 0 AS clicks, 1 AS impressions, impression_dt_utc AS event_dt_utc
        FROM sponsored_impression
        UNION ALL
        SELECT * REPLACE (hash(xor(key, hash('click'))) AS key), key, 1, 0,
               same_day(impression_dt_utc + to_seconds(between_(key, 'click delay', 2, 120)), impression_dt_utc)
        FROM sponsored_impression WHERE is_clicked
    )
    SELECT
        *, local_time(event_dt_utc) AS event_dt, token(key, 'event') AS event_id,
        unit(key, 'watched') AS watched,
        CASE WHEN charged_by = 'CPC' THEN clicks * 100000000 ELSE impressions * 100000 END
            * price * (0.6 + 0.8 * unit(key, 'spend')) AS spend
    FROM both_kinds
    ORDER BY event_dt_utc, key
"""

_TRAFFIC = """
    SELECT
        event.*, ad.* EXCLUDE (ad_no, campaign_no, brand_no, parity, ad_product_type, price),
        operating_system, os_version,
        CASE WHEN has_user THEN user_id END AS user_id,
        CASE WHEN has_user THEN user_id_type END AS user_id_type
    FROM sponsored_event AS event
    JOIN sponsored_ad AS ad ON ad.ad_no = event.ad_no
    JOIN person ON person.user_no = event.user_no
    JOIN device ON device.device_no = event.device_no
    WHERE event_dt_utc >= first_day()
"""

_IS_SEEN = "impressions = 1 AND chance(key, 'seen', 0.6)"
_COLUMNS = {
    "customer_search_term": "tilt(impression_key, 'term', search_terms)",
    "matched_behavior_segment_ids": "CASE WHEN chance(impression_key, 'boost', 0.4) THEN boosted_segment_id END",
    "viewable_impressions": f"({_IS_SEEN})::INTEGER",
    "view_definition": f"CASE WHEN {_IS_SEEN} THEN tilt(key, 'definition', ['MRC', 'MRC', 'GROUPM']) END",
    "unmeasurable_viewable_impressions": f"(impressions = 1 AND NOT ({_IS_SEEN}) "
    "AND chance(key, 'unmeasured', 0.2))::INTEGER",
    "five_sec_views": "(is_video AND impressions = 1 AND watched < 0.7)::INTEGER",
    "video_first_quartile_views": "(is_video AND impressions = 1 AND watched < 0.65)::INTEGER",
    "video_midpoint_views": "(is_video AND impressions = 1 AND watched < 0.5)::INTEGER",
    "video_third_quartile_views": "(is_video AND impressions = 1 AND watched < 0.4)::INTEGER",
    "video_complete_views": "(is_video AND impressions = 1 AND watched < 0.3)::INTEGER",
    "video_unmutes": "(is_video AND impressions = 1 AND chance(key, 'unmute', 0.15))::INTEGER",
}


def build(generator: TableGenerator) -> None:
    """Make `sponsored_event` and publish `sponsored_ads_traffic`."""
    generator.table("sponsored_impression", _IMPRESSIONS)
    generator.table("sponsored_event", _EVENTS)
    generator.publish("sponsored_ads_traffic", _TRAFFIC, **_COLUMNS)
