"""When a schedule runs: slots at a constant local time, one per day, week or month, however clocks change.

Pure Python. A slot is planned in local time and resolved by one rule: it is the first instant at which the
zone's clocks show the planned time or a later one. So a time that the clocks skip runs at the next existing
minute, a time that happens twice runs once, at its first occurrence, and later plans never come before
earlier ones.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeGuard

from dateutil import relativedelta as rd

KINDS = ("daily", "weekly", "monthly")
# Sunday is 0, as in cron and in browsers.
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
# As `day_of_month`: the last day, however long the month is.
LAST_DAY = -1
# Not strftime's: those follow the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Names in the zone database that mean this machine's zone or none.
_NOT_ZONES = frozenset({"localtime", "Factory", "posixrules"})
_DATEUTIL_WEEKDAYS = (rd.SU, rd.MO, rd.TU, rd.WE, rd.TH, rd.FR, rd.SA)
_LONGEST_MONTH, _SHORTEST_MONTH = 31, 28
# Clocks were never set back by more than a day.
_MAX_SETBACK = dt.timedelta(days=2)
_YEARS = range(2000, 2200)


class RecurrenceError(ValueError):
    """A recurrence that cannot be; `errors` says per field what to do."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Recurrence:
    """A local time that comes back every day, week or month; raises RecurrenceError when it makes no sense.

    `start` and `end` are the first and the last local day on which a slot may be planned.
    """

    kind: str
    time: dt.time
    zone: str
    weekday: int | None = None
    day_of_month: int | None = None
    start: dt.date | None = None
    end: dt.date | None = None

    def __post_init__(self) -> None:
        if errors := _errors_of(self):
            raise RecurrenceError(errors)

    def next_slot(self, after: dt.datetime) -> dt.datetime | None:
        """Return the first slot later than `after` in UTC; None when there is none before the end."""
        today = _local(after, self._zone).date()
        # Whatever comes after this instant is planned for today or later, so the distance to it costs nothing.
        for day in self._planned_days(max(today, self.start or today), direction=1):
            slot = self._slot_of(day)
            if slot and slot > after:
                return slot
        return None

    def previous_slot(self, at: dt.datetime) -> dt.datetime | None:
        """Return the last slot at or before `at` in UTC; None when there is none since the start."""
        planned = self._planned_before(at)
        return planned and instant_of(planned, self.zone)

    def slots_between(self, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
        """Go through the slots after `start` up to and including `end`, so that adjoining spans share none."""
        slot = self.next_slot(start)
        while slot and slot <= end:
            yield slot
            slot = self.next_slot(slot)

    def next_slots(self, after: dt.datetime, count: int) -> list[dt.datetime]:
        """Return the next `count` slots, fewer when the end comes first."""
        slots: list[dt.datetime] = []
        slot = self.next_slot(after)
        while slot and len(slots) < count:
            slots.append(slot)
            slot = self.next_slot(slot)
        return slots

    def latest_slots(self, after: dt.datetime, until: dt.datetime, count: int) -> list[dt.datetime]:
        """Return the last `count` slots after `after` up to and including `until`, the newest first."""
        slots: list[dt.datetime] = []
        slot = self.previous_slot(until)
        while slot and slot > after and len(slots) < count:
            slots.append(slot)
            slot = self.previous_slot(slot - dt.timedelta(microseconds=1))
        return slots

    def count_slots(self, after: dt.datetime, until: dt.datetime) -> int:
        """Count the slots after `after` up to and including `until` without going through them.

        Days that a zone skipped (Samoa, 30 Dec 2011) are counted as if they had a slot.
        """
        last, before = self._planned_before(until), self._planned_before(after)
        if last is None or until <= after:
            return 0
        if before is None and self.start:
            # There is one since the start, or `last` would be None.
            return self._number(last.date()) - self._number(next(self._planned_days(self.start, direction=1))) + 1
        return self._number(last.date()) - self._number(before.date()) if before else 0

    def local(self, at: dt.datetime) -> dt.datetime:
        """Return what the zone's clocks show at an instant, without zone."""
        return _local(at, self._zone)

    def describe(self) -> str:
        """Say it in words: "Every Monday at 09:00 (Europe/Berlin)"."""
        days = self.describe_days()
        # An insertion that began with a comma ends with one.
        words = f"{days}{',' if ',' in days else ''} at {_clock(self.time)} ({self.zone})"
        if self.start:
            words += f", from {show_date(self.start)}"
        if self.end:
            words += f", until {show_date(self.end)}"
        return words

    def dst_note(self, slot: dt.datetime) -> str:
        """Say what a change of clocks did to this slot; empty when nothing, or when it is not a slot."""
        planned = self._planned_before(slot)
        if planned is None or instant_of(planned, self.zone) != slot:
            return ""
        local = _local(slot, self._zone)
        if local != planned:
            day = f" on {show_date(local.date())}" if local.date() != planned.date() else ""
            return (
                f"{_clock(planned.time())} does not exist on {show_date(planned.date())} because the clocks go "
                f"forward; this run starts at {_clock(local.time())}{day} instead."
            )
        if _happens_twice(planned, self._zone):
            return (
                f"{_clock(planned.time())} comes twice on {show_date(planned.date())} because the clocks go back; "
                "this run starts once, at the first."
            )
        return ""

    @property
    def _zone(self) -> zoneinfo.ZoneInfo:
        return load_zone(self.zone)

    def _planned_days(self, base: dt.date, *, direction: int) -> Iterator[dt.date]:
        """Go through planned days from `base`'s day, week or month on, forward (1) or back (-1), to the bound."""
        first, last = self.start or dt.date.min, self.end or dt.date.max
        for steps in itertools.count(0, direction):
            day = self._planned_day(base, steps)
            if first <= day <= last:
                yield day
            elif (day > last) == (direction > 0):
                return

    def _planned_day(self, base: dt.date, steps: int) -> dt.date:
        if self.kind == "daily":
            return base + dt.timedelta(days=steps)
        if self.weekday is not None:
            return base + rd.relativedelta(weeks=steps, weekday=_DATEUTIL_WEEKDAYS[self.weekday](+1))
        day = _LONGEST_MONTH if self.day_of_month == LAST_DAY else self.day_of_month
        # relativedelta takes the last day of a month that is too short.
        return base + rd.relativedelta(months=steps, day=day)

    def _number(self, day: dt.date) -> int:
        """Number the planned days: the next one has the next number."""
        if self.kind == "daily":
            return day.toordinal()
        return day.toordinal() // 7 if self.kind == "weekly" else day.year * 12 + day.month

    def _planned_before(self, at: dt.datetime) -> dt.datetime | None:
        """Return the planned local time of the last slot at or before `at`."""
        # After the clocks were set back, a slot that has passed can be planned later than the clocks show now.
        newest = _local(at, self._zone).date() + _MAX_SETBACK
        for day in self._planned_days(min(newest, self.end or newest), direction=-1):
            slot = self._slot_of(day)
            if slot and slot <= at:
                return self._planned_time(day)
        return None

    def _planned_time(self, day: dt.date) -> dt.datetime:
        return dt.datetime.combine(day, self.time)

    def _slot_of(self, day: dt.date) -> dt.datetime | None:
        """Resolve the slot planned on `day`; None for a daily slot of a day that the zone skipped.

        Its neighbours have slots of their own. A week or a month that loses its day still gets its run.
        """
        planned = self._planned_time(day)
        slot = instant_of(planned, self.zone)
        if self.kind == "daily" and _local(slot, self._zone) != planned and not _day_exists(day, self.zone):
            return None
        return slot

    def describe_days(self) -> str:
        """Say which days in words, without the time: "Every Monday"."""
        if self.kind == "daily":
            return "Every day"
        if self.weekday is not None:
            return f"Every {WEEKDAYS[self.weekday]}"
        if self.day_of_month == LAST_DAY:
            return "Every month on the last day"
        if self.day_of_month and self.day_of_month > _SHORTEST_MONTH:
            return f"Every month on day {self.day_of_month}, or the last day of shorter months"
        return f"Every month on day {self.day_of_month}"


def is_zone(name: object) -> TypeGuard[str]:
    """Return whether the zone database knows the name."""
    return isinstance(name, str) and name in zone_names()


@cache
def zone_names() -> frozenset[str]:
    """Return the names a user can choose from."""
    return frozenset(zoneinfo.available_timezones() - _NOT_ZONES)


@cache  # ZoneInfo itself keeps only the last eight
def load_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone; raises ValueError for a name that is none."""
    if not is_zone(name):
        raise ValueError(f"{name!r} is no time zone. Choose an IANA name, such as Europe/Berlin.")
    return zoneinfo.ZoneInfo(name)


def instant_of(local: dt.datetime, zone: str) -> dt.datetime:
    """Return the first instant, in UTC, at which the zone's clocks show the minute `local` or a later one."""
    info = load_zone(zone)
    # Fold 0 is the first of two; where clocks go forward it counts with the offset before the change.
    slot = local.replace(tzinfo=info, fold=0).astimezone(dt.UTC)
    if _local(slot, info) == local:
        return slot
    return _end_of_gap(local, info, slot)


def show_date(day: dt.date) -> str:
    """Write a day the way every page does: "1 Sep 2026"."""
    return f"{show_day(day)} {day.year}"


def show_day(day: dt.date) -> str:
    """Write a day without its year: "1 Sep"."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def _end_of_gap(local: dt.datetime, info: zoneinfo.ZoneInfo, later: dt.datetime) -> dt.datetime:
    """Find the next existing minute by bisection between the two readings of a time that does not exist."""
    earlier = local.replace(tzinfo=info, fold=1).astimezone(dt.UTC)
    before, after = 0, int((later - earlier).total_seconds())
    while after - before > 1:
        middle = (before + after) // 2
        if _local(earlier + dt.timedelta(seconds=middle), info) < local:
            before = middle
        else:
            after = middle
    found = earlier + dt.timedelta(seconds=after)
    # Some old offsets had seconds; runs start at whole minutes.
    return found + dt.timedelta(seconds=-_local(found, info).second % 60)


def _local(at: dt.datetime, info: zoneinfo.ZoneInfo) -> dt.datetime:
    """Return what the zone's clocks show."""
    if at.tzinfo is None:
        raise ValueError("An instant needs a time zone.")
    return at.astimezone(info).replace(tzinfo=None, fold=0)


def _day_exists(day: dt.date, zone: str) -> bool:
    midnight = instant_of(dt.datetime.combine(day, dt.time()), zone)
    return _local(midnight, load_zone(zone)).date() == day


def _happens_twice(local: dt.datetime, info: zoneinfo.ZoneInfo) -> bool:
    return local.replace(tzinfo=info, fold=0).utcoffset() != local.replace(tzinfo=info, fold=1).utcoffset()


def _clock(time: dt.time) -> str:
    return f"{time.hour:02}:{time.minute:02}"


def _errors_of(recurrence: Recurrence) -> dict[str, str]:
    """Say per field what is wrong."""
    errors = _errors_of_day(recurrence)
    time = recurrence.time
    if recurrence.kind not in KINDS:
        errors["kind"] = "Choose daily, weekly or monthly."
    if not isinstance(time, dt.time) or time.tzinfo or time.second or time.microsecond:
        errors["time"] = "Give a local time in hours and minutes, such as 09:00."
    if not is_zone(recurrence.zone):
        errors["zone"] = "Choose a time zone by its IANA name, such as Europe/Berlin."
    return errors | _errors_of_bounds(recurrence.start, recurrence.end)


def _errors_of_day(recurrence: Recurrence) -> dict[str, str]:
    errors = {}
    weekday, day = recurrence.weekday, recurrence.day_of_month
    if recurrence.kind == "weekly" and not (_is_number(weekday) and weekday in range(len(WEEKDAYS))):
        errors["weekday"] = "Choose a day of the week, from 0 (Sunday) to 6 (Saturday)."
    if recurrence.kind != "weekly" and weekday is not None:
        errors["weekday"] = "Leave the day of the week empty; only weekly schedules have one."
    if recurrence.kind == "monthly" and not (
        _is_number(day) and (day == LAST_DAY or day in range(1, _LONGEST_MONTH + 1))
    ):
        errors["day_of_month"] = "Choose a day of the month, from 1 to 31, or the last day."
    if recurrence.kind != "monthly" and day is not None:
        errors["day_of_month"] = "Leave the day of the month empty; only monthly schedules have one."
    return errors


def _errors_of_bounds(start: dt.date | None, end: dt.date | None) -> dict[str, str]:
    errors = {}
    for field, day in (("start", start), ("end", end)):
        if day is not None and (not _is_day(day) or day.year not in _YEARS):
            errors[field] = f"Choose a date between {_YEARS[0]} and {_YEARS[-1]}."
    if not errors and start and end and end < start:
        errors["end"] = f"The last day is before the first. Choose {show_date(start)} or later."
    return errors


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_day(value: object) -> bool:
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
