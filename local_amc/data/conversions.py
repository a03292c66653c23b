"""What people do after an ad, on Amazon and elsewhere; and what others do without one."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

# A subscription's first order comes with it.
_SUBSCRIPTION, _SUBSCRIBED = 8, 30

# Chance after a click and after an impression, share among conversions without an ad, seconds after the first step.
# `item` says what the conversion is about: a product, a search keyword, the store, an advertiser's own event.
_KINDS = """
    SELECT *, CASE kind_no WHEN $subscribed THEN $subscription ELSE kind_no END AS draws_as FROM (VALUES
        (1, 'website', 'detailPageView', 'consideration', 'Product detail page viewed', 0.75, 0.075, 40, 0, 'ASIN'),
        (2, 'website', 'shoppingCart', 'consideration', 'Add to Shopping Cart', 0.40, 0.022, 16, 180, 'ASIN'),
        (3, 'purchase', 'order', 'conversion', 'Product purchased', 0.32, 0.011, 34, 900, 'ASIN'),
        (4, 'website', 'wishList', 'consideration', 'add to wishlist', 0.05, 0.004, 3, 240, 'ASIN'),
        (5, 'website', 'babyRegistry', 'consideration', 'add to baby registry', 0.02, 0.002, 1, 300, 'ASIN'),
        (6, 'website', 'weddingRegistry', 'consideration', 'add to wedding registry', 0.02, 0.002, 1, 320, 'ASIN'),
        (7, 'website', 'customerReview', 'consideration', 'Customer Reviews Page', 0.06, 0.006, 4, 60, 'ASIN'),
        ($subscription, 'website', 'snsSubscription', 'conversion', 'New SnS Subscription', 0.06, 0.005, 3, 960,
            'ASIN'),
        (9, 'website', 'searchConversion', NULL, NULL, 0.12, 0.02, 5, -600, 'KEYWORD'),
        (10, 'website', 'brandStorePageView', 'consideration', 'Brand store page viewed', 0.10, 0.012, 3, 120,
            'STORE'),
        (11, 'website', 'alexaSkillEnable', 'conversion', 'Alexa skill enabled', 0.01, 0.001, 1, 400, 'ASIN'),
        (12, 'website', 'freeTrialSubscriptionSignup', 'conversion', 'Free Trial Subscription Signup', 0.02, 0.002, 0,
            700, 'SUBSCRIPTION'),
        (13, 'website', 'paidSubscriptionSignup', 'conversion', 'Paid Subscription Signup', 0.02, 0.002, 0, 700,
            'SUBSCRIPTION'),
        (14, 'website', 'freeTrialAppSubscriptionSignup', 'conversion', 'Free Trial App Subscription Signup', 0.015,
            0.001, 0, 700, 'SUBSCRIPTION'),
        (15, 'website', 'paidAppSubscriptionSignup', 'conversion', 'Paid App Subscription Signup', 0.015, 0.001, 0,
            700, 'SUBSCRIPTION'),
        -- Events outside Amazon have numbers; queries look for the category in two spellings.
        (16, 'off-Amazon', '54', NULL, 'Off-Amazon purchases', 0.06, 0.004, 0, 3600, 'EVENT'),
        (17, 'off-Amazon', '21', NULL, 'Sign up', 0.05, 0.004, 0, 2400, 'EVENT'),
        (18, 'off-Amazon', '134', NULL, 'Page view', 0.10, 0.012, 0, 1200, 'EVENT'),
        (19, 'off-Amazon', '37', NULL, 'Mobile app first start', 0.03, 0.002, 0, 3000, 'EVENT'),
        (20, 'pixel', '54', NULL, 'Off-Amazon purchases', 0.04, 0.003, 0, 3600, 'EVENT'),
        (21, 'pixel', '134', NULL, 'Homepage visit', 0.08, 0.008, 0, 1200, 'EVENT'),
        (22, 'pixel', '53', NULL, 'Add to Shopping Cart', 0.03, 0.003, 0, 1800, 'EVENT'),
        (23, 'off-Amazon', '53', NULL, 'Add to shopping cart', 0.04, 0.003, 1, 1800, 'EVENT'),
        (24, 'off-Amazon', '140', NULL, 'Checkout', 0.03, 0.002, 1, 3000, 'EVENT'),
        (25, 'off-Amazon', '141', NULL, 'Lead', 0.02, 0.002, 0, 2000, 'EVENT'),
        (26, 'off-amazon', '54', NULL, 'Off-Amazon purchases', 0.04, 0.003, 1, 3600, 'EVENT'),
        (27, 'off-amazon', '134', NULL, 'Page view', 0.06, 0.006, 1, 1200, 'EVENT'),
        (28, 'off-amazon', '53', NULL, 'Add to shopping cart', 0.03, 0.002, 1, 1800, 'EVENT'),
        (29, 'off-Amazon', 'ADDTOCART', NULL, 'ADDTOCART', 0.03, 0.003, 1, 1800, 'EVENT'),
        ($subscribed, 'purchase', 'order', 'conversion', 'Product purchased', 0.06, 0.005, 0, 970, 'ASIN')
    ) AS listed (kind_no, event_category, event_subtype, event_type_class, event_type_description, after_click,
                 after_impression, share, step, item)
