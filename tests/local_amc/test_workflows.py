"""`/workflows`: saved queries over HTTP, and the rules of a workflow object."""

from __future__ import annotations

from typing import Any

import pytest

from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, SQL, Api

FULL = {
    "workflowId": "full.v1-a_b",
    "sqlQuery": "SELECT CUSTOM_PARAMETER('n') AS n FROM (VALUES (1)) AS one(x)",
    "inputParameters": [
        {
            "name": "n",
            "displayName": "Number",
            "description": "Any",
            "dataType": "LONG",
            "columnType": "METRIC",
            "defaultValue": 1,
        }
    ],
    "outputFormat": {"separatorCharacter": ";"},
    "privacyFilteringBehavior": "REMOVE_VALUES",
    "filteredMetricsDiscriminatorColumn": "filtered",
    "distinctUserCountColumn": "users",
    "filteredReasonColumn": "why",
}


def saved(key: str = "w", sql: str = CONSTANT, **fields: Any) -> dict[str, Any]:
    return {"workflowId": key, "sqlQuery": sql, **fields}


class TestLife:
    def test_created_read_replaced_deleted(self, api: Api) -> None:
        created = api.call("POST", "workflows", FULL)
        # As captured from Amazon: JSON that is called a byte stream.
        assert (created.status_code, created.json()) == (200, {})
        assert created.headers["Content-Type"] == "application/octet-stream"
        assert api.get(f"workflows/{FULL['workflowId']}") == FULL
        # The update replaces everything: what it leaves out is gone.
        assert api.call("PUT", "workflows/full.v1-a_b", saved("full.v1-a_b", SQL)).json() == {}
        assert api.get("workflows/full.v1-a_b") == saved("full.v1-a_b", SQL)
        deleted = api.call("DELETE", "workflows/full.v1-a_b")
        assert (deleted.status_code, deleted.json()) == (200, {})
        assert api.rejection("GET", "workflows/full.v1-a_b") == (
            400,
            "Workflow with ID full.v1-a_b does not exist.",
        )

    def test_nulls_count_as_left_out(self, api: Api) -> None:
        body = dict.fromkeys(FULL) | saved("w")
        assert api.call("POST", "workflows", body).status_code == 200
        assert api.get("workflows/w") == saved("w")

    def test_answers_of_the_vendor_type(self, api: Api) -> None:
        for path in ("workflows", "workflows/weekly_spend.v2"):
            kind = api.call("GET", path).headers["Content-Type"]
            assert kind == "application/vnd.amcworkflows.v1+json"

    def test_wrapped(self, server: LocalAmcServer, api: Api) -> None:
        flat = api.get("workflows/weekly_spend.v2")
        server.control("POST", "options", {"wraps_answers": True})
        assert api.get("workflows/weekly_spend.v2") == {"workflow": flat}
        assert flat in api.get("workflows")["workflows"]

    def test_sql_is_kept_as_it_was_sent(self, api: Api) -> None:
        sql = "SELECT x -- ünïcode 'quote\n/* block */ FROM (VALUES (1)) AS t(x);\n"
        api.call("POST", "workflows", saved("w", sql))
        assert api.get("workflows/w")["sqlQuery"] == sql

    def test_a_saved_workflow_runs_as_it_is_now(self, api: Api) -> None:
        api.call("POST", "workflows", saved("w"))
        first = api.call("POST", "workflowExecutions", {"workflowId": "w"}).json()
        api.call("PUT", "workflows/w", saved("w", SQL))
        second = api.call("POST", "workflowExecutions", {"workflowId": "w"}).json()
        shown = [api.read(execution, includeWorkflow="true") for execution in (first, second)]
        assert [(one["workflowId"], one["sqlQuery"]) for one in shown] == [("w", CONSTANT), ("w", SQL)]
        api.call("DELETE", "workflows/w")
        assert api.read(first, includeWorkflow="true")["sqlQuery"] == CONSTANT


