"""Forms of schedules: all that can be changed on one page, and the filters of the list."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from django import forms

from amchelper.models import User
from instances.forms.filters import FiltersByInstance
from planning.recurrence import Recurrence, RecurrenceError
from planning.windows import ROLLING_CHOICES
from schedules.forms.run import CUSTOM, DATES, ROLLING, DateInput, RecurringStep
from schedules.models import Schedule, ScheduleQuerySet, ScheduleStatus
from schedules.services.schedules import MAX_NAME, ScheduleValues

# The window has a start and an end of its own.
_FIELDS = {"start": "starts_on", "end": "ends_on"}


class ScheduleForm(RecurringStep):
    """Change a schedule."""

    name = forms.CharField(max_length=MAX_NAME)
    starts_on = forms.DateField(required=False, widget=DateInput(), label="First day of the schedule")
    ends_on = forms.DateField(required=False, widget=DateInput(), label="Last day of the schedule")

    def make_recurrence(self) -> Recurrence:
        """Return the recurrence with its bounds; raises RecurrenceError."""
        data = self.cleaned_data
        try:
            return replace(super().make_recurrence(), start=data["starts_on"], end=data["ends_on"])
        except RecurrenceError as problem:
            raise RecurrenceError(
                {_FIELDS.get(name, name): text for name, text in problem.errors.items()}
            ) from None

    def values(self) -> ScheduleValues:
        """Return what the services save; the form is valid."""
        return self.schedule_values(self.cleaned_data["name"])

    @staticmethod
    def initial_of(schedule: Schedule) -> dict[str, Any]:
        """Return the saved values as the fields show them, also those of a plan that cannot be read any more."""
        days = schedule.window_days if schedule.has_rolling_window else None
        return {
            "name": schedule.name,
            "recurrence": schedule.kind,
            "weekday": 1 if schedule.weekday is None else schedule.weekday,
            "day_of_month": str(schedule.day_of_month or 1),
            "time": schedule.time,
            "zone": schedule.zone,
            "starts_on": schedule.starts_on,
            "ends_on": schedule.ends_on,
            "mode": DATES if days is None else ROLLING,
            "days": str(days) if days in ROLLING_CHOICES else "30" if days is None else CUSTOM,
            "custom_days": None if days in ROLLING_CHOICES else days,
            "lag_days": schedule.lag_days,
            "start": schedule.fixed_start if days is None else None,
            "end": schedule.fixed_end if days is None else None,
            "missed_policy": schedule.missed_policy,
        }


DELETED = "DELETED"


class ScheduleFilter(FiltersByInstance):
    """Search and filters of the list; a value that cannot be matches nothing."""

    q = forms.CharField(required=False, max_length=200, label="Search")
    status = forms.ChoiceField(
        required=False, label="Status", choices=[("", "Any status"), *ScheduleStatus.choices, (DELETED, "Deleted")]
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.fields["q"].widget.attrs |= {"type": "search", "placeholder": "Name, template or instance"}

    def apply(self, schedules: ScheduleQuerySet) -> ScheduleQuerySet:
        """Narrow a queryset; deleted schedules are found only by that status."""
        if not self.is_valid():
            return schedules.none()
        chosen = self.cleaned_data
        if chosen["status"] == DELETED:
            found = schedules.deleted()
        else:
            found = schedules.not_deleted()
            found = found.filter(status=chosen["status"]) if chosen["status"] else found
        if chosen["instance"]:
            found = self.of_instances(found, chosen["instance"])
        return found.search(chosen["q"])


def read_seen(text: str) -> dt.datetime:
    """Read the moment a page was loaded from; anything else is older than every schedule."""
    try:
        seen = dt.datetime.fromisoformat(text)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    return seen if seen.tzinfo else seen.replace(tzinfo=dt.UTC)
