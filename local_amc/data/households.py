"""What partners and Amazon know about households: vehicles saved, vehicles bought, groceries bought."""

from __future__ import annotations

from local_amc.data.generators import TableGenerator

# Real makes and models: published queries filter by them.
_VEHICLES = """
    SELECT * FROM (VALUES
        (1, 'Toyota', 'RAV4', 'SUV', 'Mainstream', 'Hybrid', 'XLE', '2.5L L4', 'AWD'),
        (2, 'Ford', 'F-150', 'Truck', 'Mainstream', 'Gas', 'Lariat', '3.5L V6', '4WD'),
        (3, 'Honda', 'Civic', 'Car', 'Economy', 'Gas', 'EX', '2.0L L4', 'FWD'),
        (4, 'Chevrolet', 'Silverado', 'Truck', 'Mainstream', 'Diesel', 'LT', '3.0L L6', '4WD'),
        (5, 'BMW', 'X5', 'SUV', 'Luxury', 'Gas', 'xDrive40i', '3.0L L6', 'AWD'),
        (6, 'Audi', 'A4', 'Car', 'Luxury', 'Gas', 'Premium', '2.0L L4', 'AWD'),
        (7, 'Mercedes-Benz', 'GLC', 'SUV', 'Luxury', 'Gas', '300', '2.0L L4', 'RWD'),
        (8, 'Lexus', 'RX 350', 'SUV', 'Luxury', 'Hybrid', 'F Sport', '3.5L V6', 'AWD'),
        (9, 'Tesla', 'Model Y', 'SUV', 'Luxury', 'Electric', 'Long Range', 'Electric', 'AWD'),
        (10, 'Acura', 'MDX', 'SUV', 'Luxury', 'Gas', 'Technology', '3.5L V6', 'AWD'),
        (11, 'Citroën', '2CV', 'Car', 'Classic', 'Gas', 'Charleston', '0.6L H2', 'FWD'),
        (12, 'Yamaha', 'MT-07', 'Motorcycle', 'Sport', 'Gas', 'Standard', '0.7L L2', 'RWD')
    ) AS listed (vehicle_no, make, model, vehicle_type, vehicle_class, fuel, submodel, engine, drivetype)
"""

_GARAGE = """
    SELECT
        key_of('garage', user_no, nth) AS key, user_id, user_id_type,
        vehicle.vehicle_type, make AS garage_make, model AS garage_model, submodel AS garage_submodel,
        engine AS garage_engine, drivetype AS garage_drivetype,
        CASE iso_country_code WHEN 'CA' THEN 'AMAZON_CA' ELSE tilt(key, 'marketplace', ['AMAZON.COM', 'AMAZON.COM',
            'AMAZON.COM', 'AMAZON.COM.MX']) END AS marketplace_name,
        (2024 - floor(pow(unit(key, 'year'), 2) * 22)::INTEGER)::VARCHAR AS garage_year,
        pick(key, 'body', ['Sport Utility', 'Sedan', 'Crew Cab Pickup', 'Hatchback']) AS garage_bodystyle,
        tilt(key, 'transmission', ['Automatic', 'Manual', 'CVT']) AS garage_transmission,
        pick(key, 'brakes', ['4-Wheel ABS', 'Disc/Disc', 'Disc/Drum']) AS garage_brakes,
        DATE '2021-01-01' + between_(key, 'created', 0, 1400)::INTEGER AS creation_date,
        creation_date + between_(key, 'updated', 0, 200)::INTEGER AS update_date,
        update_date + between_(key, 'accessed', 0, 200)::INTEGER AS last_accessed_date
    FROM person CROSS JOIN (SELECT unnest([0, 1]) AS nth)
    JOIN vehicle ON vehicle_no = tilt(key_of('garage', user_no, nth), 'vehicle', range(1, 13))
    WHERE chance(key_of('garage', user_no, nth), 'owns', CASE nth WHEN 0 THEN 0.5 ELSE 0.15 END)
"""

_PURCHASES = """
    SELECT
        key, day AS purchase_date, CASE WHEN chance(key, 'new', 0.55) THEN 'N' ELSE 'U' END AS new_or_used,
        vehicle.vehicle_type, make AS vehicle_make, model AS vehicle_model, vehicle_class,
        fuel AS vehicle_fuel_type, year(day)::INTEGER - CASE new_or_used WHEN 'N' THEN 0
            ELSE between_(key, 'age', 1, 12) END AS vehicle_model_year,
        pick(key, 'dealer', ['Lakeside Motors', 'O''Brien & Söhne', 'Autohaus "West", Inc.', 'Prairie Auto'])
            AS reported_dealership,
        split_part(iso_state_province_code, '-', 2) AS vehicle_registered_state,
        CASE WHEN chance(key, 'anonymous', 0.05) THEN NULL ELSE user_id END AS user_id,
        CASE WHEN chance(key, 'anonymous', 0.05) THEN NULL ELSE user_id_type END AS user_id_type
    FROM (
        SELECT day, key_of('vehicle', day_no, n) AS key
        FROM (SELECT day, day_no, unnest(counted(6 * factor)) AS n FROM days
              WHERE day >= first_day())
    )
    JOIN person ON person.user_no = draw_user(key, 1.2)
    JOIN vehicle ON vehicle_no = tilt(key, 'vehicle', range(1, 13))
"""

# Weeks end on Saturdays.
_GROCERIES = """
    SELECT
        key, day AS week_end_dt, goods[1] AS department, goods[2] AS super_category, goods[3] AS category,
        goods[1] || ' > ' || goods[2] || ' > ' || goods[3] AS product_category,
        brand_name AS brand, brand_name || tilt(key, 'sub brand', [' Original', ' Light', ' "Bio"', ' Kids'])
            AS sub_brand,
        tilt(key, 'quantity', [1, 1, 2, 3, 4]) AS purchase_quantity,
        purchase_quantity * (between_(key, 'price', 150, 1800) / 100.0) AS purchase_dollar_amount,
        token(key, 'purchase') AS household_purchase_id,
        token(key_of('household', person.user_no // 2, 0), 'household') AS ncs_household_id, user_id, user_id_type
    FROM (
        SELECT day, key_of('groceries', day_no, n) AS key, pick(key, 'goods', [
                   ['Grocery', 'Beverages', 'Coffee'], ['Grocery', 'Beverages', 'Tea & Infusions'],
                   ['Grocery', 'Snacks', 'Chocolate'], ['Dairy', 'Cheese', 'Soft cheese'],
                   ['Health & Beauty', 'Skin care', 'Sun care'], ['Household', 'Cleaning', 'Dish soap'],
                   ['Pet', 'Pet food', 'Dry dog food']]) AS goods,
               CASE WHEN chance(key, 'own brand', 0.5) THEN (SELECT pick(key, 'which', list(brand ORDER BY brand_no))
                   FROM brand) ELSE pick(key, 'rival brand', ['Maple Row', 'Señor Nacho', 'Weiß & Co.', 'Plain']) END
                   AS brand_name
        FROM (SELECT day, day_no, unnest(range(150)) AS n FROM days WHERE dayofweek(day) = 6 AND day >= first_day())
    )
    JOIN person ON person.user_no = draw_user(key, 1.3)
"""


def build(generator: TableGenerator) -> None:
    """Publish garage, vehicle purchases and groceries."""
    generator.table("vehicle", _VEHICLES)
    generator.publish("amazon_your_garage", _GARAGE)
    generator.publish("experian_vehicle_purchases", _PURCHASES)
    generator.publish("ncs_cpg_insights_stream", _GROCERIES)
