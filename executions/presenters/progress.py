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
    """Return the steps of a run in order; of a run that has ended only those that it reached."""
    moments = (
        ("Queued", execution.queued_at),
        ("Submitted to AMC", execution.submitted_at),
        ("Started at AMC", execution.started_at),
        ("Ended at AMC", execution.amc_finished_at),
        ("Result stored" if execution.status == ExecutionStatus.SUCCEEDED else "Ended", execution.finished_at),
    )
    steps: list[TimelineStep] = [{"name": name, "at": at, "status": "done" if at else ""} for name, at in moments]
    if execution.is_open:
        current = next((step for step in steps if not step["at"]), steps[-1])
        current["status"] = "current"
    elif execution.status != ExecutionStatus.SUCCEEDED:
        steps[-1]["status"] = "failed"
        steps[-1]["name"] = execution.get_status_display()
    return [step for step in steps if step["at"] or execution.is_open]
