"""The client against the running local AMC: whole runs, and faults at every step of one."""

from __future__ import annotations

import csv
import io
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instances.amc.auth import LoginClient, TokenSource
from instances.amc.client import AmcClient, RetryPolicy
from instances.amc.errors import (
    AmcLimitError,
    AmcMalformedError,
    AmcNotFoundError,
    AmcNotReadyError,
    AmcNotVisibleError,
    AmcOutcomeUnknownError,
    AmcRejectedError,
    AmcUnavailableError,
)
from instances.amc.executions import AmcExecution, ExecutionRequest
from instances.amc.hosts import hosts_for
from instances.amc.types import AccountRef, InstanceRef
from local_amc.fixtures import CLIENT_ID, CLIENT_SECRET, US
from local_amc.server import LocalAmcServer
from tests.shared_data import build_data

INSTANCE = InstanceRef("amclocalus1", AccountRef("ENTITYLOCALUS1", US))
SHORT = RetryPolicy(tries=3, max_wait_seconds=1, connect_timeout=2, read_timeout=10)
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM sponsored_ads_traffic GROUP BY campaign"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAmcServer]:
    with LocalAmcServer(speed=0, data=build_data()) as running:
        yield running


@pytest.fixture
def amc(server: LocalAmcServer) -> LocalAmcServer:
    server.reset()
    return server


@pytest.fixture
def calls(amc: LocalAmcServer) -> Iterator[AmcClient]:
    hosts = hosts_for("NA", amc.url)
    login = LoginClient(hosts, CLIENT_ID, CLIENT_SECRET, local_url=amc.url)
    source = TokenSource(login, "Atzr|local-healthy")
    with AmcClient(hosts, CLIENT_ID, source, local_url=amc.url, policy=SHORT) as opened:
        yield opened


def asked(**changes: Any) -> ExecutionRequest:
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=14)
    fields: dict[str, Any] = {
        "workflow_id": f"amchelper-{uuid.uuid4()}",
        "sql": SQL,
        "window_start": end - timedelta(days=7),
        "window_end": end,
        "time_zone": "America/New_York",
    }
    return ExecutionRequest(**{**fields, **changes})


def ended(calls: AmcClient, execution: AmcExecution) -> AmcExecution:
    """Read an execution until it is final."""
    deadline = time.monotonic() + 60
    while execution.is_open:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        execution = calls.get_execution(INSTANCE, execution.execution_id)
    return execution


def finished(calls: AmcClient, **changes: Any) -> AmcExecution:
    execution = ended(calls, calls.create_execution(INSTANCE, asked(**changes)))
    assert execution.has_succeeded, execution.status_reason
    return execution


def posts(amc: LocalAmcServer) -> int:
    return sum(1 for request in amc.received() if request["method"] == "POST" and "Executions" in request["path"])


def rows_of(calls: AmcClient, execution: AmcExecution) -> list[list[str]]:
    file = io.BytesIO()
    result = calls.download_result(INSTANCE, execution.execution_id, file)
    assert result.bytes == len(file.getvalue())
    return list(csv.reader(io.StringIO(file.getvalue().decode(), newline="")))


def test_run_goes_from_request_to_result(amc: LocalAmcServer, calls: AmcClient) -> None:
    request = asked()
    created = calls.create_execution(INSTANCE, request)
    assert (created.workflow_id, created.is_open) == (request.workflow_id, True)
    found = ended(calls, created)
    assert found.has_succeeded
    assert [column.name for column in found.output_columns] == ["campaign", "impressions"]
    assert found.time_zone == "America/New_York"
    rows = rows_of(calls, found)
    assert rows[0] == ["campaign", "impressions"]
    assert len(rows) > 1
    assert all(int(impressions) > 0 for _, impressions in rows[1:])


