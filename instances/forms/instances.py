"""The form of an instance."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q

from amchelper.dependents import impact_of, named
from amchelper.models import User
from instances.amc.types import AccountRef, InstanceRef
from instances.errors import InvalidInstanceConfiguration
from instances.forms.fields import AccountChoiceField
from instances.models import AMCInstance, Region
from instances.services.brands import brands_without, clean_names
from instances.services.instances import DUPLICATE, InstanceValues, version_of


class InstanceForm(forms.ModelForm):
    """Everything a user says about an instance; services save it, after the connection test."""

    account = AccountChoiceField(
        help_text="The AMC account that owns the instance. Its entity ID and marketplace go out with every call."
    )
    region = forms.ChoiceField(
        required=False,
        choices=[("", "From the marketplace"), *Region.choices],
        help_text="Amazon's host to call. Change it only when the account lives elsewhere, such as India in the "
        "Far East.",
    )
    brands = forms.CharField(
        required=False,
        help_text="Brands this instance measures, separated by commas. At most 100 characters each.",
        widget=forms.TextInput(
            attrs={
                "data-chips": "",
                "list": "brand-suggestions",
                "placeholder": "Add a brand",
                "autocomplete": "off",
            }
        ),
    )
    # Offered when mappings would go with a brand that was taken out.
    drops_mappings = forms.BooleanField(required=False, label="Remove these mappings too")
    version = forms.CharField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = AMCInstance
        fields = ("name", "account", "instance_id", "region", "lag_days", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        labels = {"instance_id": "AMC instance ID"}
        help_texts = {
            "name": "How you call it here.",
            "instance_id": "AMC's own ID, such as amcabcd1234. The AMC console shows it under Instance info.",
            "description": "For you and your colleagues; Amazon never sees it.",
        }

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.lost_mappings: list[str] = []
        self.fields["lag_days"].required = False
        account = self.fields["account"]
        if isinstance(account, AccountChoiceField):
            account.limit_to(user)
        self.fields["instance_id"].widget.attrs.update(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "class": "mono"}
        )
        if self.instance.pk and not self.instance._state.adding:
            self.initial["brands"] = ", ".join(brand.name for brand in self.instance.brands.all())
            self.initial["version"] = version_of(self.instance)
            if self.instance.region == self.instance.account.region:
                self.initial["region"] = ""  # nothing was overridden

    def clean_instance_id(self) -> str:
        """Refuse our own keys, and an instance the user has already."""
        instance_id = str(self.cleaned_data["instance_id"]).strip()
        AMCInstance._meta.get_field("instance_id").run_validators(instance_id)
        try:
            InstanceRef(instance_id=instance_id, account=AccountRef("", ""))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        owner = self.user.pk if self.instance._state.adding else self.instance.user_id
        twins = AMCInstance.objects.filter(user=owner, instance_id=instance_id).exclude(pk=self.instance.pk)
        if twins.exists():
            raise forms.ValidationError(DUPLICATE)
        return instance_id

    def clean_brands(self) -> tuple[str, ...]:
        """Return clean brand names, or name those that cannot be."""
        try:
            return tuple(clean_names(self.cleaned_data["brands"].split(",")))
        except InvalidInstanceConfiguration as error:
            raise forms.ValidationError(error.message) from error

    def clean(self) -> dict[str, Any]:
        """Refuse to take a brand out together with its mappings before that was said and agreed to."""
        data: dict[str, Any] = super().clean() or {}
        if self.instance._state.adding or "brands" not in data:
            return data
        gone = brands_without(self.instance, data["brands"])
        self.lost_mappings = impact_of(gone).consequences
        if self.lost_mappings and not data.get("drops_mappings"):
            mapped = gone.filter(Q(asins__isnull=False) | Q(campaigns__isnull=False)).distinct()
            self.add_error(
                "brands",
                f"Without {named(mapped, 'brand')}, its mappings go too: {' and '.join(self.lost_mappings)}. "
                "Say so below, or put the brand back.",
            )
        return data

    def clean_lag_days(self) -> int:
        """Keep what is saved, or the usual lag, where nothing is given."""
        given = self.cleaned_data["lag_days"]
        if given is None:
            return int(self.instance.lag_days)
        # Only the model knows the limits, and it is not asked: see _post_clean.
        AMCInstance._meta.get_field("lag_days").run_validators(given)
        return int(given)

    def values(self) -> InstanceValues:
        """Return what a valid form says."""
        data = self.cleaned_data
        return InstanceValues(
            account=data["account"],
            instance_id=data["instance_id"],
            name=data["name"],
            description=data["description"],
            region=data["region"],
            lag_days=data["lag_days"],
            brands=data["brands"],
        )

    def _post_clean(self) -> None:
        # The saved row must stay as it is: the services compare with it, and they write.
        pass
