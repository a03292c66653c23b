"""Figures about many instances for the home and health pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Avg, Case, Count, IntegerField, Max, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils import timezone

from amchelper.models import User
from instances.models import AmazonConnection, AMCInstance, Health, HealthCheck, Region
from instances.models.reasons import reason_of

FAILING_SHOWN = 10
WORDS = {"HEALTHY": "Healthy", "UNHEALTHY": "Unhealthy", "ERROR": "Error", "": "Unknown"}


@dataclass(frozen=True)
class Tile:
    """One verdict, how many instances have it, and where to see them."""

    health: str
    label: str
    count: int
    url: str


@dataclass(frozen=True)
class RegionFigures:
    """What probes of one region found out in the last 24 hours."""

    region: str
    label: str
    checks: int
    answered_percent: float | None
    error_percent: float | None
    average_ms: int | None
    slowest_ms: int | None


@dataclass(frozen=True)
class HourBlock:
    """The worst verdict of one hour, for a bar of 24."""

    health: str
    title: str


def health_tiles(counts: dict[str, int]) -> list[Tile]:
    """Turn counts by verdict into tiles; the key "" means never checked."""
    url = reverse("instances:instance-list")
    return [
        Tile(health, label, counts.get(health, 0), f"{url}?health={health or 'UNKNOWN'}")
        for health, label in WORDS.items()
    ]


def instance_overview(user: User) -> dict[str, Any]:
    """Return what the home page shows of the instances `user` sees: how many work, and which need a look."""
    instances = AMCInstance.objects.visible_to(user)
    failing = instances.failing().defer("config").longest_first("-health_status")
    tiles = health_tiles(instances.health_counts())
    return {
        "tiles": tiles,
        "total": sum(tile.count for tile in tiles),
        "failing": [(instance, reason_of(instance.health_reason)) for instance in failing[:FAILING_SHOWN]],
        # Not from the tiles: they count disabled instances too.
        "failing_count": failing.count(),
        "has_connection": AmazonConnection.objects.visible_to(user).exists(),
        "can_run": instances.runnable_by(user).exists(),
        "has_checked": any(tile.count for tile in tiles if tile.health),
    }


def region_figures(checks: QuerySet[HealthCheck], *, now: datetime | None = None) -> list[RegionFigures]:
    """Summarise the probes of the last 24 hours by region. One query."""
    since = (now or timezone.now()) - timedelta(hours=24)
    rows = (
        checks.filter(checked_at__gte=since)
        .order_by()
        .values("instance__region")
        .annotate(
            checks=Count("pk"),
            errors=Count("pk", filter=Q(verdict=Health.ERROR)),
            average=Avg("latency_ms", filter=Q(verdict=Health.HEALTHY)),
            slowest=Max("latency_ms", filter=Q(verdict=Health.HEALTHY)),
        )
    )
    by_region = {row["instance__region"]: row for row in rows}
    return [_figures(region, label, by_region.get(region)) for region, label in Region.choices]


def _figures(region: str, label: str, row: Mapping[str, Any] | None) -> RegionFigures:
    if not row:
        return RegionFigures(region, label, 0, None, None, None, None)
    error_percent = 100 * row["errors"] / row["checks"]
    return RegionFigures(
        region=region,
        label=label,
        checks=row["checks"],
        answered_percent=100 - error_percent,
        error_percent=error_percent,
        average_ms=None if row["average"] is None else round(row["average"]),
        slowest_ms=row["slowest"],
    )


def hour_blocks(checks: QuerySet[HealthCheck], *, now: datetime | None = None) -> list[HourBlock]:
    """Return the last 24 hours, oldest first, each with its worst verdict. One query."""
    now = (now or timezone.now()).astimezone(UTC)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    rows = (
        checks.filter(checked_at__gte=first)
        .order_by()
        # Not TruncHour: in SQLite that is a Python function, called for every probe of the day.
        .annotate(hour=_hour_number(first))
        .values("hour")
        .annotate(
            checks=Count("pk"),
            unhealthy=Count("pk", filter=Q(verdict=Health.UNHEALTHY)),
            errors=Count("pk", filter=Q(verdict=Health.ERROR)),
        )
    )
    by_hour = {row["hour"]: row for row in rows}
    return [_block(first + timedelta(hours=n), by_hour.get(n)) for n in range(24)]


def _hour_number(first: datetime) -> Case:
    """Return 0 for probes of the hour that begins at `first`, 1 for the next, up to 23."""
    return Case(
        *(When(checked_at__gte=first + timedelta(hours=n), then=Value(n)) for n in range(23, 0, -1)),
        default=Value(0),
        output_field=IntegerField(),
    )


def _block(hour: datetime, row: Mapping[str, Any] | None) -> HourBlock:
    clock = timezone.localtime(hour).strftime("%H:%M")
    if not row:
        return HourBlock("", f"{clock}: no checks")
    health = Health.ERROR if row["errors"] else Health.UNHEALTHY if row["unhealthy"] else Health.HEALTHY
    good = row["checks"] - row["errors"] - row["unhealthy"]
    return HourBlock(str(health), f"{clock}: {good} of {row['checks']} checks healthy")


def incidents(instances: Iterable[AMCInstance]) -> list[dict[str, Any]]:
    """Return failing instances with their reason in words, the longest lasting first."""
    return [
        {"instance": instance, "reason": reason_of(instance.health_reason)}
        for instance in sorted(instances, key=lambda i: i.verdict_since or i.created_at)
    ]
