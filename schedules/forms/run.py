"""The steps of the run wizard. Each gives domain values; the services check them again."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone

from executions.errors import NotRunnableError
from planning.naming import MAX_LENGTH
from planning.recurrence import LAST_DAY, WEEKDAYS, Recurrence, RecurrenceError, zone_names
from planning.windows import (
    DEFAULT_LAG_DAYS,
    MAX_ROLLING_DAYS,
    ROLLING_CHOICES,
    Window,
    check_window,
    rolling_window,
    today_in,
)
from schedules.models import MissedPolicy
from schedules.services.schedules import MAX_NAME, ScheduleValues, plan_first_slot

ONCE, RECURRING = "once", "recurring"
ROLLING, DATES = "rolling", "dates"
CUSTOM = "custom"
_DAYS = [(str(days), f"{days} days") for days in ROLLING_CHOICES] + [(CUSTOM, "Other")]
_MONTH_DAYS = [(str(day), str(day)) for day in range(1, 32)] + [(str(LAST_DAY), "Last day")]


class DateInput(forms.DateInput):
    """A date picker of the browser."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class TemplateStep(forms.Form):
    """Step 1: the SQL was seen in this version."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput())


class TypeStep(forms.Form):
    """Step 2: a single run or a schedule."""

    kind = forms.ChoiceField(
        choices=[(ONCE, "Run once"), (RECURRING, "Recurring schedule")],
        initial=ONCE,
        widget=forms.RadioSelect(),
        label="How often?",
    )


class WindowStep(forms.Form):
    """The window of a run: so many days that end some days ago, or fixed dates; days in a time zone."""

    mode = forms.ChoiceField(
        choices=[(ROLLING, "Rolling: the last days"), (DATES, "Fixed dates")],
        initial=ROLLING,
        widget=forms.RadioSelect(),
        label="Time window",
    )
    days = forms.ChoiceField(
        choices=_DAYS, initial="30", required=False, widget=forms.RadioSelect(), label="Length"
    )
    custom_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ROLLING_DAYS,
        label="Days",
        help_text=f"1 to {MAX_ROLLING_DAYS}.",
    )
    lag_days = forms.IntegerField(
        min_value=0,
        max_value=90,
        initial=DEFAULT_LAG_DAYS,
        required=False,
        label="Data delay (days)",
        help_text="Days at the end that AMC has not completed yet; they are left out. Conversions are attributed for "
        "14 days, and the newest 2 days are incomplete.",
    )
    start = forms.DateField(required=False, widget=DateInput(), label="First day")
    end = forms.DateField(required=False, widget=DateInput(), label="Last day")
    zone = forms.CharField(
        initial="UTC",
        max_length=64,
        label="Time zone",
        help_text="Days begin and end at midnight there, for example America/New_York.",
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )

    def clean_zone(self) -> str:
        """Refuse names that are no time zone."""
        zone = str(self.cleaned_data["zone"]).strip()
        if zone not in zone_names():
            raise forms.ValidationError(f"{zone} is not a time zone. Choose one such as Europe/Berlin.")
        return zone

    def clean(self) -> dict[str, Any]:
        """Complete what the chosen mode needs."""
        data = super().clean() or {}
        if data.get("mode") == ROLLING:
            self._clean_rolling(data)
        elif data.get("mode") == DATES:
            for name, label in (("start", "first"), ("end", "last")):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, f"Choose the {label} day.")
            if data.get("start") and data.get("end") and data["start"] > data["end"]:
                self.add_error("end", "The last day is before the first.")
        if data.get("mode") == DATES and data.get("lag_days") is None:
            # Fixed dates leave nothing out; the number only waits for a rolling window.
            data["lag_days"] = DEFAULT_LAG_DAYS
        return data

    def _clean_rolling(self, data: dict[str, Any]) -> None:
        if data.get("days") == CUSTOM and not data.get("custom_days") and "custom_days" not in self.errors:
            self.add_error("custom_days", f"Give a number of days from 1 to {MAX_ROLLING_DAYS}.")
        if data.get("lag_days") is None and "lag_days" not in self.errors:
            self.add_error("lag_days", "Give the data delay in days, 0 for none.")

    @property
    def length(self) -> int:
        """Return the days of a rolling window; the form is valid."""
        data = self.cleaned_data
        return int(data["custom_days"] if data["days"] == CUSTOM else data["days"] or 30)

    def window(self, now: dt.datetime) -> Window:
        """Return the window of a run that starts now; the form is valid."""
        data = self.cleaned_data
        if data["mode"] == DATES:
            return Window(data["start"], data["end"], data["zone"])
        today = today_in(data["zone"], now)
        return rolling_window(days=self.length, lag_days=data["lag_days"], today=today, zone=data["zone"])


class OnceStep(WindowStep):
    """Step 3 of a single run."""

    def clean(self) -> dict[str, Any]:
        """Refuse windows AMC has no data for."""
        data = super().clean()
        if not self.errors:
            now = timezone.now()
            verdict = check_window(self.window(now), now)
            for finding in verdict.errors:
                # Not at a field, which would lose its value, and with it the preview that shows the window.
                self.add_error(None, finding.message)
        return data


class RecurringStep(WindowStep):
    """Step 3 of a schedule."""

    recurrence = forms.ChoiceField(
        choices=[("daily", "Every day"), ("weekly", "Every week"), ("monthly", "Every month")],
        initial="weekly",
        widget=forms.RadioSelect(),
        label="Repeat",
    )
    weekday = forms.TypedChoiceField(
        choices=list(enumerate(WEEKDAYS)), coerce=int, initial=1, required=False, empty_value=None
    )
    day_of_month = forms.TypedChoiceField(
        choices=_MONTH_DAYS,
        coerce=int,
        initial="1",
        required=False,
        empty_value=None,
        help_text="In shorter months the last day.",
    )
    time = forms.TimeField(
        initial=dt.time(9, 0), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), label="At"
    )
    missed_policy = forms.ChoiceField(
        choices=MissedPolicy.choices,
        initial=MissedPolicy.LATEST,
        required=False,
        label="Runs that were missed",
        help_text="What happens to runs whose time passed while nothing was running here, for example during "
        "maintenance.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuse recurrences that never come, and windows their first run could not have."""
        data = super().clean()
        if not self.errors:
            try:
                plan_first_slot(self.schedule_values(""), timezone.now())
            except RecurrenceError as problem:
                for name, message in problem.errors.items():
                    self.add_error(name if name in self.fields else None, message)
            except NotRunnableError as problem:
                self.add_error(None, problem.message)
        return data

    def make_recurrence(self) -> Recurrence:
        """Return the recurrence; raises RecurrenceError."""
        data = self.cleaned_data
        kind = data["recurrence"]
        return Recurrence(
            kind=kind,
            time=data["time"].replace(second=0, microsecond=0),
            zone=data["zone"],
            weekday=data["weekday"] if kind == "weekly" else None,
            day_of_month=data["day_of_month"] if kind == "monthly" else None,
        )

    def schedule_values(self, name: str) -> ScheduleValues:
        """Return what the services save; the form is valid."""
        data = self.cleaned_data
        is_rolling = data["mode"] == ROLLING
        return ScheduleValues(
            name=name,
            recurrence=self.make_recurrence(),
            window_days=self.length if is_rolling else None,
            lag_days=data["lag_days"],
            fixed_start=None if is_rolling else data["start"],
            fixed_end=None if is_rolling else data["end"],
            missed_policy=data["missed_policy"] or MissedPolicy.LATEST,
        )


class ReviewStep(forms.Form):
    """Step 4: the name, and the version of the template that is agreed to."""

    name = forms.CharField(max_length=MAX_LENGTH, label="Name of the run")
    agreed_version = forms.IntegerField(min_value=1, widget=forms.HiddenInput())

    def __init__(self, *args: Any, version: int, is_schedule: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._version = version
        if is_schedule:
            self.fields["name"] = forms.CharField(max_length=MAX_NAME, label="Name of the schedule")

    def clean_agreed_version(self) -> int:
        """Refuse a run of SQL that changed after it was shown here."""
        agreed = int(self.cleaned_data["agreed_version"])
        if agreed != self._version:
            raise forms.ValidationError(
                "The template was saved again while you were here. Look at the new SQL below, then submit again."
            )
        return agreed
