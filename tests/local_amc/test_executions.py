"""`/workflowExecutions` over HTTP: creation, progress by the clock, lists, cancelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_amc.fixtures import US
from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, NOON, SQL, Api, wait_until
from tests.shared_data import DATA

WINDOW = {
    "timeWindowType": "EXPLICIT",
    "timeWindowStart": "2026-10-01T00:00:00",
    "timeWindowEnd": "2026-10-08T00:00:00",
}
SYNTHETIC = {"requireSyntheticData": True}
# The advertisers of amclocalus1.
DISPLAY = {"id": "500001000000000001", "type": "DISPLAY"}
SPONSORED_ADS = {"id": "500001000000000002", "type": "SPONSORED_ADS", "marketplaceId": US}


@pytest.fixture(scope="module")
def slow_server() -> Iterator[LocalAmcServer]:
    """A server where a run takes its 2 + 3 + 5 seconds, by a clock that the test moves."""
    with LocalAmcServer(speed=1, data=DATA) as running:
        yield running


@pytest.fixture
def slow(slow_server: LocalAmcServer) -> Api:
    slow_server.reset()
    slow_server.control("POST", "clock", {"set": NOON})
    return Api(slow_server.url)


def move(server: LocalAmcServer, seconds: float) -> None:
    server.control("POST", "clock", {"advance": seconds})


def status(api: Api, execution: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Read until an execution has a status; computing takes real time, everything else the clock's."""
    return wait_until(lambda: api.read(execution), lambda found: found["status"] == wanted)


