"""Amazon's store: every order, after an ad or not, and visits of brand stores, of sellers on Amazon and others."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

# Orders of one person on one day are one purchase with several items.
_PURCHASES = """
    SELECT
        conversion.*, user_id, user_id_type, event_dt_utc AS purchase_dt_utc, brand AS asin_brand,
        product_name AS asin_name, coalesce(purchase_currency, 'USD') AS currency_code,
        total_units_sold AS purchase_units_sold, price AS unit_price, token(key, 'retail event') AS event_id,
        token(key_of('purchase', conversion.user_no, date_diff('day', DATE '1970-01-01', event_dt_utc::DATE)), 'id')
            AS purchase_id,
        token(key_of('session', conversion.user_no, date_diff('day', DATE '1970-01-01', event_dt_utc::DATE)), 'id')
            AS purchase_session_id,
        token(key, 'origin') AS origin_session_id,
        CASE marketplace_name WHEN 'AMAZON_CA' THEN 7 ELSE 1 END AS marketplace_id,
        tilt(key, 'method', ['S', 'S', 'B', '1']) AS purchase_order_method,
        tilt(xor(user_key, hash('prime')), 'order type', ['Prime', 'Prime', 'NON-PRIME']) AS purchase_order_type,
        tilt(key, 'program', ['Amazon.com', 'Subscribe & Save', 'Amazon Business', 'Amazon Fresh'])
            AS purchase_program_name,
        chance(user_key, 'business', 0.08) AS is_business_flag,
        chance(key, 'gift', 0.07) AS is_gift_flag
    FROM conversion JOIN person ON person.user_no = conversion.user_no
    WHERE is_order AND has_user AND user_id_type = 'adUserId' AND event_dt_utc >= first_day()
        AND marketplace_name IN ('AMAZON.COM', 'AMAZON_CA')
"""

_VISITS = """
    WITH slots AS (
        SELECT day_no, unnest(counted($volume * factor)) AS n FROM days WHERE day >= first_day()
    ), visits AS (
        SELECT key_of('store visit $salt', day_no, n) AS visit_key, day_no,
               draw_user(visit_key, 1.4) AS user_no,
               tilt(visit_key, 'ingress', [4, 1, 2, 4, 0, 6, 7, 8, 9, 10, 11]) AS ingress,
               unnest(range(between_(visit_key, 'pages', 1, 3))) AS page
        FROM slots
    )
    SELECT
        visits.* EXCLUDE (user_no), xor(visit_key, hash(page)) AS key,
        same_day(moment(day_no, visit_key) + to_seconds(page * between_(visit_key, 'pace', 15, 90)),
            moment(day_no, visit_key)) AS event_dt_utc,
        ingress::VARCHAR AS ingress_type,
        CASE ingress WHEN 4 THEN (SELECT pick(visit_key, 'campaign', list(campaign_id_string ORDER BY campaign_no))
            FROM campaign WHERE period = 'Evergreen') END AS reference_id,
        CASE ingress WHEN 1 THEN 'www.google.com' WHEN 0 THEN 'www.kochblog.example' ELSE 'www.amazon.com' END
            AS referrer_domain,
        CASE WHEN chance(visit_key, 'tagged', 0.4) THEN pick(visit_key, 'channel', ['instagram-été', 'newsletter',
            'tv, spot "A"']) END AS channel,
        pick(key_of('device', visits.user_no, 0), 'device', ['Mobile', 'Desktop', 'Tablet', 'Mobile'])
            AS device_type,
        CASE WHEN chance(visit_key, 'anonymous', 0.06) THEN NULL ELSE user_id END AS user_id,
        CASE WHEN chance(visit_key, 'anonymous', 0.06) THEN NULL ELSE user_id_type END AS user_id_type,
        token(visit_key, 'visit') AS visit_id,
        token(key_of('store session', visits.user_no, day_no), 'session') AS session_id,
        brand || ' Store$suffix' AS store_name, store_id, 'AMAZON.COM' AS marketplace_name, 1 AS marketplace_id,
        (SELECT min(dsp_advertiser_id) FROM advertiser) AS advertiser_id,
        ['Home', line || ' – bestsellers', 'New & "limited"'][1 + (page + between_(visit_key, 'entry', 0, 2)) % 3]
            AS page_title,
        upper(uuid_text(key_of('store page', visits.brand_no, length(page_title)), 'page')) AS page_id,
        (3 + 240 * pow(unit(key, 'dwell'), 3))::DECIMAL(18, 1) AS dwell_time,
        visits.brand_no
    FROM (SELECT *, between_(visit_key, 'brand', 0, $brands - 1) AS brand_no FROM visits) AS visits
    JOIN person ON person.user_no = visits.user_no
    JOIN brand ON brand.brand_no = visits.brand_no
"""

_ENGAGEMENT = """
    SELECT visit.*, event[1] AS event_type, event[2] AS event_sub_type, event[3] AS widget_type,
           event[4] AS widget_sub_type,
           CASE WHEN event[3] IN ('ProductGrid', 'FeaturedDeals') THEN product.asin END AS asin
    FROM (
        SELECT *, tilt(key, 'event', [
            ['View', 'PageView', 'Header', 'HeroImage'],
            ['View', 'WidgetView', 'ProductGrid', 'Standard'],
            ['Click', 'ProductClick', 'ProductGrid', 'Standard'],
            ['Click', 'AddToCart', 'FeaturedDeals', 'Carousel'],
            ['Click', 'VideoPlay', 'Video', 'Background'],
            ['Click', 'Navigation', 'Header', 'Menu']]) AS event
        FROM store_visit_$salt
    ) AS visit
    JOIN promoted ON promoted.brand_no = visit.brand_no AND promoted.parity = visit.page % 2
    JOIN product ON product.product_no = pick(visit.key, 'product', promoted.product_nos)
"""


def build(generator: TableGenerator) -> None:
    """Publish `amazon_retail_purchases` and the brand store tables."""
    generator.publish("amazon_retail_purchases", _PURCHASES)
    for salt, ending, suffix, volume in (("own", "", "", 14), ("other", "_non_endemic", " (partner)", 4)):
        visits = _VISITS.replace("$salt", salt).replace("$suffix", suffix).replace("$volume", str(volume))
        generator.table(f"store_visit_{salt}", visits)
        generator.publish(f"amazon_brand_store_page_views{ending}", f"FROM store_visit_{salt}")
        generator.publish(f"amazon_brand_store_engagement_events{ending}", _ENGAGEMENT.replace("$salt", salt))
