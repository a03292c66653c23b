"""Prime Video Channels: who subscribed to a channel and what they watched."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_CHANNELS = """
    SELECT * FROM (VALUES
        (1, 'Kulinaria+', 5.99), (2, 'Peak Sports "Live"', 9.99), (3, 'Cinéma Minuit', 7.49), (4, 'Little Foxes', 3.99)
    ) AS listed (channel_no, channel, monthly_price)
"""

_TITLES = """
    SELECT * FROM (VALUES
        (1, 1, 'TV Episode', 'Series', 'The Salt Road', 'Brine', '1', '3', ['Documentary', 'Food'], NULL, 'TV-PG'),
        (2, 1, 'TV Episode', 'Series', 'Der kleine Herd', 'Käse, Brot und Öl', '2', '1', ['Food'], NULL, 'TV-G'),
        (3, 1, 'Movie', 'Feature Film', 'Espresso at Dawn', 'Espresso at Dawn', NULL, NULL, ['Drama'], NULL, 'PG-13'),
        (4, 2, 'Live Event', 'Sports Event', 'Harbor City at Lakeside', 'Harbor City at Lakeside', NULL, NULL,
            ['Sports'], 'Soccer', 'TV-G'),
        (5, 2, 'Live Event', 'Sports Event', 'Alpine Trail Final', 'Alpine Trail Final', NULL, NULL, ['Sports'],
            'Trail running', 'TV-G'),
        (6, 2, 'TV Episode', 'Series', 'Locker Room Talk', 'Overtime', '4', '12', ['Sports', 'Talk'], NULL, 'TV-14'),
        (7, 3, 'Movie', 'Feature Film', 'La Fenêtre jaune', 'La Fenêtre jaune', NULL, NULL, ['Drama', 'Romance'],
            NULL, 'R'),
        (8, 3, 'Movie', 'Short Film', 'Nine Minutes', 'Nine Minutes', NULL, NULL, ['Thriller'], NULL, 'NR'),
        (9, 3, 'Promotion', 'Promotion', 'Cinéma Minuit: autumn', 'Cinéma Minuit: autumn', NULL, NULL, ['Promo'],
            NULL, 'NR'),
        (10, 4, 'TV Episode', 'Educational', 'Fox & Fern', 'The "big" puddle', '1', '7', ['Kids', 'Animation'], NULL,
            'TV-Y')
    ) AS listed (title_no, channel_no, pv_gti_content_type, pv_gti_content_entity_type, pv_gti_series_or_movie_name,
                 pv_gti_title_name, pv_gti_season, pv_gti_episode, pv_gti_genre, pv_gti_event_sport,
                 pv_gti_content_rating)
"""

# A trial of a week, then a paid month, and some stay; each interval is a row.
_ENROLLMENTS = """
    WITH starts AS (
        SELECT day, key_of('enrolment', day_no, n) AS start_key,
               draw_user(start_key, 1.2) AS user_no,
               pick(start_key, 'channel', [1, 2, 3, 4]) AS channel_no,
               CASE WHEN chance(start_key, 'trial', 0.6) THEN 0 ELSE 1 END AS first_step,
               between_(start_key, 'steps', 0, 3) AS steps
        FROM (
            SELECT day, date_diff('day', DATE '1970-01-01', day) AS day_no, unnest(range(6)) AS n
            -- Further back than other things: an interval can begin this long after the start of its subscription.
            FROM (SELECT unnest(generate_series(first_day() - 100, last_day_(), INTERVAL 1 DAY))::DATE AS day)
        )
    ), intervals AS (
        SELECT *, unnest(generate_series(first_step, first_step + steps)) AS step FROM starts
    )
    SELECT
        xor(start_key, hash(step)) AS key, user_id, user_id_type, 'AMAZON.COM' AS marketplace_name,
        1 AS marketplace_id, 'benefit-' || channel_no AS pv_benefit_id, channel AS pv_benefit_name,
        channel || ' monthly' AS pv_subscription_name, 'product-' || channel_no AS pv_subscription_product_id,
        token(start_key, 'subscription') AS pv_subscription_id,
        token(key, 'enrolment event') AS pv_sub_event_primary_key,
        CASE step WHEN 0 THEN 'FREE_TRIAL' ELSE 'SUBSCRIPTION' END AS pv_billing_type,
        CASE step WHEN 0 THEN 0 ELSE monthly_price END AS pv_unit_price,
        CASE step WHEN 0 THEN channel || ', 7 days "free"' ELSE channel || ' – standard' END AS pv_offer_name,
        day + (CASE step WHEN 0 THEN 0 ELSE 7 * (1 - first_step) + 30 * (step - 1) END)::INTEGER
            AS pv_start_date,
        pv_start_date + CASE step WHEN 0 THEN 7 ELSE 30 END AS pv_end_date,
        step = first_step AS pv_is_plan_start,
        step = 1 AND first_step = 0 AS pv_is_plan_conversion,
        step = first_step + steps AS pv_is_latest_record,
        step = 0 OR chance(key, 'promo', 0.1) AS pv_is_promo,
        CASE WHEN step < first_step + steps THEN 'RENEWED' ELSE tilt(start_key, 'status', ['ACTIVE', 'CANCELLED',
            'EXPIRED']) END AS pv_enrollment_status
    FROM intervals JOIN person USING (user_no) JOIN channel_ USING (channel_no)
    WHERE pv_start_date BETWEEN first_day() AND last_day_()
