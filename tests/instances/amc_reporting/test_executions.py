"""What a request looks like on the wire, and how executions are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from instances.amc.executions import AmcExecution, format_time, parse_execution
from instances.amc.types import CallInfo
from tests.instances.amc_reporting.builders import OWN_ID, SQL, request, shown

CALL = CallInfo(200, "RID", 5)


def execution(**changes: Any) -> AmcExecution:
    return parse_execution(shown(**changes), CALL)


def test_plain_request_is_exactly_this() -> None:
    assert request().to_json() == {
        "workflow": {"workflowId": OWN_ID, "sqlQuery": SQL},
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": "2026-10-01T00:00:00",
        "timeWindowEnd": "2026-11-01T00:00:00",
        "timeWindowTimeZone": "America/New_York",
        "parameterValues": {},
        "workflowExecutionTimeoutSeconds": 21600,
    }


def test_every_option_has_its_place() -> None:
    declared = {"name": "ids", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}}
    body = request(
        input_parameters=[declared],
        parameter_values={"ids": ["1", "2"], "days": 7, "is_new": True},
        timeout_seconds=900,
        require_synthetic_data=True,
        disable_aggregation_controls=True,
        discriminator_column="filtered",
        user_count_column="du_count",
        reason_column="why",
        dry_run=True,
    ).to_json()
    assert body["workflow"] == {
        "workflowId": OWN_ID,
        "sqlQuery": SQL,
        "inputParameters": [declared],
        "filteredMetricsDiscriminatorColumn": "filtered",
        "distinctUserCountColumn": "du_count",
        "filteredReasonColumn": "why",
    }
    assert body["parameterValues"] == {"ids": ["1", "2"], "days": 7, "is_new": True}
    assert body["workflowExecutionTimeoutSeconds"] == 900
    assert (body["requireSyntheticData"], body["disableAggregationControls"], body["dryRun"]) == (True, True, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow_id": ""},
        {"workflow_id": "with space"},
        {"workflow_id": "ü"},
        {"workflow_id": "x" * 101},
        {"workflow_id": "newline\n"},
        {"workflow_id": "transient_1"},
        {"sql": " \n"},
        {"window_start": datetime(2026, 10, 1, tzinfo=UTC)},
        {"window_end": datetime(2026, 11, 1, tzinfo=UTC)},
        {"window_end": datetime(2026, 10, 1)},  # noqa: DTZ001  a window is local time
        {"time_zone": "Mars/Olympus"},
        {"time_zone": ""},
        {"time_zone": "../etc"},
        {"timeout_seconds": 899},
        {"timeout_seconds": 86401},
    ],
)
def test_request_that_amc_would_misunderstand_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        request(**changes)


def test_times_have_neither_zone_nor_fraction() -> None:
    eastern = timezone(timedelta(hours=-4))
    assert format_time(datetime(2026, 10, 1, 2, 3, 4, 999999)) == "2026-10-01T02:03:04"  # noqa: DTZ001
    assert format_time(datetime(2026, 10, 1, 22, 0, 0, 5, tzinfo=eastern)) == "2026-10-02T02:00:00"


def test_dry_run_has_another_id_and_another_timeout() -> None:
    for seconds, other in ((21600, 900), (900, 901)):
        checked = request(timeout_seconds=seconds).for_validation()
        assert (checked.workflow_id, checked.timeout_seconds, checked.dry_run) == (f"{OWN_ID}.check", other, True)
    assert len(request(workflow_id="x" * 100).for_validation().workflow_id) == 100


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED", "DELETED", "succeeded"])
def test_final_states(status: str) -> None:
    assert execution(status=status).is_final
    assert not execution(status=status).is_open


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "PUBLISHING", "SOMETHING_NEW", "", None])
def test_every_other_state_is_open(status: str | None) -> None:
    assert execution(status=status).is_open
    assert not execution(status=status).has_succeeded


def test_finished_run_is_read_completely() -> None:
    found = execution(
        status="SUCCEEDED",
        executionTime=55,
        createTime="2026-11-20T10:00:00Z",
        lastUpdatedTime="2026-11-20T10:02:50.123456789Z",
        outputColumns=[
            {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"},
            {"name": "reach", "columnType": "DIMENSION", "dataType": "LONG"},
        ],
        sqlQuery=SQL,
        somethingNew={"x": 1},
    )
    assert (found.execution_id, found.workflow_id, found.execution_seconds) == ("exec-1", OWN_ID, 55)
    assert found.created_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 11, 20, 10, 2, 50, 123456, tzinfo=UTC)
    assert found.window_start == datetime(2026, 10, 1, 4, tzinfo=UTC)
    assert (found.local_window_end, found.time_zone) == ("2026-11-01T00:00:00", "America/New_York")
    assert [(column.name, column.data_type) for column in found.output_columns] == [
        ("campaign", "STRING"),
        ("reach", "LONG"),
    ]
    assert (found.sql, found.timeout_seconds) == (SQL, 21600)
    assert found.raw["somethingNew"] == {"x": 1}
    assert SQL not in repr(found)


def test_missing_and_odd_fields_are_empty() -> None:
    empty = parse_execution({}, CALL)
    assert (empty.execution_id, empty.status, empty.created_at, empty.output_columns) == ("", "", None, ())
    odd = parse_execution(
        {
            "createTime": 5.5,
            "lastUpdatedTime": "yesterday",
            "timeWindowStart": "2026-10-01T04:00:00",
            "executionTime": "55",
            "workflowExecutionTimeoutSeconds": "1e999",
            "outputColumns": ["x", None, {"name": "y"}],
            "parameterValues": [],
            "statusReason": None,
        },
        CALL,
    )
    assert (odd.created_at, odd.updated_at, odd.execution_seconds, odd.timeout_seconds) == (None, None, 55, None)
    assert odd.window_start == datetime(2026, 10, 1, 4, tzinfo=UTC)
    assert [column.name for column in odd.output_columns] == ["y"]
    assert odd.parameter_values == {}


def test_refused_run_tells_where_and_why() -> None:
    found = execution(
        status="REJECTED", statusReason="From line 3, column 1 to line 3, column 5: Object 'x' not found"
    )
    assert found.reason_code == "invalid_sql"
    assert found.sql_position is not None
    assert found.sql_position.line == 3


def test_token_in_a_reason_is_hidden() -> None:
    assert execution(statusReason="bad Atza|secret here").status_reason == "bad [token] here"
