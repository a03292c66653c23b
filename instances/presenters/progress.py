"""How far a batch of checks is."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, Max

from instances.models import Health, HealthCheckBatch


@dataclass(frozen=True)
class Progress:
    """What is done, what came out, and which instances got a verdict since the page last asked."""

    done: int
    total: int
    healthy: int
    unhealthy: int
    error: int
    is_finished: bool
    last: int
    changed: list[UUID] = field(default_factory=list)


def progress_of(batch: HealthCheckBatch, *, after: int = 0) -> Progress:
    """Count a batch's verdicts; `after` is the key of the last probe that was seen. Three queries."""
    counts = dict.fromkeys(Health.values, 0)
    last = after
    rows = batch.checks.order_by().values_list("verdict").annotate(Count("instance", distinct=True), Max("pk"))
    for verdict, count, newest in rows:
        counts[verdict] = count
        last = max(last, newest)
    changed = [] if last == after else list(
        batch.checks.filter(pk__gt=after, pk__lte=last).values_list("instance_id", flat=True).distinct().order_by()
    )  # fmt: skip
    done = sum(counts.values())
    return Progress(
        done=min(done, batch.total),
        total=batch.total,
        healthy=counts[Health.HEALTHY],
        unhealthy=counts[Health.UNHEALTHY],
        error=counts[Health.ERROR],
        is_finished=batch.finished_at is not None,
        last=last,
        changed=changed,
    )