class TestCreation:
    def test_the_answer_has_the_documented_fields(self, slow: Api) -> None:
        created = slow.create(
            SQL,
            **WINDOW,
            timeWindowTimeZone="America/New_York",
            workflowExecutionTimeoutSeconds=900,
            advertisers=[DISPLAY],
            ignoreDataGaps=True,
        )
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", created.pop("workflowExecutionId"))
        assert re.fullmatch(r"transient_[0-9a-f-]{36}", created.pop("workflowId"))
        assert re.fullmatch(r"2026-11-20T12:00:0\dZ", created.pop("lastUpdatedTime"))
        times = [created.pop(name) for name in ("createTime", "waitUntil", "expireTime")]
        assert [time[:16] for time in times] == ["2026-11-20T12:00", "2026-11-20T11:00", "2026-11-21T12:00"]
        assert created == {
            "status": "PENDING",
            "executionCategory": "AD_HOC",
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": "2026-10-01T04:00:00Z",
            "timeWindowEnd": "2026-10-08T04:00:00Z",
            "timeWindowStartOriginal": "2026-10-01T00:00:00",
            "timeWindowEndOriginal": "2026-10-08T00:00:00",
            "timeWindowTimeZoneOriginal": "America/New_York",
            "workflowExecutionTimeoutSeconds": 900,
            "parameterValues": {},
            "dataGaps": [],
            "ignoreDataGaps": True,
            "disableAggregationControls": False,
            "requireSyntheticData": False,
            "dryRun": False,
            "skipPublish": False,
            "advertisers": [DISPLAY],
        }

    def test_defaults(self, slow: Api) -> None:
        created = slow.create()
        assert (created["timeWindowType"], created["timeWindowTimeZoneOriginal"]) == ("MOST_RECENT_DAY", "UTC")
        assert created["workflowExecutionTimeoutSeconds"] == 21_600
        # Relative windows are known later.
        assert not {"timeWindowStart", "timeWindowEnd", "timeWindowStartOriginal"} & set(created)

    def test_an_id_of_the_callers_own_is_kept(self, api: Api) -> None:
        assert api.create(workflow={"workflowId": "app-1.x_y"})["workflowId"] == "app-1.x_y"
        # It names the run, and saves nothing.
        assert api.rejection("GET", "workflows/app-1.x_y")[0] == 400

    def test_timeouts_as_text_get_away_with_it(self, api: Api) -> None:
        for value, kept in (("86400", 86_400), (900, 900)):
            assert api.create(workflowExecutionTimeoutSeconds=value)["workflowExecutionTimeoutSeconds"] == kept

    @pytest.mark.parametrize(
        ("change", "status", "words"),
        [
            ({"workflow": None}, 400, "Exactly one of workflowId and workflow"),
            ({"workflowId": "weekly_spend.v2"}, 400, "Exactly one of workflowId and workflow"),
            ({"workflow": None, "workflowId": "nobody"}, 400, "Workflow with ID nobody does not exist."),
            ({"workflow": None, "workflowId": ["x"]}, 400, "workflowId must be"),
            ({"workflow": "SELECT 1"}, 400, "workflow must be an object"),
            ({"workflow": {}}, 400, "sqlQuery is required"),
            ({"workflowExecutionTimeoutSeconds": 899}, 422, "between 900 and 86400"),
            ({"workflowExecutionTimeoutSeconds": 86_401}, 422, "between 900 and 86400"),
            ({"workflowExecutionTimeoutSeconds": "long"}, 400, "whole number"),
            ({"workflowExecutionTimeoutSeconds": 900.5}, 400, "whole number"),
            ({"workflowExecutionTimeoutSeconds": True}, 400, "whole number"),
            ({"requireSyntheticData": "true"}, 400, "requireSyntheticData must be true or false"),
            ({"disableAggregationControls": 0}, 400, "disableAggregationControls must be true or false"),
            ({"dryRun": "no"}, 400, "dryRun must be true or false"),
            ({"skipPublish": []}, 400, "skipPublish must be true or false"),
            ({"ignoreDataGaps": 1}, 400, "ignoreDataGaps must be true or false"),
            ({"advertisers": {}}, 400, "advertisers must be a list"),
            ({"advertisers": [{"id": "1"}]}, 400, "advertisers must be a list of objects with the texts id and type"),
            ({"advertisers": [{"id": 1, "type": "DISPLAY"}]}, 400, "id must be a text"),
            ({"advertisers": [DISPLAY, {"id": "9", "type": "DISPLAY"}]}, 400,
             "Advertiser with ID 9 and type DISPLAY does not exist."),
            ({"advertisers": [{**DISPLAY, "type": "SPONSORED_ADS"}]}, 400, "and type SPONSORED_ADS does not exist."),
            ({"parameterValues": []}, 400, "parameterValues must be an object"),
            ({"parameterValues": {"x": 1}}, 400, "undeclared parameter x"),
        ],
    )  # fmt: skip
    def test_a_wrong_field_is_named(self, api: Api, change: dict[str, Any], status: int, words: str) -> None:
        found = api.rejection("POST", "workflowExecutions", {"workflow": {"sqlQuery": CONSTANT}, **change})
        assert (found[0], words in found[1]) == (status, True), found
        assert api.get("workflowExecutions", minCreationTime="2020-01-01T00:00:00")["executions"] == []

    def test_wrapped(self, server: LocalAmcServer, api: Api) -> None:
        server.control("POST", "options", {"wraps_answers": True})
        created = api.create()["workflowExecution"]
        read = api.read(created)["workflowExecution"]
        assert (read["workflowExecutionId"], read["status"]) == (created["workflowExecutionId"], "SUCCEEDED")
        listed = api.get("workflowExecutions", workflowId=created["workflowId"])["executions"]
        assert listed == [read]


