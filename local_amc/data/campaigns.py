"""Campaigns of both ad systems and their ads: what every traffic event inherits.

Evergreen campaigns always run. Every quarter has flights of its own, recognised by the quarter's number, so that a
campaign is the same however long the range is.
"""

from __future__ import annotations

from local_amc.data import dsp_ads, sponsored_ads
from local_amc.data.generators import TableGenerator

_ADVERTISERS = """
    SELECT
        country, currency_iso_code, currency_name, marketplace_name, advertiser_timezone,
        (SELECT string_agg(brand, ' + ' ORDER BY brand_no) FROM brand WHERE brand_no < 2) || suffix AS advertiser,
        long_id(key, 'dsp') // 1000 AS dsp_advertiser_id,
        'ENTITY' || code(key, 'dsp entity', 10) || code(key, 'dsp entity end', 4) AS dsp_entity_id,
        'ENTITY' || code(key, 'sponsored entity', 10) || code(key, 'sponsored entity end', 4) AS sponsored_entity_id
    FROM (
        SELECT *, key_of('advertiser', row_number() OVER (ORDER BY country), 0) AS key FROM (VALUES
            ('US', 'USD', 'Dollar (USA)', 'AMAZON.COM', 'America/New_York', ', Inc.'),
            ('CA', 'CAD', 'Dollar (Canada)', 'AMAZON_CA', 'America/Toronto', ' Québec "Ltée"')
        ) AS listed (country, currency_iso_code, currency_name, marketplace_name, advertiser_timezone, suffix)
    )
"""

_QUARTERS = """
    SELECT DISTINCT date_trunc('quarter', day)::DATE AS start, year(day) * 4 + quarter(day) AS quarter_no,
           'Q' || quarter(day) || '_' || year(day) AS period
    FROM days
"""

# Volume is the events of an ordinary day, audience the people it may reach.
_CAMPAIGNS = """
    WITH slots AS (
        SELECT kind, slot AS campaign_no, 'Evergreen' AS period, DATE '2023-01-02' AS start, 3285 AS length, slot,
               theme, tactic, volume, audience, country
        FROM evergreen_slot
        UNION ALL
        SELECT kind, first_no + quarter_no * 10 + slot, period, start + 3, 60, slot, theme, tactic, volume, audience,
               country
        FROM flight_slot CROSS JOIN quarter_
    ), keyed AS (
        SELECT *, key_of('campaign', campaign_no, 0) AS campaign_key, campaign_no % $brands AS brand_no FROM slots
        WHERE has_type(kind)
    )
    SELECT
        * EXCLUDE (start, length, slot),
        campaign_no % 2 AS parity,
        concat_ws('_', line, theme, period, tactic, country, CASE WHEN audience < 100 THEN 'Pilot ' || slot END)
            AS campaign,
        start + between_(campaign_key, 'start', 0, 14)::INTEGER AS first_date,
        first_date + length AS last_date,
        first_date::TIMESTAMP AS campaign_start_dt,
        last_date + INTERVAL '23:59:59' AS campaign_end_dt,
        from_local(campaign_start_dt) AS campaign_start_dt_utc,
        from_local(campaign_end_dt) AS campaign_end_dt_utc,
        long_id(campaign_key, 'id') AS campaign_id,
        CASE kind WHEN 'DISPLAY' THEN campaign_id::VARCHAR
            ELSE 'A0' || code(campaign_key, 'console', 10) || code(campaign_key, 'console end', 8) END
            AS campaign_id_string,
        CASE kind WHEN 'DISPLAY' THEN dsp_advertiser_id END AS advertiser_id,
        CASE kind WHEN 'DISPLAY' THEN dsp_entity_id ELSE sponsored_entity_id END AS entity_id,
        volume::BIGINT * between_(campaign_key, 'budget', 20, 90) * 100000 * 10 AS campaign_budget_amount,
        -- Taken in turn rather than drawn, so that every value occurs in every instance.
        ['DAILY_BUDGET', 'DAILY_BUDGET', 'LIFETIME_BUDGET'][1 + campaign_no % 3] AS campaign_budget_type,
        ['BILLABLE', 'BILLABLE', 'BILLABLE', 'BILLABLE', 'BONUS'][1 + campaign_no % 5] AS campaign_sales_type,
        pick(campaign_key, 'source', ['SELF_SERVICE', 'MANAGED_SERVICE', 'API']) AS campaign_source,
        CASE period WHEN 'Evergreen' THEN ['RUNNING', 'ENABLED', 'PAUSED'][1 + campaign_no % 3]
            ELSE ['ENDED', 'ENDED', 'ADS_NOT_RUNNING'][1 + campaign_no % 3] END AS campaign_status,
        between_(campaign_key, 'audience', 0, 5999) AS audience_start
    FROM keyed JOIN brand USING (brand_no) JOIN advertiser USING (country)
"""

