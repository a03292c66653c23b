"""What of schedules goes with rows that are deleted, and what stops with a login."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from amchelper.dependents import DependentKind, named, register
from amchelper.words import counted, pluralized
from schedules.models import Schedule, ScheduleSlot


def register_kinds() -> None:
    """Make the kinds of this app known."""
    register(
        DependentKind(Schedule, "schedule", is_weighty=True, describe=_describe, stops=_stops),
        DependentKind(ScheduleSlot, "planned run of the history", "planned runs of the history"),
    )


def _describe(rows: QuerySet[Any]) -> list[str]:
    """Name those that run or are paused, and count those that were deleted before and kept for their history."""
    present, deleted = rows.filter(deleted_at=None), rows.exclude(deleted_at=None).count()
    said = [named(present, "schedule")] if present.exists() else []
    if deleted:
        said.append(f"{counted(deleted, 'schedule')} deleted before, kept for the history")
    return said


def _stops(rows: QuerySet[Any]) -> list[str]:
    active = rows.active()  # type: ignore[attr-defined]  # rows of schedules
    count = active.count()
    if not count:
        return []
    verb = pluralized(count, "skips its runs", "skip their runs")
    return [f"{named(active, 'active schedule')} {verb} until you reconnect."]
