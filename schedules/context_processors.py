"""What Home and the list of schedules say about schedules that stopped."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from schedules.models import Schedule


def stopped_schedules(request: HttpRequest) -> dict[str, Any]:
    """Return the user's schedules that need a look; lazy, so pages that do not show them do not pay for it."""

    def find() -> list[Schedule]:
        return list(Schedule.objects.visible_to(request.user).stopped().for_lists())

    return {"stopped_schedules": SimpleLazyObject(find)}
