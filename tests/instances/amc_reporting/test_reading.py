"""Executions read, listed, checked and cancelled; workflows and data sources: exact requests, odd answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from responses import matchers

from instances.amc.client import RetryPolicy
from instances.amc.errors import (
    AmcForbiddenError,
    AmcMalformedError,
    AmcNotFoundError,
    AmcNotVisibleError,
    AmcRejectedError,
    AmcUnexpectedError,
)
from instances.amc.types import AccountRef, InstanceRef
from tests.instances.amc.builders import ACCESS_TOKEN, API, CLIENT_ID, INSTANCE, answers, client
from tests.instances.amc_reporting.builders import EXECUTIONS, OWN_ID, REPORTING, ago, request, shown

ONE = f"{EXECUTIONS}/exec-1"
SINCE = datetime(2026, 11, 20, 10, 0, 0, 500, tzinfo=UTC)
PATIENT = RetryPolicy(tries=3, max_wait_seconds=60, connect_timeout=1, read_timeout=1)


@pytest.fixture(autouse=True)
def _recorded() -> Iterator[None]:
    with responses.mock:
        yield


def listing(rows: list[Any], token: str | None = None) -> dict[str, Any]:
    return {"executions": rows, "nextToken": token}


def test_creation_sends_exactly_this() -> None:
    body = matchers.json_params_matcher(request().to_json())
    responses.post(EXECUTIONS, json=shown(), match=[body, matchers.query_param_matcher({})])
    assert client().create_execution(INSTANCE, request()).execution_id == "exec-1"
    sent = dict(responses.calls[0].request.headers)
    assert sent.pop("User-Agent").startswith("amc-helper/")
    assert int(sent.pop("Content-Length")) > 100
    assert sent == {
        "Authorization": f"Bearer {ACCESS_TOKEN}",
        "Amazon-Advertising-API-ClientId": CLIENT_ID,
        "Amazon-Advertising-API-AdvertiserId": "ENTITY1EXAMPLE0AB",
        "Amazon-Advertising-API-MarketplaceId": "ATVPDKIKX0DER",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }


def test_lookup_sends_exactly_this() -> None:
    exact = {
        "workflowId": OWN_ID,
        "minCreationTime": "2026-11-20T09:55:00",
        "includeCancelled": "true",
        "limit": "100",
    }
    similar = {
        "minCreationTime": "2026-11-20T09:55:00",
        "includeCancelled": "true",
        "includeWorkflow": "true",
        "limit": "100",
    }
    responses.get(EXECUTIONS, json=listing([]), match=[matchers.query_param_matcher(exact)])
    responses.get(EXECUTIONS, json=listing([]), match=[matchers.query_param_matcher(similar)])
    assert client().find_execution(INSTANCE, request(), attempted_at=SINCE) is None
    assert len(responses.calls) == 2


def test_lookup_reads_all_pages() -> None:
    pages = [(200, json.dumps(listing([], "T1"))), (200, json.dumps(listing([shown("exec-3")])))]
    answers(*pages, url=EXECUTIONS)
    found = client().find_execution(INSTANCE, request(), attempted_at=SINCE)
    assert found is not None
    assert found.execution_id == "exec-3"


def test_lookup_of_an_id_that_amazon_replaced_goes_on() -> None:
    unknown = (400, '{"code": "400", "details": "Workflow with ID x does not exist"}')
    answers(unknown, (200, json.dumps(listing([]))), url=EXECUTIONS)
    assert client().find_execution(INSTANCE, request(), attempted_at=SINCE) is None


@pytest.mark.parametrize("body", ["{}", "", "null", "[]", '{"other": []}', '{"executions": {}}', "<html>"])
def test_answer_that_is_no_list_does_not_mean_that_there_is_no_run(body: str) -> None:
    answers((200, body), url=EXECUTIONS)
    with pytest.raises(AmcMalformedError):
        client().find_execution(INSTANCE, request(), attempted_at=ago(hours=1))
    assert {call.request.method for call in responses.calls} == {"GET"}


@pytest.mark.parametrize("wrap", [False, True])
def test_execution_is_read_flat_and_wrapped(wrap: bool) -> None:
    body = {"workflowExecution": shown()} if wrap else shown()
    responses.get(ONE, json=body, headers={"x-amz-rid": "RID1"}, content_type="application/octet-stream")
    found = client().get_execution(INSTANCE, "exec-1")
    assert (found.execution_id, found.status, found.call.request_id) == ("exec-1", "PENDING", "RID1")


def test_sql_comes_only_when_asked_for() -> None:
    query = matchers.query_param_matcher({"includeWorkflow": "true"})
    responses.get(ONE, json=shown(sqlQuery="SELECT 1"), match=[query])
    assert client().get_execution(INSTANCE, "exec-1", include_workflow=True).sql == "SELECT 1"


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "<html>", '{"status": "RUNNING"}', '{"workflowExecution": null}']
)
def test_execution_without_an_id_is_malformed(body: str) -> None:
    answers((200, body), url=ONE)
    with pytest.raises(AmcMalformedError):
        client().get_execution(INSTANCE, "exec-1")


UNKNOWN = [
    (400, '{"code": "400", "details": "Workflow execution with ID exec-1 does not exist"}'),
    (404, '{"code": "404", "details": "gone"}'),
]


def test_execution_that_was_not_asked_for_is_no_answer() -> None:
    responses.get(ONE, json=shown("exec-2", status="SUCCEEDED"))
    with pytest.raises(AmcUnexpectedError, match="that was asked for"):
        client().get_execution(INSTANCE, "exec-1")


@pytest.mark.parametrize("reply", UNKNOWN)
def test_unknown_execution_is_not_found(reply: tuple[int, str]) -> None:
    answers(reply, url=ONE)
    for created_at in (None, ago(seconds=121)):
        with pytest.raises(AmcNotFoundError):
            client().get_execution(INSTANCE, "exec-1", created_at=created_at)


@pytest.mark.parametrize("reply", UNKNOWN)
def test_unknown_execution_may_only_be_too_new(reply: tuple[int, str]) -> None:
    answers(reply, url=ONE)
    with pytest.raises(AmcNotVisibleError) as caught:
        client().get_execution(INSTANCE, "exec-1", created_at=ago(seconds=110))
    assert caught.value.transient
    assert caught.value.retry_after
    # Who gives up on what does not exist must not give up on this.
    assert not isinstance(caught.value, AmcNotFoundError)


def test_other_refusals_do_not_become_too_new() -> None:
    answers((403, '{"details": "Unauthorized request."}'), url=ONE)
    with pytest.raises(AmcForbiddenError):
        client().get_execution(INSTANCE, "exec-1", created_at=ago(seconds=1))


def test_ids_stay_in_their_segment_and_empty_ones_go_nowhere() -> None:
    responses.get(f"{API}/amc/reporting/a%2Fb/workflowExecutions/x%2F..%3Fy", json=shown("x/..?y"))
    client().get_execution(InstanceRef("a/b", AccountRef("ENTITY1", "M")), "x/..?y")
    for empty in ("", "..", " "):
        with pytest.raises(ValueError, match="empty"):
            client().get_execution(INSTANCE, empty)


def test_list_is_read_page_by_page_and_each_run_once() -> None:
    query = {"minCreationTime": "2026-11-20T10:00:00", "includeCancelled": "true", "limit": "100"}
    first, second = [shown("a"), shown("b")], [shown("b"), shown("c"), {"status": "PENDING"}, "odd", None]
    responses.get(EXECUTIONS, json=listing(first, "T1"), match=[matchers.query_param_matcher(query)])
    more = matchers.query_param_matcher({**query, "nextToken": "T1"})
    responses.get(EXECUTIONS, json=listing(second, ""), match=[more])
    found = client().list_executions(INSTANCE, created_since=SINCE, whole=False)
    assert next(found).execution_id == "a"
    assert len(responses.calls) == 1
    assert [execution.execution_id for execution in found] == ["b", "c"]
    with pytest.raises(AmcUnexpectedError, match="entries that cannot be read"):
        list(client().list_executions(INSTANCE, created_since=SINCE))


def test_list_options_are_sent() -> None:
    query = {
        "minCreationTime": "2026-11-20T10:00:00",
        "workflowId": "w.1",
        "includeWorkflow": "true",
        "limit": "100",
    }
    responses.get(EXECUTIONS, json=listing([]), match=[matchers.query_param_matcher(query)])
    found = client().list_executions(
        INSTANCE, created_since=SINCE, workflow_id="w.1", include_cancelled=False, include_workflow=True
    )
    assert list(found) == []


@pytest.mark.parametrize("token", ["again", None])
def test_list_that_turns_in_circles_ends(token: str | None) -> None:
    pages = [(200, json.dumps(listing([shown()], "again"))), (200, json.dumps(listing([shown()], token)))]
    count = answers(*pages, url=EXECUTIONS)
    assert len(list(client().list_executions(INSTANCE, created_since=SINCE, whole=False))) == 1
    assert count() == 2


@pytest.mark.parametrize("token", ["again", None])
def test_run_is_not_called_missing_from_a_list_that_turns_in_circles(token: str | None) -> None:
    other = shown("exec-2", workflowId="amchelper-other")
    pages = [(200, json.dumps(listing([other], "again"))), (200, json.dumps(listing([other], token)))]
    answers(*pages, url=EXECUTIONS)
    with pytest.raises(AmcUnexpectedError):
        client().find_execution(INSTANCE, request(), attempted_at=SINCE)


def test_list_without_end_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.amc.reporting._MAX_EXECUTION_PAGES", 4)
    pages = [(200, json.dumps(listing([shown(f"e{n}")], f"T{n}"))) for n in range(20)]
    count = answers(*pages, url=EXECUTIONS)
    assert len(list(client().list_executions(INSTANCE, created_since=SINCE, whole=False))) == 4
    assert count() == 4


def test_cancelling_sends_exactly_this_and_gives_the_state() -> None:
    body = matchers.json_params_matcher({"status": "CANCELLED"})
    responses.put(ONE, json=shown(status="CANCELLED"), match=[body])
    assert client().cancel_execution(INSTANCE, "exec-1").status == "CANCELLED"


@pytest.mark.parametrize("body", ["", "{}"])
def test_cancelling_without_an_answer_reads_the_state(body: str) -> None:
    responses.put(ONE, body=body)
    responses.get(ONE, json=shown(status="RUNNING"))
    assert client().cancel_execution(INSTANCE, "exec-1").is_open


def test_cancelling_a_finished_run_gives_how_it_ended() -> None:
    responses.put(ONE, status=400, json={"code": "400", "details": "Execution is in an end state"})
    responses.get(ONE, json=shown(status="SUCCEEDED"))
    assert client().cancel_execution(INSTANCE, "exec-1").has_succeeded


def test_cancelling_that_is_refused_although_the_run_is_open_is_an_error() -> None:
    responses.put(ONE, status=400, json={"code": "400", "details": "Not now"})
    responses.get(ONE, json=shown(status="RUNNING"))
    with pytest.raises(AmcRejectedError, match="Not now"):
        client().cancel_execution(INSTANCE, "exec-1")


def test_cancelling_is_repeated_after_a_server_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    responses.put(ONE, status=504)
    responses.put(ONE, json=shown(status="CANCELLED"))
    assert client(policy=PATIENT).cancel_execution(INSTANCE, "exec-1").is_final


def test_validation_is_a_dry_run_under_another_id() -> None:
    body = matchers.json_params_matcher(request().for_validation().to_json())
    responses.post(EXECUTIONS, json=shown(), match=[body])
    assert client().validate(INSTANCE, request()).is_open


def test_validation_tells_where_the_sql_is_wrong() -> None:
    words = "From line 1, column 8 to line 1, column 9: Column 'x' not found in any table"
    responses.post(EXECUTIONS, status=400, json={"code": "400", "details": words})
    responses.post(EXECUTIONS, json=shown(status="REJECTED", statusReason=words))
    for _ in ("at once", "in the answer"):
        with pytest.raises(AmcRejectedError) as caught:
            client().validate(INSTANCE, request())
        assert caught.value.reason == "invalid_sql"
        assert caught.value.position is not None
        assert caught.value.position.column == 8
        assert words in caught.value.message


@pytest.mark.parametrize(("key", "id_field"), [("workflows", "workflowId"), ("dataSources", "dataSourceId")])
def test_catalogue_that_does_not_come_whole_is_an_error(key: str, id_field: str) -> None:
    same = (200, json.dumps({key: [{id_field: "one"}], "nextToken": "T1"}))
    answers(same, (200, json.dumps({key: [{id_field: "one"}]})), url=f"{REPORTING}/{key}")
    calls = client()
    ask = calls.list_workflows if key == "workflows" else calls.list_data_sources
    with pytest.raises(AmcUnexpectedError, match="same page"):
        ask(INSTANCE)


def test_workflows_are_listed() -> None:
    rows = [
        {"workflowId": "w.1", "sqlQuery": "SELECT 1", "inputParameters": [{"name": "ids"}, None]},
        {"workflowId": "w.2"},
    ]
    query = matchers.query_param_matcher({"limit": "100"})
    responses.get(f"{REPORTING}/workflows", json={"workflows": rows}, match=[query])
    found = client().list_workflows(INSTANCE)
    assert [(one.workflow_id, one.sql, len(one.input_parameters)) for one in found] == [
        ("w.1", "SELECT 1", 1),
        ("w.2", "", 0),
    ]


COLUMN = {
    "name": "user_id",
    "columnType": "DIMENSION",
    "dataType": "STRING",
    "sensitivity": "VERY_HIGH",
    "description": "Somebody",
}
SOURCE = {"dataSourceId": "dsp_clicks", "description": "Clicks", "columns": [COLUMN, "odd", {"name": "clicks"}]}


def test_data_sources_are_listed_with_their_columns() -> None:
    responses.get(f"{REPORTING}/dataSources", json={"dataSources": [SOURCE, {"dataSourceId": "empty"}]})
    found = client().list_data_sources(INSTANCE)
    assert [(source.data_source_id, len(source.columns)) for source in found] == [("dsp_clicks", 2), ("empty", 0)]
    column = found[0].columns[0]
    assert (column.name, column.data_type, column.sensitivity) == ("user_id", "STRING", "VERY_HIGH")


@pytest.mark.parametrize("wrap", [False, True])
def test_one_data_source_is_read_flat_and_wrapped(wrap: bool) -> None:
    responses.get(f"{REPORTING}/dataSources/dsp_clicks", json={"dataSource": SOURCE} if wrap else SOURCE)
    assert client().get_data_source(INSTANCE, "dsp_clicks").description == "Clicks"


@pytest.mark.parametrize("body", ["{}", "[]", '{"dataSource": null}', '{"description": "x"}'])
def test_data_source_without_a_name_is_malformed(body: str) -> None:
    responses.get(f"{REPORTING}/dataSources/dsp_clicks", body=body)
    with pytest.raises(AmcMalformedError):
        client().get_data_source(INSTANCE, "dsp_clicks")