class TestProgress:
    def test_from_pending_to_succeeded(self, slow_server: LocalAmcServer, slow: Api) -> None:
        created = slow.create(SQL, **WINDOW)
        move(slow_server, 1)
        assert "validatedTime" not in slow.read(created)
        move(slow_server, 1)
        checked = slow.read(created)
        assert (checked["status"], checked["validatedTime"][:18]) == ("PENDING", "2026-11-20T12:00:0")
        move(slow_server, 3)
        running = slow.read(created)
        assert running["status"] == "RUNNING"
        assert not {"executionTime", "outputChannels", "statusReason"} & set(running)
        move(slow_server, 5)
        done = status(slow, created, "SUCCEEDED")
        assert 5 <= done["executionTime"] < 60
        assert done["outputColumns"] == [
            {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"},
            {"name": "impressions", "columnType": "METRIC", "dataType": "LONG"},
        ]
        assert (done["outputS3URI"], done["outputChannels"][0]["status"]) == ("N/A", "AVAILABLE")
        assert (done["availableTimeBeforeWindowSecs"], done["invalidationOffsetSecs"]) == (0, 266_400)
        assert done["lastUpdatedTime"] > created["lastUpdatedTime"]

    def test_a_refused_query_ends_without_waiting_for_its_time(
        self, slow_server: LocalAmcServer, slow: Api
    ) -> None:
        created = slow.create("SELECT nothing FROM dsp_clicks GROUP BY 1")
        move(slow_server, 5)
        rejected = status(slow, created, "REJECTED")
        assert rejected["statusReason"].startswith("From line 1, column 8 to line 1, column 14: ")
        assert rejected["outputChannels"][0]["status"] == "UNAVAILABLE"

    def test_the_eleventh_waits_for_a_place(self, slow_server: LocalAmcServer, slow: Api) -> None:
        runs = [slow.create() for _ in range(12)]
        elsewhere = slow.create(instance="amclocalus2")
        move(slow_server, 5)
        assert [slow.read(run)["status"] for run in runs] == ["RUNNING"] * 10 + ["PENDING"] * 2
        assert slow.read(elsewhere, instance="amclocalus2")["status"] == "RUNNING"
        path = f"workflowExecutions/{runs[0]['workflowExecutionId']}"
        assert slow.call("PUT", path, {"status": "CANCELLED"}).status_code == 200
        assert status(slow, runs[10], "RUNNING")
        assert slow.read(runs[11])["status"] == "PENDING"
        move(slow_server, 5)
        for run in runs[1:11]:
            status(slow, run, "SUCCEEDED")
        status(slow, runs[11], "RUNNING")

    def test_ten_places_hold_without_delays_too(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=10)
        stuck = [api.create() for _ in range(10)]
        assert {api.read(run)["status"] for run in stuck} == {"RUNNING"}
        eleventh = api.create()
        assert api.read(eleventh)["status"] == "PENDING"
        assert api.run(instance="amclocalus2")["status"] == "SUCCEEDED"
        api.call("PUT", f"workflowExecutions/{stuck[0]['workflowExecutionId']}", {"status": "CANCELLED"})
        status(api, eleventh, "SUCCEEDED")

    def test_a_run_over_its_timeout_fails(self) -> None:
        # Slow enough for a run to take 1,000 of the 900 seconds it is given.
        with LocalAmcServer(speed=200, data=DATA) as server:
            api = Api(server.url)
            short = api.create(workflowExecutionTimeoutSeconds=900)
            long = api.create(workflowExecutionTimeoutSeconds=1_200)
            for seconds in (400, 601, 890):
                move(server, seconds)
                assert api.read(short)["status"] == ("PENDING" if seconds == 400 else "RUNNING")
            move(server, 15)
            failed = status(api, short, "FAILED")
            assert failed["statusReason"] == "The workflow execution timed out after 900 seconds."
            assert api.read(long)["status"] == "RUNNING"
            move(server, 100)
            assert status(api, long, "SUCCEEDED")["executionTime"] >= 1_000
            assert api.rejection(
                "PUT", f"workflowExecutions/{short['workflowExecutionId']}", {"status": "CANCELLED"}
            )

    def test_many_callers_at_once(self, server: LocalAmcServer, api: Api) -> None:
        def run(number: int) -> tuple[int, str]:
            done = api.create(CONSTANT, workflow={"workflowId": f"w{number}"})
            return number, str(status(api, done, "SUCCEEDED")["workflowExecutionId"])

        with ThreadPoolExecutor(8) as pool:
            ended = dict(pool.map(run, range(24)))
        assert len(set(ended.values())) == 24


class TestKinds:
    def test_dry_run_checks_and_computes_nothing(self, api: Api) -> None:
        done = api.run(SQL, dryRun=True)
        assert (done["status"], done["dryRun"]) == ("SUCCEEDED", True)
        assert [column["name"] for column in done["outputColumns"]] == ["campaign", "impressions"]
        path = f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls"
        assert "is unavailable for download" in api.rejection("GET", path)[1]
        wrong = api.run(SQL.replace("campaign", "campain"), dryRun=True)
        assert (wrong["status"], "campain" in wrong["statusReason"]) == ("REJECTED", True)

    def test_without_publishing_there_is_nothing_to_download(self, api: Api) -> None:
        done = api.run(SQL, skipPublish=True)
        assert (done["status"], done["outputChannels"][0]["status"]) == ("SUCCEEDED", "UNAVAILABLE")
        path = f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls"
        assert api.rejection("GET", path)[0] == 400

    def test_sandbox_runs_on_synthetic_data_only(self, api: Api) -> None:
        sandbox = "amclocalsbx"
        refused = api.run(SQL, instance=sandbox)
        assert (refused["status"], "requireSyntheticData" in refused["statusReason"]) == ("REJECTED", True)
        assert api.run(SQL, instance=sandbox, **SYNTHETIC)["status"] == "SUCCEEDED"

    def test_sandbox_has_no_ad_server_tables(self, api: Api) -> None:
        sql = "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM {} GROUP BY 1"
        for table in ("adserver_traffic", "adserver_traffic_for_audiences"):
            refused = api.run(sql.format(table), instance="amclocalsbx", **SYNTHETIC)
            assert f"'{table}' not found" in refused["statusReason"]
        assert api.run(sql.format("adserver_traffic"))["status"] == "SUCCEEDED"
        listed = api.get("dataSources", instance="amclocalsbx")["dataSources"]
        names = {source["dataSourceId"] for source in listed}
        assert "dsp_impressions" in names
        assert not [name for name in names if name.startswith("adserver_")]

    def test_rejections_may_come_at_once(self, server: LocalAmcServer, api: Api) -> None:
        server.control("POST", "options", {"refuses_at_post": True})
        body = {"workflow": {"workflowId": "refused", "sqlQuery": SQL.replace("campaign", "campain")}}
        code, details = api.rejection("POST", "workflowExecutions", body)
        assert (code, "line 1, column 8" in details, "campain" in details) == (400, True, True)
        assert api.get("workflowExecutions", workflowId="refused")["executions"] == []
        assert api.run(SQL)["status"] == "SUCCEEDED"

    def test_rows_of_single_users_are_for_the_sandbox(self, api: Api) -> None:
        rows = {"disableAggregationControls": True}
        sql = "SELECT user_id, campaign FROM dsp_clicks"
        done = api.run(sql, instance="amclocalsbx", **SYNTHETIC, **rows, **WINDOW)
        assert done["status"] == "SUCCEEDED", done
        for instance, more in (("amclocalsbx", {}), ("amclocalus1", {}), ("amclocalus1", SYNTHETIC)):
            refused = api.run(sql, instance=instance, **more, **rows, **WINDOW)
            assert (refused["status"], bool(refused["statusReason"])) == ("REJECTED", True)


class TestAdvertisers:
    COUNTS = (
        "SELECT (SELECT COUNT(*) FROM dsp_impressions) AS dsp, "
        "(SELECT COUNT(*) FROM TABLE(EXTEND_TIME_WINDOW('sponsored_ads_traffic', 'P1D', 'P1D'))) AS sponsored, "
        "(SELECT COUNT(*) FROM adserver_traffic) AS served, (SELECT COUNT(*) FROM conversions) AS conversions, "
        "SUM(IF(ad_product_type IS NULL, 1, 0)) AS of_dsp, SUM(IF(ad_product_type IS NOT NULL, 1, 0)) AS of_sponsored "
        "FROM amazon_attributed_conversions_by_conversion_time"
    )

    def counts(self, api: Api, *advertisers: dict[str, str]) -> list[int]:
        [row] = api.rows(self.COUNTS, **WINDOW, advertisers=list(advertisers))
        return [int(value or 0) for value in row]

    def test_rows_of_other_types_are_not_read(self, api: Api) -> None:
        everything = self.counts(api)
        assert all(everything)
        dsp, sponsored, served, conversions, of_dsp, of_sponsored = everything
        assert self.counts(api, DISPLAY) == [dsp, 0, served, conversions, of_dsp, 0]
        assert self.counts(api, SPONSORED_ADS) == [0, sponsored, 0, conversions, 0, of_sponsored]
        assert self.counts(api, DISPLAY, SPONSORED_ADS) == everything

    def test_those_the_instance_lists_are_known_and_no_others(self, api: Api) -> None:
        headers = dict(api.session.headers)
        listed = requests.get(
            f"{api.url}/amc/instances/amclocalus1/advertisers", headers=headers, timeout=10
        ).json()
        assert [(row["id"], row["type"]) for row in listed["advertisers"]] == [
            (advertiser["id"], advertiser["type"]) for advertiser in (DISPLAY, SPONSORED_ADS)
        ]
        body = {"workflow": {"sqlQuery": CONSTANT}, "advertisers": [DISPLAY]}
        assert api.call("POST", "workflowExecutions", body, instance="amclocalus2").status_code == 400


class TestLists:
    def times(self, api: Api, **query: Any) -> list[str]:
        return [found["workflowId"] for found in api.get("workflowExecutions", **query)["executions"]]

    def create(self, server: LocalAmcServer, names: str) -> Api:
        """Create one execution per letter, ten minutes apart."""
        server.control("POST", "clock", {"set": NOON})
        api = Api(server.url)
        for name in names:
            api.create(workflow={"workflowId": name})
            move(server, 600 if name != names[-1] else 0)
        return api

    def test_something_to_look_for_is_required(self, api: Api) -> None:
        found = api.rejection("GET", "workflowExecutions", maxCreationTime="2030-01-01T00:00:00")
        assert found == (422, "workflowId or minCreationTime is required")

    def test_order_and_time_range(self, server: LocalAmcServer, api: Api) -> None:
        api = self.create(server, "abcd")
        since = "2026-11-20T00:00:00"
        assert self.times(api, minCreationTime=since) == ["d", "c", "b", "a"]
        assert self.times(api, minCreationTime=since, sortAscending="true") == ["a", "b", "c", "d"]
        assert self.times(api, minCreationTime="2026-11-20T12:05:00", maxCreationTime="2026-11-20T12:25:00") == [
            "c",
            "b",
        ]
        assert self.times(api, workflowId="b") == ["b"]
        assert self.times(api, workflowId="b", minCreationTime="2026-11-20T12:15:00") == []
        assert self.times(api, workflowId="nobody") == []
        # Both ends are times of the zone: 07:05 in New York is 12:05 in UTC.
        new_york = {"minCreationTime": "2026-11-20T07:05:00", "maxCreationTime": "2026-11-20T07:15:00"}
        assert self.times(api, **new_york, timeZone="America/New_York") == ["b"]
        assert self.times(api, **new_york) == []

    def test_the_second_named_belongs_to_the_range(self, server: LocalAmcServer, api: Api) -> None:
        api = self.create(server, "a")
        [found] = api.get("workflowExecutions", workflowId="a")["executions"]
        second = found["createTime"].removesuffix("Z")
        assert self.times(api, minCreationTime=second, maxCreationTime=second) == ["a"]

    def test_cancelled_ones_and_sql_on_demand(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=1)
        stopped = api.create(workflow={"workflowId": "w"})
        api.call("PUT", f"workflowExecutions/{stopped['workflowExecutionId']}", {"status": "CANCELLED"})
        api.create(SQL, workflow={"workflowId": "w"})
        [found] = api.get("workflowExecutions", workflowId="w")["executions"]
        assert "sqlQuery" not in found
        both = api.get("workflowExecutions", workflowId="w", includeCancelled="true", includeWorkflow="true")
        shown = [(one["status"], one["sqlQuery"]) for one in both["executions"]]
        assert shown == [("SUCCEEDED", SQL), ("CANCELLED", CONSTANT)]
        assert "sqlQuery" not in api.read(stopped)
        assert api.read(stopped, includeWorkflow="true")["sqlQuery"] == CONSTANT

    def test_pages(self, server: LocalAmcServer, api: Api) -> None:
        api = self.create(server, "abcde")
        since = {"minCreationTime": "2026-11-20T00:00:00"}
        names, token = [], ""
        while token is not None:
            page = api.get("workflowExecutions", **since, limit=2, nextToken=token)
            names += [found["workflowId"] for found in page["executions"]]
            token = page.get("nextToken")
        assert names == ["e", "d", "c", "b", "a"]
        token = api.get("workflowExecutions", **since, limit=2)["nextToken"]
        for changed in (
            {"sortAscending": "true"}, {"includeCancelled": "true"}, {"timeZone": "Asia/Tokyo"}, {"workflowId": "a"},
            {"minCreationTime": "2026-11-20T00:00:01"}, {"maxCreationTime": "2026-11-21T00:00:00"},
        ):  # fmt: skip
            found = api.rejection("GET", "workflowExecutions", **{**since, **changed}, nextToken=token)
            assert found == (400, "nextToken is not valid for this request")

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"minCreationTime": "2026-11-20"}, "minCreationTime must look like"),
            ({"minCreationTime": "2026-11-20T00:00:00Z"}, "minCreationTime must look like"),
            ({"minCreationTime": "2026-02-30T00:00:00"}, "minCreationTime 2026-02-30T00:00:00 does not exist"),
            ({"minCreationTime": "2026-11-20T00:00:00", "maxCreationTime": "x"}, "maxCreationTime must look like"),
            ({"minCreationTime": "2026-11-20T00:00:00", "timeZone": "Mars"}, "timeZone Mars is not an IANA"),
            ({"workflowId": "w", "includeCancelled": "1"}, "includeCancelled must be true or false"),
            ({"workflowId": "w", "includeWorkflow": "x"}, "includeWorkflow must be true or false"),
            ({"workflowId": "w", "sortAscending": "down"}, "sortAscending must be true or false"),
            ({"workflowId": "w", "limit": "101"}, "limit must be between 1 and 100"),
        ],
    )
    def test_mistakes(self, api: Api, query: dict[str, str], words: str) -> None:
        status_code, details = api.rejection("GET", "workflowExecutions", **query)
        assert (status_code, words in details) == (400, True), details