def test_several_parts_hold_the_same_as_one(amc: LocalAmcServer, calls: AmcClient) -> None:
    whole = rows_of(calls, finished(calls))
    amc.control("POST", "options", {"rows_per_part": max(1, len(whole) // 3)})
    try:
        split = finished(calls)
        result = calls.download_result(INSTANCE, split.execution_id, io.BytesIO())
        assert result.parts > 1
        assert sorted(rows_of(calls, split)) == sorted(whole)
    finally:
        amc.control("POST", "options", {"rows_per_part": 500_000})


def test_wrapped_answers_are_read(amc: LocalAmcServer, calls: AmcClient) -> None:
    amc.control("POST", "options", {"wraps_answers": True})
    try:
        assert finished(calls).has_succeeded
    finally:
        amc.control("POST", "options", {"wraps_answers": False})


@pytest.mark.parametrize("variant", ["", "reset"])
def test_created_run_whose_answer_got_lost_is_adopted(amc: LocalAmcServer, calls: AmcClient, variant: str) -> None:
    amc.arm("created_but_504", count=1, variant=variant)
    request = asked()
    found = calls.create_execution(INSTANCE, request)
    assert found.workflow_id == request.workflow_id
    assert posts(amc) == 1
    assert ended(calls, found).has_succeeded


def test_request_that_amazon_lost_is_not_found_and_may_be_sent_again(
    amc: LocalAmcServer, calls: AmcClient
) -> None:
    amc.arm("server_error", status=504, method="POST", route="executions", count=1)
    request, began = asked(), datetime.now(UTC)
    with pytest.raises(AmcOutcomeUnknownError):
        calls.create_execution(INSTANCE, request)
    assert calls.find_execution(INSTANCE, request, attempted_at=began) is None
    assert posts(amc) == 1
    created = calls.create_execution(INSTANCE, request)
    assert posts(amc) == 2
    since = datetime.now(UTC) - timedelta(hours=1)
    listed = calls.list_executions(INSTANCE, created_since=since, workflow_id=request.workflow_id)
    assert [found.execution_id for found in listed] == [created.execution_id]


def test_run_that_becomes_visible_late_is_found_then(amc: LocalAmcServer, calls: AmcClient) -> None:
    amc.arm("exec_slow_visible", count=1, seconds=45)
    request = asked()
    began = datetime.now(UTC)
    created = calls.create_execution(INSTANCE, request)
    with pytest.raises(AmcNotVisibleError):
        calls.get_execution(INSTANCE, created.execution_id, created_at=began)
    assert calls.find_execution(INSTANCE, request, attempted_at=began) is None
    amc.control("POST", "clock", {"advance": 46})
    found = calls.find_execution(INSTANCE, request, attempted_at=began)
    assert found is not None
    assert (found.execution_id, posts(amc)) == (created.execution_id, 1)


def test_odd_executions_are_read(amc: LocalAmcServer, calls: AmcClient) -> None:
    done = finished(calls)
    amc.arm("null_fields")
    bare = calls.get_execution(INSTANCE, done.execution_id)
    assert (bare.execution_id, bare.status, bare.created_at) == (done.execution_id, "SUCCEEDED", None)
    amc.control("DELETE", "faults")
    amc.arm("unknown_status")
    odd = calls.get_execution(INSTANCE, done.execution_id)
    assert (odd.status, odd.is_open) == ("HIBERNATING", True)


def test_unknown_execution_is_not_found(amc: LocalAmcServer, calls: AmcClient) -> None:
    with pytest.raises(AmcNotFoundError):
        calls.get_execution(INSTANCE, str(uuid.uuid4()))


def test_limit_of_executions_is_a_matter_of_time(amc: LocalAmcServer, calls: AmcClient) -> None:
    amc.arm("execution_limit", count=1)
    request = asked()
    with pytest.raises(AmcLimitError):
        calls.create_execution(INSTANCE, request)
    assert calls.create_execution(INSTANCE, request).workflow_id == request.workflow_id


@pytest.mark.parametrize(
    ("variant", "reason"), [("compile", "invalid_sql"), ("overlap", "overlap_protection"), ("privacy", "")]
)
def test_refused_runs_say_why(amc: LocalAmcServer, calls: AmcClient, variant: str, reason: str) -> None:
    amc.arm("exec_rejected", count=1, variant=variant)
    found = ended(calls, calls.create_execution(INSTANCE, asked()))
    assert (found.status, found.reason_code) == ("REJECTED", reason)
    assert found.status_reason


def test_validation_finds_what_is_wrong_without_a_run(amc: LocalAmcServer, calls: AmcClient) -> None:
    checked = ended(calls, calls.validate(INSTANCE, asked()))
    assert checked.has_succeeded
    with pytest.raises(AmcNotReadyError):
        calls.download_result(INSTANCE, checked.execution_id, io.BytesIO())
    with pytest.raises(AmcRejectedError) as caught:
        calls.validate(INSTANCE, asked(sql="SELECT campaign,\n FROM WHERE sponsored_ads_traffic"))
    assert caught.value.reason == "invalid_sql"
    assert caught.value.position is not None
    wrong = ended(calls, calls.validate(INSTANCE, asked(sql=SQL.replace("impressions)", "impresions)"))))
    assert (wrong.status, wrong.reason_code) == ("REJECTED", "invalid_sql")
    assert wrong.sql_position is not None
    assert wrong.sql_position.line == 1


def test_cancelled_run_stays_cancelled(amc: LocalAmcServer, calls: AmcClient) -> None:
    amc.arm("exec_stuck", count=1)
    created = calls.create_execution(INSTANCE, asked())
    assert ended(calls, calls.cancel_execution(INSTANCE, created.execution_id)).status == "CANCELLED"
    assert calls.cancel_execution(INSTANCE, created.execution_id).status == "CANCELLED"


def test_run_that_ends_before_it_is_cancelled_keeps_its_result(amc: LocalAmcServer, calls: AmcClient) -> None:
    done = finished(calls)
    assert calls.cancel_execution(INSTANCE, done.execution_id).has_succeeded
    amc.arm("exec_cancel_race", count=1)
    created = calls.create_execution(INSTANCE, asked())
    assert ended(calls, calls.cancel_execution(INSTANCE, created.execution_id)).has_succeeded


@pytest.mark.parametrize(
    "fault", ["download_expired", "download_bad_signature", "download_truncated", "download_500"]
)
def test_download_that_fails_gets_fresh_links(amc: LocalAmcServer, calls: AmcClient, fault: str) -> None:
    done = finished(calls)
    whole = rows_of(calls, done)
    amc.arm(fault, count=2)
    assert rows_of(calls, done) == whole
    amc.arm(fault)
    file = io.BytesIO()
    with pytest.raises(AmcUnavailableError):
        calls.download_result(INSTANCE, done.execution_id, file)
    assert file.getvalue() == b""


def test_packed_download_is_unpacked(amc: LocalAmcServer, calls: AmcClient) -> None:
    done = finished(calls)
    whole = rows_of(calls, done)
    amc.arm("download_gzip")
    assert rows_of(calls, done) == whole


def test_parts_with_other_headers_are_refused(amc: LocalAmcServer, calls: AmcClient) -> None:
    amc.control("POST", "options", {"rows_per_part": 1})
    try:
        done = finished(calls)
        amc.arm("download_header_mismatch")
        file = io.BytesIO()
        with pytest.raises(AmcMalformedError, match="different columns"):
            calls.download_result(INSTANCE, done.execution_id, file)
        assert file.getvalue() == b""
    finally:
        amc.control("POST", "options", {"rows_per_part": 500_000})


def test_result_that_is_held_back_is_a_matter_of_time(amc: LocalAmcServer, calls: AmcClient) -> None:
    done = finished(calls)
    amc.arm("download_not_ready", count=1)
    with pytest.raises(AmcNotReadyError):
        calls.download_result(INSTANCE, done.execution_id, io.BytesIO())
    assert len(rows_of(calls, done)) > 1


def test_download_sends_no_token(amc: LocalAmcServer, calls: AmcClient) -> None:
    rows_of(calls, finished(calls))
    fetched = [request for request in amc.received() if request["path"].startswith("/results/")]
    assert fetched
    for request in fetched:
        names = {name.lower() for name in request["headers"]}
        assert not any("authorization" in name or "amazon" in name or name == "cookie" for name in names)


def test_parameters_reach_the_query(amc: LocalAmcServer, calls: AmcClient) -> None:
    every = rows_of(calls, finished(calls))
    wanted = every[1][0]
    sql = SQL.replace("GROUP", "WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('names'), campaign) GROUP")
    declared = {"name": "names", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}}
    done = finished(calls, sql=sql, input_parameters=[declared], parameter_values={"names": [wanted]})
    assert [row[0] for row in rows_of(calls, done)[1:]] == [wanted]


def test_workflows_and_data_sources_are_read(amc: LocalAmcServer, calls: AmcClient) -> None:
    assert "reach_by_campaign.v1" in {workflow.workflow_id for workflow in calls.list_workflows(INSTANCE)}
    sources = {source.data_source_id: source for source in calls.list_data_sources(INSTANCE)}
    columns = {column.name: column for column in sources["sponsored_ads_traffic"].columns}
    assert columns["user_id"].sensitivity == "VERY_HIGH"
    assert calls.get_data_source(INSTANCE, "dsp_impressions").columns
    with pytest.raises(AmcNotFoundError):
        calls.get_data_source(INSTANCE, "no_such_table")
