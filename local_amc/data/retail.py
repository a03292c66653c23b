"""Retail purchases: every order in Amazon's store, after an ad or not."""

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


def build(generator: TableGenerator) -> None:
    """Publish `amazon_retail_purchases`."""
    generator.publish("amazon_retail_purchases", _PURCHASES)