class TestCancelling:
    @pytest.mark.parametrize("seconds", [0, 3, 6])
    def test_an_open_run_is_cancelled(self, slow_server: LocalAmcServer, slow: Api, seconds: int) -> None:
        created = slow.create(SQL)
        move(slow_server, seconds)
        path = f"workflowExecutions/{created['workflowExecutionId']}"
        assert slow.call("PUT", path, {"status": "CANCELLED"}).json() == {}
        assert slow.read(created)["status"] == "CANCELLED"
        move(slow_server, 60)
        assert slow.read(created)["status"] == "CANCELLED"
        assert "is unavailable for download" in slow.rejection("GET", f"{path}/downloadUrls")[1]
        assert "has already ended" in slow.rejection("PUT", path, {"status": "CANCELLED"})[1]

    def test_what_has_ended_or_never_was_is_not(self, api: Api) -> None:
        done = api.run()
        path = f"workflowExecutions/{done['workflowExecutionId']}"
        status_code, details = api.rejection("PUT", path, {"status": "CANCELLED"})
        assert (status_code, details.endswith("has already ended: SUCCEEDED")) == (400, True)
        unknown = (400, "Workflow execution with ID x does not exist.")
        assert api.rejection("PUT", "workflowExecutions/x", {"status": "CANCELLED"}) == unknown
        assert api.rejection("GET", "workflowExecutions/x") == unknown

    @pytest.mark.parametrize("wanted", ["SUCCEEDED", "cancelled", None, 1, ["CANCELLED"]])
    def test_no_other_status_can_be_set(self, server: LocalAmcServer, api: Api, wanted: Any) -> None:
        server.arm("exec_stuck", count=1)
        created = api.create()
        path = f"workflowExecutions/{created['workflowExecutionId']}"
        assert api.rejection("PUT", path, {"status": wanted}) == (400, "Only the status CANCELLED can be set")
        assert api.read(created)["status"] == "RUNNING"

    def test_deleting_cancels_as_the_guide_says(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=1)
        created = api.create()
        path = f"workflowExecutions/{created['workflowExecutionId']}"
        assert api.call("DELETE", path).json() == {}
        assert api.read(created)["status"] == "CANCELLED"
        assert "has already ended" in api.rejection("DELETE", path)[1]
