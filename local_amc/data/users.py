"""The people of an instance: who they are, where they live, which devices they use."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

_DEVICES = """
    SELECT * FROM (VALUES
        (1, 'Phone', 'Apple', 'iPhone', 'iOS', '17.5.1', 'Mobile Safari', 'Web', 'smartphone'),
        (2, 'Phone', 'APPLE', 'iPhone 15', 'iOS', '18.1', 'iOS WebView', 'App', 'smartphone'),
        (3, 'Phone', 'Samsung', 'GALAXY S23', 'Android', '14', 'Android App', 'App', 'smartphone'),
        (4, 'Phone', 'SAMSUNG', 'GALAXY A54', 'Android', '13', 'Chrome', 'Web', 'smartphone'),
        (5, 'Phone', 'Google', 'Pixel 8', 'Android', '15', 'Chrome', 'Web', 'smartphone'),
        (6, 'Tablet', 'Amazon', 'Fire HD 10', 'Fire OS', '8.3', 'Silk', 'Web', 'tablet'),
        (7, 'Tablet', 'Apple', 'iPad', 'iOS', '17.4', 'Safari', 'Web', 'tablet'),
        (8, 'PC', 'Generic', 'PC', 'Windows', '11', 'Chrome', 'Web', 'desktop'),
        (9, 'PC', 'Generic', 'PC', 'Windows', '10', 'Edge', 'Web', 'desktop'),
        (10, 'PC', 'Apple', 'Mac', 'macOS', '14.6', 'Safari', 'Web', 'desktop'),
        (11, 'PC', 'UNKNOWN', 'PC', 'Linux', '6.8', 'Firefox', 'Web', 'desktop'),
        (12, 'TV', 'Amazon', 'Fire TV Stick 4K', 'Fire OS', '7.6', 'Fire TV App', 'App', 'connected tv'),
        (13, 'TV', 'ROKU', 'Roku Ultra', 'Roku OS', '12.5', 'Roku App', 'App', 'connected tv'),
        (14, 'TV', 'SAMSUNG', 'QLED 2022', 'Tizen', '6.5', 'Tizen App', 'App', 'connected tv'),
        (15, 'ConnectedDevice', 'Amazon', 'Echo Show 8', 'Fire OS', '7.5', 'Alexa App', 'App', 'speaker'),
        (16, 'ConnectedDevice', 'Sony', 'PlayStation 5', 'Orbis OS', '23.2', 'PlayStation App', 'App', 'console'),
        (17, 'Unknown', 'UNKNOWN', 'UNKNOWN', 'Other', NULL, 'Other', NULL, 'unknown'),
        (18, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'unknown')
    ) AS devices (device_no, device_type, device_make, device_model, operating_system, os_version, browser_family,
                  environment_type, ad_server_device)
"""

# Number, country, state, city, first digits of the postal code, market area.
_PLACES = """
    SELECT
        *, iso_country_code || '-' || state AS iso_state_province_code,
        CASE WHEN dma IS NOT NULL THEN 'US-DMA' || dma END AS dma_code
    FROM (VALUES
        (1, 'US', 'NY', 'New York', '100', 501), (2, 'US', 'CA', 'Los Angeles', '900', 803),
        (3, 'US', 'IL', 'Chicago', '606', 602), (4, 'US', 'TX', 'Houston', '770', 618),
        (5, 'US', 'TX', 'Dallas', '752', 623), (6, 'US', 'PA', 'Philadelphia', '191', 504),
        (7, 'US', 'CA', 'San Francisco', '941', 807), (8, 'US', 'WA', 'Seattle', '981', 819),
        (9, 'US', 'GA', 'Atlanta', '303', 524), (10, 'US', 'MA', 'Boston', '021', 506),
        (11, 'US', 'AZ', 'Phoenix', '850', 753), (12, 'US', 'FL', 'Miami', '331', 528),
        (13, 'US', 'CO', 'Denver', '802', 751), (14, 'US', 'MN', 'Minneapolis', '554', 613),
        (15, 'US', 'OR', 'Portland', '972', 820), (16, 'US', 'NC', 'Charlotte', '282', 517),
        (17, 'US', 'NC', 'Greensboro', '274', 518), (18, 'US', 'CA', 'La Cañada Flintridge', '910', 803),
        (19, 'US', 'NM', 'Española', '875', 790), (20, 'CA', 'ON', 'Toronto', 'M5V', NULL),
        (21, 'CA', 'QC', 'Montréal', 'H2Y', NULL), (22, 'CA', 'QC', 'Trois-Rivières', 'G9A', NULL)
    ) AS places (place_no, iso_country_code, state, city_name, postal_start, dma)
"""

_USERS = """
    SELECT
        user_no,
        user_key,
        pick(user_key, 'type', list_concat(list_resize(['adUserId'], 16, 'adUserId'),
             ['sisDeviceId', 'sisDeviceId', 'adBrowserId', 'adBrowserId'])) AS user_id_type,
        'amzn1.' || CASE user_id_type WHEN 'adUserId' THEN 'user.' WHEN 'sisDeviceId' THEN 'device.'
             ELSE 'browser.' END || upper(token(user_key, 'id')) AS user_id,
        'amzn1.dev.' || token(user_key, 'device') AS device_id,
        place.* EXCLUDE (place_no, state, dma, postal_start),
        concat(iso_country_code, '-', place.postal_start, CASE iso_country_code WHEN 'US'
            THEN tilt(user_key, 'postal', ['01', '12', '25', '60', '87']) END) AS postal_code
    FROM (
        SELECT user_no, key_of('user', user_no, 0) AS user_key, tilt(user_key, 'place', range(1, 23)) AS at_place
        FROM range($users) AS numbers (user_no)
    ) JOIN place ON place.place_no = at_place
"""


def build(generator: TableGenerator) -> None:
    """Make `device`, `place` and `person`."""
    generator.table("device", _DEVICES)
    generator.table("place", _PLACES)
    generator.table("person", _USERS)
