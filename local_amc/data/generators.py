"""Where the data are made: repeatable draws as SQL macros, working tables, and the finished tables of AMC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb

from amc_facts.tables import RETIRED_COLUMNS, TABLES, Column
from local_amc.data import generic

# Traffic of the days before the range is made too, because it causes conversions within it.
LEAD_IN_DAYS = 30

# The size of an instance's world.
USERS, BRANDS, PRODUCTS = 6000, 3, 40

# How much happens in each hour of the day, in UTC: evenings in America are busy, mornings are not.
_HOURS = (9, 9, 8, 6, 4, 2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 7, 7, 8, 9)

# Days on which everybody shops, so that some days have enough people to be seen one by one.
_EVENT_DAYS = ("07-15", "07-16", "11-28", "11-29")

# Draws are salted by XOR and then mixed by another hash(): hash() of several arguments alone would make the draws of
# one row depend on each other. They are functions of the row's key only, so neither threads nor row order matter.
_MACROS = {
    "key_of(kind, a, b)": "hash(xor(hash(xor(hash(xor(hash($seed::BIGINT), hash(kind))), hash(a::BIGINT))), "
    "hash(b::BIGINT)))",
    "draw(k, salt)": "hash(xor(k, hash(salt)))",
    "unit(k, salt)": "(draw(k, salt) >> 11)::DOUBLE / 9007199254740992",
    "chance(k, salt, p)": "unit(k, salt) < p",
    "between_(k, salt, low, high)": "low + (draw(k, salt) % (high - low + 1)::UBIGINT)::BIGINT",
    "pick(k, salt, choices)": "choices[1 + (draw(k, salt) % len(choices))::BIGINT]",
    # The first choices are much more frequent than the last ones.
    "tilt(k, salt, choices)": "choices[1 + floor(pow(unit(k, salt), 2) * len(choices))::BIGINT]",
    # 17 or 18 digits, more than a floating-point number can hold.
    "long_id(k, salt)": "20000000000000000 + (draw(k, salt) % 800000000000000000)::BIGINT",
    "short_id(k, salt, digits)": "lpad((draw(k, salt) % (10 ^ digits)::UBIGINT)::VARCHAR, digits, '0')",
    "code(k, salt, length)": "to_base((draw(k, salt) % (36 ^ length)::UBIGINT)::BIGINT, 36, length)",
    "token(k, salt)": "to_hex(draw(k, salt))",
    "uuid_text(k, salt)": "regexp_replace(md5(concat(k, salt)), '(.{8})(.{4})(.{4})(.{4})(.{12})', "
    r"'\1-\2-\3-\4-\5')",
    "moment(day_no, k)": "make_timestamp(day_no * 86400000000 + pick(k, 'hour', $hours) * 3600000000 + "
    "(draw(k, 'ms') % 3600000)::BIGINT * 1000)",
    # All advertisers live in zones with New York's rules.
    "local_time(utc)": "timezone('America/New_York', utc AT TIME ZONE 'UTC')",
    "from_local(dt)": "timezone('UTC', dt AT TIME ZONE 'America/New_York')",
    # Clicks and views never slip into the next day, so that a day is complete in itself.
    "same_day(later, dt)": "least(later, date_trunc('day', dt) + INTERVAL '23:59:59.999')",
    "counted(amount)": "range(floor(amount)::BIGINT)",
    # The higher `tilted`, the more often it is the same people.
    "draw_user(k, tilted)": "floor(pow(unit(k, 'user'), tilted) * $users)::BIGINT",
    "first_day()": "$first_day::DATE",
    "last_day_()": "$last_day::DATE",
    "has_type(name)": "list_contains($types, name)",
}

_DAYS = """
    SELECT
        day,
        date_diff('day', DATE '1970-01-01', day) AS day_no,
        key_of('day', date_diff('day', DATE '1970-01-01', day), 0) AS day_key,
        [1.15, 0.90, 0.85, 0.90, 0.95, 1.05, 1.20][1 + dayofweek(day)]
            * [0.95, 0.90, 0.95, 1.0, 1.0, 0.95, 1.15, 0.95, 1.0, 1.05, 1.25, 1.2][month(day)]
            * (0.75 + 0.25 * unit(day_key, 'noise'))
            * CASE WHEN strftime(day, '%m-%d') IN $event_days THEN 5 ELSE 1 END AS factor
    FROM (SELECT unnest(generate_series(first_day() - $lead_in::INTEGER, last_day_(), INTERVAL 1 DAY))::DATE AS day)
"""


class TableGenerator:
    """Makes working tables and publishes finished ones in schema `raw`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        seed: int,
        first_day: date,
        last_day: date,
        types: frozenset[str],
    ) -> None:
        self._connection = connection
        self._types = types
        self._tables: list[str] = []
        self._published: set[str] = set()
        self._constants = {
            "$seed": str(int(seed)),
            "$hours": str([hour for hour, weight in enumerate(_HOURS) for _ in range(weight)]),
            "$event_days": str(_EVENT_DAYS),
            "$first_day": f"'{first_day.isoformat()}'",
            "$last_day": f"'{last_day.isoformat()}'",
            "$types": f"{sorted(types)}::VARCHAR[]",
            "$lead_in": str(LEAD_IN_DAYS),
            "$users": str(USERS),
            "$brands": str(BRANDS),
            "$products": str(PRODUCTS),
        }

    def open(self) -> None:
        """Set up macros, the table of days and an empty schema."""
        for head, body in _MACROS.items():
            self._connection.execute(f"CREATE OR REPLACE TEMP MACRO {head} AS {self._fill(body)}")
        self._connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
        self._connection.execute("CREATE SCHEMA raw")
        self.table("days", _DAYS)

    def table(self, name: str, query: str) -> None:
        """Make working table `name`, which is gone when the generator closes."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {self._fill(query)}")
        self._tables.append(name)

    def publish(self, name: str, source: str, **expressions: str) -> None:
        """Create AMC's table `name` from the rows of query `source`.

        A column's value is, in this order: the expression given; the source's column of that name; a part of the
        source's time column; something generic that fits its name and type. The source has a column `key` to draw
        from.
        """
        table = TABLES[name]
        if table.advertiser_type and table.advertiser_type not in self._types:
            self._publish_empty(name)
            return
        source = self._fill(source)
        columns = self._connection.execute(f"DESCRIBE {source}").fetchall()
        known = {column[0]: column[0] for column in columns} | expressions
        values = ",\n".join(
            f'CAST({generic.value(column, known)} AS {column.type}) AS "{column.name}"'
            for column in _columns(name)
        )
        self._connection.execute(f"CREATE OR REPLACE TABLE raw.{name} AS SELECT {values} FROM ({source}) AS made")
        self._published.add(name)

    def publish_missing(self) -> None:
        """Create the tables nothing was published for, without rows."""
        for name in TABLES:
            if name not in self._published:
                self._publish_empty(name)

    def close(self) -> None:
        """Drop working tables and macros."""
        for name in self._tables:
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        for head in _MACROS:
            self._connection.execute(f"DROP MACRO IF EXISTS temp.{head.partition('(')[0]}")

    def _publish_empty(self, name: str) -> None:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in _columns(name))
        self._connection.execute(f"CREATE OR REPLACE TABLE raw.{name} ({columns})")
        self._published.add(name)

    def _fill(self, text: str) -> str:
        for name, value in self._constants.items():
            text = text.replace(name, value)
        return text


def _columns(name: str) -> list[Column]:
    retired: Mapping[str, Column] = RETIRED_COLUMNS.get(name, {})
    return [*TABLES[name].columns.values(), *retired.values()]
