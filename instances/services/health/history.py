"""The history of probes: stored in few statements, moving instances along the life cycle; later summed up by hour."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Expression,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import TruncHour
from django.utils import timezone

from amchelper.models import User
from instances.models import AMCInstance, Event, Health, HealthCheck, HealthCheckBatch, HealthRollup
from instances.models.lifecycle import TRANSITIONS, event_of
from instances.services.health.probing import ProbeResult

logger = logging.getLogger(__name__)

# What a probe was about: AMC ID and account. Another one is another instance.
ProbedAs = tuple[str, UUID]


def record_results(
    batch: HealthCheckBatch,
    results: Sequence[ProbeResult],
    *,
    keys: dict[UUID, ProbedAs] | None = None,
) -> None:
    """Store `results` as probes of `batch` and update their instances.

    `keys` (AMC ID and account by instance) names what was probed: an instance that was linked elsewhere
    meanwhile does not get the verdict of the old one, and a deleted one gets none.
    """
    with transaction.atomic():
        current = {
            pk: (instance_id, account)
            for pk, instance_id, account in AMCInstance.objects.filter(
                pk__in=[result.instance_pk for result in results]
            ).values_list("pk", "instance_id", "account_id")
        }
        valid = [r for r in results if _is_current(r.instance_pk, current, keys)]
        if not valid:
            return
        HealthCheck.objects.bulk_create(_check(batch, result) for result in valid)
        pks = [result.instance_pk for result in valid]
        _update_instances(batch, pks)


def record_batch(results: Sequence[ProbeResult], *, actor: User | None) -> None:
    """Store what saving or importing instances found out already, as a batch that is finished."""
    batch = HealthCheckBatch.objects.create(
        user=actor,
        trigger=HealthCheckBatch.Trigger.SAVE,
        instance_ids=[str(result.instance_pk) for result in results],
        total=len(results),
        finished_at=timezone.now(),
    )
    record_results(batch, results)


def _is_current(pk: UUID, current: dict[UUID, ProbedAs], keys: dict[UUID, ProbedAs] | None) -> bool:
    if pk not in current:
        return False
    return keys is None or pk not in keys or keys[pk] == current[pk]


def _check(batch: HealthCheckBatch, result: ProbeResult) -> HealthCheck:
    return HealthCheck(
        instance_id=result.instance_pk,
        batch=batch,
        checked_at=result.checked_at,
        verdict=result.verdict,
        reason=result.reason,
        http_status=result.http_status,
        latency_ms=result.latency_ms,
        request_id=result.request_id[:100],
        error=result.error[:500],
    )


def _update_instances(batch: HealthCheckBatch, pks: Sequence[UUID]) -> None:
    """Copy each instance's newest probe of `batch` onto it with one UPDATE that reads the old row's values."""
    newest = HealthCheck.objects.filter(batch=batch, instance=OuterRef("pk")).order_by("-pk")

    def of(name: str) -> Subquery:
        return Subquery(newest.values(name)[:1])

    fresh = AMCInstance.objects.filter(pk__in=pks).annotate(verdict=of("verdict"), probed_at=of("checked_at"))
    # A slow probe that ends after a newer one is kept as history, but does not overwrite the newer verdict.
    fresh = fresh.filter(Q(last_health_check__isnull=True) | Q(last_health_check__lte=F("probed_at")))
    # One probe between others is a hiccup: only a second one in a row that says otherwise settles what has changed.
    is_first = Q(health_settled__isnull=True)
    is_second = ~Q(verdict=F("health_settled")) & ~Q(health_status=F("health_settled"))
    fresh.update(
        health_status=of("verdict"),
        health_reason=of("reason"),
        health_error=of("error"),
        health_latency_ms=of("latency_ms"),
        last_health_check=of("checked_at"),
        health_settled=Case(
            When(is_first | is_second, then=of("verdict")), default=F("health_settled"), output_field=CharField()
        ),
        health_since=Case(
            When(is_first, then=of("checked_at")),
            # The first of the two, which is still the last one here.
            When(is_second, then=F("last_health_check")),
            default=F("health_since"),
            output_field=DateTimeField(),
        ),
        consecutive_errors=Case(
            When(verdict=Health.ERROR, then=F("consecutive_errors") + 1),
            default=Value(0),
            output_field=IntegerField(),
        ),
        status=_status_after_probe(),
    )


def _status_after_probe() -> Expression:
    """Write the life cycle's table as one CASE, so that the database decides on the row as it is now."""
    cases = []
    for verdict in Health:
        # The counter is read before this probe adds to it: one error so far makes this the second.
        for errors, already in ((1, Q(consecutive_errors=0)), (2, Q(consecutive_errors__gte=1))):
            event = event_of(verdict, errors)
            if verdict != Health.ERROR and errors == 2:
                continue
            condition = Q(verdict=verdict) & (already if verdict == Health.ERROR else Q())
            cases += [
                When(condition & Q(status=status), then=Value(str(events[event])))
                for status, events in TRANSITIONS.items()
                if event in events and events[Event(event)] != status
            ]
    return Case(*cases, default=F("status"), output_field=CharField())


def prune(*, now: datetime | None = None) -> int:
    """Turn probes older than HEALTH_HISTORY_DAYS into hourly summaries; returns how many were removed."""
    now = now or timezone.now()
    cutoff = (now - timedelta(days=settings.HEALTH_HISTORY_DAYS)).replace(minute=0, second=0, microsecond=0)
    old = HealthCheck.objects.filter(checked_at__lt=cutoff)
    with transaction.atomic():
        hours = (
            old.order_by()
            # In UTC, like the cutoff: hours begin elsewhere in some zones, and twice when clocks are set back.
            .annotate(hour=TruncHour("checked_at", tzinfo=UTC))
            .values("instance_id", "hour")
            .annotate(
                healthy=Count("pk", filter=Q(verdict=Health.HEALTHY)),
                unhealthy=Count("pk", filter=Q(verdict=Health.UNHEALTHY)),
                error=Count("pk", filter=Q(verdict=Health.ERROR)),
                latency_ms_sum=Sum("latency_ms", default=0),
                latency_count=Count("latency_ms"),
            )
        )
        # Whole hours before a fixed cutoff: an hour is summed up once, a second run finds nothing left.
        HealthRollup.objects.bulk_create(
            (HealthRollup(**hour) for hour in hours.iterator()), batch_size=500, ignore_conflicts=True
        )
        removed, _ = old.delete()
        HealthCheckBatch.objects.filter(started_at__lt=cutoff, checks__isnull=True).delete()
    logger.info("health history pruned removed=%s", removed)
    return removed
