from __future__ import annotations

import re
from typing import Any

from local_amc.fixtures import build_instances
from tests.local_amc.client import CA, DE, JP, US, LocalAmcTests
from tests.serving import PATIENCE

UNAUTHORIZED = {"code": "401", "details": "Unauthorized"}
FORBIDDEN = {"code": "403", "details": "Unauthorized request."}


class ShapeTests(LocalAmcTests):
    def test_errors_of_the_list_of_accounts_have_a_message_and_a_request_id(self) -> None:
        response = self.get("/amc/accounts", {})
        self.assertEqual(response.status_code, 401)
        request_id = response.headers["x-amz-request-id"]
        self.assertEqual(response.json(), {"message": "Unauthorized", "requestId": request_id})
        self.amc.arm("server_error", route="accounts", count=1)
        self.assertEqual(set(self.get("/amc/accounts", self.headers()).json()), {"message", "requestId"})
        self.assertEqual(set(self.get("/amc/instances", {}).json()), {"code", "details"})

    def test_accounts(self) -> None:
        headers = {k: v for k, v in self.headers().items() if not k.endswith(("AdvertiserId", "MarketplaceId"))}
        response = self.get("/amc/accounts", headers)
        body = response.json()
        pairs = [(row["accountId"], row["marketplaceId"]) for row in body["amcAccounts"]]
        self.assertEqual(
            pairs,
            [("ENTITYLOCALUS1", US), ("ENTITYLOCALUS1", CA), ("ENTITYLOCALDE1", DE), ("ENTITYLOCALJP1", JP)],
        )
        self.assertEqual((body["nextToken"], response.headers["Content-Type"]), (None, "application/json"))

    def test_instances_are_those_of_entity_and_marketplace(self) -> None:
        cases = [
            ("ENTITYLOCALUS1", US, ["amclocalus1", "amclocalus2", "amclocalsbx"]),
            ("ENTITYLOCALUS1", CA, ["amclocalca1"]),
            ("ENTITYLOCALDE1", DE, ["amclocalde1", "amclocalnew", "amclocalbad", "amclocalnul"]),
        ]
        for entity, marketplace, expected in cases:
            body = self.get("/amc/instances", self.headers(entity, marketplace), nextToken="").json()
            self.assertEqual([row["instanceId"] for row in body["instances"]], expected)

    def test_instances_differ_as_promised(self) -> None:
        us, de = self.headers(), self.headers("ENTITYLOCALDE1", DE)
        cases = [
            (us, "amclocalus1", "advertiserTypes", ["DISPLAY", "SPONSORED_ADS"]),
            (us, "amclocalus2", "advertiserTypes", ["SPONSORED_ADS"]),
            (us, "amclocalsbx", "instanceType", "SANDBOX"),
            (us, "amclocalus1", "apiEndpoint", self.amc.url),
            (de, "amclocalnew", "creationStatus", "IN_PROGRESS"),
            (de, "amclocalbad", "creationStatus", "FAILED"),
            (de, "amclocalnul", "instanceName", None),
        ]
        for headers, instance_id, name, value in cases:
            body = self.get(f"/amc/instances/{instance_id}", headers).json()
            self.assertEqual(list(body), ["instance"])
            self.assertEqual(body["instance"][name], value, instance_id)

    def test_advertisers(self) -> None:
        body = self.get("/amc/instances/amclocalus1/advertisers", self.headers()).json()
        self.assertEqual([row["type"] for row in body["advertisers"]], ["DISPLAY", "SPONSORED_ADS"])
        self.assertEqual((body["totalCount"], body["nextToken"]), (2, None))
        only = self.get("/amc/instances/amclocalus1/advertisers", self.headers(), type="DISPLAY").json()
        self.assertEqual(only["totalCount"], 1)
        self.assertEqual(
            self.get("/amc/instances/amclocalus1/advertisers", self.headers(), type="X").status_code, 422
        )

    def test_workflows(self) -> None:
        response = self.get("/amc/reporting/amclocalus1/workflows", self.headers(), limit="1")
        self.assertEqual(len(response.json()["workflows"]), 1)
        self.assertEqual(response.headers["Content-Type"], "application/vnd.amcworkflows.v1+json")
        body = self.get("/amc/reporting/amclocalus1/workflows", self.headers()).json()
        self.assertEqual((len(body["workflows"]), "nextToken" in body), (2, False))

    def test_request_id_is_in_both_headers_and_new_each_time(self) -> None:
        seen = set()
        for path in ("/amc/accounts", "/amc/nothing", "/auth/o2/token"):
            headers = self.get(path, {}).headers
            self.assertRegex(headers["x-amz-rid"], r"\A[A-Z0-9]{20}\Z")
            self.assertEqual(headers["x-amz-rid"], headers["x-amz-request-id"])
            self.assertIn("Date", headers)
            seen.add(headers["x-amz-rid"])
        self.assertEqual(len(seen), 3)

    def test_everything_else_is_404_in_amazons_shape(self) -> None:
        headers = self.headers()
        for method, path in (
            ("POST", "/amc/instances"), ("DELETE", "/amc/instances/amclocalus1"), ("GET", "/"),
            ("GET", "/amc/audiences/connections"), ("GET", "/amc/instances/"), ("GET", "//amc//accounts"),
            ("POST", "/amc/advertiserData/amclocalus1"), ("PUT", "/amc/reporting/amclocalus1/workflowExecutions"),
        ):  # fmt: skip
            response = self.session.request(method, self.amc.url + path, headers=headers, timeout=PATIENCE)
            self.assertEqual(response.status_code, 404, path)
            self.assertEqual(sorted(response.json()), ["code", "details"])


