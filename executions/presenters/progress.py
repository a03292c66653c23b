"""The timeline of a run."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from executions.models import Execution, ExecutionStatus


class TimelineStep(TypedDict):
    """One moment in a run's life; `status` is done, current, failed or empty for what is still to come."""

    name: str
    at: datetime | None
    status: str


def timeline(execution: Execution) -> list[TimelineStep]:
    """Return the steps of a run in order: those whose time is known, and while it is open those still to come."""
    moments = (
        ("Queued", execution.queued_at),
        ("Submitted to AMC", execution.submitted_at),
        ("Started at AMC", execution.started_at),
        ("Ended at AMC", execution.amc_finished_at),
        ("Result stored" if execution.status == ExecutionStatus.SUCCEEDED else "Ended", execution.finished_at),
    )
    steps: list[TimelineStep] = [{"name": name, "at": at, "status": "done" if at else ""} for name, at in moments]
    reached = max(number for number, step in enumerate(steps) if step["at"])
    if execution.is_open:
        steps[min(reached + 1, len(steps) - 1)]["status"] = "current"
    elif execution.status != ExecutionStatus.SUCCEEDED:
        steps[-1]["status"] = "failed"
        steps[-1]["name"] = execution.get_status_display()
    to_come = steps[reached + 1 :] if execution.is_open else []
    return [step for step in steps if step["at"] or step in to_come]
