"""Whatever a body holds, the answer is Amazon's: 200, or a rejection that says why. Never a 500, never a dead line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, Api
from tests.serving import PATIENCE

WORKFLOW = {
    "workflowId": "good",
    "sqlQuery": CONSTANT,
    "inputParameters": [
        {"name": "ids", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}, "defaultValue": ["1"]}
    ],
    "outputColumns": [{"name": "x", "columnType": "DIMENSION", "dataType": "LONG"}],
    "outputFormat": {"separatorCharacter": ";", "quoteCharacter": "'", "escapeCharacter": "\\"},
    "inputSchema": "sandbox",
    "privacyFilteringBehavior": "REMOVE_ROWS",
    "filteredMetricsDiscriminatorColumn": "filtered",
    "distinctUserCountColumn": "users",
    "filteredReasonColumn": "why",
}
EXECUTION = {
    "workflow": {**WORKFLOW, "workflowId": "ad_hoc"},
    "timeWindowType": "EXPLICIT",
    "timeWindowStart": "2026-10-01T00:00:00",
    "timeWindowEnd": "2026-11-01T00:00:00",
    "timeWindowTimeZone": "America/New_York",
    "parameterValues": {"ids": ["2"]},
    "workflowExecutionTimeoutSeconds": 900,
    "requireSyntheticData": False,
    "disableAggregationControls": False,
    "dryRun": True,
    "skipPublish": False,
    "ignoreDataGaps": False,
    "advertisers": [{"id": "500001000000000001", "type": "DISPLAY", "marketplaceId": "ATVPDKIKX0DER"}],
}
SCHEDULE = {
    "scheduleId": "daily",
    "workflowId": "reach_by_campaign.v1",
    "aggregationPeriod": "Weekly",
    "aggregationStartDay": "Monday",
    "aggregationHourUtc": 6,
    "scheduleEnabled": True,
    "requireSyntheticData": False,
    "disableAggregationControls": False,
    "marketplaceId": "ATVPDKIKX0DER",
}
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "workflows", WORKFLOW),
    ("PUT", "workflows/weekly_spend.v2", {**WORKFLOW, "workflowId": "weekly_spend.v2"}),
    ("POST", "workflowExecutions", EXECUTION),
    ("POST", "workflowExecutions", {"workflowId": "reach_by_campaign.v1", "dryRun": True}),
    ("POST", "schedules", SCHEDULE),
    ("PUT", "schedules/reach_every_monday", {**SCHEDULE, "scheduleId": "reach_every_monday"}),
]
CONTROL: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "clock", {"set": "2026-11-20T00:00:00Z", "advance": 1}),
    ("POST", "faults", {"fault": "slow", "route": "accounts", "nth": 1, "probability": 0.5, "seconds": 1}),
    ("DELETE", "faults", {"fault": "slow", "id": 4}),
    ("POST", "options", {"terms_on_list": False, "wraps_answers": False, "rows_per_part": 9}),
    ("POST", "executions", {"id": "x", "status": "FAILED", "reason": "r"}),
    ("POST", "tables", {"instance": "amclocalus1", "name": "crm", "columns": [{"name": "a", "type": "LONG"}]}),
]
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 10**18, 10**400, 1.5, 1e308, "", " ", "x", "\0", "\ud800", "ü" * 500, [], {}, [None], [[]],
    [{}], [1], ["x", "x"], {"type": "ARRAY"}, {"": None}, {"name": []}, "9999-12-31T23:59:59", "0001-01-01T00:00:00",
    "٢٠٢٦-10-01T00:00:00", "../../etc/passwd", "Europe", "a" * 5000,
)  # fmt: skip


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a body."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [place for key, value in inner for place in ((*path, key), *places(value, (*path, key)))]


def changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(body))
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copy


def is_answer(response: requests.Response) -> bool:
    """Return whether this is Amazon's yes, or a no with its reason."""
    if response.status_code == 200:
        return True
    body = response.json()
    return (
        response.status_code in (400, 404, 422) and body["code"] == str(response.status_code) and body["details"]
    )


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: value if type(value) is str else "")
def test_every_value_of_every_body_may_be_wrong(api: Api, method: str, path: str, body: dict[str, Any]) -> None:
    for place in places(body):
        for value in ODD:
            response = api.call(method, path, changed(body, place, value))
            assert is_answer(response), (place, value, response.text)


