"""Move instances along their life cycle on a user's word."""

from __future__ import annotations

from django.db import transaction

from amchelper.models import User
from instances.models import AMCInstance, Event, HealthCheck, HealthRun
from instances.services.configuration import invalidate_configuration
from instances.services.health import check_instance


def enable(*, instance: AMCInstance, user: User | None) -> HealthCheck:
    """Enable and check at once; raises InvalidStateError when it is enabled already."""
    _apply(instance, Event.ENABLE)
    return check_instance(instance, user=user, trigger=HealthRun.Trigger.SAVE)


def disable(*, instance: AMCInstance, user: User | None) -> None:
    """Disable; raises InvalidStateError when it is disabled already."""
    _apply(instance, Event.DISABLE)


def _apply(instance: AMCInstance, event: Event) -> None:
    with transaction.atomic():
        instance.apply(event)
        invalidate_configuration([instance.pk])
