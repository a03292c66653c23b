"""Form fields that other parts reuse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator, ModelChoiceIteratorValue

from amchelper.models import User
from amchelper.widgets import SuggestingInput
from instances.models import AmazonConnection, AMCAccount, AMCInstance
from instances.models.instance import MAX_TYPED, InstanceQuerySet

# A message about a name that fits several instances lists so many.
MAX_NAMED = 5


class InstanceChoiceField(forms.ModelChoiceField):
    """Choose one of the user's instances, shown as "name (instance_id)"; only active ones by default."""

    def __init__(self, *, user: User | None = None, include_inactive: bool = False, **kwargs: Any) -> None:
        self.include_inactive = include_inactive
        kwargs.setdefault("label", "Instance")
        kwargs.setdefault("empty_label", "Choose an instance")
        super().__init__(queryset=AMCInstance.objects.none(), **kwargs)
        if user is not None:
            self.limit_to(user)

    def limit_to(self, user: User) -> None:
        """Offer what `user` may run something on; a form calls this when it learns who asks."""
        instances = AMCInstance.objects.runnable_by(user)
        self.queryset = instances if self.include_inactive else instances.active()

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.instance_id})"


class InstanceTextField(forms.CharField):
    """Name one of many instances: in full, by its AMC ID, or by a part that only one has; a form sets `instances`."""

    def __init__(self, *, suggest: str = "", **kwargs: Any) -> None:
        widget = SuggestingInput("instances:instance-suggestions", query=suggest)
        super().__init__(**{"label": "Instance", "max_length": MAX_TYPED, "widget": widget, **kwargs})
        self.instances = AMCInstance.objects.none()

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        # One that is named in full is meant, however many others have that text in their names.
        fitting = _first(self.instances.named_in_full(text)) or _first(self.instances.named(text))
        if len(fitting) == 1:
            return fitting[0]
        raise forms.ValidationError(_why_not_one(text, fitting), code="invalid_choice")


def _first(instances: InstanceQuerySet) -> list[AMCInstance]:
    return list(instances.only("pk", "name", "instance_id")[: MAX_NAMED + 1])


def _why_not_one(text: str, fitting: list[AMCInstance]) -> str:
    if not fitting:
        return f"No instance that can be chosen here has “{text}” in its name or AMC ID."
    several = ", ".join(str(one) for one in fitting[:MAX_NAMED])
    more = " and others" if len(fitting) > MAX_NAMED else ""
    return f"Several instances fit “{text}”: {several}{more}. Write one of them in full."


class _ByConnection(ModelChoiceIterator):
    """Group accounts under their login."""

    def __iter__(self) -> Iterator[Any]:
        if self.field.empty_label is not None:
            yield ("", self.field.empty_label)
        accounts = self.queryset.select_related("connection").order_by(
            "connection__label", "connection", "account_name", "account_id", "marketplace_id"
        )
        for connection, group in groupby(accounts, key=lambda account: account.connection):
            yield (_connection_label(connection), [self.choice(account) for account in group])

    def choice(self, obj: Any) -> tuple[ModelChoiceIteratorValue, str]:
        return super().choice(obj)


class AccountChoiceField(forms.ModelChoiceField):
    """Choose one of the user's AMC accounts, grouped by login."""

    iterator = _ByConnection

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", "Account")
        kwargs.setdefault("empty_label", "Choose an account")
        super().__init__(queryset=AMCAccount.objects.none(), **kwargs)

    def limit_to(self, user: User) -> None:
        """Offer the accounts that `user` may link instances to."""
        self.queryset = AMCAccount.objects.editable_by(user).select_related("connection")

    def label_from_instance(self, obj: Any) -> str:
        return " · ".join(part for part in (obj.account_name, obj.account_id, obj.place) if part)


def _connection_label(connection: AmazonConnection) -> str:
    if connection.is_usable:
        return connection.label
    return f"{connection.label} – {connection.health_hint()['label'].lower()}"
