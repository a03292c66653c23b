"""Amazon DSP traffic: impressions, and the clicks, views, video events and segments that follow from them."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_EVENTS = """
    WITH ads AS (
        SELECT campaign_no, list(ad_no ORDER BY ad_no) AS ad_nos FROM dsp_ad GROUP BY campaign_no
    ), slots AS (
        SELECT campaign_no, ad_nos, brand_no, parity, audience, audience_start, tactic_.*, day_no,
               unnest(counted(volume * factor + unit(key_of('volume', campaign_no, day_no), 'rest'))) AS n
        FROM campaign JOIN ads USING (campaign_no) JOIN dsp_tactic AS tactic_ USING (tactic)
        JOIN days ON day BETWEEN first_date AND last_date
    ), drawn AS (
        SELECT *, key_of('dsp', campaign_no, day_no * 4096 + n) AS key,
               (audience_start + floor(pow(unit(key, 'user'), 1.5) * audience)::BIGINT) % $users AS user_no
        FROM slots
    )
    SELECT
        key, campaign_no, brand_no, parity, user_no,
        pick(key, 'ad', ad_nos) AS ad_no,
        NOT chance(key, 'anonymous', 0.05) AS has_user,
        moment(day_no, key) AS impression_dt_utc,
        local_time(impression_dt_utc) AS impression_dt,
        token(key, 'request') AS request_tag,
        -- Two devices per person, so that people are seen on more than one.
        pick(key_of('device', user_no, (draw(key, 'device') % 2)::BIGINT), 'device', device_nos) AS device_no,
        tilt(key, 'supply', supply_sources) AS supply_source,
        -- Supply of one app or device has one site.
        CASE supply_source WHEN 'MOBILEAPP_AMAZON_FIRE_TV' THEN 'FireTV Service (ID: 6ca99247d0c04edea1baaa73fbd52f5a)'
            WHEN 'MOBILEAPP_IMDB_APPS' THEN 'IMDB App (ID: 1a8baf1b38774b6082804720d76bfb9d)'
            WHEN 'M.IMDB.COM' THEN 'imdb.com' WHEN 'ALEXA_DEVICES' THEN 'alexa-devices (ID: 111111111111)'
            WHEN 'TWITCH MOBILEAPP VIDEO' THEN 'Twitch iOS (ID: 460177396)' ELSE pick(key, 'site', sites) END AS site,
        pick(key, 'page', page_types) AS page_type,
        (cpm * 100000 * (0.6 + 0.8 * unit(key, 'cost')))::BIGINT AS supply_cost,
        supply_cost * 12 // 10 AS bid_price,
        supply_cost * 9 // 10 + 1000 AS winning_bid_cost,
        supply_cost // 10 AS platform_fee,
        CASE WHEN chance(key, 'audience fee', 0.6) THEN between_(key, 'fee', 20, 150) * 1000 ELSE 0 END
            AS audience_fee,
        CASE WHEN chance(key, 'third party', 0.3) THEN between_(key, 'third', 5, 40) * 1000 ELSE 0 END
            AS third_party_fees,
        CASE WHEN parity = 0 THEN supply_cost // 20 ELSE 0 END AS managed_service_fee,
        CASE WHEN chance(key, 'ocm', 0.1) THEN supply_cost // 50 ELSE 0 END AS ocm_fee,
        chance(key, 'click', CASE tactic WHEN 'Streaming TV' THEN 0.012 WHEN 'Retargeting' THEN 0.07
            WHEN 'Signage' THEN 0.0 ELSE 0.045 END) AS is_clicked,
        same_day(impression_dt_utc + to_seconds(between_(key, 'click delay', 2, 90)), impression_dt_utc)
            AS click_dt_utc
    FROM drawn
    ORDER BY impression_dt_utc, key
