"""What a sponsored ads campaign serves: ad groups, targets, creatives, and where they are shown, by tactic."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

# Targeting AUTO: by Amazon; PRODUCT: by product or category; AUDIENCE: by what people did or like.
_TACTICS = """
    SELECT * FROM (VALUES
        ('SP Keyword', 'sponsored_products', 'KEYWORD', 'CPC', NULL, 'MANUAL', 1.2,
            ['Top of Search on-Amazon', 'Other on-Amazon', 'Detail Page on-Amazon', 'Off Amazon'], 0.09),
        ('SP Auto', 'sponsored_products', 'AUTO', 'CPC', NULL, 'AUTO', 0.7,
            ['Other on-Amazon', 'Detail Page on-Amazon', 'Top of Search on-Amazon', 'Off Amazon'], 0.08),
        ('SP Product', 'sponsored_products', 'PRODUCT', 'CPC', NULL, 'MANUAL', 0.8,
            ['Detail Page on-Amazon', 'Other on-Amazon', 'Off Amazon'], 0.05),
        ('SB Keyword', 'sponsored_brands', 'KEYWORD', 'CPC', 'static_image', 'PRODUCT_COLLECTION', 1.6,
            ['Top of Search on-Amazon', 'Other on-Amazon', 'Homepage on-Amazon'], 0.07),
        ('SB Video', 'sponsored_brands', 'KEYWORD', 'VCPM', 'video', 'VIDEO', 9.0,
            ['Other on-Amazon', 'Top of Search on-Amazon', 'Detail Page on-Amazon'], 0.05),
        ('SD Audience', 'sponsored_display', 'AUDIENCE', 'CPC', 'static_image', 'REMARKETING', 0.9,
            ['Detail Page on-Amazon', 'Homepage on-Amazon', 'Off Amazon'], 0.05),
        ('SD Viewable', 'sponsored_display', 'AUDIENCE', 'VCPM', 'third_party_creative', 'INTEREST', 5.0,
            ['Off Amazon', 'Detail Page on-Amazon', 'Homepage on-Amazon'], 0.04),
        ('ST Interest', 'sponsored_television', 'AUDIENCE', 'CPM', 'video', 'INTEREST', 22.0,
            ['Off Amazon', 'Homepage on-Amazon'], 0.03)
    ) AS listed (tactic, ad_product_type, targeting_kind, line_item_price_type, creative_type, ad_group_type, price,
                 placements, click_rate)
"""

_ADS = """
    WITH groups AS (
        SELECT campaign.*, tactic_.* EXCLUDE (tactic), group_number,
               key_of('ad group', campaign_no, group_number) AS group_key
        FROM campaign JOIN sponsored_tactic AS tactic_ USING (tactic)
        CROSS JOIN (SELECT unnest([1, 2]) AS group_number)
        WHERE kind = 'SPONSORED_ADS'
    ), targets AS (
        SELECT *, keywords[1 + (group_number + target_number) % len(keywords)] AS keyword,
               ['BROAD', 'PHRASE', 'EXACT'][1 + target_number % 3] AS keyword_match,
               key_of('target', campaign_no, group_number * 10 + target_number) AS target_key,
               product_nos[1 + (group_number + target_number)
                   % len(product_nos)] AS creative_product_no
        FROM groups CROSS JOIN (SELECT unnest([0, 1, 2, 3]) AS target_number)
        JOIN promoted USING (brand_no, parity)
    )
    SELECT
        campaign_no * 100 + group_number * 10 + target_number AS ad_no,
        targets.* EXCLUDE (volume, product_nos, keyword, brand_no),
        targets.brand_no,
        left(tactic, 2) || '_' || line || '_' || ['Core', 'Überraschung, "new"'][group_number] || '_' || period
            AS ad_group,
        ad_group AS line_item,
        long_id(group_key, 'group') AS line_item_id,
        CASE period WHEN 'Evergreen' THEN ['ENABLED', 'ENABLED', 'PAUSED'] ELSE ['ARCHIVED', 'ARCHIVED', 'PAUSED'] END
            [1 + (campaign_no + group_number) % 3] AS ad_group_status,
        ad_group_status AS line_item_status,
        upper(ad_product_type) AS line_item_type,
        campaign_start_dt AS ad_group_start_dt, campaign_start_dt_utc AS ad_group_start_dt_utc,
        campaign_end_dt AS ad_group_end_dt, campaign_end_dt_utc AS ad_group_end_dt_utc,
        campaign_start_dt AS line_item_start_dt, campaign_start_dt_utc AS line_item_start_dt_utc,
        campaign_end_dt AS line_item_end_dt, campaign_end_dt_utc AS line_item_end_dt_utc,
        long_id(key_of('portfolio', targets.brand_no, 0), 'id') AS portfolio_id,
        targets.brand || ' ' || line || ' portfolio' AS portfolio_name,
        concat_ws('_', year(first_date), country, line, asin) AS creative,
        CASE WHEN ad_product_type IN ('sponsored_products', 'sponsored_display')
            AND chance(target_key, 'creative asin', 0.8) THEN asin END AS creative_asin,
        CASE WHEN targeting_kind = 'KEYWORD' THEN keyword_match END AS match_type,
        CASE targeting_kind
            WHEN 'KEYWORD' THEN targets.keyword
            WHEN 'AUTO' THEN ['close-match', 'loose-match', 'substitutes', 'complements'][1 + target_number]
            WHEN 'PRODUCT' THEN ['asin="' || 'B0' || code(target_key, 'rival', 8) || '"',
                'category="' || category || '"'][1 + target_number % 2]
            ELSE ['views=(lookback=30)', 'purchases=(related-product lookback=90)', 'interest="' || category || '"',
                'asin-expanded="' || asin || '"'][1 + target_number] END AS targeting,
        CASE
            WHEN ad_product_type = 'sponsored_television' OR targeting_kind = 'AUDIENCE' THEN NULL
            WHEN targeting_kind = 'PRODUCT' THEN ['b0' || lower(code(target_key, 'seen', 8)), targets.keyword]
            WHEN keyword_match = 'EXACT' THEN [targets.keyword, targets.keyword || 's']
            ELSE [targets.keyword, 'best ' || targets.keyword, targets.keyword || ' gift', lower(targets.brand) || ' '
                || targets.keyword, 'cheap ' || targets.keyword || ', 2 pack', targets.keyword || ' für anfänger'] END
            AS search_terms,
        CASE WHEN targets.brand_no < 2 AND ad_product_type IN ('sponsored_products', 'sponsored_brands')
            THEN (SELECT arg_min(segment_id, draw(xor(campaign_key, hash(segment_id)), 'boost'))::VARCHAR
                FROM segment) END AS boosted_segment_id
    FROM targets JOIN product ON product_no = creative_product_no
"""


def build(generator: TableGenerator) -> None:
    """Make `sponsored_tactic` and `sponsored_ad`."""
    generator.table("sponsored_tactic", _TACTICS)
    generator.table("sponsored_ad", _ADS)
