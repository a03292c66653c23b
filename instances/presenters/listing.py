"""Rows of the instance list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, F, IntegerField, OrderBy, Q, Value, When
from django.db.models.functions import Lower
from django.utils import timezone

from amchelper.models import User
from instances.models import AMCInstance, Health, HealthCheck, InstanceBrand
from instances.models.instance import InstanceQuerySet
from instances.models.reasons import Reason, reason_of

CHECKS_SHOWN = 30
BRANDS_SHOWN = 2
DEFAULT_SORT = "name"
# Worst first: that is what sorting by health is for.
_SEVERITY = Case(
    When(health_status=Health.ERROR, then=Value(0)),
    When(health_status=Health.UNHEALTHY, then=Value(1)),
    When(health_status=Health.HEALTHY, then=Value(3)),
    default=Value(2),
    output_field=IntegerField(),
)
_SORTS: dict[str, Any] = {
    "name": Lower("name"),
    "account": Lower("account__account_name"),
    "region": F("region"),
    "health": _SEVERITY,
    "latency": F("health_latency_ms"),
    "checked": F("last_health_check"),
}
SORTS = frozenset([*_SORTS, *(f"-{name}" for name in _SORTS)])


@dataclass(frozen=True)
class Block:
    """One probe in an uptime bar."""

    health: str
    title: str


@dataclass(frozen=True)
class InstanceRow:
    """One row of the list."""

    instance: AMCInstance
    blocks: Sequence[Block]
    blocks_label: str
    reason: Reason | None
    brands: Sequence[InstanceBrand]
    more_brands: Sequence[InstanceBrand]

    @property
    def checked_ago(self) -> str:
        """Return the age of the last check in few letters; empty when there was none."""
        when = self.instance.last_health_check
        return short_age(timezone.now() - when) if when else ""

    @property
    def pk(self) -> UUID:
        """Return our key, which names the row in the page."""
        return self.instance.pk


def sorted_instances(instances: InstanceQuerySet, sort: str) -> InstanceQuerySet:
    """Order by a key of SORTS, a leading minus for descending; rows without a value come last."""
    key = sort if sort in SORTS else DEFAULT_SORT
    order = OrderBy(_SORTS[key.lstrip("-")], descending=key.startswith("-"), nulls_last=True)
    return instances.order_by(order, "name", "instance_id", "pk")


def instance_rows(instances: Sequence[AMCInstance], user: User) -> list[InstanceRow]:
    """Return rows for instances that come with relations; two queries for the probes of all."""
    pks = [instance.pk for instance in instances]
    latest = HealthCheck.objects.latest_per_instance(user, pks, CHECKS_SHOWN) if pks else {}
    return [_row(instance, latest.get(instance.pk, [])) for instance in instances]


def uptime_blocks(checks: Sequence[HealthCheck], count: int = CHECKS_SHOWN) -> list[Block]:
    """Return `count` blocks, oldest first; missing ones are empty."""
    blocks = [Block(check.verdict, block_title(check)) for check in checks]
    return [Block("", "No check")] * (count - len(blocks)) + blocks


def block_title(check: HealthCheck) -> str:
    """Say what one block of the bar stands for."""
    when = timezone.localtime(check.checked_at).strftime("%d %b, %H:%M")
    took = f", {check.latency_ms} ms" if check.latency_ms is not None else ""
    why = f": {reason_of(check.reason).label}" if check.reason else ""
    return f"{when} – {check.get_verdict_display()}{took}{why}"


def uptime_label(checks: Sequence[HealthCheck]) -> str:
    """Say the bar in one sentence, for those who do not see it."""
    if not checks:
        return "No checks yet"
    counts = Counter(check.verdict for check in checks)
    parts = [f"{counts[health]} {Health(health).label.lower()}" for health in Health.values if counts[health]]
    return f"Last {len(checks)} checks: {', '.join(parts)}" if len(checks) > 1 else f"One check: {parts[0][2:]}"


def _row(instance: AMCInstance, checks: Sequence[HealthCheck]) -> InstanceRow:
    brands = list(instance.brands.all())
    # One more than fits costs as much room as "+1".
    shown = len(brands) if len(brands) <= BRANDS_SHOWN + 1 else BRANDS_SHOWN
    return InstanceRow(
        instance=instance,
        blocks=uptime_blocks(checks),
        blocks_label=uptime_label(checks),
        reason=reason_of(instance.health_reason) if instance.health_reason else None,
        brands=brands[:shown],
        more_brands=brands[shown:],
    )


def short_age(age: timedelta) -> str:
    """Say how long ago something was, in the largest unit that fits."""
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def health_filter(health: str) -> Q:
    """Return the condition of a health filter; UNKNOWN stands for never checked."""
    return Q(health_status__isnull=True) if health == "UNKNOWN" else Q(health_status=health)
