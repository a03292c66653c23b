"""The advertiser's brands and products; every instance has its own."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_LINES = """
    SELECT * FROM (VALUES
        (1, 'Kitchen', 'Home & Kitchen', ['chef knife', 'cast iron pan', 'kitchen scale', 'salad spinner',
            'espresso cups', 'crème brûlée torch']),
        (2, 'Trail', 'Sports & Outdoors', ['trail running shoes', 'hydration vest', 'headlamp', 'trekking poles',
            'merino socks', 'running cap']),
        (3, 'Garden', 'Patio, Lawn & Garden', ['pruning shears', 'garden hose', 'raised bed', 'solar lights',
            'bird feeder', 'jalapeño seeds']),
        (4, 'Coffee', 'Grocery & Gourmet Food', ['whole bean coffee', 'cold brew', 'café au lait bowl',
            'pour over kettle', 'coffee filters', 'decaf espresso']),
        (5, 'Beauty', 'Beauty & Personal Care', ['vitamin c serum', 'sunscreen spf 50', 'hair mask',
            'crème de nuit', 'lip balm', 'makeup remover']),
        (6, 'Pets', 'Pet Supplies', ['dog harness', 'cat fountain', 'dental chews', 'litter mat', 'slow feeder',
            'piñata dog toy']),
        (7, 'Kids', 'Toys & Games', ['wooden blocks', 'balance bike', 'watercolor set', '100 piece puzzle',
            'doll house', 'science kit']),
        (8, 'Audio', 'Electronics', ['wireless earbuds', 'bluetooth speaker', 'usb c cable', 'sound bar',
            'turntable', 'microphone stand'])
    ) AS lines (line_no, line, category, keywords)
"""

# Every instance has the first line; campaigns begin with the line's name.
_BRANDS = """
    WITH named AS (
        SELECT row_number() OVER (ORDER BY draw(key_of('brand name', hash(name) >> 2, 0), 'order')) - 1 AS brand_no,
               name AS brand
        FROM (SELECT unnest(['Northwind', 'Kaffeehaus', 'Hikari', 'Älvdal', 'Peña Alta', 'Bright & Bold', 'Lumen',
            'O''Hara''s', 'Tidewater', 'Quill', 'Maison Éclair', 'Fjordlys', 'Sundial', 'Copper Kettle']) AS name)
    ), lined AS (
        SELECT
            row_number() OVER (ORDER BY line_no > 1, draw(key_of('brand line', line_no, 0), 'order')) - 1 AS brand_no,
            *
        FROM product_line
    )
    SELECT brand_no, brand, line, category, keywords,
           'store-' || uuid_text(key_of('store', brand_no, 0), 'store') AS store_id
    FROM named JOIN lined USING (brand_no)
    WHERE brand_no < $brands
"""

# Every other product of a brand is promoted by a campaign with an even number, the rest by the odd ones.
_PRODUCTS = """
    SELECT
        product_no,
        product_no % $brands AS brand_no,
        product_no // $brands AS place_in_brand,
        place_in_brand % 2 AS parity,
        key_of('product', product_no, 0) AS product_key,
        'B0' || code(product_key, 'asin', 8) AS asin,
        'B0' || code(key_of('parent', brand_no, place_in_brand // 4), 'asin', 8) AS asin_parent,
        keywords[1 + place_in_brand % len(keywords)] AS keyword,
        brand || ' ' || keyword || pick(product_key, 'variant', [', black', ', 2 pack', ' "Pro"', ' – größer', ', L',
            ' for home & travel']) AS product_name,
        (between_(product_key, 'price', 7, 119) + 0.99)::DECIMAL(18, 4) AS price
    FROM range($products) AS numbers (product_no)
    JOIN brand ON brand.brand_no = numbers.product_no % $brands
"""

# To draw from: the products of a brand that campaigns of one parity promote.
_PROMOTED = """
    SELECT brand_no, parity, list(product_no ORDER BY product_no) AS product_nos
    FROM product GROUP BY ALL
"""


def build(generator: TableGenerator) -> None:
    """Make `brand`, `product` and `promoted`."""
    generator.table("product_line", _LINES)
    generator.table("brand", _BRANDS)
    generator.table("product", _PRODUCTS)
    generator.table("promoted", _PROMOTED)
