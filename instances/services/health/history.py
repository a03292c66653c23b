"""The history of probes: stored in few statements, moving instances along the life cycle; later summed up by hour."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
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
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.utils import timezone

from amchelper.bulk import batches, delete_in_batches, weighed
from amchelper.models import User
from instances.models import AMCInstance, Event, Health, HealthCheck, HealthCheckBatch, HealthRollup
from instances.models.lifecycle import TRANSITIONS, event_of
from instances.services.health.probing import ProbeResult

logger = logging.getLogger(__name__)

# Probes per transaction: stored, each with a change of its instance, or summed up and removed.
_PROBES_AT_A_TIME = 250
_OLD_PROBES_AT_A_TIME = 500
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
    for part in batches(results, _PROBES_AT_A_TIME):
        _record(batch, part, keys)


def _record(batch: HealthCheckBatch, results: Sequence[ProbeResult], keys: dict[UUID, ProbedAs] | None) -> None:
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
        _update_instances(batch, [result.instance_pk for result in valid])


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
    """Turn probes older than HEALTH_HISTORY_DAYS into hourly summaries; returns how many were removed.

    Hour by hour, so many at a time: however long nobody pruned, no transaction is long.
    """
    now = now or timezone.now()
    cutoff = (now - timedelta(days=settings.HEALTH_HISTORY_DAYS)).replace(minute=0, second=0, microsecond=0)
    old = HealthCheck.objects.filter(checked_at__lt=cutoff)
    removed = 0
    while (oldest := old.order_by("checked_at").values_list("checked_at", flat=True).first()) is not None:
        # In UTC, like the cutoff: hours begin elsewhere in some zones, and twice when clocks are set back.
        hour = oldest.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        removed += _sum_up(old.filter(checked_at__gte=hour, checked_at__lt=hour + timedelta(hours=1)), hour)
    delete_in_batches(HealthCheckBatch.objects.filter(started_at__lt=cutoff, checks__isnull=True))
    logger.info("health history pruned removed=%s", removed)
    return removed


def _sum_up(probes: QuerySet[HealthCheck], hour: datetime) -> int:
    """Put summaries in the place of one hour's probes; returns how many there were."""
    counts = (
        probes.order_by()
        .values("instance_id")
        .annotate(
            healthy=Count("pk", filter=Q(verdict=Health.HEALTHY)),
            unhealthy=Count("pk", filter=Q(verdict=Health.UNHEALTHY)),
            error=Count("pk", filter=Q(verdict=Health.ERROR)),
            latency_ms_sum=Sum("latency_ms", default=0),
            latency_count=Count("latency_ms"),
        )
    )
    summaries: list[dict[str, Any]] = [dict(row) for row in counts]
    removed = 0
    for part in weighed(summaries, _probes_of, _OLD_PROBES_AT_A_TIME):
        with transaction.atomic():
            # An hour is summed up once: what a second one that prunes has read meanwhile finds it there.
            HealthRollup.objects.bulk_create(
                (HealthRollup(hour=hour, **summary) for summary in part), ignore_conflicts=True
            )
            removed += probes.filter(instance__in=[summary["instance_id"] for summary in part]).delete()[0]
    return removed


def _probes_of(summary: dict[str, Any]) -> int:
    return int(summary["healthy"] + summary["unhealthy"] + summary["error"])
