"""What pages show of many schedules: rows with their last slots, and the coming days."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import F, Prefetch

from amchelper.models import User
from schedules.models import Schedule, ScheduleQuerySet, ScheduleSlot

SLOTS_SHOWN = 10
UPCOMING_SHOWN = 6
DAYS_SHOWN = 30
# More schedules than this make no readable calendar, and too much work for one page.
MAX_IN_CALENDAR = 500


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule as a list shows it; `next_local` is on the clocks of its zone, `slots` the oldest first."""

    schedule: Schedule
    next_local: dt.datetime | None
    slots: tuple[ScheduleSlot, ...]

    @property
    def slots_label(self) -> str:
        """Say what the dots show."""
        said = ", ".join(slot.get_status_display().lower() for slot in self.slots)
        return f"Last runs, the oldest first: {said}" if said else "No run yet"


@dataclass(frozen=True)
class CalendarEntry:
    """A coming slot on the clocks of its schedule's zone."""

    schedule: Schedule
    at: dt.datetime
    local: dt.datetime


@dataclass(frozen=True)
class CalendarDay:
    """A day with its coming slots; days outside the span only fill up the first and the last week."""

    day: dt.date
    is_inside: bool
    is_today: bool
    entries: list[CalendarEntry] = field(default_factory=list)


def in_order(schedules: ScheduleQuerySet) -> ScheduleQuerySet:
    """Order by the next run, those without one last, and bring all that rows need along. Two queries."""
    latest = ScheduleSlot.objects.order_by("-scheduled_for", "-pk")[:SLOTS_SHOWN]
    return (
        schedules.for_lists()
        .order_by(F("next_run_at").asc(nulls_last=True), "name", "pk")
        .prefetch_related(Prefetch("slots", latest, to_attr="latest_slots"))
    )


def schedule_rows(schedules: Iterable[Schedule]) -> list[ScheduleRow]:
    """Return the rows of schedules from `in_order`."""
    return [
        ScheduleRow(
            schedule=schedule,
            next_local=_next_local(schedule),
            slots=tuple(reversed(getattr(schedule, "latest_slots", []))),
        )
        for schedule in schedules
    ]


def _next_local(schedule: Schedule) -> dt.datetime | None:
    recurrence = schedule.readable_recurrence
    return recurrence.local(schedule.next_run_at) if recurrence and schedule.next_run_at else None


def upcoming_rows(user: User) -> list[ScheduleRow]:
    """Return the rows of the schedules `user` sees whose next runs come first."""
    planned = Schedule.objects.visible_to(user).not_deleted().filter(next_run_at__isnull=False)
    return schedule_rows(in_order(planned)[:UPCOMING_SHOWN])


def calendar_days(schedules: Iterable[Schedule], now: dt.datetime) -> list[CalendarDay]:
    """Return whole weeks, from Monday, that hold the next days with the slots of active schedules.

    A slot stands on the day that its own zone's calendar shows.
    """
    entries: defaultdict[dt.date, list[CalendarEntry]] = defaultdict(list)
    end = now + dt.timedelta(days=DAYS_SHOWN)
    for schedule in schedules:
        recurrence = schedule.readable_recurrence
        if recurrence is None:
            # The next tick pauses it.
            continue
        for at in recurrence.slots_between(now, end):
            local = recurrence.local(at)
            entries[local.date()].append(CalendarEntry(schedule, at, local))
    today = now.astimezone(dt.UTC).date()
    # A slot can stand a day before or after the UTC days, where zones are far apart.
    first, last = min([today, *entries]), max([end.astimezone(dt.UTC).date(), *entries])
    monday = first - dt.timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    days = [monday + dt.timedelta(days=number) for number in range(weeks * 7)]
    return [
        CalendarDay(
            day,
            is_inside=first <= day <= last,
            is_today=day == today,
            entries=sorted(entries[day], key=lambda entry: (entry.local, entry.schedule.name)),
        )
        for day in days
    ]
