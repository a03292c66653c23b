"""Runs of many checks in the background: start, go on after a crash, schedule, prune."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from amchelper.models import User
from instances.models import AMCInstance, Health, HealthCheck, HealthCheckBatch, HealthRollup
from instances.models.health import RUN_LEASE
from instances.services.health import check_instances, instances_by_run

logger = logging.getLogger(__name__)

# A run nobody could finish in this time is given up; the next scheduled one covers its instances.
GIVE_UP_AFTER = timedelta(hours=1)
# How long a message may take before the tick sends it again.
RESEND_AFTER = timedelta(seconds=30)


def queue_run(
    pks: Iterable[UUID],
    *,
    user: User | None,
    trigger: str,
    send: Callable[[str], object],
    slot: str | None = None,
) -> HealthCheckBatch:
    """Record a run and send it to the workers once the row is committed; the row is the truth."""
    ids = [str(pk) for pk in pks]
    run = HealthCheckBatch.objects.create(
        user=user, trigger=trigger, instance_ids=ids, total=len(ids), slot=slot,
        finished_at=None if ids else timezone.now(),
    )  # fmt: skip
    if ids:
        # Robust: a queue that cannot be reached is logged, and the next tick sends the run again.
        transaction.on_commit(lambda: send(str(run.pk)), robust=True)
    return run


def advance_run(run_id: str) -> bool:
    """Probe what a run has left; False when it is finished or another worker holds it."""
    run = HealthCheckBatch.objects.claim(UUID(run_id))
    if run is None:
        return False
    logger.info("health run started run=%s trigger=%s total=%s", run.pk, run.trigger, run.total)

    def keep_lease(_: object) -> None:
        HealthCheckBatch.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() + RUN_LEASE)

    check_instances(instances_by_run(run), run=run, on_results=keep_lease)
    logger.info("health run finished run=%s", run.pk)
    return True


def tick(*, send: Callable[[str], object], now: datetime | None = None) -> None:
    """Start the scheduled run of this interval, once however many beats tick, and re-send stuck runs."""
    now = now or timezone.now()
    interval = settings.HEALTH_CHECK_INTERVAL_MINUTES * 60
    slot = f"schedule:{interval}:{int(now.timestamp()) // interval}"
    if not HealthCheckBatch.objects.filter(slot=slot).exists():
        pks = AMCInstance.objects.enabled().values_list("pk", flat=True)
        try:
            with transaction.atomic():
                queue_run(pks, user=None, trigger=HealthCheckBatch.Trigger.SCHEDULE, send=send, slot=slot)
        except IntegrityError:
            pass  # another beat was first
    HealthCheckBatch.objects.filter(finished_at__isnull=True, started_at__lt=now - GIVE_UP_AFTER).update(
        finished_at=now
    )
    stuck = HealthCheckBatch.objects.unfinished().filter(started_at__lt=now - RESEND_AFTER)
    for pk in stuck.values_list("pk", flat=True):
        send(str(pk))


def prune(*, now: datetime | None = None) -> int:
    """Turn probes older than HEALTH_HISTORY_DAYS into hourly summaries; returns how many were removed."""
    now = now or timezone.now()
    border = (now - timedelta(days=settings.HEALTH_HISTORY_DAYS)).replace(minute=0, second=0, microsecond=0)
    old = HealthCheck.objects.filter(checked_at__lt=border)
    with transaction.atomic():
        hours = (
            old.order_by()
            # In UTC, like the border: hours begin elsewhere in some zones, and twice when clocks are set back.
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
        # Whole hours before a fixed border: an hour is summed up once, a second run finds nothing left.
        HealthRollup.objects.bulk_create(
            (HealthRollup(**hour) for hour in hours.iterator()), batch_size=500, ignore_conflicts=True
        )
        removed, _ = old.delete()
        HealthCheckBatch.objects.filter(started_at__lt=border, checks__isnull=True).delete()
    logger.info("health history pruned removed=%s", removed)
    return removed
