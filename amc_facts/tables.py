"""AMC's tables: columns with type and aggregation threshold, event-time column, who has data in them.

Source: the data source pages of Amazon's AMC documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from amc_facts.descriptions import describe, describe_table

DISPLAY = "DISPLAY"
SPONSORED_ADS = "SPONSORED_ADS"

# Distinct users an output row needs per threshold; a column of the last two levels is never in an output.
MINIMUM_USERS = {"NONE": 1, "LOW": 2, "MEDIUM": 100, "HIGH": 100}
# Where so many distinct users are needed, so many must add to each total (AMC says 10 in its one example), and no user
# may add more than its share of so many.
MINIMUM_EFFECTIVE_USERS = {1: 1, 2: 2, 100: 10}
MINIMUM_EQUIVALENT_USERS = {1: 1, 2: 2, 100: 2}
THRESHOLDS = ("NONE", "LOW", "MEDIUM", "HIGH", "VERY_HIGH", "INTERNAL")
NEVER_IN_OUTPUT = frozenset({"VERY_HIGH", "INTERNAL"})
# A literal may not be compared with columns of these levels.
NO_LITERALS = frozenset({"HIGH", "VERY_HIGH", "INTERNAL"})

AUDIENCE_SUFFIX = "_for_audiences"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `type` in DuckDB's words, `kind` DIMENSION or METRIC, `threshold` one of THRESHOLDS.

    `description` says what it holds; uploaded ones have none.
    """

    name: str
    type: str
    kind: str
    threshold: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `time_column` is what a time window filters, `advertiser_type` the type that has data in it."""

    name: str
    columns: Mapping[str, Column]
    time_column: str | None
    advertiser_type: str | None
    description: str = ""

    @property
    def is_in_sandbox(self) -> bool:
        """Return whether instances of type SANDBOX have it: they have no ad server tables."""
        return not self.name.startswith("adserver_")

    @property
    def has_users(self) -> bool:
        """Return whether rows belong to users, so that thresholds apply."""
        return "user_id" in self.columns


# Old names that published queries still use; AMC went on accepting them.
RETIRED_TABLES = MappingProxyType(
    {
        "display_impressions": "dsp_impressions",
        "display_impressions_by_matched_segments": "dsp_impressions_by_matched_segments",
        "display_impressions_by_user_segments": "dsp_impressions_by_user_segments",
        "display_clicks": "dsp_clicks",
        "conversions_non_ad_exposed": "conversions_all",
        "amazon_attributed_conversions_by_conversion_time": "amazon_attributed_events_by_conversion_time",
        "amazon_attributed_conversions_by_traffic_time": "amazon_attributed_events_by_traffic_time",
    }
)

_WINNING_BID = Column("winning_bid_cost", "BIGINT", "METRIC", "NONE")
_STORE = (
    Column("marketplace_name", "VARCHAR", "DIMENSION", "LOW"),
    Column("store_id", "VARCHAR", "DIMENSION", "LOW"),
)
RETIRED_COLUMNS: Mapping[str, Mapping[str, Column]] = MappingProxyType(
    {
        "dsp_impressions": {_WINNING_BID.name: _WINNING_BID},
        "amazon_attributed_events_by_conversion_time": {_WINNING_BID.name: _WINNING_BID},
        "amazon_attributed_events_by_traffic_time": {_WINNING_BID.name: _WINNING_BID},
        "amazon_brand_store_page_views": {column.name: column for column in _STORE},
        "amazon_brand_store_page_views_non_endemic": {column.name: column for column in _STORE},
    }
)

# By the longest name that fits the beginning of a table's name; None: the window does not filter it.
_TIME_COLUMNS = {
    "dsp_impressions": "impression_dt_utc",
    "dsp_video_events_feed": "impression_dt_utc",
    "dsp_clicks": "click_dt_utc",
    "dsp_views": "event_dt_utc",
    "sponsored_ads_traffic": "event_dt_utc",
    "conversions": "event_dt_utc",
    "amazon_brand_store": "event_dt_utc",
    "adserver": "event_dt_utc",
    "amazon_attributed_events_by_conversion_time": "conversion_event_dt_utc",
    "amazon_attributed_events_by_traffic_time": "traffic_event_dt_utc",
    "amazon_retail_purchases": "purchase_dt_utc",
    "amazon_pvc_streaming_events_feed": "pv_playback_dt_utc",
    "amazon_pvc_enrollments": "pv_start_date",
    "experian_vehicle_purchases": "purchase_date",
    "ncs_cpg_insights_stream": "week_end_dt",
}
_ADVERTISER_TYPES = {"dsp_": DISPLAY, "adserver_": DISPLAY, "sponsored_ads_": SPONSORED_ADS}


def is_audience_table(name: str) -> bool:
    """Return whether a table is the twin that only audience queries may read."""
    return name.endswith(AUDIENCE_SUFFIX)


def _load() -> dict[str, Table]:
    raw = json.loads(Path(__file__).with_name("tables.json").read_text())
    return {name: _table(name, columns) for name, columns in raw.items()}


def _table(name: str, columns: dict[str, list[str]]) -> Table:
    return Table(
        name=name,
        columns={
            column: Column(column, type_, kind or "DIMENSION", threshold, describe(name, column))
            for column, (type_, kind, threshold) in columns.items()
        },
        time_column=_time_column(name, columns),
        advertiser_type=next((kind for start, kind in _ADVERTISER_TYPES.items() if name.startswith(start)), None),
        description=describe_table(name),
    )


def _time_column(name: str, columns: dict[str, list[str]]) -> str | None:
    prefix = max((start for start in _TIME_COLUMNS if name.startswith(start)), key=len, default="")
    column = _TIME_COLUMNS.get(prefix)
    return column if column in columns else None


TABLES: Mapping[str, Table] = MappingProxyType(_load())
