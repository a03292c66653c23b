"""The ad server, which measured display elsewhere and search: traffic, its segments, conversions."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_PLACEMENTS = """
    SELECT
        placement_no, key_of('placement', placement_no, 0) AS placement_key, placement_no % $brands AS brand_no,
        CASE WHEN placement_no % 4 = 3 THEN 'search' ELSE 'display' END AS campaign_type,
        brand AS adserver_brand, 6000 + brand.brand_no AS adserver_brand_id, category AS vertical,
        (SELECT min(advertiser) FROM advertiser WHERE country = 'US') AS advertiser,
        (SELECT min(dsp_advertiser_id) // 1000 FROM advertiser WHERE country = 'US') AS advertiser_id,
        brand || ' ' || line || CASE campaign_type WHEN 'search' THEN ' Search' ELSE ' Display, "always on"' END
            AS campaign,
        long_id(key_of('served campaign', placement_no % 6, 0), 'id') // 100000000 AS campaign_id,
        DATE '2023-01-02' AS campaign_start_date, DATE '2031-12-31' AS campaign_end_date,
        campaign_start_date AS campaign_start_date_utc, campaign_end_date AS campaign_end_date_utc,
        campaign_start_date AS package_start_date, campaign_end_date AS package_end_date,
        campaign_start_date AS package_start_date_utc, campaign_end_date AS package_end_date_utc,
        campaign_start_date AS placement_start_date, campaign_end_date AS placement_end_date,
        campaign_start_date AS placement_start_date_utc, campaign_end_date AS placement_end_date_utc,
        ['IMDb', 'Amazon DSP', 'Nachrichten.example', 'Google Ads', 'www.imdb.com', 'Amazon.com', 'Weather "Now"',
            'Microsoft Advertising'][1 + placement_no % 8] AS adserver_site,
        ['Home', 'Sports', 'Food & Drink'][1 + placement_no % 3] AS section, 300 + placement_no % 3 AS section_id,
        'Package ' || placement_no // 4 AS package, 700000 + placement_no // 4 AS package_id,
        adserver_site || ' ' || line || ' ' || placement_no AS placement, 800000 + placement_no AS placement_id,
        ['300x250', '728x90', '1920x1080', '0x0'][1 + placement_no % 4] AS placement_dimensions,
        ['In-Banner', 'Standard Banner', 'In-Stream Video Tracking', 'Search'][1 + placement_no % 4] AS placement_type,
        ['Rich Media', 'In-Banner', 'In-Stream Video', 'Text'][1 + placement_no % 4] AS ad_format,
        'Ad ' || placement_no || ' – ' || line AS ad, 900000 + placement_no AS ad_id,
        [15, 20, 30, 0][1 + placement_no % 4] AS ad_length,
        (40 + placement_no * 7)::VARCHAR AS ad_size,
        ['CPM', 'CPC', 'CPM', 'CTA'][1 + placement_no % 4] AS cost_model_type,
        ['4.50', '0.80', '21.00', '12.00'][1 + placement_no % 4] AS cost_per_unit,
        100000 * (1 + placement_no) AS ordered_units,
        placement_no % 4 = 2 AS is_video, placement_no % 4 = 3 AS is_search, placement_no % 4 = 0 AS is_dco_ad,
        keywords[1 + placement_no % 6] AS keyword
    FROM range(24) AS numbers (placement_no) JOIN brand ON brand.brand_no = placement_no % $brands
"""

# Half of what is measured was bought through Amazon DSP and has its request tag.
_TRAFFIC = """
    WITH measured AS (
        SELECT hash(xor(key, hash('ad server'))) AS key, request_tag, user_no, device_no,
               impression_dt_utc AS event_dt_utc
        FROM dsp_event
        WHERE draw(key, 'ad server') % 8 = 0
        UNION ALL
        SELECT hash(xor(key, hash('elsewhere'))), NULL, user_no, device_no, impression_dt_utc
        FROM dsp_event
        WHERE draw(key, 'elsewhere') % 8 = 0
    ), placed AS (
        SELECT measured.*, placement.*,
               chance(measured.key, 'served click', CASE WHEN is_search THEN 0.35 ELSE 0.06 END) AS is_click,
               unit(measured.key, 'watched') AS watched
        FROM measured JOIN served_placement AS placement ON placement_no = between_(measured.key, 'placement', 0, 23)
        WHERE event_dt_utc >= first_day()
    )
    SELECT
        placed.* EXCLUDE (watched), CASE WHEN is_video THEN watched ELSE 1 END AS watched,
        local_time(event_dt_utc) AS event_dt, person.* EXCLUDE (user_no, user_key, user_id, user_id_type),
        CASE WHEN chance(key, 'anonymous', 0.08) THEN NULL ELSE user_id END AS user_id,
        city_name AS city, 'USD' AS account_currency, 'America/New_York' AS account_timezone, operating_system,
        browser_family, device_make AS device_brand, device_model, ad_server_device AS device_type,
        CASE environment_type WHEN 'App' THEN 'in-app' WHEN 'Web' THEN 'web' ELSE 'unknown' END AS environment,
        token(key, 'session') AS adserver_session_id,
        1 AS impressions, is_click::INTEGER AS clicks, (is_click AND is_search)::INTEGER AS search_clicks,
        long_id(placement_key, 'audience') // 1000000 AS target_audience_id,
        pick(key, 'audience', ['Coffee lovers', 'Trail runners, "fast"', 'New parents']) AS target_audience_name,
        between_(key, 'version', 1, 6) AS version_id,
        'Version ' || version_id AS version_name,
        CASE WHEN is_dco_ad THEN 'product:' || placement_no || ',season:' || pick(key, 'season', ['summer', 'winter'])
            || ',offer:none' END AS smart_items_list
    FROM placed JOIN person ON person.user_no = placed.user_no JOIN device ON device.device_no = placed.device_no
"""


def _for_search(expression: str) -> str:
    return f"CASE WHEN is_search THEN {expression} END"


_COLUMNS = (
    {
        "ad_started": "chance(key, 'started', 0.97)::INTEGER",
        "ad_duration": "between_(key, 'duration', 1, 30)",
        "measurable_impressions": "chance(key, 'measurable', 0.9)::INTEGER",
        "recordable_impressions": "(chance(key, 'measurable', 0.9) AND chance(key, 'recordable', 0.9))::INTEGER",
        "viewable_impressions": "(chance(key, 'measurable', 0.9) AND chance(key, 'recordable', 0.9) "
        "AND chance(key, 'viewable', 0.7))::INTEGER",
        "video_started": "(is_video AND watched < 0.95)::INTEGER",
        "video_played_25pc": "(is_video AND watched < 0.85)::INTEGER",
        "video_played_50pc": "(is_video AND watched < 0.75)::INTEGER",
        "video_played_75pc": "(is_video AND watched < 0.65)::INTEGER",
        "video_played_100pc": "(is_video AND watched < 0.55)::INTEGER",
        "video_played_25pc_viewable": "(is_video AND watched < 0.70)::INTEGER",
        "video_played_50pc_viewable": "(is_video AND watched < 0.60)::INTEGER",
        "video_played_75pc_viewable": "(is_video AND watched < 0.50)::INTEGER",
        "video_played_100pc_viewable": "(is_video AND watched < 0.40)::INTEGER",
        "video_played_duration": "CASE WHEN is_video THEN floor(30 * (1 - watched)) ELSE 0 END",
        "video_percentage_complete": "CASE WHEN is_video THEN floor(100 * (1 - watched)) ELSE 0 END",
        "video_full_screen_duration": "CASE WHEN is_video AND chance(key, 'full', 0.2) THEN between_(key, 'f', 1, 30) "
        "ELSE 0 END",
        "search_account_id": _for_search("long_id(placement_key, 'account') // 10000000"),
        "search_ad": _for_search("'Shop ' || keyword || ' today'"),
        "search_ad_click_through_url": _for_search(
            "'https://www.example.com/' || replace(keyword, ' ', '-') || '?src=ad'"
        ),
        "search_ad_display_url": _for_search("'www.example.com'"),
        "search_ad_group": _for_search("keyword || ' – core'"),
        "search_ad_group_id": _for_search("long_id(placement_key, 'group') // 1000000"),
        "search_ad_id": _for_search("long_id(placement_key, 'ad') // 1000000"),
        "search_ad_text": _for_search("'Free delivery, \"easy\" returns'"),
        "search_campaign_id": _for_search("long_id(placement_key, 'campaign') // 1000000"),
        "search_campaign_type": _for_search("'Search'"),
        "search_integration": _for_search("adserver_site || ' API'"),
        "search_keyword_id": _for_search("long_id(placement_key, 'keyword') // 1000000"),
        "search_keyword_text": _for_search("keyword"),
        "search_keyword_type": _for_search("'Keyword'"),
        "search_match_type": _for_search("pick(placement_key, 'match', ['BROAD', 'PHRASE', 'EXACT'])"),
        "search_vendor": _for_search("CASE adserver_site WHEN 'Google Ads' THEN 'Google' ELSE 'Microsoft' END"),
    }
    | {
        f"{counted}_{circumstance}": f"({counted} = 1 AND chance(key, '{circumstance}', 0.03))::INTEGER"
        for counted in ("impressions", "clicks")
        for circumstance in ("default_ad", "hard_stop", "no_script", "sivt", "ssai")
    }
    | {
        f"video_{action}": f"(is_video AND chance(key, '{action}', 0.15))::INTEGER"
        for action in (
            "full_screen_ended",
            "full_screen_muted",
            "full_screen_paused",
            "full_screen_started",
            "muted",
            "paused",
            "played_with_sound",
            "replayed",
            "skipped",
            "unmuted",
        )
    }
)

_SEGMENTS = """
    SELECT hash(adserver_session_id) AS key, traffic.adserver_brand, traffic.adserver_brand_id,
           traffic.adserver_session_id, traffic.adserver_site, segment_id AS behavior_segment_id,
           segment_name AS behavior_segment_name, segment_description AS behavior_segment_description
    FROM raw.adserver_traffic AS traffic JOIN person USING (user_id)
    JOIN membership USING (user_no) JOIN segment USING (segment_id, segment_name)
    WHERE hash(adserver_session_id) % 3 = 0
"""

_CONVERSIONS = """
    WITH active AS (
        SELECT traffic.* EXCLUDE (event_dt_utc, event_dt), hash(xor(hash(adserver_session_id), hash('after'))) AS key,
               same_day(event_dt_utc + to_minutes(between_(key, 'delay', 3, 900)), event_dt_utc) AS event_dt_utc,
               pick(key, 'activity', [['Order completed', '51001', 'sales'],
                   ['Newsletter – Anmeldung', '51002', 'counter'], ['Product page', '51003', 'counter']]) AS activity,
               activity[3] = 'sales' AS is_sale
        FROM raw.adserver_traffic AS traffic
        WHERE clicks = 1 OR hash(adserver_session_id) % 12 = 0
    )
    SELECT
        *, local_time(event_dt_utc) AS event_dt,
        activity[1] AS conversion_activity, activity[2] AS conversion_activity_id, activity[3] AS conversion_type,
        'USD' AS conversion_currency, 1 AS conversions, token(key, 'conversion') AS conversion_id,
        CASE WHEN is_sale THEN '1' || short_id(key, 'order', 9) END AS order_id,
        CASE WHEN is_sale THEN between_(key, 'revenue', 9, 240) ELSE 0 END AS revenue,
        CASE WHEN is_sale THEN between_(key, 'quantity', 1, 4) ELSE 0 END AS quantity,
        'SKU-' || short_id(key, 'product', 3) AS product_id,
        adserver_brand || ', size "M"' AS product_info, 'https://www.example.com/' || activity[3] AS referrer,
        adserver_brand || ' tags' AS tag_manager, 4000 + adserver_brand_id AS tag_manager_id
    FROM active
"""


def build(generator: TableGenerator) -> None:
    """Publish the ad server's tables."""
    generator.table("served_placement", _PLACEMENTS)
    generator.publish("adserver_traffic", _TRAFFIC, **_COLUMNS)
    generator.publish("adserver_traffic_by_user_segments", _SEGMENTS)
    generator.publish("adserver_conversions", _CONVERSIONS)
    generator.publish("adserver_conversions_with_brand", _CONVERSIONS)
