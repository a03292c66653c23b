"""What belongs to a brand: ASINs and campaigns."""

from __future__ import annotations

import unicodedata
from functools import reduce
from operator import or_
from typing import TypeVar

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


class MappingQuerySet(OwnedQuerySet[M]):
    """Mappings of one kind of thing by access, instance and text."""

    owner_path = "brand__instance__user"

    def of_instance(self, instance: AMCInstance) -> MappingQuerySet[M]:
        """Return the mappings of all brands of an instance."""
        return self.filter(brand__instance=instance)


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


class BrandASIN(models.Model):
    """An ASIN of a brand, in capital letters."""

    id = models.BigAutoField(primary_key=True)
    brand = models.ForeignKey(InstanceBrand, on_delete=models.CASCADE, related_name="asins")
    asin = models.CharField("ASIN", max_length=ASIN_LENGTH)
    created_at = models.DateTimeField("added", auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ASINQuerySet.as_manager()

    class Meta:
        db_table = "brand_asins"
        verbose_name = "mapped ASIN"
        # The order they were stored in, which is also the order they fill parameters in.
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["brand", "asin"], name="asins_unique_per_brand"),
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


class BrandCampaign(models.Model):
    """A campaign of a brand: its ID in full digits, or its name exactly as Amazon has it."""

    id = models.BigAutoField(primary_key=True)
    brand = models.ForeignKey(InstanceBrand, on_delete=models.CASCADE, related_name="campaigns")
    kind = models.CharField(max_length=13, choices=MappingKind.choices[1:])
    # Text for both: an ID has up to 64 bits, which spreadsheets and JavaScript round.
    value = models.CharField("ID or name", max_length=NAME_LENGTH)
    # The case-folded value: LOWER() of SQLite knows ASCII only, so the database compares this.
    folded = models.CharField(max_length=3 * NAME_LENGTH, editable=False)
    created_at = models.DateTimeField("added", auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        db_table = "brand_campaigns"
        verbose_name = "mapped campaign"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["brand", "kind", "folded"], name="campaigns_unique_per_brand"),
            models.CheckConstraint(
                name="campaigns_have_the_form",
                condition=Q(kind=MappingKind.CAMPAIGN_NAME) & ~Q(value="")
                | Q(LessThanOrEqual(Length("value"), MAX_ID_DIGITS), kind=MappingKind.CAMPAIGN_ID) & ~Q(value=""),
                violation_error_message="A campaign is an ID of at most 19 digits, or a name.",
            ),
        )

    def __str__(self) -> str:
        return self.value