"""

_STREAMS = """
    WITH slots AS (
        SELECT key_of('stream', day_no, n) AS key, day_no,
               draw_user(key, 1.3) AS user_no,
               tilt(key, 'title', range(1, 11)) AS title_no
        FROM (SELECT day_no, unnest(counted(18 * factor)) AS n FROM days
              WHERE day >= first_day())
    )
    SELECT
        slots.*, title.* EXCLUDE (title_no, channel_no), channel, person.user_id, user_id_type,
        moment(day_no, key) AS pv_playback_dt_utc,
        'AMAZON.COM' AS marketplace_name, 1 AS marketplace_id, title.title_no::UBIGINT AS title_key,
        pick(title_key, 'cast', [['Ada Novák', 'Léa Martin'], ['Sam "Red" O''Neil'], ['Yuki Sato', 'Ana Peña']])
            AS pv_gti_cast,
        pick(title_key, 'director', [['Jo Lindström'], ['Kofi Mensah', 'Eva Ruiz']]) AS pv_gti_director,
        pick(title_key, 'studio', ['Lantern Films', 'Studio Nørd', 'Two Rivers']) AS pv_gti_studio,
        DATE '2019-03-01' + between_(title_key, 'release', 0, 1500)::INTEGER AS pv_gti_release_date,
        CASE WHEN pv_gti_event_sport IS NOT NULL THEN pv_gti_title_name END AS pv_gti_event_name,
        CASE WHEN pv_gti_event_sport IS NOT NULL THEN 'Coastal League' END AS pv_gti_event_league,
        CASE WHEN pv_gti_event_sport IS NOT NULL THEN tilt(key, 'context', ['Regular season', 'Playoffs', 'Final']) END
            AS pv_gti_event_context,
        CASE WHEN pv_gti_event_sport IS NOT NULL THEN tilt(key, 'item', ['Match', 'Highlights']) END
            AS pv_gti_event_item,
        pv_gti_event_sport IS NOT NULL AND chance(key, 'live', 0.7) AS pv_gti_is_live,
        CASE WHEN pv_gti_is_live THEN 'live-event' ELSE tilt(key, 'stream', ['VOD', 'VOD', 'linear TV']) END
            AS pv_stream_type,
        CASE WHEN pv_gti_content_type = 'Promotion' THEN 'promo' WHEN pv_gti_is_live THEN 'live'
            ELSE tilt(key, 'material', ['full', 'full', 'full', 'trailer']) END AS pv_material_type,
        tilt(key, 'access', ['prime subscription', 'free', 'purchase', 'rental']) AS pv_access_type,
        tilt(key, 'access', ['prime', 'free', 'purchase', 'rental']) AS pv_offer_group,
        pv_access_type = 'free' AS pv_is_avod, pv_access_type = 'prime subscription' AS pv_is_svod,
        chance(key, 'channels', 0.8) AS pv_is_channels, chance(key, 'initiated', 0.9) AS pv_is_user_initiated,
        round(30 + 5400 * pow(unit(key, 'seconds'), 2), 1) AS pv_seconds_viewed,
        token(key, 'session') AS pv_session_id,
        'B0' || code(title_key, 'asin', 8) AS pv_streaming_asin,
        'amzn1.dv.gti.' || uuid_text(title_key, 'gti') AS pv_streaming_gti,
        iso_country_code AS pv_streaming_geo_country,
        tilt(key, 'language', ['en-US', 'es-US', 'fr-CA', 'de-DE']) AS pv_streaming_language
    FROM slots JOIN title ON title.title_no = slots.title_no JOIN channel_ USING (channel_no)
    JOIN person ON person.user_no = slots.user_no
"""


def build(generator: TableGenerator) -> None:
    """Publish the tables of Prime Video Channels."""
    generator.table("channel_", _CHANNELS)
    generator.table("title", _TITLES)
    generator.publish("amazon_pvc_enrollments", _ENROLLMENTS)
    generator.publish("amazon_pvc_streaming_events_feed", _STREAMS)
