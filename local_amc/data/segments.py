"""Audience segments, who is in them, and AMC's tables about both."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

REGIONS = ("amer", "eu", "apac")
KINDS = ("inmarket", "lifestyle")

# Kind, first and second level of the taxonomy, name, share of all people in percent.
_SEGMENTS = """
    SELECT
        410000 + row_number() OVER (ORDER BY segment_name) * 137 AS segment_id,
        kind, category_level_1, category_level_2, segment_name, share,
        category_level_1 || '/' || category_level_2 || '/' || segment_name AS category_path,
        CASE kind WHEN 'inmarket' THEN 'People who recently shopped for ' ELSE 'People whose habits suggest: ' END
            || lower(segment_name) AS segment_description
    FROM (VALUES
        ('inmarket', 'In-market', 'Home & Kitchen', 'IM - Coffee makers, grinders & more', 22),
        ('inmarket', 'In-market', 'Home & Kitchen', 'IM - Cookware', 30),
        ('inmarket', 'In-market', 'Sports & Outdoors', 'IM - Running shoes', 18),
        ('inmarket', 'In-market', 'Sports & Outdoors', 'IM - Camping "essentials"', 12),
        ('inmarket', 'In-market', 'Beauty', 'IM - Skin care', 25),
        ('inmarket', 'In-market', 'Beauty', 'IM - Crème & sérum', 6),
        ('inmarket', 'In-market', 'Electronics', 'IM - Headphones', 20),
        ('inmarket', 'In-market', 'Electronics', 'IM - Smart home', 14),
        ('inmarket', 'In-market', 'Pet Supplies', 'IM - Dog food', 17),
        ('inmarket', 'In-market', 'Garden', 'IM - Patio furniture', 9),
        ('inmarket', 'In-market', 'Toys', 'IM - Building toys', 11),
        ('inmarket', 'In-market', 'Automotive', 'IM - Tires', 1),
        ('lifestyle', 'Lifestyle', 'Food', 'LS - Home baristas', 15),
        ('lifestyle', 'Lifestyle', 'Food', 'LS - Plant-based cooks', 8),
        ('lifestyle', 'Lifestyle', 'Fitness', 'LS - Trail runners', 10),
        ('lifestyle', 'Lifestyle', 'Fitness', 'LS - Yoga & Pilates', 13),
        ('lifestyle', 'Lifestyle', 'Family', 'LS - Parents of toddlers', 16),
        ('lifestyle', 'Lifestyle', 'Family', 'LS - Pet owners', 35),
        ('lifestyle', 'Lifestyle', 'Entertainment', 'LS - Streaming TV fans', 40),
        ('lifestyle', 'Lifestyle', 'Entertainment', 'LS - Sci-fi readers', 7),
        ('lifestyle', 'Lifestyle', 'Home', 'LS - New movers', 4),
        ('lifestyle', 'Lifestyle', 'Home', 'LS - Do-it-yourselfers', 12),
        ('lifestyle', 'Lifestyle', 'Entertainment', 'Twitch - Sports Viewers', 14),
        ('lifestyle', 'Lifestyle', 'Entertainment', 'Twitch - Non Gaming Viewers', 9),
        ('lifestyle', 'Life event', 'Events', 'LE - Getting married soon', 3),
        ('lifestyle', 'Interests', 'Auto', 'INT - Car enthusiasts', 9)
    ) AS listed (kind, category_level_1, category_level_2, segment_name, share)
"""

# Marketplaces of each region, and how many percent of the memberships are known there as well.
_MARKETPLACES = """
    SELECT * FROM (VALUES ('amer', 1, 100), ('amer', 7, 12), ('amer', 771770, 5), ('eu', 3, 15), ('eu', 4, 15),
        ('eu', 5, 8), ('apac', 6, 12), ('apac', 111172, 6)) AS listed (region, segment_marketplace_id, present)
"""

_MEMBERSHIPS = """
    SELECT user_no, segment_id, kind, segment_name, xor(user_key, hash(segment_id)) AS key
    FROM person CROSS JOIN segment
    WHERE draw(xor(user_key, hash(segment_id)), 'member') % 100 < share
"""

_USER_SEGMENTS = """
    SELECT user_no, list(segment_id::VARCHAR ORDER BY segment_id) AS user_behavior_segment_ids
    FROM membership GROUP BY user_no
"""

_MEMBERS = """
    SELECT membership.*, segment_marketplace_id, user_id, user_id_type, last_day_() AS snapshot_datetime
    FROM membership JOIN person USING (user_no)
    JOIN segment_marketplace
        ON region = '$region' AND draw(xor(key, hash(segment_marketplace_id)), 'present') % 100 < present
    WHERE kind = '$kind'
"""

# Members on the first Thursday of every month; each month a tenth is missing.
_SNAPSHOTS = """
    WITH thursdays AS (SELECT day FROM days WHERE dayofweek(day) = 4 AND day(day) <= 7 AND day >= first_day())
    SELECT members.* EXCLUDE (snapshot_datetime), thursdays.day AS snapshot_datetime
    FROM ($members) AS members CROSS JOIN thursdays
    WHERE draw(key, 'month') % 10 <> month(thursdays.day) % 10 AND draw(key, 'logged') % 5 = 0
"""

_METADATA = """
    SELECT *, xor(hash(segment_id), hash(segment_marketplace_id)) AS key FROM segment CROSS JOIN segment_marketplace
"""


def build(generator: TableGenerator) -> None:
    """Make `segment`, `membership` and `user_segments`; publish segment tables."""
    generator.table("segment", _SEGMENTS)
    generator.table("segment_marketplace", _MARKETPLACES)
    generator.table("membership", _MEMBERSHIPS)
    generator.table("user_segments", _USER_SEGMENTS)
    generator.publish("segment_metadata", _METADATA)
    for region in REGIONS:
        for kind in KINDS:
            members = _MEMBERS.replace("$region", region).replace("$kind", kind)
            generator.publish(f"audience_segments_{region}_{kind}", members)
            generator.publish(
                f"audience_segments_{region}_{kind}_snapshot", _SNAPSHOTS.replace("$members", members)
            )