"""

_TRAFFIC = """
    SELECT key AS traffic_key, key AS source_key, campaign_no, brand_no, parity, user_no, has_user, 'DSP' AS system,
           impression_dt_utc AS traffic_event_dt_utc, FALSE AS is_click
    FROM dsp_event
    UNION ALL
    SELECT hash(xor(key, hash('click'))), key, campaign_no, brand_no, parity, user_no, has_user, 'DSP',
           click_dt_utc, TRUE
    FROM dsp_event WHERE is_clicked
    UNION ALL
    SELECT key, key, campaign_no, brand_no, parity, user_no, has_user, 'SPONSORED_ADS', event_dt_utc, clicks = 1
    FROM sponsored_event
"""

# Most conversions follow soon, some only after weeks. One journey is about one product; who subscribes to it buys it.
_EXPOSED = """
    WITH delayed AS (
        SELECT *, chance(traffic_key, 'promoted', 0.62) AS about_promoted,
               CASE WHEN chance(traffic_key, 'late', 0.12) THEN unit(traffic_key, 'delay') * 29.9
                   ELSE least(13.8, -ln(1 - unit(traffic_key, 'delay')) * 1.8) END * 86400 AS delay
        FROM traffic
    )
    SELECT
        hash(xor(traffic_key, hash(kind_no))) AS key, traffic_key AS journey_key, delayed.* EXCLUDE (delay), kind.*,
        traffic_event_dt_utc
            + to_milliseconds(greatest(60, delay + step + between_(traffic_key, 'pace', 0, 90))::BIGINT * 1000
                + (draw(traffic_key, 'fraction') % 1000)::BIGINT) AS event_dt_utc,
        item <> 'ASIN' OR about_promoted AS is_promoted,
        CASE WHEN about_promoted THEN parity ELSE 1 - parity END AS product_parity
    FROM delayed JOIN conversion_kind AS kind
        ON unit(xor(traffic_key, hash(draws_as)), 'happens')
            < CASE WHEN is_click THEN after_click ELSE after_impression END
"""

# No user saw an ad within the 28 days before these.
_UNEXPOSED = """
    WITH shares AS (
        SELECT flatten(list(list_transform(range(share), lambda nth: kind_no) ORDER BY kind_no)) AS kind_nos
        FROM conversion_kind
    ), slots AS (
        SELECT day_no, unnest(counted(40 * factor)) AS n FROM days
    ), keyed AS (
        SELECT day_no, key_of('unexposed', day_no, n) AS key,
               pick(key_of('unexposed', day_no, n), 'kind', kind_nos) AS kind_no
        FROM slots CROSS JOIN shares
    )
    SELECT key, key AS journey_key, between_(key, 'brand', 0, $brands - 1) AS brand_no,
           between_(key, 'parity', 0, 1) AS product_parity,
           draw_user(key, 1.3) AS user_no, TRUE AS has_user, kind.*,
           moment(day_no, key) AS event_dt_utc
    FROM keyed JOIN conversion_kind AS kind USING (kind_no)