"""

_WIDE = """
    SELECT
        event.*, ad.* EXCLUDE (ad_no, campaign_no, brand_no, parity),
        person.* EXCLUDE (user_no, user_id, user_id_type),
        device.* EXCLUDE (device_no),
        CASE WHEN has_user THEN user_id END AS user_id,
        CASE WHEN has_user THEN user_id_type END AS user_id_type
    FROM dsp_event AS event
    JOIN dsp_ad AS ad ON ad.ad_no = event.ad_no
    JOIN person ON person.user_no = event.user_no
    JOIN device ON device.device_no = event.device_no
    WHERE impression_dt_utc >= first_day()
"""

_SEGMENTED = """
    SELECT wide.*, user_segments.user_behavior_segment_ids AS segment_ids
    FROM ($wide) AS wide LEFT JOIN user_segments ON user_segments.user_no = wide.user_no AND has_user
"""

_IMPRESSION = {
    "impressions": "1",
    "impression_cost": "supply_cost // 1000",
    "total_cost": "(supply_cost + platform_fee + audience_fee + third_party_fees + managed_service_fee + ocm_fee) "
    "/ 1000.0",
    "user_behavior_segment_ids": "segment_ids",
    "matched_behavior_segment_ids": "list_filter(segment_ids, lambda one: list_contains(target_segment_ids, one))",
    "segment_marketplace_id": "CASE country WHEN 'US' THEN 1 ELSE 7 END",
    "placement_view_rate": "round(0.3 + 0.69 * unit(key, 'placement rate'), 2)",
    "supply_source_view_rate": "round(0.3 + 0.69 * unit(hash(supply_source), 'rate'), 2)",
    "placement_is_view_aware": "chance(key, 'aware', 0.8)",
    "supply_source_is_view_aware": "chance(hash(supply_source), 'aware', 0.7)",
}

# On impressions, clicks and attributed events alike.
DSP_DETAILS = {
    "ad_slot_size": "CASE creative_size WHEN 'Responsive' THEN pick(key, 'slot', ['300x250', '728x90', '160x600']) "
    "ELSE creative_size END",
    "app_bundle": "CASE environment_type WHEN 'App' THEN pick(hash(site), 'bundle', ['com.example.puzzle', "
    "'id1234567890', 'com.example.tv', 'B00EXAMPLE']) END",
    "deal_id": "CASE WHEN supply_source IS NOT NULL AND chance(hash(supply_source), 'deal', 0.4) THEN 'DEAL' "
    "|| short_id(hash(supply_source), 'deal id', 6) END",
    "deal_name": "CASE WHEN supply_source IS NOT NULL AND chance(hash(supply_source), 'deal', 0.4) THEN line "
    "|| '_Premium, \"private\"_' || site END",
    "is_amazon_owned": "NOT regexp_matches(supply_source, 'PUBMATIC|INDEX|PUBLISHER')",
    "slot_position": "tilt(key, 'slot', ['ATF', 'BTF', 'UNKNOWN'])",
    "supply_source_id": "CASE WHEN supply_source = 'Digital out-of-home (DOOH)' THEN 702 "
    "ELSE between_(hash(supply_source), 'id', 1000, 9999) END",
}

_CLICKS = """
    SELECT *, local_time(click_dt_utc) AS click_dt, between_(key, 'click cost', 10000, 180000) AS click_cost,
           1 AS clicks
    FROM ($wide) WHERE is_clicked
