"""What the reporting tests share: a request, an execution as AMC shows it, and where the calls go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from instances.amc.executions import ExecutionRequest, format_time
from tests.instances.amc.builders import API

REPORTING = f"{API}/amc/reporting/amcexample"
EXECUTIONS = f"{REPORTING}/workflowExecutions"
OWN_ID = "amchelper-5b6c1f0e"
SQL = "SELECT campaign, SUM(impressions) AS impressions\nFROM dsp_impressions\nGROUP BY campaign"


def request(**changes: Any) -> ExecutionRequest:
    fields: dict[str, Any] = {
        "workflow_id": OWN_ID,
        "sql": SQL,
        "window_start": datetime(2026, 10, 1),  # noqa: DTZ001  a window is local time
        "window_end": datetime(2026, 11, 1),  # noqa: DTZ001
        "time_zone": "America/New_York",
    }
    return ExecutionRequest(**{**fields, **changes})


def shown(execution_id: str = "exec-1", **changes: Any) -> dict[str, Any]:
    """Return an execution as captured, right after its creation; None takes a field out."""
    now = format_time(datetime.now(UTC)) + "Z"
    raw = {
        "workflowExecutionId": execution_id,
        "workflowId": OWN_ID,
        "status": "PENDING",
        "executionCategory": "AD_HOC",
        "createTime": now,
        "lastUpdatedTime": now,
        "timeWindowStart": "2026-10-01T04:00:00Z",
        "timeWindowEnd": "2026-11-01T04:00:00Z",
        "timeWindowStartOriginal": "2026-10-01T00:00:00",
        "timeWindowEndOriginal": "2026-11-01T00:00:00",
        "timeWindowTimeZoneOriginal": "America/New_York",
        "workflowExecutionTimeoutSeconds": 21600,
        "parameterValues": {},
        "ignoreDataGaps": False,
        **changes,
    }
    return {name: value for name, value in raw.items() if value is not None}


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)
