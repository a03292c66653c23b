"""The newest runs on the home page."""

from __future__ import annotations

from typing import Any

from amchelper.models import User
from executions.services.newest import newest_runs

RUNS_SHOWN = 8


def latest_runs(user: User) -> dict[str, Any]:
    """Return the newest runs `user` sees, and whether any of them can still change."""
    runs = newest_runs(user, 0, RUNS_SHOWN)
    return {"latest_runs": runs, "is_live": any(run.is_open for run in runs)}
