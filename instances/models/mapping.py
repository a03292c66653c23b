"""What belongs to a brand: ASINs and campaigns, and the change of them that is being written."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Self, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Upper
from django.db.models.lookups import Exact, LessThanOrEqual

from amc_facts.identifiers import (
    ASIN_FIRST_CHARACTERS,
    ASIN_LENGTH,
    MAX_ID_DIGITS,
    asin_tokens,
    asins_of,
    without_invisible,
)
from amchelper.access import OwnedQuerySet
from amchelper.leases import LeasedModel, LeasedQuerySet
from instances.models.instance import AMCInstance, InstanceBrand

M = TypeVar("M", bound=models.Model)

NAME_LENGTH = 255
_BEGINS_LIKE_AN_ASIN = reduce(or_, (Q(asin__startswith=first) for first in ASIN_FIRST_CHARACTERS))


class MappingKind(models.TextChoices):
    """What a brand can be mapped to; the values are also the columns of CSV files."""

    ASIN = "asin", "ASIN"
    CAMPAIGN_ID = "campaign_id", "Campaign ID"
    CAMPAIGN_NAME = "campaign_name", "Campaign name"

    @property
    def noun(self) -> str:
        """Return the word for one of them inside a sentence."""
        return self.label if self is MappingKind.ASIN else self.label.lower()


class MappingChangeQuerySet(  # type: ignore[override]  # the stubs give each base a manager type of its own
    OwnedQuerySet["MappingChange"], LeasedQuerySet["MappingChange"]
):
    """Changes that are being written, by access and by who holds them."""

    owner_path = "instance__user"
    # Far longer than a batch of rows takes; a change whose writer died is undone after it.
    lease = timedelta(seconds=30)

    def unfinished(self) -> Self:
        """Return all: a change that is finished has no row."""
        return self.all()


class MappingChange(LeasedModel):
    """A change of an instance's mappings that is being written, one at a time, in many small transactions.

    While its row is there, what it adds is not mapped yet and what it removes still is. Deleting the row makes all of
    it true at once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    instance = models.OneToOneField(AMCInstance, on_delete=models.CASCADE, related_name="mapping_change")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MappingChangeQuerySet.as_manager()

    class Meta:
        db_table = "mapping_changes"
        verbose_name = "change of mappings"
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return f"{self.instance} since {self.created_at:%Y-%m-%d %H:%M}"


class MappingQuerySet(OwnedQuerySet[M]):
    """Mappings of one kind of thing by access, instance and text."""

    owner_path = "brand__instance__user"

    def mapped(self) -> Self:
        """Return what is mapped now: without what a change is only about to add, or has removed."""
        being_written = MappingChange.objects.order_by().values("pk")
        is_added = Q(added_in=None) | ~Q(added_in__in=being_written)
        is_kept = Q(removed_in=None) | Q(removed_in__in=being_written)
        return self.filter(is_added, is_kept)

    def of_instance(self, instance: AMCInstance) -> Self:
        """Return what is mapped to the brands of an instance."""
        return self.filter(brand__instance=instance).mapped()


class ASINQuerySet(MappingQuerySet["BrandASIN"]):
    """Mapped ASINs."""

    def search(self, text: str) -> ASINQuerySet:
        """Return the ASINs that hold any word of `text`: users look for one, or paste a few."""
        words = [word for token in asin_tokens(text) for word in asins_of(token) or [without_invisible(token)]]
        if not words:
            return self.none() if text.strip() else self
        return self.filter(reduce(or_, (Q(asin__contains=word.upper()) for word in words)))


class CampaignQuerySet(MappingQuerySet["BrandCampaign"]):
    """Mapped campaigns."""

    def search(self, text: str) -> CampaignQuerySet:
        """Return the campaigns whose ID or name holds every word of `text`, in any case and alphabet."""
        found = self
        for word in text.split():
            found = found.filter(folded__contains=fold_campaign(word))
        return found


def fold_campaign(value: str) -> str:
    """Return what two campaigns are compared by."""
    return unicodedata.normalize("NFC", value).casefold()


class Mapping(models.Model):
    """What is mapped to a brand, with the keys of the changes that add and remove it.

    A change that is finished has no row any more, and its key stays.
    """

    id = models.BigAutoField(primary_key=True)
    added_in = models.UUIDField(null=True, editable=False)
    removed_in = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField("added", auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class BrandASIN(Mapping):
    """An ASIN of a brand, in capital letters."""

    brand = models.ForeignKey(InstanceBrand, on_delete=models.CASCADE, related_name="asins")
    asin = models.CharField("ASIN", max_length=ASIN_LENGTH)

    objects = ASINQuerySet.as_manager()

    class Meta:
        db_table = "brand_asins"
        verbose_name = "mapped ASIN"
        # The order they were stored in, which is also the order they fill parameters in.
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=["brand", "asin"], name="asins_unique_per_brand", condition=Q(removed_in=None)
            ),
            # With the spelling fixed, unique means unique in any case.
            models.CheckConstraint(
                name="asins_have_the_form",
                condition=Q(Exact(Length("asin"), ASIN_LENGTH), asin=Upper("asin")) & _BEGINS_LIKE_AN_ASIN,
                violation_error_message="An ASIN is B and nine letters or digits, or an ISBN-10, in capitals.",
            ),
        )

    def __str__(self) -> str:
        return self.asin

    @property
    def value(self) -> str:
        """Return what is mapped, by the name that all kinds share."""
        return self.asin


class BrandCampaign(Mapping):
    """A campaign of a brand: its ID in full digits, or its name exactly as Amazon has it."""

    brand = models.ForeignKey(InstanceBrand, on_delete=models.CASCADE, related_name="campaigns")
    kind = models.CharField(max_length=13, choices=MappingKind.choices[1:])
    # Text for both: an ID has up to 64 bits, which spreadsheets and JavaScript round.
    value = models.CharField("ID or name", max_length=NAME_LENGTH)
    # The case-folded value: LOWER() of SQLite knows ASCII only, so the database compares this.
    folded = models.CharField(max_length=3 * NAME_LENGTH, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        db_table = "brand_campaigns"
        verbose_name = "mapped campaign"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=["brand", "kind", "folded"],
                name="campaigns_unique_per_brand",
                condition=Q(removed_in=None),
            ),
            models.CheckConstraint(
                name="campaigns_have_the_form",
                condition=Q(kind=MappingKind.CAMPAIGN_NAME) & ~Q(value="")
                | Q(LessThanOrEqual(Length("value"), MAX_ID_DIGITS), kind=MappingKind.CAMPAIGN_ID) & ~Q(value=""),
                violation_error_message="A campaign is an ID of at most 19 digits, or a name.",
            ),
        )

    def __str__(self) -> str:
        return self.value
