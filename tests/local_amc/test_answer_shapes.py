"""Every answer of the reporting and administration APIs has the shape that Amazon documents, wrapped and flat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from local_amc.server import LocalAmcServer
from tests.local_amc.api import SQL, Api
from tests.serving import PATIENCE

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
TIME = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"}
COLUMN_TYPE = {"enum": ["DIMENSION", "METRIC"]}
DATA_TYPE = {
    "enum": [
        "BINARY", "BOOLEAN", "BYTE", "CALENDAR_INTERVAL", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER", "LONG",
        "SHORT", "STRING", "TIMESTAMP",
    ]
}  # fmt: skip


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: dict[str, Any], most: int = 100) -> dict[str, Any]:
    return {"type": "array", "maxItems": most, "items": items}


def _page(key: str, items: dict[str, Any]) -> dict[str, Any]:
    return _object(key, **{key: _list(items), "nextToken": TEXT})


EMPTY = {"type": "object", "maxProperties": 0}
CHANNEL = _object("type", type={"enum": ["ACR", "DOWNLOAD", "PUBLISH"]})
ADVERTISER = _object("id", "type", id=TEXT, marketplaceId=TEXT, type={"enum": ["DISPLAY", "SAS", "SPONSORED_ADS"]})
OUTPUT_COLUMN = _object(
    "name", name=TEXT, columnType=COLUMN_TYPE, dataType=DATA_TYPE, dataTypePrecision=NUMBER, dataTypeScale=NUMBER
)
WORKFLOW = _object(
    "workflowId",
    "sqlQuery",
    workflowId=TEXT,
    sqlQuery=TEXT,
    inputParameters=_list(_object("name", name=TEXT, columnType=COLUMN_TYPE)),
    outputColumns=_list(OUTPUT_COLUMN),
    outputFormat=_object(separatorCharacter=TEXT, quoteCharacter=TEXT, escapeCharacter=TEXT),
    privacyFilteringBehavior={"enum": ["REMOVE_ROWS", "REMOVE_VALUES"]},
    filteredMetricsDiscriminatorColumn=TEXT,
)
EXECUTION = _object(
    "workflowExecutionId",
    "workflowId",
    "status",
    "createTime",
    workflowExecutionId=TEXT,
    workflowId=TEXT,
    status={"enum": ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]},
    createTime=TIME,
    lastUpdatedTime=TIME,
    expireTime=TIME,
    waitUntil=TIME,
    timeWindowStart=TIME,
    timeWindowEnd=TIME,
    timeWindowStartOriginal=TEXT,
    timeWindowEndOriginal=TEXT,
    timeWindowTimeZoneOriginal=TEXT,
    workflowExecutionTimeoutSeconds=NUMBER,
    invalidationOffsetSecs=NUMBER,
    disableAggregationControls=FLAG,
    requireSyntheticData=FLAG,
    outputS3URI=TEXT,
    sqlQuery=TEXT,
    advertisers=_list(ADVERTISER),
    outputColumns=_list(OUTPUT_COLUMN),
    outputChannels=_list(
        _object(
            "channel",
            "status",
            channel=CHANNEL,
            status={"enum": ["AVAILABLE", "FAILED", "PENDING", "UNAVAILABLE"]},
            statusReason=TEXT,
        )
    ),
)
SCHEDULE = _object(
    "scheduleId",
    "workflowId",
    scheduleId=TEXT,
    workflowId=TEXT,
    aggregationPeriod={"enum": ["Daily", "Weekly"]},
    aggregationStartDay={"enum": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]},
    aggregationHourUtc=NUMBER,
    scheduleEnabled=FLAG,
    requireSyntheticData=FLAG,
    disableAggregationControls=FLAG,
)
DATA_SOURCE = _object(
    "dataSourceId",
    dataSourceId=TEXT,
    description=TEXT,
    owner={"enum": ["AMAZON", "CUSTOMER"]},
    provider={"enum": ["ADVERTISER_DATA_UPLOAD", "AMAZON"]},
    columns=_list(_object("name", name=TEXT, columnType=COLUMN_TYPE, description=TEXT), 500),
    outputChannels=_list(_object("channel", "outputAvailable", channel=CHANNEL, outputAvailable=FLAG)),
    tags=_list(_object(type={"enum": ["DEPRECATED", "NEW", "RENAMED"]}, subtext=TEXT)),
)
LINKS = _object(
    "downloadUrls",
    downloadUrls=_list(TEXT, 5),
    metadataDownloadUrls=_list(TEXT, 5),
    nextToken=TEXT,
)
ERROR = _object("code", "details", code=TEXT, details=TEXT)
OR_NULL = {"type": ["string", "null"]}
ACCOUNTS = _object(
    "amcAccounts",
    amcAccounts=_list(_object("accountId", "marketplaceId", accountId=TEXT, accountName=TEXT, marketplaceId=TEXT)),
    nextToken=OR_NULL,
)
INSTANCE = _object("instanceId", "creationStatus", instanceId=TEXT, instanceName=OR_NULL, creationStatus=TEXT)
ADVERTISERS = _object(
    "advertisers",
    "totalCount",
    advertisers=_list(_object("id", "name", "type", id=TEXT, name=TEXT, marketplaceId=OR_NULL)),
    totalCount=NUMBER,
    nextToken=OR_NULL,
)
DAILY = {"scheduleId": "s", "workflowId": "w", "aggregationPeriod": "Daily", "aggregationHourUtc": 6}

Answer = tuple[str, requests.Response, dict[str, Any]]


def record(api: Api, *, is_wrapped: bool) -> Iterator[Answer]:
    """Call all seventeen operations; each answer comes with its name and the shape it must have."""

    def one(key: str, shape: dict[str, Any]) -> dict[str, Any]:
        return _object(key, **{key: shape}) if is_wrapped else shape

    def call(name: str, shape: dict[str, Any], method: str, path: str, body: Any = None, **query: Any) -> Answer:
        return name, api.call(method, path, body, **query), shape

    column = {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"}
    saved = {"workflowId": "w", "sqlQuery": SQL, "outputColumns": [column, {"name": "impressions"}]}
    yield call("create workflow", EMPTY, "POST", "workflows", saved)
    yield call("list workflows", _page("workflows", WORKFLOW), "GET", "workflows", limit=1)
    yield call("get workflow", one("workflow", WORKFLOW), "GET", "workflows/w")
    yield call("update workflow", EMPTY, "PUT", "workflows/w", saved)
    yield call("create schedule", EMPTY, "POST", "schedules", DAILY)
    yield call("list schedules", _page("schedules", SCHEDULE), "GET", "schedules", limit=1)
    yield call("get schedule", one("schedule", SCHEDULE), "GET", "schedules/s")
    yield call("update schedule", EMPTY, "PUT", "schedules/s", DAILY)
    yield call("delete schedule", EMPTY, "DELETE", "schedules/s")
    shape = one("workflowExecution", EXECUTION)
    created = call("create execution", shape, "POST", "workflowExecutions", {"workflowId": "w"})
    yield created
    body = created[1].json()
    path = f"workflowExecutions/{(body.get('workflowExecution') or body)['workflowExecutionId']}"
    yield call("get execution", shape, "GET", path, includeWorkflow="true")
    yield call("list executions", _page("executions", EXECUTION), "GET", "workflowExecutions", workflowId="w")
    yield call("download links", LINKS, "GET", f"{path}/downloadUrls")
    yield call("cancel what has ended", ERROR, "PUT", path, {"status": "CANCELLED"})
    yield call("list data sources", _page("dataSources", DATA_SOURCE), "GET", "dataSources", limit=5)
    yield call("get data source", one("dataSource", DATA_SOURCE), "GET", "dataSources/dsp_impressions")
    yield call("delete workflow", EMPTY, "DELETE", "workflows/w")


def problems(response: requests.Response, shape: dict[str, Any]) -> list[str]:
    """Return what of an answer does not fit its shape."""
    return [error.message for error in Draft202012Validator(shape).iter_errors(response.json())]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_every_answer_of_the_reporting_api(server: LocalAmcServer, api: Api, is_wrapped: bool) -> None:
    server.control("POST", "options", {"wraps_answers": is_wrapped})
    answers = list(record(api, is_wrapped=is_wrapped))
    assert len({name for name, _, _ in answers}) == 17
    wrong = {name: found for name, answer, shape in answers if (found := problems(answer, shape))}
    assert wrong == {}
    statuses = {name: answer.status_code for name, answer, _ in answers}
    assert {name for name, status in statuses.items() if status != 200} == {"cancel what has ended"}


def test_a_shape_that_does_not_fit_is_found(api: Api) -> None:
    response = api.call("GET", "dataSources", limit=1)
    assert problems(response, _page("dataSources", _object(dataSourceId=NUMBER)))
    assert problems(response, WORKFLOW)


def test_every_answer_of_the_administration_api(api: Api) -> None:
    for path, shape in (
        ("accounts", ACCOUNTS),
        ("instances", _object("instances", instances=_list(INSTANCE), nextToken=OR_NULL)),
        ("instances/amclocalus1", _object("instance", instance=INSTANCE)),
        ("instances/amclocalus1/advertisers", ADVERTISERS),
    ):
        response = api.session.get(f"{api.url}/amc/{path}", timeout=PATIENCE)
        assert (path, problems(response, shape)) == (path, [])
    refused = api.session.get(f"{api.url}/amc/instances/unknown", timeout=PATIENCE)
    assert problems(refused, ERROR) == []


def test_a_result_that_breaks_off_is_told_by_its_length(server: LocalAmcServer, api: Api) -> None:
    [link] = api.links(api.run())
    server.arm("truncated_body", route="result", count=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(link, timeout=PATIENCE)
    assert requests.get(link, timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{"columnType": "METRIC"}], "each needs a name"),
        ([{"name": "a", "columnType": "FACT"}], "columnType must be one of"),
        ([{"name": "a", "dataType": "TEXT"}], "dataType must be one of"),
        ([{"name": "a", "dataTypeScale": "2"}], "dataTypeScale must be a whole number"),
    ],
)
def test_output_columns_are_checked(api: Api, columns: list[dict[str, Any]], message: str) -> None:
    body = {"workflowId": "w", "sqlQuery": SQL, "outputColumns": columns}
    assert message in api.rejection("POST", "workflows", body)[1]


def test_as_many_output_columns_are_declared_as_the_query_has(api: Api) -> None:
    done = api.run(SQL, workflow={"outputColumns": [{"name": "campaign"}]})
    assert done["status"] == "REJECTED"
    assert done["statusReason"] == "Number of columns must match number of query columns"