"""

# Where it was bought: marketplace and retail program, online and in stores.
_CONVERSIONS = """
    WITH every_one AS (
        SELECT * FROM ($exposed) UNION ALL BY NAME SELECT * FROM ($unexposed)
    ), placed AS (
        SELECT
            every_one.*, product.* EXCLUDE (brand_no, product_no, product_key, parity),
            brand.store_id, brand.brand, brand.line, campaign.country, campaign.currency_iso_code,
            coalesce(date_diff('second', traffic_event_dt_utc, event_dt_utc) <= 28 * 86400, FALSE) AS is_exposed,
            event_category = 'purchase' AS is_order, event_subtype = '54' AS is_bought_elsewhere,
            CASE WHEN item = 'EVENT' THEN NULL
                WHEN campaign.country = 'CA' THEN ['AMAZON_CA', 'Amazon.com']
                WHEN event_category <> 'purchase' THEN ['AMAZON.COM', NULL]
                ELSE tilt(key, 'store', [['AMAZON.COM', 'Amazon.com'], ['AMAZON.COM', 'Amazon.com'],
                    ['AMAZON.COM', 'Amazon Fresh'], ['AMAZON.COM', 'Whole Foods Market'],
                    ['WHOLE_FOODS_MARKET_US', 'Whole Foods Market'], ['AMAZON_FRESH_STORES_US', 'Amazon Fresh'],
                    ['PRIME_NOW_US', 'Amazon.com']]) END AS sold_at
        FROM every_one
        JOIN promoted ON promoted.brand_no = every_one.brand_no AND promoted.parity = product_parity
        JOIN product ON product.product_no = pick(journey_key, 'product', product_nos)
        JOIN brand ON brand.brand_no = every_one.brand_no
        LEFT JOIN campaign ON campaign.campaign_no = every_one.campaign_no
        WHERE event_dt_utc < last_day_() + 1
    )
    SELECT
        * EXCLUDE (currency_iso_code, place_in_brand, keyword, store_id),
        'CONVERSION' AS event_type,
        token(key, 'conversion') AS conversion_id,
        1 AS conversions,
        CASE WHEN is_order THEN asin END AS tracked_asin,
        -- Published queries tell searches by this prefix.
        CASE item WHEN 'KEYWORD' THEN 'keyword.' || lower(brand) || ' ' || keyword WHEN 'STORE' THEN store_id
            WHEN 'EVENT' THEN uuid_text(key_of('event definition', kind_no, brand_no), 'id') ELSE asin END
            AS tracked_item,
        sold_at[1] AS marketplace_name,
        CASE WHEN is_order THEN sold_at[2] END AS purchase_retail_program,
        CASE WHEN is_order OR is_bought_elsewhere THEN coalesce(currency_iso_code, 'USD') END AS purchase_currency,
        CASE WHEN is_order THEN price END AS purchase_unit_price,
        CASE WHEN is_order THEN tilt(key, 'units', [1, 1, 1, 2, 2, 3, 4]) ELSE 0 END AS total_units_sold,
        total_units_sold * price AS total_product_sales,
        CASE WHEN is_bought_elsewhere THEN between_(key, 'elsewhere', 10, 180) + 0.5 ELSE 0 END
            AS off_amazon_product_sales,
        CASE WHEN item = 'EVENT' AND NOT is_bought_elsewhere THEN between_(key, 'value', 1, 10) ELSE 0 END
            AS off_amazon_conversion_value,
        total_product_sales + off_amazon_product_sales AS combined_sales,
        -- The same for all orders of a person at a brand within half a year.
        CASE WHEN is_order THEN chance(key_of('new to brand', user_no * 8 + brand_no,
            year(event_dt_utc) * 2 + month(event_dt_utc) // 7), 'is', 0.45) END AS new_to_brand,
        CASE WHEN event_subtype = 'ADDTOCART' THEN event_subtype WHEN item = 'EVENT' THEN line || ': ' || CASE
            event_subtype WHEN '54' THEN 'Checkout, "thank you" page' WHEN '21' THEN 'Newsletter sign-up'
            WHEN '134' THEN 'Page visit – Überblick' WHEN '37' THEN 'App installed' WHEN '141' THEN 'Lead form'
            WHEN '140' THEN 'Checkout begun' ELSE 'Cart' END END
            AS conversion_event_name,
        CASE WHEN event_category = 'pixel' THEN 'Amazon Ad Tag' WHEN event_category ILIKE 'off-amazon'
            THEN pick(key_of('event source', kind_no, brand_no), 'name', ['Conversions API', 'Amazon Ad Tag',
                'Mobile Measurement Partner', 'Uploaded file, weekly']) END AS conversion_event_source_name
    FROM placed
    ORDER BY event_dt_utc, key
"""

_PEOPLE = """
    SELECT conversion.*, CASE WHEN has_user THEN user_id END AS user_id,
           CASE WHEN has_user THEN user_id_type END AS user_id_type
    FROM conversion JOIN person ON person.user_no = conversion.user_no
    WHERE event_dt_utc >= first_day()
"""

# The campaign that caused a conversion, and others of the brand that had to do with the product as well.
_RELEVANT = """
    WITH relevant AS (
        SELECT key AS conversion_key, campaign_no AS relevant_no, is_promoted AS is_direct FROM conversion
        WHERE is_exposed
        UNION ALL
        SELECT conversion.key, campaign.campaign_no, item <> 'ASIN' OR product_parity = campaign.parity
        FROM conversion JOIN campaign ON campaign.brand_no = conversion.brand_no
            AND campaign.campaign_no <> conversion.campaign_no AND campaign.country = conversion.country
        WHERE is_exposed AND period = 'Evergreen' AND audience > 100
            AND draw(xor(key, hash(campaign.campaign_no)), 'relevant') % 100 < 12
    )
    SELECT
        made.* EXCLUDE (campaign_no, brand_no, parity, country, line, brand),
        campaign.* EXCLUDE (campaign_no, brand_no, parity, country, line, brand, marketplace_name),
        local_time(event_dt_utc) AS event_dt,
        CASE WHEN item = 'STORE' THEN NULL WHEN is_direct THEN 'PROMOTED' ELSE 'BRAND_HALO' END AS engagement_scope,
        CASE WHEN item IN ('STORE', 'EVENT') THEN NULL
            WHEN item = 'KEYWORD' THEN tilt(key, 'halo', ['BRAND_KEYWORD', 'CATEGORY_KEYWORD'])
            WHEN is_direct THEN tilt(key, 'halo', ['TRACKED_ASIN', 'TRACKED_ASIN', 'VARIATIONAL_ASIN'])
            ELSE pick(xor(key, hash(relevant_no)), 'halo', ['BRAND_MARKETPLACE', 'BRAND_GL_PRODUCT', 'BRAND_CATEGORY',
                'BRAND_SUBCATEGORY']) END AS halo_code
    FROM ($people) AS made
    JOIN relevant ON conversion_key = made.key
    JOIN campaign ON campaign.campaign_no = relevant_no
"""

_ALL = {
    "exposure_type": "CASE WHEN event_category = 'pixel' THEN 'pixel' WHEN is_exposed THEN 'ad-exposed' "
    "ELSE 'non-ad-exposed' END",
    "event_source": "CASE WHEN item = 'EVENT' THEN 'EVENTS_MANAGER' ELSE 'RETAIL' END",
    "conversion_event_source": "conversion_event_source_name",
    "marketplace_id": "CASE WHEN marketplace_name = 'AMAZON_CA' THEN 7 ELSE 1 END",
    # Of a subscription, its first order and some later ones.
    "sns_subscription_id": "CASE WHEN kind_no IN ($subscription, $subscribed) "
    "OR is_order AND chance(key, 'later', 0.05) "
    "THEN 'SNS' || code(key_of('subscription', user_no, hash(asin) >> 2), 'id', 10) END",
}


def build(generator: TableGenerator) -> None:
    """Make `conversion` and publish the conversion tables."""
    generator.table("conversion_kind", _numbered(_KINDS))
    generator.table("traffic", _TRAFFIC)
    generator.table("conversion", _CONVERSIONS.replace("$exposed", _EXPOSED).replace("$unexposed", _UNEXPOSED))
    generator.publish("conversions", _PEOPLE + " AND is_exposed")
    generator.publish("conversions_all", _PEOPLE, **{name: _numbered(value) for name, value in _ALL.items()})
    generator.publish("conversions_with_relevance", _RELEVANT.replace("$people", _PEOPLE))


def _numbered(sql: str) -> str:
    return sql.replace("$subscription", str(_SUBSCRIPTION)).replace("$subscribed", str(_SUBSCRIBED))
