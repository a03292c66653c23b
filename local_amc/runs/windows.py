"""A run's time window: from what the caller says to UTC, half-open, days in the caller's zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from amc_facts.limits import MONTHS_KEPT
from local_amc.request_fields import invalid, text_field, unprocessable

EXPLICIT = "EXPLICIT"
TYPES = ("EXPLICIT", "MOST_RECENT_DAY", "MOST_RECENT_WEEK", "CURRENT_MONTH", "PREVIOUS_MONTH", "ALL")
# Data are expected after two days.
DATA_LAG = timedelta(hours=48)
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """What was asked for: `start` and `end` as written, with EXPLICIT only."""

    type: str
    start: str | None
    end: str | None
    zone: str

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Return start and end in UTC, for a run that begins now."""
        zone = ZoneInfo(self.zone)
        if self.start and self.end:
            return (
                _aware(datetime.fromisoformat(self.start), zone),
                _aware(datetime.fromisoformat(self.end), zone),
            )
        first, last = self._days(now, zone)
        return _aware(datetime.combine(first, time()), zone), _aware(datetime.combine(last, time()), zone)

    def _days(self, now: datetime, zone: ZoneInfo) -> tuple[date, date]:
        newest = (now - DATA_LAG).astimezone(zone).date()
        today = now.astimezone(zone).date()
        if self.type == "MOST_RECENT_DAY":
            return newest - timedelta(days=1), newest
        if self.type == "MOST_RECENT_WEEK":
            return newest - timedelta(days=7), newest
        if self.type == "CURRENT_MONTH":
            return min(today.replace(day=1), newest), newest
        if self.type == "PREVIOUS_MONTH":
            return today.replace(day=1) - relativedelta(months=1), today.replace(day=1)
        return newest - relativedelta(months=MONTHS_KEPT), newest


def read_window(body: dict[str, Any]) -> TimeWindow:
    """Return the checked window of a request; raises RequestRejectedError."""
    kind = text_field(body, "timeWindowType") or "MOST_RECENT_DAY"
    if kind not in TYPES:
        raise invalid(f"timeWindowType must be one of {', '.join(TYPES)}")
    zone = text_field(body, "timeWindowTimeZone") or "UTC"
    read_zone("timeWindowTimeZone", zone)
    start, end = text_field(body, "timeWindowStart"), text_field(body, "timeWindowEnd")
    if kind != EXPLICIT:
        if start or end:
            raise invalid("timeWindowStart and timeWindowEnd need timeWindowType EXPLICIT")
        return TimeWindow(kind, None, None, zone)
    if not (start and end):
        raise invalid("timeWindowStart and timeWindowEnd are required with timeWindowType EXPLICIT")
    if read_moment("timeWindowStart", start) >= read_moment("timeWindowEnd", end):
        raise unprocessable("timeWindowStart must be before timeWindowEnd")
    window = TimeWindow(kind, start, end, zone)
    try:
        first, last = window.bounds(datetime.now(UTC))
    except OverflowError as problem:
        raise invalid("timeWindowStart and timeWindowEnd must be between the years 2 and 9998") from problem
    if first >= last:
        raise unprocessable(
            f"timeWindowStart must be before timeWindowEnd: clocks in {zone} skip what lies between them"
        )
    return window


def read_zone(name: str, value: str) -> ZoneInfo:
    """Return the time zone of a field; raises RequestRejectedError."""
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as problem:
        raise invalid(f"{name} {value} is not an IANA time zone") from problem


def read_moment(name: str, value: str) -> datetime:
    """Return the naive time of a field, which AMC wants without zone or fraction; raises RequestRejectedError."""
    if not _FORM.fullmatch(value):
        raise invalid(f"{name} must look like 2026-10-01T00:00:00, without zone and fraction")
    try:
        return datetime.fromisoformat(value)
    except ValueError as problem:
        raise invalid(f"{name} {value} does not exist") from problem


def _aware(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)
