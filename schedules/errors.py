"""Errors of schedules with names of their own."""

from __future__ import annotations

from amchelper.exceptions import InvalidStateError


class StaleScheduleError(InvalidStateError):
    """The schedule was saved again since the page was loaded."""

    code = "stale_schedule"
