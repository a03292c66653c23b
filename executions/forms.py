"""Filters of the list of runs, what is asked of a result, and how a run is run again."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import cached_property

from amchelper.widgets import SuggestingInput
from executions.models import OPEN_STATUSES, ExecutionQuerySet, ExecutionStatus, Trigger
from executions.presenters.result_columns import PLACES_SEPARATOR, ColumnsQuestion
from executions.presenters.results import ChartQuestion, ResultQuestion, RowsQuestion
from executions.results.filters import Filter, Operator
from instances.forms.filters import FiltersByInstance
from templates_app.models import TEMPLATE_PREFIX

OPEN = "OPEN"
_PLACE = re.compile(r"[0-9]{1,6}")
_MAX_PLACES = 1_000


class ExecutionFilter(FiltersByInstance):
    """Which runs the list shows; wrong values count as not given."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    status = forms.ChoiceField(
        required=False,
        choices=[("", "All statuses"), (OPEN, "Not ended"), *ExecutionStatus.choices],
        label="Status",
    )
    template = forms.CharField(
        required=False,
        max_length=255,
        label="Template",
        widget=SuggestingInput("templates:template-suggestions", attrs={"placeholder": "Any template"}),
    )
    trigger = forms.ChoiceField(
        required=False, choices=[("", "Started by anyone"), *Trigger.choices], label="Started"
    )
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}), label="Since")
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}), label="Until")

    field_order = ("q", "status", "instance", "template", "trigger", "since", "until")

    def apply(self, executions: ExecutionQuerySet) -> ExecutionQuerySet:
        """Narrow a queryset."""
        chosen = self.chosen
        for word in str(chosen.get("q", "")).split():
            executions = executions.filter(name__icontains=word)
        if "status" in chosen:
            statuses = OPEN_STATUSES if chosen["status"] == OPEN else [chosen["status"]]
            executions = executions.filter(status__in=statuses)
        if "trigger" in chosen:
            executions = executions.filter(trigger=chosen["trigger"])
        if "template" in chosen:
            # The name that a run was started with; the ID finds runs of a template that was renamed since.
            text = chosen["template"]
            is_id = text.startswith(TEMPLATE_PREFIX)
            executions = executions.filter(
                **{"template__template_id" if is_id else "template_name__icontains": text}
            )
        if "since" in chosen:
            executions = executions.filter(queued_at__gte=_moment(chosen["since"], time.min))
        if "until" in chosen:
            executions = executions.filter(queued_at__lte=_moment(chosen["until"], time.max))
        return self.of_instances(executions, chosen["instance"]) if "instance" in chosen else executions

    @cached_property
    def chosen(self) -> dict[str, Any]:
        """Return the filters that are set, by name; wrong ones count as not set."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def is_filtered(self) -> bool:
        """Return whether anything is chosen."""
        return bool(self.chosen)


def _moment(day: date, clock: time) -> datetime:
    """Return a moment of a day: a range of times finds an index, the day of each row would not."""
    return timezone.make_aware(datetime.combine(day, clock))


class ResultQuery(forms.Form):
    """Sorting, one filter, search and page of a result's rows, its columns and chart; wrong values count as not given.

    Chosen columns come as `show`, once or several times, each with one or several places.
    """

    sort = forms.CharField(required=False, max_length=300)
    search = forms.CharField(required=False, max_length=200)
    column = forms.CharField(required=False, max_length=300)
    op = forms.ChoiceField(
        required=False,
        choices=[
            (Operator.EQUALS, "is"),
            (Operator.NOT_EQUALS, "is not"),
            (Operator.CONTAINS, "contains"),
            (Operator.GREATER, "is more than"),
            (Operator.LESS, "is less than"),
            (Operator.IS_NULL, "has no value"),
            (Operator.IS_NOT_NULL, "has a value"),
        ],
    )
    value = forms.CharField(required=False, max_length=200)
    rows = forms.IntegerField(required=False, min_value=1, max_value=99_999_999)
    columns = forms.IntegerField(required=False, min_value=1, max_value=99_999)
    find = forms.CharField(required=False, max_length=100)
    choose = forms.CharField(required=False, max_length=1)
    chart_x = forms.CharField(required=False, max_length=300)
    chart_y = forms.CharField(required=False, max_length=300)
    chart_kind = forms.CharField(required=False, max_length=10)

    def question(self) -> ResultQuestion:
        """Return what is asked for."""
        self.is_valid()
        number = self.cleaned_data.get("rows") or 1
        return ResultQuestion(
            RowsQuestion(number, self.order(), self.conditions(), self._text("search")),
            self.columns_question(),
            ChartQuestion(self._text("chart_x"), self._text("chart_y"), self._text("chart_kind")),
        )

    def columns_question(self) -> ColumnsQuestion:
        """Return the columns that are asked for."""
        self.is_valid()
        number = self.cleaned_data.get("columns") or 1
        return ColumnsQuestion(number, self.places(), self._text("find"), bool(self._text("choose")))

    def kept(self) -> list[forms.BoundField]:
        """Return what stays as it is while other columns are chosen: all that is asked of the rows."""
        return [self[name] for name in ("sort", "search", "column", "op", "value") if self._text(name)]

    def places(self) -> list[int]:
        """Return the places of chosen columns."""
        shown = self.data.getlist("show") if isinstance(self.data, QueryDict) else []
        texts = [text for several in shown for text in several.split(PLACES_SEPARATOR)[:_MAX_PLACES]]
        return [int(text) for text in texts if _PLACE.fullmatch(text)]

    def order(self) -> list[tuple[str, str]]:
        """Return column and direction; a minus before the name turns it round."""
        name = self._text("sort")
        if not name:
            return []
        return [(name[1:], "desc")] if name.startswith("-") else [(name, "asc")]

    def conditions(self) -> list[Filter]:
        """Return the condition of the filter row."""
        column, op, value = self._text("column"), self._text("op") or Operator.EQUALS, self._text("value")
        needs_value = op not in (Operator.IS_NULL, Operator.IS_NOT_NULL)
        return [Filter(column, op, value)] if column and (value or not needs_value) else []

    def _text(self, name: str) -> str:
        self.is_valid()
        return str(self.cleaned_data.get(name) or "")


class RunAgainForm(forms.Form):
    """What is run again: the same SQL, or the template as it is now."""

    what = forms.ChoiceField(choices=[("same", "The same SQL"), ("template", "The template as it is now")])
    key = forms.UUIDField(required=False)

    @property
    def as_is(self) -> bool:
        """Return whether the same SQL is wanted; anything else than the template counts as that."""
        self.is_valid()
        return self.cleaned_data.get("what") != "template"

    @property
    def submission_key(self) -> UUID:
        """Return the key that makes a second click the same run; a new one where it cannot be read."""
        self.is_valid()
        return self.cleaned_data.get("key") or uuid4()
