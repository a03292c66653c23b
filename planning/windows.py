"""Time windows of runs: whole local days in a zone, sent to AMC explicitly and half-open.

Pure Python. Pages show the last day included ("1 Sep – 30 Sep"); AMC gets the midnight after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dateutil.relativedelta import relativedelta

from amc_facts.limits import MONTHS_KEPT
from amc_facts.timing import ATTRIBUTION_DAYS, INGESTION_HOURS
from planning.recurrence import instant_of, is_zone, load_zone, show_date, show_day

ROLLING_CHOICES = (7, 14, 30, 60, 90)
MAX_ROLLING_DAYS = 365
DEFAULT_LAG_DAYS = ATTRIBUTION_DAYS
HISTORY = relativedelta(months=MONTHS_KEPT)
INGESTION = dt.timedelta(hours=INGESTION_HOURS)
_DAY = dt.timedelta(days=1)


class WindowError(ValueError):
    """Input that makes no window; the message says what to do."""


@dataclass(frozen=True)
class Window:
    """Local days from `start` to `end`, both included, in an IANA zone; `check_window` judges it."""

    start: dt.date
    end: dt.date
    zone: str

    @property
    def days(self) -> int:
        """Count the days, the last one included."""
        return (self.end - self.start).days + 1

    @property
    def starts_at(self) -> dt.datetime:
        """Return the local time AMC counts from, without zone."""
        return self._local(self.utc_bounds()[0])

    @property
    def ends_at(self) -> dt.datetime:
        """Return the local time AMC counts up to, itself excluded, without zone."""
        return self._local(self.utc_bounds()[1])

    def utc_bounds(self) -> tuple[dt.datetime, dt.datetime]:
        """Return the first instant and the one after the last; the next day's window begins at the latter."""
        return start_of_day(self.start, self.zone), start_of_day(self.end + _DAY, self.zone)

    @property
    def label(self) -> str:
        """Say it in words: "1 Sep – 30 Sep 2026, 30 days"."""
        length = _count_days(self.days)
        if self.start == self.end:
            return f"{show_date(self.start)}, {length}"
        start = show_day(self.start) if self.start.year == self.end.year else show_date(self.start)
        return f"{start} – {show_date(self.end)}, {length}"

    def to_json(self) -> dict[str, str]:
        """Return what `from_json` reads."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat(), "zone": self.zone}

    @classmethod
    def from_json(cls, data: object) -> Window:
        """Read a stored window; raises WindowError for anything else."""
        if not isinstance(data, Mapping):
            raise WindowError("A time window has a start, an end and a zone.")
        zone = data.get("zone")
        if not is_zone(zone):
            raise WindowError(_unknown_zone(zone))
        return cls(start=_read_date(data, "start"), end=_read_date(data, "end"), zone=zone)

    def _local(self, instant: dt.datetime) -> dt.datetime:
        # Not simply 00:00: in some zones the clocks skip midnight.
        return instant.astimezone(load_zone(self.zone)).replace(tzinfo=None, fold=0)


@dataclass(frozen=True)
class WindowFinding:
    """One thing to say about a window; `code` is for programs, `message` says what to do."""

    code: str
    message: str


@dataclass(frozen=True)
class WindowVerdict:
    """Errors forbid the run; warnings are shown and may be ignored."""

    errors: tuple[WindowFinding, ...] = ()
    warnings: tuple[WindowFinding, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Return whether the window can run."""
        return not self.errors


def rolling_window(*, days: int, lag_days: int = DEFAULT_LAG_DAYS, today: dt.date, zone: str) -> Window:
    """Return the `days` days up to the last one that is `lag_days` old; `today` is the date in `zone`."""
    if not 1 <= days <= MAX_ROLLING_DAYS:
        raise WindowError(f"Choose between 1 and {MAX_ROLLING_DAYS} days.")
    if lag_days < 0:
        raise WindowError("Choose a lag of 0 days or more.")
    if not is_zone(zone):
        raise WindowError(_unknown_zone(zone))
    end = today - dt.timedelta(days=lag_days)
    return Window(start=end - dt.timedelta(days=days - 1), end=end, zone=zone)


def today_in(zone: str, now: dt.datetime) -> dt.date:
    """Return the date the zone's calendars show at `now`, which carries a time zone."""
    if now.tzinfo is None:
        raise ValueError("An instant needs a time zone.")
    return now.astimezone(load_zone(zone)).date()


def start_of_day(day: dt.date, zone: str) -> dt.datetime:
    """Return the instant a local day begins, in UTC, also where midnight does not exist or comes twice."""
    return instant_of(dt.datetime.combine(day, dt.time()), zone)


def check_window(window: Window, now: dt.datetime, lag_days: int = DEFAULT_LAG_DAYS) -> WindowVerdict:
    """Judge a window at the moment it is to run; warnings are only looked for when it can."""
    if not is_zone(window.zone):
        return WindowVerdict(errors=(WindowFinding("unknown_zone", _unknown_zone(window.zone)),))
    today = today_in(window.zone, now)
    if errors := tuple(_errors_of(window, today)):
        return WindowVerdict(errors=errors)
    return WindowVerdict(warnings=tuple(_warnings_of(window, now, today, lag_days)))


def _errors_of(window: Window, today: dt.date) -> Iterator[WindowFinding]:
    if window.end < window.start:
        yield WindowFinding(
            "end_before_start",
            f"The window ends on {show_date(window.end)}, before it starts. "
            f"Choose an end on {show_date(window.start)} or later.",
        )
    if max(window.start, window.end) > today:
        yield WindowFinding(
            "in_future",
            f"{show_date(max(window.start, window.end))} has not begun in {window.zone}. "
            f"Choose days up to {show_date(today)}.",
        )
    if window.start < today - HISTORY:
        yield WindowFinding(
            "too_old",
            f"AMC keeps the last {MONTHS_KEPT} months. Choose a start on {show_date(today - HISTORY)} or later.",
        )


def _warnings_of(window: Window, now: dt.datetime, today: dt.date, lag_days: int) -> Iterator[WindowFinding]:
    if window.utc_bounds()[1] > now - INGESTION:
        yield WindowFinding(
            "incomplete",
            f"Events need up to {INGESTION_HOURS} hours to reach AMC, so the newest days are incomplete. "
            f"End on {show_date(_last_complete_day(window.zone, now))} or earlier to have all of them.",
        )
    mature = today - dt.timedelta(days=lag_days)
    if window.end > mature:
        yield WindowFinding(
            "inside_lag",
            f"Days less than {_count_days(lag_days)} old still gain conversions, so these figures will grow. "
            f"End on {show_date(mature)} or earlier for figures that last, or run it again later.",
        )
    if window.days > MAX_ROLLING_DAYS:
        yield WindowFinding(
            "long",
            f"{window.days} days are much data for one run. Shorten the window if AMC runs out of time.",
        )


def _last_complete_day(zone: str, now: dt.datetime) -> dt.date:
    return today_in(zone, now - INGESTION) - _DAY


def _count_days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _read_date(data: Mapping[str, object], field: str) -> dt.date:
    value = data.get(field)
    try:
        day = dt.date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    # fromisoformat also reads 20260901 and 2026-W36-2; we never write those.
    if day is None or day.isoformat() != value:
        raise WindowError(f"Give the {field} of the window as a date, such as 2026-09-01.")
    return day


def _unknown_zone(zone: object) -> str:
    return f"{zone!r} is no time zone. Choose an IANA name, such as America/New_York."
