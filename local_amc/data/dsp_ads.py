"""What an Amazon DSP campaign serves: line items, creatives, and where they are shown, by tactic."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_TACTICS = """
    SELECT * FROM (VALUES
        ('Retargeting', 'ROAS', 'AAP_DISPLAY', 'Display', 'Responsive eCommerce', 'Responsive', NULL, 6.0,
            ['AMAZON.COM', 'AMAZON.COM', 'IMDB WEB DISPLAY'], ['www.amazon.com', 'amazon.com', 'www.imdb.com'],
            [8, 9, 10, 1, 3, 4, 7], ['Detail', 'Search', 'CustomerReviews', 'Home'], 'Amazon Display'),
        ('Prospecting', 'DPVR', 'AAP', 'Display', 'Standard Display', '300x250', NULL, 3.5,
            ['PUBMATIC WEB DISPLAY', 'AMAZON PUBLISHER SERVICES WEB DISPLAY', 'INDEX EXCHANGE WEB DISPLAY'],
            ['news.example', 'recipes.example', 'wetter.example', 'www.imdb.com'],
            [8, 9, 10, 11, 4, 5, 7], ['Article', 'Home'], 'Open Web'),
        ('Mobile App', 'CPA', 'AAP_MOBILE', 'Display', 'Standard Display', '320x50', NULL, 2.5,
            ['AMAZON PUBLISHER SERVICES APP DISPLAY', 'PUBMATIC APP DISPLAY', 'AMAZON MOBILE DISPLAY',
                'AMAZON_US MSHOP WEBVIEW', 'MOBILEAPP_IMDB_APPS', 'M.IMDB.COM', 'M.AMAZON.COM'],
            ['Puzzle Days iOS (ID: 1234567890)', 'Weather+ Android', 'Run Log, Pro', 'amazon.com'], [2, 3, 2, 3, 6],
            ['Home'], 'Mobile'),
        ('Streaming TV', 'COMPLETION_RATE', 'AAP_VIDEO_CPM', 'Video', 'Streaming TV Video', '1920x1080', 30, 28.0,
            ['Prime Video ads', 'AMAZON STREAMING TV', 'FIRE TV STREAMING TV', 'TWITCH STREAMING TV', 'Freevee',
                'IMDbTV', 'AMAZON LIVE STREAM'],
            ['Prime Video', 'Fire TV Channels', 'Twitch TV', 'IMDbTV'], [12, 12, 13, 14, 16], ['Video'],
            'Streaming TV'),
        ('Online Video', 'CPVC', 'AAP_VIDEO_CPM', 'Video', 'Online Video', '1280x720', 15, 12.0,
            ['TWITCH WEB VIDEO', 'AMAZON PUBLISHER SERVICES WEB VIDEO', 'IMDB WEB VIDEO'],
            ['www.twitch.tv', 'www.imdb.com', 'kochen.example'], [8, 10, 1, 4, 7], ['Video', 'Article'],
            'Online Video'),
        ('Audio', 'REACH', 'AAP_AUDIO_CPM', NULL, 'Audio', NULL, 30, 9.0,
            ['AMAZON AUDIO', 'AMAZON MUSIC AUDIO', 'ALEXA AUDIO', 'TWITCH AUDIO'],
            ['Amazon Music Free (ID: amazon-audio-ama)', 'Amazon Music', 'Alexa News'], [15, 2, 3, 18], ['Audio'],
            'Audio'),
        ('Twitch', 'REACH', 'AAP_VIDEO_CPM', 'Video', 'Online Video', '1920x1080', 15, 16.0,
            ['TWITCH WEB VIDEO', 'TWITCH MOBILEAPP VIDEO'], ['www.twitch.tv', 'Twitch Android'], [8, 9, 3, 16],
            ['Video'], 'Twitch'),
        ('Signage', 'OTHER', 'AAP', NULL, 'Digital Signage', '1080x1920', 10, 7.0,
            ['Digital out-of-home (DOOH)', 'AMAZON FRESH IN-STORE SIGNAGE', 'WHOLE FOODS IN-STORE SIGNAGE'],
            ['Amazon Fresh, Seattle'], [17], ['In store'], 'Out of Home'),
        ('Fire TV and Alexa', 'REACH', 'CLASS_I_MOBILE_APP', 'Display', 'Standard Display', '1920x1080', NULL, 8.0,
            ['MOBILEAPP_AMAZON_FIRE_TV', 'ALEXA_DEVICES', 'MOBILEAPP_AMAZON_FIRE_TABLET'],
            ['Fire Tablet Wakescreen'], [12, 12, 15, 6], ['Home'], 'Devices')
    ) AS listed (tactic, goal, line_item_type, creative_category, creative_type, creative_size, creative_duration, cpm,
                 supply_sources, sites, device_nos, page_types, product_line)
