"""What of the instances' app goes with rows that are deleted, and what stops with a login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from amchelper.dependents import DependentKind, named, register
from amchelper.words import counted, pluralized
from instances.models import (
    AmazonConnection,
    AMCAccount,
    AMCInstance,
    BrandASIN,
    BrandCampaign,
    HealthCheck,
    HealthCheckBatch,
    HealthRollup,
    InstanceBrand,
    MappingChange,
    Status,
)
from instances.services.amazon import forget_tokens
from instances.services.configuration import invalidate_configuration


def register_kinds() -> None:
    """Make the kinds of this app known."""
    register(
        DependentKind(
            AmazonConnection,
            "connection",
            describe=lambda rows: [f"{named(rows, 'connection', by='label')}, with the stored tokens"],
            prepare=_forget_logins,
        ),
        DependentKind(
            AMCAccount, "account", describe=lambda rows: [named(rows, "account", by="account_id")], stops=_accounts
        ),
        DependentKind(
            AMCInstance,
            "instance",
            describe=lambda rows: [named(rows, "instance")],
            prepare=_take_out_of_use,
            stops=_unchecked_instances,
            way_out="Delete them or link them to another account first.",
        ),
        DependentKind(InstanceBrand, "brand", describe=lambda rows: [named(rows, "brand")]),
        DependentKind(BrandASIN, "mapped ASIN"),
        DependentKind(BrandCampaign, "mapped campaign"),
        DependentKind(MappingChange, "change of mappings on its way", "changes of mappings on their way"),
        DependentKind(HealthCheck, "health check of the history", "health checks of the history"),
        DependentKind(HealthRollup, "hour of summarised history", "hours of summarised history"),
        DependentKind(HealthCheckBatch, "record of who asked for checks", "records of who asked for checks"),
    )


def _forget_logins(rows: QuerySet[Any]) -> Callable[[], object]:
    connections = list(rows.only("pk"))

    def forget() -> None:
        for connection in connections:
            forget_tokens(connection)

    return forget


def _take_out_of_use(rows: QuerySet[Any]) -> None:
    # While much history goes, nothing adds to it.
    rows.update(is_active=False, status=Status.INACTIVE)
    invalidate_configuration(list(rows.values_list("pk", flat=True)))


def _accounts(rows: QuerySet[Any]) -> list[str]:
    count = rows.count()
    return [f"{counted(count, 'account')} can no longer be read for instances."] if count else []


def _unchecked_instances(rows: QuerySet[Any]) -> list[str]:
    count = rows.enabled().count()  # type: ignore[attr-defined]  # rows of instances
    return [f"{counted(count, 'instance')} {pluralized(count, 'is', 'are')} no longer checked."] if count else []