class TestRules:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"workflowId": None}, "workflowId must be"), ({"workflowId": ""}, "workflowId must be"),
            ({"workflowId": "a b"}, "letters, digits, '.', '-' or '_'"), ({"workflowId": "ä"}, "letters"),
            ({"workflowId": "a/b"}, "letters"), ({"workflowId": "x" * 101}, "1 to 100"),
            ({"workflowId": 7}, "workflowId must be"), ({"workflowId": "a\n"}, "letters"),
            ({"sqlQuery": None}, "sqlQuery is required"), ({"sqlQuery": " \n"}, "sqlQuery is required"),
            ({"sqlQuery": ["SELECT 1"]}, "sqlQuery is required"),
            ({"sqlQuery": "DROP TABLE x"}, 'Encountered "DROP" at line 1, column 1'),
            ({"sqlQuery": "SELECT 1;\nSELECT 2"}, "Only one statement"),
            ({"sqlQuery": "SELECT a\nFROM t\nLIMIT 5"}, 'Encountered "LIMIT" at line 3, column 1'),
            ({"sqlQuery": "SELECT * FROM dsp_clicks"}, "SELECT * is not supported"),
            ({"inputParameters": "p"}, "inputParameters must be a list of at most 100"),
            ({"inputParameters": [{"name": f"p{n}"} for n in range(101)]}, "at most 100"),
            ({"inputParameters": ["p"]}, "objects"),
            ({"inputParameters": [{"name": "p"}, {"name": "p"}]}, "p is declared twice"),
            ({"inputParameters": [{"name": "1p"}]}, "name of letters"),
            ({"inputParameters": [{"name": "p", "dataType": "TEXT"}]}, "dataType TEXT of p is not one of STRING"),
            ({"inputParameters": [{"name": "p", "dataType": {"type": "MAP"}}]}, "ARRAY object"),
            ({"inputParameters": [{"name": "p", "columnType": "dimension"}]}, "columnType must be one of DIMENSION"),
            ({"inputParameters": [{"name": "p", "dataType": "LONG", "defaultValue": "x"}]}, "'x' is not a LONG"),
            ({"outputColumns": [1]}, "outputColumns must be a list of at most 100 objects"),
            ({"filteredMetricsDiscriminatorColumn": "a b"}, "filteredMetricsDiscriminatorColumn must be the name"),
            ({"distinctUserCountColumn": '"'}, "distinctUserCountColumn must be the name"),
            ({"filteredReasonColumn": "1"}, "filteredReasonColumn must be the name"),
            ({"privacyFilteringBehavior": "KEEP"}, "must be one of REMOVE_ROWS, REMOVE_VALUES"),
            ({"outputFormat": "CSV"}, "outputFormat must be an object"),
            ({"outputFormat": {"separatorCharacter": ";;"}}, "outputFormat.separatorCharacter must be one character"),
            ({"outputFormat": {"quoteCharacter": "\n"}}, "outputFormat.quoteCharacter must be one character"),
            ({"outputFormat": {"separatorCharacter": '"'}}, "must differ"),
        ],
    )  # fmt: skip
    def test_a_wrong_field_is_named(self, api: Api, change: dict[str, Any], words: str) -> None:
        status, details = api.rejection("POST", "workflows", {**saved(), **change})
        assert (status, words in details) == (400, True), details
        assert api.rejection("GET", "workflows/w")[0] == 400
        # The same rules hold for an update, and for a query that comes with its execution.
        key = "weekly_spend.v2"
        before = api.get(f"workflows/{key}")
        if "workflowId" not in change:
            assert api.rejection("PUT", f"workflows/{key}", {**saved(key), **change}) == (400, details)
        if change != {"workflowId": None}:
            ad_hoc = {"workflow": {**saved(), **change}}
            assert api.rejection("POST", "workflowExecutions", ad_hoc) == (400, details)
        assert api.get(f"workflows/{key}") == before

    def test_names_exist_once(self, api: Api) -> None:
        api.call("POST", "workflows", saved("w"))
        assert api.rejection("POST", "workflows", saved("w", SQL)) == (400, "Workflow with ID w already exists.")
        assert api.get("workflows/w") == saved("w")
        # Upper and lower case are two names.
        assert api.call("POST", "workflows", saved("W")).status_code == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_unknown(self, api: Api, method: str) -> None:
        assert api.rejection(method, "workflows/w", saved("w")) == (400, "Workflow with ID w does not exist.")

    @pytest.mark.parametrize("key", ["other", None])
    def test_an_update_repeats_the_name_of_the_path(self, api: Api, key: str | None) -> None:
        status, details = api.rejection("PUT", "workflows/weekly_spend.v2", {**saved(), "workflowId": key})
        assert status == 400
        assert "workflowId must be" in details

    def test_a_scheduled_workflow_is_not_deleted(self, api: Api) -> None:
        status, details = api.rejection("DELETE", "workflows/reach_by_campaign.v1")
        assert (status, "used by the schedule reach_every_monday" in details) == (400, True)
        assert api.call("DELETE", "schedules/reach_every_monday").status_code == 200
        assert api.call("DELETE", "workflows/reach_by_campaign.v1").status_code == 200

    def test_names_tables_and_privacy_are_a_matter_of_the_run(self, api: Api) -> None:
        sql = "SELECT user_id, COUNT(*) AS n FROM nowhere GROUP BY 1"
        assert api.call("POST", "workflows", saved("w", sql)).status_code == 200


class TestPages:
    def test_pages_join_to_the_whole_list(self, api: Api) -> None:
        for number in range(130):
            assert api.call("POST", "workflows", saved(f"w{number:03}")).status_code == 200
        first = api.get("workflows")
        assert len(first["workflows"]) == 100
        second = api.get("workflows", nextToken=first["nextToken"])
        assert (len(second["workflows"]), "nextToken" in second) == (32, False)
        whole = [body["workflowId"] for body in (*first["workflows"], *second["workflows"])]
        assert whole == sorted({*whole, "reach_by_campaign.v1", "weekly_spend.v2"})
        in_sevens, token = [], ""
        while token is not None:
            page = api.get("workflows", limit="7", nextToken=token)
            assert len(page["workflows"]) <= 7
            in_sevens += [body["workflowId"] for body in page["workflows"]]
            token = page.get("nextToken")
        assert in_sevens == whole

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", " "])
    def test_limits_outside_the_range(self, api: Api, limit: str) -> None:
        assert api.rejection("GET", "workflows", limit=limit) == (400, "limit must be between 1 and 100")

    def test_a_token_fits_its_own_list(self, api: Api) -> None:
        token = api.get("workflows", limit="1")["nextToken"]
        assert len(api.get("workflows", limit="1", nextToken=token)["workflows"]) == 1
        wrong = (400, "nextToken is not valid for this request")
        for path, instance, value in (
            ("schedules", "amclocalus1", token),
            ("dataSources", "amclocalus1", token),
            ("workflows", "amclocalus2", token),
            ("workflows", "amclocalus1", token[:-4]),
            ("workflows", "amclocalus1", "MQ=="),
        ):
            assert api.rejection("GET", path, nextToken=value, instance=instance) == wrong
