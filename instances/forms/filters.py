"""The filters of the instance list, all of them in the address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.db.models import QuerySet

from amchelper.models import User
from amchelper.widgets import SuggestingInput
from instances.models import AMCAccount, AMCInstance, Health, InstanceBrand, Region, Status
from instances.models.instance import MAX_TYPED, InstanceQuerySet
from instances.presenters.listing import DEFAULT_SORT, SORTS, health_filter, sorted_instances
from instances.services.brands import fold

Rows = TypeVar("Rows", bound=QuerySet[Any])

# Beyond it they are not listed one by one in the statement.
_MAX_KEYS = 50

_STATUS_WORDS = (
    (Status.ACTIVE, "Active"),
    (Status.PENDING, "Draft"),
    (Status.INACTIVE, "Disabled"),
    (Status.ERROR, "Error"),
)


def style_toolbar(fields: Iterable[forms.Field]) -> None:
    """Let fields look as those of a toolbar do, where a name beside each would take too much room."""
    for field in fields:
        is_select = isinstance(field.widget, forms.Select)
        field.widget.attrs |= {"class": "form-select" if is_select else "form-control", "aria-label": field.label}


class FiltersByInstance(forms.Form):
    """Filters of a list whose rows belong to instances: by a part of the name or AMC ID, or by a suggestion."""

    instance = forms.CharField(
        required=False,
        max_length=MAX_TYPED,
        label="Instance",
        widget=SuggestingInput(
            "instances:instance-suggestions",
            attrs={"placeholder": "Any instance"},
        ),
    )
    # A sentence about a text that names no instance.
    unknown = ""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        style_toolbar(self.fields.values())

    def of_instances(self, rows: Rows, text: str) -> Rows:
        """Return those of `rows` whose instance the user sees and `text` names."""
        named = AMCInstance.objects.visible_to(self.user).named(text).order_by()
        keys = list(named.values_list("pk", flat=True)[: _MAX_KEYS + 1])
        if not keys:
            self.unknown = f"No instance has “{text}” in its name or AMC ID."
        # Keys lead to an index; a subquery is only better than a list of thousands.
        return rows.filter(instance__in=keys if len(keys) <= _MAX_KEYS else named.values("pk"))


class InstanceFilter(forms.Form):
    """Search, filter and sort instances; a value that cannot be matches nothing."""

    q = forms.CharField(required=False, max_length=200, strip=True, label="Search")
    health = forms.ChoiceField(
        required=False,
        label="Health",
        choices=[("", "Any health"), *Health.choices, ("UNKNOWN", "Unknown")],
    )
    status = forms.ChoiceField(required=False, label="Status", choices=[("", "Any status"), *_STATUS_WORDS])
    region = forms.ChoiceField(required=False, label="Region", choices=[("", "All regions"), *Region.choices])
    account = forms.ChoiceField(required=False, label="Account")
    brand = forms.CharField(
        required=False,
        max_length=100,
        label="Brand",
        widget=SuggestingInput("instances:brand-suggestions", attrs={"placeholder": "Any brand"}),
    )

    def __init__(self, data: Mapping[str, Any], *, user: User) -> None:
        super().__init__(data)
        accounts = AMCAccount.objects.visible_to(user)
        choices = [("", "All accounts"), *((str(a.pk), _account_label(a)) for a in accounts)]
        account = self.fields["account"]
        if isinstance(account, forms.ChoiceField):
            account.choices = choices
        style_toolbar(self.fields.values())
        self.fields["q"].widget = forms.TextInput(
            attrs={
                "type": "search",
                "class": "form-control",
                "placeholder": "Name, AMC ID, account or brand",
                "aria-label": "Search instances",
                "autocomplete": "off",
            }
        )

    @property
    def sort(self) -> str:
        """Return the order that was asked for, or the usual one."""
        sort = str(self.data.get("sort", ""))
        return sort if sort in SORTS else DEFAULT_SORT

    @property
    def chosen(self) -> dict[str, str]:
        """Return the filters that are set, by name."""
        return {name: str(self.data[name]) for name in self.fields if str(self.data.get(name, "")).strip()}

    def address(self, **changes: str) -> str:
        """Return the query string of the present filters, without empty parts."""
        parts = {**self.chosen, **({"sort": self.sort} if self.sort != DEFAULT_SORT else {}), **changes}
        text = urlencode({name: value for name, value in parts.items() if value})
        return f"?{text}" if text else ""

    def apply(self, instances: InstanceQuerySet) -> InstanceQuerySet:
        """Return those of `instances` that fit, in order."""
        if not self.is_valid():
            return instances.none()
        values = self.cleaned_data
        found = instances.search(values["q"]) if values["q"] else instances
        if values["health"]:
            found = found.filter(health_filter(values["health"]))
        for name in ("status", "region", "account"):
            if values[name]:
                found = found.filter(**{name: values[name]})
        if values["brand"]:
            # A subquery, not a join: nothing may come twice.
            brands = InstanceBrand.objects.holding(fold(values["brand"]))
            found = found.filter(pk__in=brands.values("instance"))
        return sorted_instances(found, self.sort)


def _account_label(account: AMCAccount) -> str:
    return f"{account.account_name or account.account_id} · {account.place}"
