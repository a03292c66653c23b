"""Who sees what: the order of the checks of reporting calls, and what belongs to one instance only."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from local_amc.fixtures import CA, DE, JP, US
from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, Api
from tests.serving import PATIENCE

PATHS: list[tuple[str, str]] = [
    ("GET", "workflows"), ("POST", "workflows"), ("GET", "workflows/weekly_spend.v2"), ("PUT", "workflows/w"),
    ("DELETE", "workflows/w"), ("GET", "workflowExecutions"), ("POST", "workflowExecutions"),
    ("GET", "workflowExecutions/x"), ("PUT", "workflowExecutions/x"), ("DELETE", "workflowExecutions/x"),
    ("GET", "workflowExecutions/x/downloadUrls"),
    ("GET", "schedules"), ("POST", "schedules"), ("GET", "schedules/s"), ("PUT", "schedules/s"),
    ("DELETE", "schedules/s"), ("GET", "dataSources"), ("GET", "dataSources/dsp_clicks"),
]  # fmt: skip
FORBIDDEN = (403, "Unauthorized request.")


@pytest.mark.parametrize(("method", "path"), PATHS)
class TestEveryCall:
    def test_checks_in_amazons_order(self, api: Api, method: str, path: str) -> None:
        headers = api.session.headers
        kept = dict(headers)
        entity, marketplace = "Amazon-Advertising-API-AdvertiserId", "Amazon-Advertising-API-MarketplaceId"
        # Each set-up breaks what comes first, and everything that comes later.
        breaks: list[tuple[dict[str, str | None], str, int, str]] = [
            ({}, "amclocalnew", 403, "Unauthorized request."),
            ({}, "nowhere", 403, "Unauthorized request."),
            ({marketplace: DE}, "nowhere", 404, "marketplace"),
            ({entity: "ENTITYNOBODY"}, "nowhere", 403, "Unauthorized request."),
            ({marketplace: None}, "nowhere", 400, "marketplaceId"),
            ({entity: None}, "nowhere", 400, "entityId provided is null"),
            ({"Amazon-Advertising-API-ClientId": "amzn1.x"}, "nowhere", 401, "Unauthorized"),
            ({"Authorization": "Bearer Atza|nobody"}, "nowhere", 401, "Unauthorized"),
            ({"Authorization": None}, "nowhere", 401, "Unauthorized"),
        ]
        for changes, instance, status, words in breaks:
            headers.update({name: value for name, value in changes.items() if value is not None})
            for name, value in changes.items():
                if value is None:
                    headers.pop(name, None)
            found = api.rejection(method, path, [], instance=instance)
            assert (found[0], words in found[1]) == (status, True), (changes, instance, found)
        headers.update(kept)
        assert api.call(method, path, [], instance="amclocalus1").status_code in (200, 400, 422)

    def test_terms_then_readiness(self, server: LocalAmcServer, api: Api, method: str, path: str) -> None:
        stranger = Api(server.url, login="noterms")
        assert stranger.rejection(method, path)[0] == 403
        assert "Terms and conditions must be accepted" in stranger.rejection(method, path)[1]
        german = Api(server.url, entity="ENTITYLOCALDE1", marketplace=DE)
        for instance in ("amclocalnew", "amclocalbad"):
            assert german.rejection(method, path, instance=instance) == (400, "The instance is not ready.")

    def test_instances_of_others(self, server: LocalAmcServer, api: Api, method: str, path: str) -> None:
        for entity, marketplace, instance in (
            ("ENTITYLOCALDE1", DE, "amclocalus1"),
            ("ENTITYLOCALJP1", JP, "amclocalde1"),
            ("ENTITYLOCALUS1", US, "amclocalca1"),
            ("ENTITYLOCALUS1", CA, "amclocalus1"),
        ):
            headers = {
                "Amazon-Advertising-API-AdvertiserId": entity,
                "Amazon-Advertising-API-MarketplaceId": marketplace,
            }
            response = api.session.request(
                method, f"{server.url}/amc/reporting/{instance}/{path}", headers=headers, json={}, timeout=PATIENCE
            )
            assert (response.status_code, response.json()["details"]) == FORBIDDEN

    def test_an_old_token_is_refused(self, server: LocalAmcServer, api: Api, method: str, path: str) -> None:
        server.control("POST", "clock", {"advance": 3_601})
        assert api.rejection(method, path) == (401, "Unauthorized")

    def test_request_ids(self, api: Api, method: str, path: str) -> None:
        headers = api.call(method, path).headers
        assert headers["x-amz-rid"] == headers["x-amz-request-id"]
        assert (len(headers["x-amz-rid"]), headers["x-amz-rid"].isupper()) == (20, True)
        assert headers["Date"].endswith("GMT")


def test_workflows_schedules_and_runs_belong_to_an_instance(server: LocalAmcServer, api: Api) -> None:
    other: dict[str, Any] = {"instance": "amclocalus2"}
    mine = api.run(workflow={"workflowId": "shared"})
    [link] = api.links(mine)
    path = f"workflowExecutions/{mine['workflowExecutionId']}"
    missing = (400, f"Workflow execution with ID {mine['workflowExecutionId']} does not exist.")
    assert api.rejection("GET", path, **other) == missing
    assert api.rejection("PUT", path, {"status": "CANCELLED"}, **other) == missing
    assert api.rejection("GET", f"{path}/downloadUrls", **other) == missing
    assert api.get("workflowExecutions", workflowId="shared", **other)["executions"] == []
    elsewhere = link.replace("/results/amclocalus1/", "/results/amclocalus2/")
    assert requests.get(elsewhere, timeout=PATIENCE).status_code == 403
    assert api.get("workflows", **other)["workflows"] == api.get("schedules", **other)["schedules"] == []
    assert api.rejection("POST", "workflowExecutions", {"workflowId": "weekly_spend.v2"}, **other)[0] == 400
    # The same names may exist in both.
    body = {"workflowId": "weekly_spend.v2", "sqlQuery": CONSTANT}
    assert api.call("POST", "workflows", body, **other).status_code == 200
    assert api.get("workflows/weekly_spend.v2")["sqlQuery"] != CONSTANT
    assert api.call("DELETE", "workflows/weekly_spend.v2", **other).status_code == 200
    assert api.call("GET", "workflows/weekly_spend.v2").status_code == 200


def test_the_list_of_calls_is_complete(api: Api) -> None:
    """Whatever is not in the table above is not there."""
    for path in ("workflows", "workflowExecutions", "schedules", "dataSources"):
        for method in ("PUT", "PATCH", "DELETE"):
            assert api.call(method, path).status_code == 404
    for method, path in (
        ("POST", "workflows/w"),
        ("PATCH", "workflows/w"),
        ("POST", "dataSources"),
        ("PUT", "dataSources/dsp_clicks"),
        ("POST", "workflowExecutions/x/downloadUrls"),
        ("GET", "audiences"),
        ("GET", "workflows/"),
    ):
        status, details = api.rejection(method, path)
        assert (status, details) == (404, "This is not part of the local AMC."), (method, path)
