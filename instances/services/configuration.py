"""The configuration of an instance as runs need it, cached and never stale after a save."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from amchelper.cache import GenerationCache
from amchelper.fields import Undecryptable
from instances.models import AMCInstance

INSTANCE_CACHE = GenerationCache("instance-configuration", settings.INSTANCE_CACHE_SECONDS)


@dataclass(frozen=True)
class InstanceConfiguration:
    """What a call to AMC needs to know about one instance; neither tokens nor what checks find out."""

    instance_id: str
    name: str
    entity_id: str
    is_active: bool
    advertiser_types: tuple[str, ...]


def get_instance_configuration(pk: UUID) -> InstanceConfiguration:
    """Return the configuration, from the cache when it holds the present one; raises AMCInstance.DoesNotExist."""
    return INSTANCE_CACHE.get_or_load(pk, lambda: _load(pk))


def invalidate_configuration(pks: Collection[UUID]) -> None:
    """Forget cached configurations; call it inside the transaction that writes."""
    INSTANCE_CACHE.invalidate(*pks)


def _load(pk: UUID) -> InstanceConfiguration:
    instance = AMCInstance.objects.select_related("account").get(pk=pk)
    config: Any = {} if isinstance(instance.config, Undecryptable) else instance.config or {}
    return InstanceConfiguration(
        instance_id=instance.instance_id,
        name=instance.name,
        entity_id=instance.account.account_id,
        is_active=instance.is_active,
        advertiser_types=tuple((config.get("amc") or {}).get("advertiserTypes") or ()),
    )
