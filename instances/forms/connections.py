"""Forms of connections and accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from amchelper.models import User
from instances.amc.hosts import MARKETPLACES, country_of
from instances.models import AmazonConnection, AMCAccount, Region
from instances.services.connections import ACCOUNT_TAKEN, NAME_TAKEN
from instances.services.pasted_tokens import MAX_PASTED_CHARACTERS, PastedTokenError, read_refresh_token

OTHER_MARKETPLACE = "other"


def region_choices() -> list[tuple[str, str]]:
    """Return the regions in words, each with its countries."""
    return [
        (region.value, f"{region.label}: {', '.join(_countries(region.value))}")
        for region in (Region.NA, Region.EU, Region.FE)
    ]


def _countries(region: str) -> list[str]:
    return [market.country_code for market in MARKETPLACES.values() if market.region == region]


class ConnectionForm(forms.ModelForm):
    """Name and region of a login."""

    region = forms.ChoiceField(
        choices=region_choices,
        initial=Region.NA,
        label="Region",
        help_text="Where you sign in to Amazon Ads. One login also reaches accounts in the other regions.",
    )

    class Meta:
        model = AmazonConnection
        fields = ("label", "region")
        labels = {"label": "Name"}
        help_texts = {"label": "How you will recognise this login, such as the agency or brand it belongs to."}

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_label(self) -> str:
        """Refuse a name the login's owner has already, in any case and alphabet."""
        label: str = self.cleaned_data["label"].strip()
        owner = self.user if self.instance._state.adding else self.instance.user
        others = AmazonConnection.objects.owned_by(owner).exclude(pk=self.instance.pk)
        if label.casefold() in {other.casefold() for other in others.values_list("label", flat=True)}:
            raise ValidationError(NAME_TAKEN)
        return label


class RefreshTokenForm(ConnectionForm):
    """A refresh token its owner already has; for an existing connection only the token is asked for."""

    refresh_token = forms.CharField(
        label="Refresh token",
        max_length=MAX_PASTED_CHARACTERS,
        # Never rendered back: the page would hold the secret.
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Starts with Atzr|; quotes, a name before it or the answer it came in do no harm. It must have been "
        "issued to this deployment's client ID. It is tried at Amazon before it is stored, encrypted.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        if not self.instance._state.adding:
            del self.fields["label"], self.fields["region"]

    def clean_refresh_token(self) -> str:
        """Take the token out of what it was pasted in, and say what was pasted instead of one."""
        try:
            return read_refresh_token(self.cleaned_data["refresh_token"])
        except PastedTokenError as error:
            raise ValidationError(error.message) from None


class AccountForm(forms.ModelForm):
    """An AMC account typed by hand, because the login reaches it without administering it."""

    marketplace = forms.ChoiceField(label="Marketplace")
    other_marketplace_id = forms.CharField(
        label="Other marketplace ID",
        required=False,
        max_length=32,
        validators=[
            RegexValidator(
                r"\A[A-Z0-9]{5,32}\Z",
                "A marketplace ID is capital letters and digits, such as ATVPDKIKX0DER.",
            )
        ],
        help_text="Only when the marketplace is “Another one”.",
    )

    class Meta:
        model = AMCAccount
        fields = ("account_id", "account_name")
        labels = {"account_name": "Account name"}
        help_texts = {"account_name": "Optional. Discovery replaces it with Amazon's name for the account."}

    field_order = ("account_id", "marketplace", "other_marketplace_id", "account_name")

    def __init__(self, *args: Any, connection: AmazonConnection, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.connection = connection
        field = self.fields["marketplace"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101
        field.choices = self._marketplace_choices()
        near = [market.marketplace_id for market in MARKETPLACES.values() if market.region == connection.region]
        field.initial = near[0]

    def clean(self) -> dict[str, Any]:
        """Settle the marketplace and refuse an account the login has already."""
        data = super().clean() or self.cleaned_data
        marketplace = data.get("marketplace", "")
        if marketplace == OTHER_MARKETPLACE:
            marketplace = data.get("other_marketplace_id", "")
            if not marketplace and "other_marketplace_id" not in self.errors:
                self.add_error("other_marketplace_id", "Type the marketplace ID.")
        account_id = data.get("account_id")
        if not (marketplace and account_id):
            return data
        same = AMCAccount.objects.filter(
            connection=self.instance.connection, account_id=account_id, marketplace_id=marketplace
        )
        if same.exists():
            self.add_error("account_id", ACCOUNT_TAKEN)
        self.instance.marketplace_id = marketplace
        self.instance.country_code = country_of(marketplace, default="")
        return data

    @staticmethod
    def _marketplace_choices() -> list[tuple[str, Any]]:
        groups: list[tuple[str, Any]] = [
            (
                region.label,
                [
                    (market.marketplace_id, f"{market.country_code} ({market.marketplace_id})")
                    for market in MARKETPLACES.values()
                    if market.region == region.value
                ],
            )
            for region in Region
        ]
        return [*groups, (OTHER_MARKETPLACE, "Another one: type its ID")]