"""

_ADS = """
    WITH lines AS (
        SELECT campaign.*, goal, line_item_type, creative_category, creative_type, creative_size, creative_duration,
               product_line, line_number, key_of('dsp line', campaign_no, line_number) AS line_key
        FROM campaign JOIN dsp_tactic USING (tactic) CROSS JOIN (SELECT unnest([1, 2]) AS line_number)
        WHERE kind = 'DISPLAY'
    )
    SELECT
        campaign_no * 100 + line_number * 10 + creative_number AS ad_no,
        * EXCLUDE (goal, campaign_key, line_key, volume, creative_size, line_number, creative_number)
            -- Ads for tablets are sold under a type of their own.
            REPLACE (CASE WHEN product_line = 'Devices' AND line_number = 2 THEN 'DTCP' ELSE line_item_type END
                AS line_item_type),
        CASE period WHEN 'Evergreen' THEN ['ROAS', 'DPVR', 'CTR', 'REACH', 'COMPLETION_RATE', 'OTHER', 'CPVC', 'NONE',
            'TOTAL_ROAS', 'PAGE_VISIT', 'CPDPV', 'CPC', 'REACH'][campaign_no] ELSE goal END AS campaign_primary_goal,
        country AS campaign_country,
        long_id(campaign_key, 'flight') // 100 AS campaign_flight_id,
        short_id(campaign_key, 'order', 9) AS campaign_insertion_order_id,
        long_id(line_key, 'line') AS line_item_id,
        concat_ws(' - ', brand, upper(tactic), ['O&O', 'Third party'][line_number], period) AS line_item,
        campaign_budget_amount // 2 AS line_item_budget_amount,
        'CPM' AS line_item_price_type,
        CASE period WHEN 'Evergreen' THEN ['RUNNING', 'ENABLED', 'PAUSED_BY_USER']
            ELSE ['ENDED', 'ENDED', 'SUSPENDED'] END[1 + (campaign_no + line_number) % 3] AS line_item_status,
        campaign_start_dt AS line_item_start_dt, campaign_start_dt_utc AS line_item_start_dt_utc,
        campaign_end_dt AS line_item_end_dt, campaign_end_dt_utc AS line_item_end_dt_utc,
        long_id(ad_key, 'creative') AS creative_id,
        concat_ws('_', year(first_date), country, line, coalesce(creative_category, creative_type),
            ['A', 'B “new”'][creative_number], creative_size) AS creative,
        CASE WHEN creative_type = 'Standard Display'
            THEN pick(ad_key, 'size', [creative_size, '728x90', '160x600', '970x250']) ELSE creative_size END
            AS creative_size,
        CASE WHEN creative_type = 'Responsive eCommerce' OR chance(ad_key, 'link', 0.5) THEN 'Y' ELSE 'N' END
            AS creative_is_link_in,
        pick(campaign_key, 'channel', ['Self-service', 'Managed', 'Reseller']) AS demand_channel,
        pick(campaign_key, 'channel owner', ['Amazon', 'Agency "Blau"']) AS demand_channel_owner,
        [long_id(campaign_key, 'frequency')::VARCHAR, long_id(line_key, 'frequency')::VARCHAR]
            AS advertiser_account_frequency_group_ids,
        [long_id(key_of('manager', 0, 0), 'frequency')::VARCHAR] AS manager_account_frequency_group_ids,
        between_(campaign_key, 'merchant', 10000, 99999) AS merchant_id,
        (SELECT list(segment_id::VARCHAR ORDER BY segment_id) FROM segment
            WHERE draw(xor(line_key, hash(segment_id)), 'target') % 4 = 0) AS target_segment_ids
    FROM (
        SELECT *, key_of('dsp creative', campaign_no, line_number * 10 + creative_number) AS ad_key
        FROM lines CROSS JOIN (SELECT unnest([1, 2]) AS creative_number)
    )
"""


def build(generator: TableGenerator) -> None:
    """Make `dsp_tactic` and `dsp_ad`."""
    generator.table("dsp_tactic", _TACTICS)
    generator.table("dsp_ad", _ADS)
