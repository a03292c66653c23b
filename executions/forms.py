"""Filters of the list of runs, what is asked of a result, and how a run is run again."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.http import QueryDict

from amchelper.models import User
from executions.models import OPEN_STATUSES, ExecutionQuerySet, ExecutionStatus, Trigger
from executions.presenters.result_columns import PLACES_SEPARATOR, ColumnsQuestion
from executions.presenters.results import ChartQuestion, ResultQuestion, RowsQuestion
from executions.results.filters import Filter, Operator
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate

OPEN = "OPEN"
_PLACE = re.compile(r"[0-9]{1,6}")
_MAX_PLACES = 1_000


class ExecutionFilter(forms.Form):
    """Which runs the list shows; wrong values count as not given."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    status = forms.ChoiceField(
        required=False,
        choices=[("", "All statuses"), (OPEN, "Not ended"), *ExecutionStatus.choices],
        label="Status",
    )
    instance = forms.ModelChoiceField(AMCInstance.objects.none(), required=False, empty_label="All instances")
    template = forms.ModelChoiceField(
        InstanceTemplate.objects.none(), required=False, empty_label="All templates", to_field_name="template_id"
    )
    trigger = forms.ChoiceField(
        required=False, choices=[("", "Started by anyone"), *Trigger.choices], label="Started"
    )
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}), label="Since")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (
            ("instance", AMCInstance.objects.visible_to(user)),
            ("template", InstanceTemplate.objects.visible_to(user)),
        ):
            field = self.fields[name]
            if isinstance(field, forms.ModelChoiceField):
                field.queryset = rows

    def apply(self, executions: ExecutionQuerySet) -> ExecutionQuerySet:
        """Narrow a queryset."""
        self.is_valid()
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        for word in str(chosen.get("q", "")).split():
            executions = executions.filter(name__icontains=word)
        if chosen.get("status"):
            statuses = OPEN_STATUSES if chosen["status"] == OPEN else [chosen["status"]]
            executions = executions.filter(status__in=statuses)
        for name in ("instance", "template", "trigger"):
            if chosen.get(name):
                executions = executions.filter(**{name: chosen[name]})
        if chosen.get("since"):
            executions = executions.filter(queued_at__date__gte=chosen["since"])
        return executions

    @property
    def is_filtered(self) -> bool:
        """Return whether anything is chosen."""
        self.is_valid()
        return any(self.cleaned_data.values())


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