@pytest.mark.parametrize(
    ("method", "route", "body"), CONTROL, ids=lambda value: value if type(value) is str else ""
)
def test_control_routes_refuse_too(
    server: LocalAmcServer, api: Api, method: str, route: str, body: dict[str, Any]
) -> None:
    for place in places(body):
        for value in ODD:
            wrong = changed(body, place, value)
            response = requests.request(method, f"{server.url}/__control/{route}", json=wrong, timeout=PATIENCE)
            assert response.status_code in (200, 400), (place, value, response.text)
            assert response.status_code == 200 or response.json()["error"]
            # Whatever was taken, the server still answers.
            assert api.session.get(f"{server.url}/amc/accounts", timeout=PATIENCE).status_code in (200, 401), (
                place,
                value,
            )
            server.reset()


def test_the_token_endpoint_refuses_too(server: LocalAmcServer) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c", "client_secret": "s"}
    for place in places(form):
        for value in ODD:
            response = requests.post(
                f"{server.url}/auth/o2/token", json=changed(form, place, value), timeout=PATIENCE
            )
            assert response.status_code in (400, 401), (place, value, response.text)
            assert response.json()["error"]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: value if type(value) is str else "")
@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "1", '"x"', '{"a": NaN}', '{"workflow": Infinity}', "[" * 200_000, '{"a":' * 20_000,
        '{"a":' * 900 + "1" + "}" * 900, '{"a": 1' + "0" * 5000 + "}", '{"a": "\udcff"}', "{'a': 1}",
    ],
    ids=range(14),
)  # fmt: skip
def test_texts_that_are_no_json_object(api: Api, method: str, path: str, body: dict[str, Any], text: str) -> None:
    response = api.session.request(
        method,
        f"{api.url}/amc/reporting/amclocalus1/{path}",
        data=text.encode("utf-8", "surrogateescape"),
        headers={"Content-Type": "application/json"},
        timeout=PATIENCE,
    )
    assert (response.status_code, response.json()["code"]) == (400, "400")
    assert response.json()["details"] == "The request body is not a JSON object"


def test_a_body_of_another_type_is_415(api: Api) -> None:
    for method, path, body in (*ROUTES, ("PUT", "workflowExecutions/x", {"status": "CANCELLED"})):
        if path.endswith("/x"):
            path = f"workflowExecutions/{api.create()['workflowExecutionId']}"
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", ""):
            response = api.session.request(
                method,
                f"{api.url}/amc/reporting/amclocalus1/{path}",
                data=json.dumps(body).encode(),
                headers={"Content-Type": kind},
                timeout=PATIENCE,
            )
            assert (response.status_code, response.json()["code"]) == (415, "415"), (path, kind)


def test_vendor_types_are_taken(api: Api) -> None:
    for number, kind in enumerate(("application/json; charset=utf-8", "application/vnd.amcworkflows.v1+json")):
        body = json.dumps({**WORKFLOW, "workflowId": f"w{number}"}).encode()
        url = f"{api.url}/amc/reporting/amclocalus1/workflows"
        assert (
            api.session.post(url, data=body, headers={"Content-Type": kind}, timeout=PATIENCE).status_code == 200
        )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({*EXECUTION, *WORKFLOW, *SCHEDULE})


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(route=st.sampled_from(ROUTES), changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_any_values_together(api: Api, route: tuple[str, str, dict[str, Any]], changes: dict[str, Any]) -> None:
    method, path, body = route
    response = api.call(method, path, {**body, **changes})
    assert is_answer(response), response.text
    # Whatever was kept can be read back.
    for collection in ("workflows", "schedules"):
        assert api.call("GET", collection).status_code == 200


def test_odd_query_strings(api: Api) -> None:
    known = api.create()["workflowExecutionId"]
    names = (
        "workflowId", "minCreationTime", "maxCreationTime", "timeZone", "sortAscending", "includeCancelled",
        "includeWorkflow", "limit", "nextToken",
    )  # fmt: skip
    for path in ("workflows", "workflowExecutions", f"workflowExecutions/{known}", "schedules", "dataSources"):
        for name in names:
            for value in (*(v for v in ODD if isinstance(v, str) and v != "\ud800"), "0", "-1", "101", "1e2", "٣"):
                base = {} if name == "workflowId" else {"minCreationTime": "2020-01-01T00:00:00"}
                response = api.call("GET", path, **{**base, name: value})
                assert is_answer(response), (path, name, value, response.text)
