"""Errors of schedules with names of their own."""

from __future__ import annotations

from amchelper.exceptions import InvalidStateError


class StaleScheduleError(InvalidStateError):
    """Somebody else saved the schedule since the page was loaded."""

    code = "stale_schedule"