"""

# A measurable impression that was also seen is in two rows.
_VIEWS = """
    WITH seen AS (
        SELECT
            impression.* EXCLUDE (campaign_start_date, campaign_end_date, line_item_start_date, line_item_end_date,
                campaign_start_date_utc, campaign_end_date_utc, line_item_start_date_utc, line_item_end_date_utc),
            campaign_start_date AS campaign_start_dt, campaign_start_date_utc AS campaign_start_dt_utc,
            campaign_end_date AS campaign_end_dt, campaign_end_date_utc AS campaign_end_dt_utc,
            line_item_start_date AS line_item_start_dt, line_item_start_date_utc AS line_item_start_dt_utc,
            line_item_end_date AS line_item_end_dt, line_item_end_date_utc AS line_item_end_dt_utc,
            hash(request_tag) AS key,
            unnest(CASE WHEN chance(hash(request_tag), 'measurable', 0.55)
                THEN CASE WHEN chance(hash(request_tag), 'viewed', 0.6) THEN ['MEASURABLE_IMP', 'VIEW']
                    ELSE ['MEASURABLE_IMP'] END
                ELSE pick(hash(request_tag), 'unmeasured', [['UNMEASURABLE_IMP'], ['SYNTHETIC_VIEW'], []]) END)
                AS event_type
        FROM raw.dsp_impressions AS impression
        WHERE creative_category IS NOT NULL
    )
    SELECT *, same_day(impression_dt_utc + to_seconds(between_(key, 'view delay', 1, 4)), impression_dt_utc)
                  AS event_dt_utc,
           local_time(event_dt_utc) AS event_dt
    FROM seen
"""

# A fifth of the people only: one row per impression and segment is a lot.
_BY_SEGMENTS = """
    SELECT impression.*, hash(request_tag) AS key, segment_id AS behavior_segment_id,
           segment_name AS behavior_segment_name, segment_description AS behavior_segment_description,
           matched AS behavior_segment_matched
    FROM (
        SELECT *, unnest(user_behavior_segment_ids) AS one,
               list_contains(matched_behavior_segment_ids, one)::INTEGER AS matched
        FROM raw.dsp_impressions
        WHERE hash(user_id) % 5 = 0
    ) AS impression JOIN segment ON segment_id::VARCHAR = one
"""

_VIDEO = """
    SELECT *, hash(request_tag) AS key, unit(hash(request_tag), 'watched') AS watched
    FROM raw.dsp_impressions WHERE creative_category = 'Video'
"""
_VIDEO_EVENTS = {
    "video_impression": "1",
    "video_creative_view": "chance(key, 'companion', 0.2)::INTEGER",
    "video_start": "(watched < 0.97)::INTEGER",
    "video_first_quartile": "(watched < 0.90)::INTEGER",
    "video_midpoint": "(watched < 0.82)::INTEGER",
    "video_third_quartile": "(watched < 0.75)::INTEGER",
    "video_complete": "(watched < 0.68)::INTEGER",
    "video_click": "chance(key, 'video click', 0.02)::INTEGER",
    "video_resume": "(chance(key, 'video_pause', 0.2) AND chance(key, 'video_resume', 0.7))::INTEGER",
    "video_unmute": "(chance(key, 'video_mute', 0.2) AND chance(key, 'video_unmute', 0.4))::INTEGER",
    "video_replay": "(watched < 0.05)::INTEGER",
}


def build(generator: TableGenerator) -> None:
    """Make `dsp_event` and publish the DSP tables."""
    generator.table("dsp_event", _EVENTS)
    generator.publish("dsp_impressions", _SEGMENTED.replace("$wide", _WIDE), **DSP_DETAILS, **_IMPRESSION)
    generator.publish("dsp_clicks", _CLICKS.replace("$wide", _WIDE), **DSP_DETAILS)
    views = {
        "impression_id": "request_tag",
        "events": "1",
        "measurable_impressions": "(event_type = 'MEASURABLE_IMP')::INTEGER",
        "viewable_impressions": "(event_type = 'VIEW')::INTEGER",
        "unmeasurable_viewable_impressions": "(event_type IN ('UNMEASURABLE_IMP', 'SYNTHETIC_VIEW'))::INTEGER",
        "view_definition": "CASE event_type WHEN 'VIEW' THEN tilt(key, 'definition', ['MRC', 'MRC', 'GROUPM']) END",
    }
    generator.publish("dsp_views", _VIEWS, **views)
    generator.publish("dsp_impressions_by_user_segments", _BY_SEGMENTS)
    generator.publish("dsp_impressions_by_matched_segments", _BY_SEGMENTS + " WHERE matched = 1")
    generator.publish("dsp_video_events_feed", _VIDEO, **_VIDEO_EVENTS)