class OrderOfChecksTests(LocalAmcTests):
    def test_each_call_gets_the_first_error_that_applies(self) -> None:
        one, flow, every = "/amc/instances/{}", "/amc/reporting/{}/workflows", "/amc/instances"
        # What is wrong with the call, the path, the instance, then the answer.
        cases: list[tuple[dict[str, Any], str, str, int, str]] = [
            ({"Authorization": None, "AdvertiserId": None}, one, "amclocalus1", 401, "Unauthorized"),
            ({"Authorization": "Bearer Atza|foreign"}, one, "amclocalus1", 401, "Unauthorized"),
            ({"Authorization": "Basic eDp5"}, one, "amclocalus1", 401, "Unauthorized"),
            ({"ClientId": None, "AdvertiserId": None}, one, "amclocalus1", 401, "Unauthorized"),
            ({"ClientId": "another"}, every, "", 401, "Unauthorized"),
            ({"AdvertiserId": None, "MarketplaceId": None}, one, "nothing", 400, "entityId provided is null"),
            ({"AdvertiserId": None}, every, "", 400, "entityId provided is null"),
            ({"AdvertiserId": "ENTITYX", "MarketplaceId": None}, one, "x", 400, "marketplaceId provided is null"),
            ({"AdvertiserId": "ENTITYX", "MarketplaceId": "X"}, one, "x", 403, "Unauthorized request."),
            ({"AdvertiserId": "ENTITYX"}, flow, "amclocalus1", 403, "Unauthorized request."),
            ({"MarketplaceId": JP}, one, "nothing", 404, "marketplace does not belong"),
            ({"MarketplaceId": JP}, flow, "nothing", 404, "marketplace does not belong"),
            ({}, one, "nothing", 404, "was not found"),
            ({}, one, "3f2b8c1e-0000-4000-8000-000000000000", 404, "was not found"),
            ({}, flow, "nothing", 403, "Unauthorized request."),
            ({}, one, "amclocalde1", 403, "Unauthorized request."),
            ({}, one, "amclocalca1", 404, "was not found"),
            ({"login": "noterms"}, one, "nothing", 404, "was not found"),
            ({"login": "noterms"}, one, "amclocalus1", 403, "Terms and conditions must be accepted"),
            ({"login": "noterms"}, flow, "amclocalus1", 403, "Terms and conditions must be accepted"),
            ({"login": "noterms", "de": True}, flow, "amclocalnew", 403, "Terms and conditions must be accepted"),
            ({"de": True}, flow, "amclocalnew", 400, "not ready"),
            ({"de": True}, flow, "amclocalbad", 400, "not ready"),
            ({"de": True}, flow, "amclocalnul", 400, "not ready"),
        ]
        tokens = {login: self.headers(login=login) for login in ("healthy", "noterms")}
        for wrong, path, instance_id, status, text in cases:
            with self.subTest(wrong=wrong, path=path, instance=instance_id):
                changes = dict(wrong)
                headers = dict(tokens[str(changes.pop("login", "healthy"))])
                if changes.pop("de", False):
                    changes = {"AdvertiserId": "ENTITYLOCALDE1", "MarketplaceId": DE}
                for name, value in changes.items():
                    full = name if name == "Authorization" else f"Amazon-Advertising-API-{name}"
                    del headers[full]
                    if value is not None:
                        headers[full] = str(value)
                response = self.get(path.format(instance_id), headers)
                self.assertEqual(response.status_code, status, response.text)
                self.assertIn(text, response.json()["details"])
                self.assertEqual(response.json()["code"], str(status))

    def test_header_names_are_not_case_sensitive(self) -> None:
        headers = {name.lower(): value for name, value in self.headers().items()}
        self.assertEqual(self.get("/amc/instances/amclocalus1", headers).status_code, 200)

    def test_entity_in_the_query_is_not_enough(self) -> None:
        headers = self.headers()
        del headers["Amazon-Advertising-API-AdvertiserId"]
        response = self.get("/amc/instances", headers, entityId="ENTITYLOCALUS1")
        self.assertEqual(response.json(), {"code": "400", "details": "entityId provided is null"})

    def test_terms_stop_the_list_only_when_switched_on(self) -> None:
        headers = self.headers(login="noterms")
        self.assertEqual(self.get("/amc/instances", headers).status_code, 200)
        self.amc.control("POST", "options", {"terms_on_list": True})
        self.assertEqual(self.get("/amc/instances", headers).status_code, 403)


