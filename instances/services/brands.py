"""Brands of an instance, replaced as a set."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable

from django.db import transaction

from amchelper.access import pk_of
from amchelper.busy import BusyError
from amchelper.commits import after_commit
from amchelper.models import User
from amchelper.words import pluralized
from instances.errors import InvalidInstanceConfiguration
from instances.models import AMCInstance, InstanceBrand
from instances.models.instance import MAX_TYPED, BrandQuerySet
from instances.services.mapping_changes import is_changing, remove_detached_brands

logger = logging.getLogger(__name__)

MAX_LENGTH = 100
_SHOWN_OF_A_LONG_NAME = 40
# More names than these make no sentence.
_MAX_NAMED = 10
_MAPPINGS_CHANGE = "Mappings of this instance are being saved at this moment, perhaps to a brand that you remove."


def fold(name: str) -> str:
    """Return what two brands are compared by, however their accents are stored."""
    return unicodedata.normalize("NFC", name).casefold()


def clean_names(names: Iterable[str]) -> list[str]:
    """Trim names, collapse white space inside, drop empty ones and keep the first spelling of each.

    Raises InvalidInstanceConfiguration naming the brands that are too long.
    """
    by_folded: dict[str, str] = {}
    too_long: list[str] = []
    for raw in names:
        name = " ".join(unicodedata.normalize("NFC", raw).split())
        if not name:
            continue
        if len(name) > MAX_LENGTH:
            too_long.append(name)
        by_folded.setdefault(fold(name), name)
    if too_long:
        raise InvalidInstanceConfiguration(_say_too_long(list(dict.fromkeys(too_long))), field="brands")
    return list(by_folded.values())


def _say_too_long(names: list[str]) -> str:
    shown = [f"“{name[:_SHOWN_OF_A_LONG_NAME]}…” has {len(name)} characters" for name in names[:_MAX_NAMED]]
    if more := len(names) - len(shown):
        shown.append(f"{more:,} more {pluralized(more, 'is', 'are')} too long")
    return f"{', '.join(shown)}; a brand has at most {MAX_LENGTH}."


def replace_brands(instance: AMCInstance, names: Iterable[str], *, actor: User | None) -> None:
    """Make `names` the instance's brands; rows that stay keep their key, and what was mapped to others goes with them.

    Raises InvalidInstanceConfiguration before anything is changed, BusyError while mappings are being written.
    """
    wanted = {fold(name): name for name in clean_names(names)}
    with transaction.atomic():
        # Two tabs that replace the set at once must not end with a mixture.
        AMCInstance.objects.select_for_update().filter(pk=instance.pk).first()
        present = {brand.folded: brand for brand in InstanceBrand.objects.filter(instance=instance)}
        gone = [brand.pk for folded, brand in present.items() if folded not in wanted]
        if gone:
            if is_changing(instance):
                raise BusyError(_MAPPINGS_CHANGE)
            InstanceBrand.objects.filter(pk__in=gone).update(instance=None)
            # There may be very many mappings: they go after the commit, in small transactions, or with the sweep.
            after_commit(remove_detached_brands, what="remove detached brands")
        respelled = [b for folded, b in present.items() if folded in wanted and b.name != wanted[folded]]
        for brand in respelled:
            brand.name = wanted[brand.folded]
        InstanceBrand.objects.bulk_update(respelled, ["name"])
        InstanceBrand.objects.bulk_create(
            InstanceBrand(instance=instance, name=name, folded=folded)
            for folded, name in wanted.items()
            if folded not in present
        )
    logger.info("brands replaced instance=%s actor=%s count=%s", instance.pk, pk_of(actor), len(wanted))


def brands_without(instance: AMCInstance, names: Iterable[str]) -> BrandQuerySet:
    """Return the instance's brands that go when `names`, clean ones, become its brands."""
    return InstanceBrand.objects.filter(instance=instance).exclude(folded__in=[fold(name) for name in names])


def suggest_brands(user: User, text: str = "", *, limit: int = 20) -> list[str]:
    """Return the user's brand names that hold `text`, in any case."""
    brands = InstanceBrand.objects.visible_to(user).holding(fold(" ".join(text[:MAX_TYPED].split())))
    return brands.distinct_names(limit)
