"""Every probe of every instance, and its hourly summary."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from amchelper.access import OwnedQuerySet
from amchelper.leases import LeasedModel, LeasedQuerySet
from amchelper.models import User
from instances.models.instance import AMCInstance, InstanceQuerySet
from instances.models.lifecycle import Health

# Databases limit how many conditions one statement may hold.
_INSTANCES_AT_A_TIME = 200


class HealthCheckBatchQuerySet(  # type: ignore[override]  # the stubs give each base a manager type of its own
    OwnedQuerySet["HealthCheckBatch"], LeasedQuerySet["HealthCheckBatch"]
):
    """Batches by access, and by what is left to do."""

    owner_path = "user"
    lease = timedelta(minutes=2)

    def unfinished(self) -> Self:
        """Return batches with instances left to probe."""
        return self.filter(finished_at=None)


class HealthCheckBatch(LeasedModel):
    """One act of checking one or many instances; a worker holds its lease while it probes."""

    class Trigger(models.TextChoices):
        """Who asked."""

        PAGE = "page", "Instance page"
        LIST = "list", "Instance list"
        SAVE = "save", "Saved or enabled"
        SCHEDULE = "schedule", "Schedule"
        COMMAND = "command", "Command line"
        ADMIN = "admin", "Admin"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Empty when no user asked (schedule, command).
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="health_batches"
    )
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    instance_ids = models.JSONField(default=list)
    total = models.PositiveIntegerField()
    # One scheduled batch per interval, however many beats fire: the second insert of a slot fails.
    # NULL for batches that people start: only slots are unique.
    slot = models.CharField(max_length=40, null=True, blank=True, unique=True, editable=False)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = HealthCheckBatchQuerySet.as_manager()

    class Meta:
        db_table = "health_check_batches"
        ordering = ("-started_at", "id")

    def __str__(self) -> str:
        return f"{self.get_trigger_display()}, {self.total} instances, {self.started_at:%Y-%m-%d %H:%M}"


class HealthCheckQuerySet(OwnedQuerySet["HealthCheck"]):
    """Probes by access and time."""

    owner_path = "instance__user"

    def latest_per_instance(
        self, user: User | AnonymousUser, instances: Iterable[Any], count: int
    ) -> dict[Any, list[HealthCheck]]:
        """Return the last `count` probes of each instance `user` may see, oldest first, by instance key.

        Two queries for a page of instances.
        """
        keys = list(instances)
        by_instance: dict[Any, list[HealthCheck]] = {}
        for start in range(0, len(keys), _INSTANCES_AT_A_TIME):
            visible = AMCInstance.objects.visible_to(user).filter(
                pk__in=keys[start : start + _INSTANCES_AT_A_TIME]
            )
            for check in self.filter(_since_nth_newest(visible, count)).order_by():
                by_instance.setdefault(check.instance_id, []).append(check)
        for key, checks in by_instance.items():
            checks.sort(key=lambda check: (check.checked_at, check.pk))
            by_instance[key] = checks[-count:]  # of the same moment there may be more than asked for
        return by_instance


def _since_nth_newest(instances: InstanceQuerySet, count: int) -> Q:
    """Return a condition that one index answers, without a join or an order, which would lead to another index.

    Ranking whole histories instead takes seconds once they are a month long.
    """
    nth = HealthCheck.objects.filter(instance=OuterRef("pk")).order_by("-checked_at").values("checked_at")
    cutoffs = instances.order_by().values_list("pk", Subquery(nth[count - 1 : count]))
    condition = Q(pk__in=[])
    for key, cutoff in cutoffs:
        condition |= Q(instance=key) if cutoff is None else Q(instance=key, checked_at__gte=cutoff)
    return condition


class HealthCheck(models.Model):
    """One probe: when, what came back, and what it means."""

    id = models.BigAutoField(primary_key=True)
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, related_name="health_checks")
    batch = models.ForeignKey(
        HealthCheckBatch, on_delete=models.SET_NULL, null=True, related_name="checks", db_index=False
    )
    checked_at = models.DateTimeField(default=timezone.now)
    verdict = models.CharField(max_length=10, choices=Health.choices)
    reason = models.CharField(max_length=40, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    request_id = models.CharField(max_length=100, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")

    objects = HealthCheckQuerySet.as_manager()

    class Meta:
        db_table = "health_checks"
        ordering = ("-checked_at", "-id")
        indexes = (
            models.Index(fields=["instance", "-checked_at"], name="checks_instance_time"),
            models.Index(fields=["checked_at"], name="checks_time"),
            # Storing results looks every instance's probe of the batch up.
            models.Index(fields=["batch", "instance"], name="checks_batch_instance"),
        )

    def __str__(self) -> str:
        return f"{self.verdict} {self.reason}".strip()


class HealthRollupQuerySet(OwnedQuerySet["HealthRollup"]):
    """Hourly summaries by access."""

    owner_path = "instance__user"


class HealthRollup(models.Model):
    """The probes of one instance in one hour, counted; what is left when the probes are pruned."""

    id = models.BigAutoField(primary_key=True)
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, related_name="health_rollups")
    hour = models.DateTimeField()
    healthy = models.PositiveIntegerField(default=0)
    unhealthy = models.PositiveIntegerField(default=0)
    error = models.PositiveIntegerField(default=0)
    latency_ms_sum = models.PositiveBigIntegerField(default=0)
    latency_count = models.PositiveIntegerField(default=0)

    objects = HealthRollupQuerySet.as_manager()

    class Meta:
        db_table = "health_rollups"
        ordering = ("-hour", "instance")
        constraints = (
            models.UniqueConstraint(fields=["instance", "hour"], name="rollups_unique_hour"),
            models.CheckConstraint(
                name="rollups_not_empty", condition=Q(healthy__gt=0) | Q(unhealthy__gt=0) | Q(error__gt=0)
            ),
        )

    def __str__(self) -> str:
        counts = f"{self.healthy} healthy, {self.unhealthy} unhealthy, {self.error} errors"
        return f"{self.hour:%Y-%m-%d %H}:00: {counts}"