class PagingTests(LocalAmcTests):
    def pages(self, **query: Any) -> list[list[str]]:
        headers, found, token = self.headers("ENTITYLOCALJP1", JP), [], ""
        while True:
            body = self.get("/amc/instances", headers, **query, nextToken=token).json()
            found.append([row["instanceId"] for row in body["instances"]])
            token = body["nextToken"]
            if not token:
                return found

    def test_every_instance_comes_once_whatever_the_page_size(self) -> None:
        expected = [f"amclocaljp{n:03d}" for n in range(1, 121)]
        for query, sizes in (({}, [100, 20]), ({"limit": "50"}, [50, 50, 20]), ({"limit": 60}, [60, 60])):
            pages = self.pages(**query)
            self.assertEqual([len(page) for page in pages], sizes)
            self.assertEqual([row for page in pages for row in page], expected)

    def test_wrong_limits_and_tokens_are_400(self) -> None:
        headers = self.headers("ENTITYLOCALJP1", JP)
        token = self.get("/amc/instances", headers, limit=5).json()["nextToken"]
        for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"limit": "²"}, {"nextToken": "x"},
                      {"nextToken": "MTAw"}, {"nextToken": token[:-4]}):  # fmt: skip
            self.assertEqual(self.get("/amc/instances", headers, **query).status_code, 400, query)

    def test_a_token_fits_only_its_own_list(self) -> None:
        token = self.get("/amc/instances", self.headers("ENTITYLOCALJP1", JP), limit=5).json()["nextToken"]
        self.assertEqual(self.get("/amc/instances", self.headers(), nextToken=token).status_code, 400)
        self.assertEqual(self.get("/amc/accounts", self.headers(), nextToken=token).status_code, 400)


class FixtureTests(LocalAmcTests):
    def test_the_seed_decides(self) -> None:
        self.assertEqual(build_instances(7), build_instances(7))
        bodies = [[i.body for i in build_instances(seed).values()] for seed in (7, 7, 8)]
        self.assertEqual(bodies[0], bodies[1])
        self.assertNotEqual(bodies[0], bodies[2])

    def test_names_are_distinct_and_of_amazons_length(self) -> None:
        names = [i.body["instanceName"] for i in build_instances(7).values() if i.body["instanceName"]]
        self.assertEqual(len(set(names)), len(names))
        self.assertTrue(all(3 <= len(name) <= 50 and re.fullmatch(r"[\w ]+", name) for name in names))
