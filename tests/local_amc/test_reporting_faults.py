"""Faults of the reporting API over HTTP, each proven by what the server says it has and has received."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, SQL, Api, read_csv
from tests.serving import PATIENCE

BODY = {"workflow": {"workflowId": "app-run-1", "sqlQuery": CONSTANT}}
SINCE = {"minCreationTime": "2020-01-01T00:00:00"}


def created(server: LocalAmcServer) -> list[str]:
    """Return the states of what the server really holds, whatever it answered."""
    return [execution["status"] for execution in server.control("GET", "executions")["executions"]]


def posts(server: LocalAmcServer) -> int:
    return sum(
        request["method"] == "POST" and request["path"].endswith("/workflowExecutions")
        for request in server.received()
    )


def fired(server: LocalAmcServer) -> list[int]:
    return [fault["fired"] for fault in server.control("GET", "faults")["faults"]]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ({"fault": "token_expired"}, 401, "Unauthorized"),
        ({"fault": "forbidden_expired", "variant": "always"}, 403, "Unauthorized request."),
        ({"fault": "wrong_entity"}, 403, "Unauthorized request."),
        ({"fault": "terms_required"}, 403, "Terms and conditions must be accepted"),
        ({"fault": "unknown_instance"}, 404, "was not found"),
        ({"fault": "unknown_instance", "status": 403}, 403, "Unauthorized request."),
        ({"fault": "wrong_marketplace"}, 404, "marketplace"),
        ({"fault": "missing_header"}, 400, "entityId provided is null"),
        ({"fault": "throttle", "seconds": 7}, 429, "Too Many Requests"),
        ({"fault": "throttle", "variant": "none"}, 429, "Too Many Requests"),
        ({"fault": "throttle", "variant": "html"}, 429, "<html>"),
        ({"fault": "server_error"}, 500, "Internal error"),
        ({"fault": "server_error", "status": 502, "variant": "html"}, 502, "<html>"),
        ({"fault": "server_error", "status": 503, "variant": "empty"}, 503, ""),
        ({"fault": "server_error", "status": 504}, 504, "Endpoint request timed out"),
        ({"fault": "execution_limit"}, 422, "reached your execution limit"),
        ({"fault": "instance_in_progress"}, 400, "The instance is not ready."),
        ({"fault": "instance_failed"}, 400, "The instance is not ready."),
        ({"fault": "account_disappears", "entity": "ENTITYLOCALUS1"}, 403, "Unauthorized request."),
        ({"fault": "bad_json"}, 200, '{"instance": {'),
        ({"fault": "empty_200"}, 200, ""),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_refused_post_creates_nothing(
    server: LocalAmcServer, api: Api, fault: dict[str, Any], status: int, words: str
) -> None:
    server.arm(**fault, count=1)
    answer = api.call("POST", "workflowExecutions", BODY)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert (fired(server), posts(server), created(server)) == ([1], 1, [])
    # The next one works: the fault was in the answer, not in the server.
    assert api.call("POST", "workflowExecutions", BODY).status_code == 200
    assert (posts(server), created(server)) == (2, ["SUCCEEDED"])


@pytest.mark.parametrize(("fault", "variant"), [("reset", ""), ("created_but_504", "reset")])
def test_a_reset_before_or_after_the_work(server: LocalAmcServer, api: Api, fault: str, variant: str) -> None:
    server.arm(fault, count=1, variant=variant)
    with pytest.raises(requests.ConnectionError):
        api.call("POST", "workflowExecutions", BODY)
    assert posts(server) == 1
    assert created(server) == ([] if fault == "reset" else ["SUCCEEDED"])
    found = api.get("workflowExecutions", workflowId="app-run-1")["executions"]
    assert len(found) == len(created(server))


def test_created_although_the_answer_is_504(server: LocalAmcServer, api: Api) -> None:
    server.arm("created_but_504", count=1)
    answer = api.call("POST", "workflowExecutions", BODY)
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})
    [found] = api.get("workflowExecutions", workflowId="app-run-1")["executions"]
    assert (found["status"], posts(server), len(created(server))) == ("SUCCEEDED", 1, 1)
    assert read_csv(requests.get(api.links(found)[0], timeout=PATIENCE)) == [["x"], ["1"], ["2"], ["3"]]


def test_created_hidden_and_the_answer_is_lost(server: LocalAmcServer, api: Api) -> None:
    server.arm("created_but_504", count=1, seconds=45)
    assert api.call("POST", "workflowExecutions", BODY).status_code == 504
    assert (api.get("workflowExecutions", workflowId="app-run-1")["executions"], len(created(server))) == ([], 1)
    server.control("POST", "clock", {"advance": 46})
    assert len(api.get("workflowExecutions", workflowId="app-run-1")["executions"]) == 1


def test_what_is_refused_anyway_is_not_created_by_a_lost_answer(server: LocalAmcServer, api: Api) -> None:
    server.arm("created_but_504", count=1)
    answer = api.call("POST", "workflowExecutions", {"workflow": {"sqlQuery": ""}})
    assert (answer.status_code, created(server)) == (400, [])


@pytest.mark.parametrize(
    ("fault", "is_lost"), [("truncated_body", True), ("wrong_content_type", False), ("slow", False)]
)
def test_spoilt_answers_of_a_run_that_was_created(
    server: LocalAmcServer, api: Api, fault: str, is_lost: bool
) -> None:
    server.arm(fault, count=1, **({"seconds": 0.1} if fault == "slow" else {}))
    began = time.monotonic()
    if is_lost:
        with pytest.raises(requests.RequestException):
            api.call("POST", "workflowExecutions", BODY)
    else:
        answer = api.call("POST", "workflowExecutions", BODY)
        assert answer.json()["workflowId"] == "app-run-1"
        is_stream = answer.headers["Content-Type"] == "application/octet-stream"
        assert is_stream == (fault == "wrong_content_type")
    assert fault != "slow" or time.monotonic() - began >= 0.1
    assert (posts(server), len(created(server))) == (1, 1)


def test_a_call_that_hangs_creates_nothing(server: LocalAmcServer, api: Api) -> None:
    server.arm("hang", count=1, seconds=1)
    with pytest.raises(requests.RequestException):
        api.session.post(f"{api.url}/amc/reporting/amclocalus1/workflowExecutions", json=BODY, timeout=0.2)
    assert (posts(server), created(server)) == (1, [])


class TestInvisible:
    def test_for_45_seconds(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_slow_visible", count=1)
        new = api.create(workflow={"workflowId": "app-run-1"})
        path = f"workflowExecutions/{new['workflowExecutionId']}"
        missing = (400, f"Workflow execution with ID {new['workflowExecutionId']} does not exist.")
        for advance in (0, 43):
            server.control("POST", "clock", {"advance": advance})
            assert api.rejection("GET", path) == missing
            assert api.rejection("PUT", path, {"status": "CANCELLED"}) == missing
            assert api.rejection("GET", f"{path}/downloadUrls") == missing
            assert api.get("workflowExecutions", workflowId="app-run-1")["executions"] == []
            # It exists all the same.
            assert len(created(server)) == 1
        server.control("POST", "clock", {"advance": 2})
        assert api.read(new)["status"] == "SUCCEEDED"
        assert len(api.get("workflowExecutions", workflowId="app-run-1")["executions"]) == 1

    def test_as_long_as_the_fault_says(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_slow_visible", count=1, seconds=10)
        new = api.create()
        server.control("POST", "clock", {"advance": 11})
        assert api.read(new)["status"] == "SUCCEEDED"
        assert api.run()["status"] == "SUCCEEDED"


class TestPlannedOutcomes:
    @pytest.mark.parametrize(
        ("fault", "variant", "status", "words"),
        [
            ("exec_failed", "", "FAILED", "internal error"),
            ("exec_rejected", "", "REJECTED", "was unable to compile workflow: From line 1, column 8"),
            ("exec_rejected", "compile", "REJECTED", "Object 'x' not found"),
            ("exec_rejected", "privacy", "REJECTED", "privacy rule"),
            ("exec_rejected", "overlap", "REJECTED", "too many workflows have already been run against the same"),
        ],
    )
    def test_end_and_reason(
        self, server: LocalAmcServer, api: Api, fault: str, variant: str, status: str, words: str
    ) -> None:
        server.arm(fault, count=1, variant=variant)
        done = api.run(SQL)
        assert (done["status"], words in done["statusReason"]) == (status, True)
        assert api.rejection("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls")[0] == 400
        assert api.run(SQL)["status"] == "SUCCEEDED"

    def test_a_stuck_run_outlives_its_timeout(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=1)
        stuck = api.create(workflowExecutionTimeoutSeconds=900)
        server.control("POST", "clock", {"advance": 3_000})
        assert api.read(stuck)["status"] == "RUNNING"
        server.control(
            "POST", "executions", {"id": stuck["workflowExecutionId"], "status": "FAILED", "reason": "no"}
        )
        found = api.read(stuck)
        assert (found["status"], found["statusReason"]) == ("FAILED", "no")

    def test_publishing_goes_before_success(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_publishing", count=1, seconds=20)
        new = api.create()
        path = f"workflowExecutions/{new['workflowExecutionId']}"
        assert api.read(new)["status"] == "PUBLISHING"
        assert [one["status"] for one in api.get("workflowExecutions", **SINCE)["executions"]] == ["PUBLISHING"]
        assert "is unavailable for download" in api.rejection("GET", f"{path}/downloadUrls")[1]
        server.control("POST", "clock", {"advance": 21})
        assert api.read(new)["status"] == "SUCCEEDED"
        assert api.links(new)

    def test_cancelling_may_come_too_late(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=1)
        server.arm("exec_cancel_race", count=1)
        new = api.create()
        path = f"workflowExecutions/{new['workflowExecutionId']}"
        assert api.call("PUT", path, {"status": "CANCELLED"}).status_code == 200
        assert api.read(new)["status"] == "RUNNING"
        assert api.call("PUT", path, {"status": "CANCELLED"}).status_code == 200
        assert api.read(new)["status"] == "CANCELLED"


class TestAnswers:
    @pytest.mark.parametrize("is_wrapped", [False, True])
    def test_fields_that_are_null_new_or_odd(self, server: LocalAmcServer, api: Api, is_wrapped: bool) -> None:
        server.control("POST", "options", {"wraps_answers": is_wrapped})
        new = api.create(workflow={"workflowId": "w"})
        new = new["workflowExecution"] if is_wrapped else new

        def shown() -> list[dict[str, Any]]:
            single = api.read(new)
            listed = api.get("workflowExecutions", workflowId="w")["executions"]
            return [single["workflowExecution"] if is_wrapped else single, *listed]

        plain = shown()[0]
        server.arm("null_fields")
        for found in shown():
            assert {name for name, value in found.items() if value is not None} == {
                "workflowExecutionId",
                "workflowId",
                "status",
            }
            assert not {"parameterValues", "dataGaps"} & set(found)
        server.control("DELETE", "faults")
        server.arm("extra_fields")
        for found in shown():
            assert found == {**plain, "brandNewField": {"a": [1]}, "anotherOne": "x"}
        server.control("DELETE", "faults")
        server.arm("unknown_status")
        assert [found["status"] for found in shown()] == ["HIBERNATING"] * 2
        server.control("DELETE", "faults")
        assert shown() == [plain, plain]

    def test_duplicate_and_referenced_workflows(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("duplicate_workflow", count=1)
        body = {"workflowId": "w", "sqlQuery": CONSTANT}
        assert api.rejection("POST", "workflows", body) == (400, "Workflow with ID w already exists.")
        assert api.call("POST", "workflows", body).status_code == 200
        server.arm("delete_referenced_workflow", count=1)
        status, details = api.rejection("DELETE", "workflows/w")
        assert (status, "is used by the schedule" in details) == (400, True)
        assert api.call("GET", "workflows/w").status_code == 200
        assert api.call("DELETE", "workflows/w").status_code == 200

    @pytest.mark.parametrize(
        ("path", "key"),
        [("workflows", "workflows"), ("workflowExecutions", "executions"), ("schedules", "schedules"),
         ("dataSources", "dataSources")],
    )  # fmt: skip
    def test_pages_that_loop_or_are_empty(self, server: LocalAmcServer, api: Api, path: str, key: str) -> None:
        api.create()
        query = SINCE if key == "executions" else {}
        whole = api.get(path, **query)[key]
        assert whole
        server.arm("paging_loop", route=f"/{path}")
        first = api.get(path, **query)
        second = api.get(path, **query, nextToken=first["nextToken"])
        assert (second[key], second["nextToken"]) == (first[key], first["nextToken"])
        server.control("DELETE", "faults")
        server.arm("paging_empty_page", count=1)
        empty = api.get(path, **query)
        assert empty[key] == []
        assert api.get(path, **query, nextToken=empty["nextToken"])[key] == whole

    @pytest.mark.parametrize(
        ("route", "method", "path"),
        [
            ("workflows", "GET", "workflows"), ("workflow", "GET", "workflows/weekly_spend.v2"),
            ("executions", "POST", "workflowExecutions"), ("execution", "GET", "workflowExecutions/{}"),
            ("download_urls", "GET", "workflowExecutions/{}/downloadUrls"), ("schedules", "GET", "schedules"),
            ("schedule", "GET", "schedules/reach_every_monday"), ("data_sources", "GET", "dataSources"),
            ("data_source", "GET", "dataSources/dsp_clicks"),
        ],
    )  # fmt: skip
    def test_a_route_is_hit_alone(
        self, server: LocalAmcServer, api: Api, route: str, method: str, path: str
    ) -> None:
        key = api.create()["workflowExecutionId"]
        server.arm("server_error", status=503, route=route)
        assert api.call(method, path.format(key), BODY if method == "POST" else None).status_code == 503
        for other in ("workflows", "schedules", "dataSources", f"workflowExecutions/{key}"):
            if other != path.format(key):
                assert api.call("GET", other).status_code == 200
        assert fired(server) == [1]

    def test_a_fault_for_one_instance_leaves_the_others_alone(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("execution_limit", instance="amclocalus2")
        assert api.run()["status"] == "SUCCEEDED"
        status, _ = api.rejection("POST", "workflowExecutions", BODY, instance="amclocalus2")
        assert status == 422


class TestDownloads:
    def test_links_held_back(self, server: LocalAmcServer, api: Api) -> None:
        done = api.run()
        server.arm("download_not_ready", count=1)
        found = api.rejection("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls")
        assert found == (
            400,
            f"Workflow execution with ID {done['workflowExecutionId']} is unavailable for download.",
        )
        assert api.links(done)

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ("download_expired", 403, "AccessDenied"), ("download_bad_signature", 403, "SignatureDoesNotMatch"),
            ("download_500", 500, "InternalError"),
        ],
    )  # fmt: skip
    def test_rejections_in_s3s_words(
        self, server: LocalAmcServer, api: Api, fault: str, status: int, code: str
    ) -> None:
        [link] = api.links(api.run())
        server.arm(fault, count=1)
        answer = requests.get(link, timeout=PATIENCE)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)
        assert requests.get(link, timeout=PATIENCE).status_code == 200

    def test_truncated(self, server: LocalAmcServer, api: Api) -> None:
        [link] = api.links(api.run())
        server.arm("download_truncated", count=1)
        with requests.get(link, stream=True, timeout=PATIENCE) as answer:
            assert answer.headers["Content-Length"] == "8"
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                _ = answer.content
        assert requests.get(link, timeout=PATIENCE).text == "x\n1\n2\n3\n"

    def test_gzip_without_a_word(self, server: LocalAmcServer, api: Api) -> None:
        [link] = api.links(api.run())
        server.arm("download_gzip", count=1)
        answer = requests.get(link, timeout=PATIENCE)
        assert "Content-Encoding" not in answer.headers
        assert answer.content[:2] == b"\x1f\x8b"

    def test_parts_with_other_headers(self, server: LocalAmcServer, api: Api) -> None:
        server.control("POST", "options", {"rows_per_part": 1})
        links = api.links(api.run())
        server.arm("download_header_mismatch")
        assert [read_csv(requests.get(link, timeout=PATIENCE))[0] for link in links] == [
            ["x"],
            ["another_x"],
            ["another_x"],
        ]

    @pytest.mark.parametrize(
        ("fault", "fields"), [("server_error", {"status": 503}), ("throttle", {}), ("slow", {"seconds": 0.05})]
    )
    def test_general_faults_reach_files_by_their_route(
        self, server: LocalAmcServer, api: Api, fault: str, fields: dict[str, Any]
    ) -> None:
        [link] = api.links(api.run())
        server.arm(fault, route="result", count=1, **fields)
        answer = requests.get(link, timeout=PATIENCE)
        assert answer.status_code == {"server_error": 503, "throttle": 429, "slow": 200}[fault]
        assert fired(server) == [1]
