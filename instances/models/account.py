"""An AMC account."""

from __future__ import annotations

import uuid

from django.core.validators import RegexValidator
from django.db import models

from amchelper.access import OwnedQuerySet
from instances.amc.hosts import region_of
from instances.amc.types import AccountRef
from instances.models.connection import AmazonConnection


class AccountQuerySet(OwnedQuerySet["AMCAccount"]):
    """AMC accounts by access."""

    owner_path = "connection__user"


class AMCAccount(models.Model):
    """An AMC account: entity ID and marketplace, reached through one login."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(AmazonConnection, on_delete=models.CASCADE, related_name="accounts")
    account_id = models.CharField(
        "entity ID",
        max_length=64,
        help_text="Starts with ENTITY. It goes into the AdvertiserId header.",
        validators=[
            RegexValidator(
                r"\AENTITY[A-Z0-9]+\Z",
                "An entity ID is ENTITY followed by capital letters and digits. Profile, DSP advertiser and "
                "seller IDs do not work here.",
            )
        ],
    )
    account_name = models.CharField(max_length=255, blank=True, default="")
    marketplace_id = models.CharField("marketplace", max_length=32)
    country_code = models.CharField(max_length=2, default="US")
    advertiser_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = AccountQuerySet.as_manager()

    class Meta:
        db_table = "amc_accounts"
        verbose_name = "AMC account"
        ordering = ("account_name", "account_id", "marketplace_id", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["connection", "account_id", "marketplace_id"],
                name="accounts_identity_unique",
                violation_error_message="This login has this account and marketplace already.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_name or self.account_id} ({self.account_id}, {self.place})"

    @property
    def place(self) -> str:
        """Return the country; of a marketplace that Amazon opened after this was written, its ID."""
        return self.country_code or self.marketplace_id

    @property
    def region(self) -> str:
        """Return the region of Amazon's host for this marketplace."""
        return region_of(self.marketplace_id, default=self.connection.region)

    @property
    def ref(self) -> AccountRef:
        """Return what AMC knows this account by."""
        return AccountRef(account_id=self.account_id, marketplace_id=self.marketplace_id)
