"""Errors of schedules with names of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amchelper.exceptions import InvalidStateError

if TYPE_CHECKING:
    from schedules.models import Schedule


class StaleScheduleError(InvalidStateError):
    """The schedule was saved again since the page was loaded."""

    code = "stale_schedule"


class DeletedScheduleError(InvalidStateError):
    """The schedule was deleted since the page was loaded; `schedule` is what is kept for its history."""

    code = "deleted_schedule"

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(
            f"{schedule.name} was deleted, so nothing was changed or started. Its history stays here."
        )
        self.schedule = schedule
