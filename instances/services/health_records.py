"""Store probes and move their instances along the life cycle, all in a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    Expression,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)

from instances.models import AMCInstance, Event, Health, HealthCheck, HealthCheckBatch
from instances.models.lifecycle import TRANSITIONS, event_of
from instances.services.probes import ProbeResult


def record_results(
    run: HealthCheckBatch,
    results: Sequence[ProbeResult],
    *,
    keys: dict[UUID, tuple[str, UUID]] | None = None,
) -> None:
    """Store `results` as probes of `run` and update their instances.

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
        HealthCheck.objects.bulk_create(_check(run, result) for result in valid)
        pks = [result.instance_pk for result in valid]
        _update_instances(run, pks)


def _is_current(
    pk: UUID, current: dict[UUID, tuple[str, UUID]], keys: dict[UUID, tuple[str, UUID]] | None
) -> bool:
    if pk not in current:
        return False
    return keys is None or pk not in keys or keys[pk] == current[pk]


def _check(run: HealthCheckBatch, result: ProbeResult) -> HealthCheck:
    return HealthCheck(
        instance_id=result.instance_pk,
        run=run,
        checked_at=result.checked_at,
        verdict=result.verdict,
        reason=result.reason,
        http_status=result.http_status,
        latency_ms=result.latency_ms,
        request_id=result.request_id[:100],
        error=result.error[:500],
    )


def _update_instances(run: HealthCheckBatch, pks: Sequence[UUID]) -> None:
    """Copy each instance's newest probe of `run` onto it with one UPDATE that reads the old row's values."""
    newest = HealthCheck.objects.filter(run=run, instance=OuterRef("pk")).order_by("-pk")

    def of(name: str) -> Subquery:
        return Subquery(newest.values(name)[:1])

    fresh = AMCInstance.objects.filter(pk__in=pks).annotate(
        verdict=of("verdict"), new_reason=of("reason"), probed_at=of("checked_at")
    )
    # A slow probe that ends after a newer one is kept as history, but does not overwrite the newer verdict.
    fresh = fresh.filter(Q(last_health_check__isnull=True) | Q(last_health_check__lte=F("probed_at")))
    unchanged = Q(health_status=F("verdict"), health_reason=F("new_reason"))
    fresh.update(
        health_status=of("verdict"),
        health_reason=of("reason"),
        health_error=of("error"),
        health_latency_ms=of("latency_ms"),
        last_health_check=of("checked_at"),
        health_since=Case(
            When(unchanged & Q(health_since__isnull=False), then=F("health_since")),
            default=of("checked_at"),
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