_EVERGREEN = """
    SELECT * FROM (VALUES
        ('DISPLAY', 1, 'Loyal', 'Retargeting', 12.0, 3000, 'US'),
        ('DISPLAY', 2, 'Fire', 'Prospecting', 9.0, 6000, 'US'),
        ('DISPLAY', 3, 'Go', 'Mobile App', 7.0, 4500, 'US'),
        ('DISPLAY', 4, 'Big Screen', 'Streaming TV', 11.0, 5000, 'US'),
        ('DISPLAY', 5, 'How-to', 'Online Video', 7.0, 4000, 'US'),
        ('DISPLAY', 6, 'Listen', 'Audio', 4.0, 1500, 'US'),
        ('DISPLAY', 7, 'Live', 'Twitch', 4.0, 1800, 'US'),
        ('DISPLAY', 8, 'In Store', 'Signage', 2.0, 900, 'US'),
        ('DISPLAY', 9, 'Été', 'Retargeting', 5.0, 1500, 'CA'),
        ('DISPLAY', 10, 'Trial', 'Prospecting', 0.5, 45, 'US'),
        ('DISPLAY', 11, 'Trial', 'Streaming TV', 0.3, 12, 'US'),
        ('DISPLAY', 12, 'Trial', 'Online Video', 0.05, 2, 'US'),
        ('DISPLAY', 13, 'Home Screen', 'Fire TV and Alexa', 4.0, 2500, 'US'),
        ('SPONSORED_ADS', 501, 'Generic', 'SP Keyword', 14.0, 6000, 'US'),
        ('SPONSORED_ADS', 502, 'Catch All', 'SP Auto', 10.0, 5000, 'US'),
        ('SPONSORED_ADS', 503, 'Defend "Brand"', 'SP Keyword', 7.0, 4000, 'US'),
        ('SPONSORED_ADS', 504, 'Rivals', 'SP Product', 6.0, 3500, 'US'),
        ('SPONSORED_ADS', 505, 'Store, Spotlight', 'SB Keyword', 7.0, 4500, 'US'),
        ('SPONSORED_ADS', 506, 'Film', 'SB Video', 6.0, 4500, 'US'),
        ('SPONSORED_ADS', 507, 'Look-back', 'SD Audience', 6.0, 3000, 'US'),
        ('SPONSORED_ADS', 508, 'Views', 'SD Viewable', 6.0, 3000, 'US'),
        ('SPONSORED_ADS', 509, 'Living Room', 'ST Interest', 5.0, 3000, 'US'),
        ('SPONSORED_ADS', 510, 'Généreux', 'SP Keyword', 4.0, 1500, 'CA'),
        ('SPONSORED_ADS', 511, 'Trial', 'SP Keyword', 0.5, 60, 'US'),
        ('SPONSORED_ADS', 512, 'Trial', 'SD Audience', 0.3, 15, 'US'),
        ('SPONSORED_ADS', 513, 'Trial', 'SB Keyword', 0.05, 3, 'US')
    ) AS listed (kind, slot, theme, tactic, volume, audience, country)
"""

_FLIGHTS = """
    SELECT * FROM (VALUES
        ('DISPLAY', 100000, 1, 'Tentpole Lead-in', 'Streaming TV', 12.0, 4000, 'US'),
        ('DISPLAY', 100000, 2, 'Tentpole Event', 'Prospecting', 11.0, 5000, 'US'),
        ('DISPLAY', 100000, 3, 'Tentpole Lead-out', 'Retargeting', 9.0, 3000, 'US'),
        ('DISPLAY', 100000, 4, 'Été, Phase 2', 'Mobile App', 0.8, 40, 'US'),
        ('SPONSORED_ADS', 200000, 1, 'Tentpole Event', 'SP Keyword', 10.0, 5000, 'US'),
        ('SPONSORED_ADS', 200000, 2, 'Tentpole Event', 'SB Video', 7.0, 4000, 'US'),
        ('SPONSORED_ADS', 200000, 3, 'Frühling', 'SD Viewable', 0.8, 30, 'US')
    ) AS listed (kind, first_no, slot, theme, tactic, volume, audience, country)
"""


def build(generator: TableGenerator) -> None:
    """Make `advertiser`, `campaign`, and the ads of the types the instance has."""
    generator.table("advertiser", _ADVERTISERS)
    generator.table("quarter_", _QUARTERS)
    generator.table("evergreen_slot", _EVERGREEN)
    generator.table("flight_slot", _FLIGHTS)
    generator.table("campaign", _CAMPAIGNS)
    dsp_ads.build(generator)
    sponsored_ads.build(generator)
