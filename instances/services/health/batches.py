"""Batches of health checks: one at once for a page, many in the background, one by itself every interval."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from amchelper.access import pk_of
from amchelper.commits import after_commit
from amchelper.exceptions import InvalidStateError
from amchelper.leases import CLOCK_SKEW_LIMIT, Claim, LeaseLostError, new_token
from amchelper.models import User
from amchelper.queue import send_for_rows
from instances.amc.time_limits import PAGE_SECONDS, time_limit
from instances.models import AMCInstance, HealthCheck, HealthCheckBatch
from instances.models.health import HealthCheckBatchQuerySet
from instances.services.health.history import record_results
from instances.services.health.probing import ProbeResult, probe_all

logger = logging.getLogger(__name__)

# A batch that no worker could finish in this time is given up; the next scheduled one covers its instances.
GIVE_UP_AFTER = timedelta(hours=1)
# Results are stored together, but none waits much longer than this, whatever the other probes do.
FLUSH_SECONDS = 1.0
# Messages about batches that are on their way at most.
MAX_BATCHES = 100
_ADVANCE_TASK = "instances.tasks.advance_health_batch"


def check_instance(instance: AMCInstance, *, actor: User | None, trigger: str) -> HealthCheck:
    """Probe one instance now, for a page that waits; store the result, refresh `instance` and return the probe.

    Raises InvalidStateError when the instance was linked elsewhere or deleted meanwhile.
    """
    claim = hold_batch([instance.pk], actor=actor, trigger=trigger)
    # A worker that took over after a very long wait has stored a probe too.
    with suppress(LeaseLostError), time_limit(PAGE_SECONDS):
        check_instances([instance], claim)
    check = HealthCheck.objects.filter(batch=claim.row, instance=instance).order_by("pk").last()
    if check is None:
        raise InvalidStateError(
            f"{instance.name} was changed or deleted while it was being checked. Reload the page and check again."
        )
    instance.refresh_from_db()
    return check


def queue_batch(
    pks: Iterable[UUID], *, actor: User | None, trigger: str, slot: str | None = None
) -> HealthCheckBatch:
    """Record a batch and tell the workers once the row is committed; the row is the truth."""
    chosen, now = list(pks), timezone.now()
    batch = _create(
        chosen, actor=actor, trigger=trigger, slot=slot, sent_at=now, finished_at=None if chosen else now
    )
    if chosen:
        # The batch is recorded, and the next tick sends it again, whatever is wrong with the queue.
        after_commit(lambda: send_for_rows(_ADVANCE_TASK, [batch.pk]), what="send health batch")
    return batch


def hold_batch(pks: Iterable[UUID], *, actor: User | None, trigger: str) -> Claim[HealthCheckBatch]:
    """Record a batch that the caller is about to probe itself, and hold its lease."""
    token = new_token(trigger)
    lease = {"lease_until": timezone.now() + HealthCheckBatchQuerySet.lease, "leased_by": token}
    return Claim(_create(list(pks), actor=actor, trigger=trigger, **lease), token)


def advance_batch(pk: UUID) -> bool:
    """Probe what a batch has left; False when it is finished or another worker holds it."""
    token = new_token("worker")
    # A batch waits for nothing: it is due although the clock of the process that recorded it is ahead.
    held = HealthCheckBatch.objects.claim([pk], token=token, now=timezone.now(), within=CLOCK_SKEW_LIMIT)
    batch = held.first()
    if batch is None:
        return False
    logger.info("health batch started batch=%s trigger=%s total=%s", batch.pk, batch.trigger, batch.total)
    try:
        check_instances(_instances_left(batch), Claim(batch, token))
    except LeaseLostError:
        logger.warning("health batch taken over batch=%s", batch.pk)
        return False
    logger.info("health batch finished batch=%s", batch.pk)
    return True


def check_instances(
    instances: Sequence[AMCInstance],
    claim: Claim[HealthCheckBatch],
    *,
    max_workers: int | None = None,
    on_results: Callable[[Sequence[ProbeResult]], None] | None = None,
) -> list[ProbeResult]:
    """Probe the batch's `instances`, which come from `for_probing()`, and finish it; results are stored as they come.

    `on_results` is called after each stored part. Raises LeaseLostError when another worker took the batch over.
    """
    workers = max(1, min(max_workers or settings.HEALTH_CHECK_CONCURRENCY, len(instances)))
    probed_as = {instance.pk: (instance.instance_id, instance.account_id) for instance in instances}
    results: list[ProbeResult] = []
    stored, flushed_at = 0, time.monotonic()

    def flush() -> None:
        nonlocal stored, flushed_at
        waiting, stored, flushed_at = results[stored:], len(results), time.monotonic()
        if waiting:
            record_results(claim.row, waiting, keys=probed_as)
            if on_results:
                on_results(waiting)

    with closing(probe_all(instances, max_workers=workers)) as probes:
        for result in probes:
            if result is not None:
                results.append(result)
            claim.heartbeat()
            # While none comes nothing is won by collecting.
            if result is None or time.monotonic() - flushed_at >= FLUSH_SECONDS:
                flush()
    flush()
    claim.finish(finished_at=timezone.now())
    return results


def tick(*, now: datetime | None = None) -> None:
    """Start the scheduled batch of this interval, once however many beats tick, and send again what is stuck.

    While an earlier scheduled batch goes on none is started: it would only ask about the same instances again.
    """
    now = now or timezone.now()
    unfinished = HealthCheckBatch.objects.unfinished()
    unfinished.filter(started_at__lt=now - GIVE_UP_AFTER).update(finished_at=now, lease_until=None, leased_by="")
    interval = settings.HEALTH_CHECK_INTERVAL_MINUTES * 60
    slot = f"schedule:{interval}:{int(now.timestamp()) // interval}"
    if not HealthCheckBatch.objects.filter(slot=slot).exists():
        if unfinished.filter(slot__isnull=False).exists():
            logger.info("health batch skipped, the one before goes on slot=%s", slot)
        else:
            _start_scheduled(slot)
    send_for_rows(_ADVANCE_TASK, HealthCheckBatch.objects.take_to_send(now, limit=MAX_BATCHES))


def _start_scheduled(slot: str) -> None:
    enabled = AMCInstance.objects.enabled().values_list("pk", flat=True)
    # Another beat may be first.
    with suppress(IntegrityError), transaction.atomic():
        queue_batch(enabled, actor=None, trigger=HealthCheckBatch.Trigger.SCHEDULE, slot=slot)


def _create(pks: list[UUID], *, actor: User | None, trigger: str, **fields: Any) -> HealthCheckBatch:
    batch = HealthCheckBatch.objects.create(
        user=actor, trigger=trigger, instance_ids=[str(pk) for pk in pks], total=len(pks), **fields
    )
    logger.info("health batch created batch=%s actor=%s total=%s", batch.pk, pk_of(actor), batch.total)
    return batch


def _instances_left(batch: HealthCheckBatch) -> list[AMCInstance]:
    """Return the batch's instances that it has not probed yet, with account and connection."""
    done = set(batch.checks.values_list("instance_id", flat=True))
    left = [pk for pk in map(UUID, batch.instance_ids) if pk not in done]
    return list(AMCInstance.objects.filter(pk__in=left).for_probing())
