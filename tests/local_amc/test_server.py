"""The local AMC over real HTTP: sign-in, administration, order of checks, faults."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local_amc.fixtures import CLIENT_ID, CLIENT_SECRET
from local_amc.server import LocalAmcServer

ROOT = Path(__file__).resolve().parents[2]
US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"
CALLBACK = "http://127.0.0.1:8000/connections/callback/"


class Peer:
    """A client without any cleverness."""

    def __init__(self, url: str) -> None:
        self.url = url

    def token(self, refresh_token: str = "Atzr|local-healthy", **changes: str) -> requests.Response:
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            **changes,
        }
        return requests.post(f"{self.url}/auth/o2/token", data=fields, timeout=10)

    def headers(self, entity: str = "ENTITYLOCALUS1", marketplace: str = US, **changes: str) -> dict[str, str]:
        token = changes.pop("token", "") or self.token().json()["access_token"]
        return {
            "Authorization": f"Bearer {token}",
            "Amazon-Advertising-API-ClientId": CLIENT_ID,
            "Amazon-Advertising-API-AdvertiserId": entity,
            "Amazon-Advertising-API-MarketplaceId": marketplace,
            **changes,
        }

    def get(self, path: str, headers: dict[str, str] | None = None, **params: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers or self.headers(), params=params, timeout=10)

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> requests.Response:
        return requests.request(method, f"{self.url}/__control/{route}", json=body, timeout=10)

    def consent(self, **changes: str) -> dict[str, list[str]]:
        fields = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "scope": "advertising::campaign_management",
            "response_type": "code",
            "state": "s1",
            "login": "healthy",
            "answer": "allow",
            **changes,
        }
        response = requests.post(f"{self.url}/ap/oa", data=fields, timeout=10, allow_redirects=False)
        assert response.status_code == 302, response.text
        return parse_qs(urlsplit(response.headers["Location"]).query)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAmcServer]:
    with LocalAmcServer() as running:
        yield running


@pytest.fixture
def peer(server: LocalAmcServer) -> Peer:
    peer = Peer(server.url)
    peer.control("POST", "reset")
    return peer


class TestSignIn:
    def test_refresh_gives_an_hour_and_the_same_refresh_token(self, peer: Peer) -> None:
        body = peer.token().json()
        assert body["access_token"].startswith("Atza|")
        assert len(body["access_token"]) >= 350
        assert (body["refresh_token"], body["expires_in"]) == ("Atzr|local-healthy", 3600)

    def test_json_body_works_too(self, peer: Peer) -> None:
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": "Atzr|local-healthy",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        assert requests.post(f"{peer.url}/auth/o2/token", json=fields, timeout=10).status_code == 200

    @pytest.mark.parametrize(
        ("changes", "status", "error"),
        [
            ({"refresh_token": "Atzr|local-revoked"}, 400, "invalid_grant"),
            ({"refresh_token": "Atzr|unknown"}, 400, "invalid_grant"),
            ({"refresh_token": ""}, 400, "invalid_request"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({"grant_type": ""}, 400, "invalid_request"),
            ({"client_secret": "wrong"}, 401, "invalid_client"),
        ],
    )
    def test_refusals(self, peer: Peer, changes: dict[str, str], status: int, error: str) -> None:
        response = peer.token(**changes)
        assert (response.status_code, response.json()["error"]) == (status, error)

    def test_consent_page_is_shown_and_keeps_state(self, peer: Peer) -> None:
        response = requests.get(
            f"{peer.url}/ap/oa",
            params={
                "client_id": CLIENT_ID,
                "redirect_uri": CALLBACK,
                "scope": "advertising::campaign_management",
                "response_type": "code",
                "state": '"><script>',
            },
            timeout=10,
        )
        assert response.status_code == 200
        assert "<script>" not in response.text
        assert "Allow" in response.text

    def test_code_works_once(self, peer: Peer) -> None:
        answer = peer.consent()
        assert answer["state"] == ["s1"]
        fields = {"grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": CALLBACK}
        assert peer.token(**fields).json()["refresh_token"] == "Atzr|local-healthy"
        assert peer.token(**fields).json()["error"] == "invalid_grant"

    def test_code_dies_after_five_minutes(self, peer: Peer) -> None:
        code = peer.consent()["code"][0]
        peer.control("POST", "clock", {"advance": 301})
        answer = peer.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
        assert answer.json()["error"] == "invalid_grant"

    def test_pkce_is_checked(self, peer: Peer) -> None:
        challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # the pair printed in RFC 7636
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        for given, status in ((verifier, 200), ("wrong", 400), ("", 400)):
            code = peer.consent(code_challenge=challenge, code_challenge_method="S256")["code"][0]
            answer = peer.token(
                grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=given
            )
            assert answer.status_code == status

    def test_cancel_goes_back_with_access_denied(self, peer: Peer) -> None:
        assert peer.consent(answer="cancel")["error"] == ["access_denied"]

    def test_unregistered_return_address_never_redirects(self, peer: Peer) -> None:
        response = requests.get(
            f"{peer.url}/ap/oa",
            params={"client_id": CLIENT_ID, "redirect_uri": "https://evil.example.com/", "response_type": "code"},
            timeout=10,
            allow_redirects=False,
        )
        assert response.status_code == 400
        assert "lwa-invalid-parameter-bad-redirect-uri-vendor" in response.text


class TestAdministration:
    def test_accounts_need_no_account_headers(self, peer: Peer) -> None:
        headers = {name: value for name, value in peer.headers().items() if "Id" not in name or "ClientId" in name}
        rows = peer.get("/amc/accounts", headers).json()["amcAccounts"]
        assert [(row["accountId"], row["marketplaceId"]) for row in rows] == [
            ("ENTITYLOCALUS1", US), ("ENTITYLOCALUS1", CA), ("ENTITYLOCALDE1", DE), ("ENTITYLOCALJP1", JP),
        ]  # fmt: skip

    def test_instances_belong_to_entity_and_marketplace(self, peer: Peer) -> None:
        rows = peer.get("/amc/instances").json()["instances"]
        assert [row["instanceId"] for row in rows] == ["amclocalus1", "amclocalus2", "amclocalsbx"]
        rows = peer.get("/amc/instances", peer.headers(marketplace=CA)).json()["instances"]
        assert [row["instanceId"] for row in rows] == ["amclocalca1"]

    def test_paging(self, peer: Peer) -> None:
        headers = peer.headers("ENTITYLOCALJP1", JP)
        first = peer.get("/amc/instances", headers).json()
        second = peer.get("/amc/instances", headers, nextToken=first["nextToken"]).json()
        assert (len(first["instances"]), len(second["instances"]), second["nextToken"]) == (100, 20, None)
        assert peer.get("/amc/instances", headers, limit="7").json()["instances"] == first["instances"][:7]
        assert peer.get("/amc/instances", headers, nextToken="").status_code == 200
        assert peer.get("/amc/instances", headers, nextToken="nonsense").status_code == 400
        assert peer.get("/amc/instances", peer.headers(), nextToken=first["nextToken"]).status_code == 400
        assert peer.get("/amc/instances", headers, limit="101").status_code == 400

    def test_one_instance_is_wrapped_and_has_request_ids(self, peer: Peer) -> None:
        response = peer.get("/amc/instances/amclocalus2")
        instance = response.json()["instance"]
        assert (instance["creationStatus"], instance["advertiserTypes"]) == ("COMPLETED", ["SPONSORED_ADS"])
        assert re.fullmatch(r"[A-Z0-9]{20}", response.headers["x-amz-rid"])
        assert response.headers["x-amz-rid"] == response.headers["x-amz-request-id"]

    def test_special_instances(self, peer: Peer) -> None:
        german = peer.headers("ENTITYLOCALDE1", DE)
        states = {
            name: peer.get(f"/amc/instances/{name}", german).json()["instance"]["creationStatus"]
            for name in ("amclocalde1", "amclocalnew", "amclocalbad", "amclocalnul")
        }
        assert list(states.values()) == ["COMPLETED", "IN_PROGRESS", "FAILED", None]
        assert peer.get("/amc/instances/amclocalsbx").json()["instance"]["instanceType"] == "SANDBOX"

    def test_order_of_checks(self, peer: Peer) -> None:
        good = peer.headers()

        def without(name: str) -> dict[str, str]:
            return {key: value for key, value in good.items() if not key.endswith(name)}

        path = "/amc/instances/amclocalus1"
        cases = [
            (path, without("Authorization"), 401, "Unauthorized"),
            (path, {**good, "Authorization": "Bearer Atza|unknown"}, 401, "Unauthorized"),
            (path, without("ClientId"), 401, "Unauthorized"),
            (path, without("AdvertiserId"), 400, "entityId provided is null"),
            (path, without("MarketplaceId"), 400, "marketplaceId provided is null"),
            (path, peer.headers("ENTITYNOBODY"), 403, "Unauthorized request."),
            (path, peer.headers(marketplace=JP), 404, "marketplace"),
            ("/amc/instances/amcnowhere1", good, 404, "not found"),
            (path, peer.headers("ENTITYLOCALDE1", DE), 403, "Unauthorized request."),
            (path, peer.headers(marketplace=CA), 404, "not found"),
            ("/amc/reporting/amcnowhere1/workflows", good, 403, "Unauthorized request."),
            ("/amc/reporting/amclocalnew/workflows", peer.headers("ENTITYLOCALDE1", DE), 400, "not ready"),
            ("/amc/audiences/query", good, 404, "not part"),
        ]
        for asked, headers, status, text in cases:
            response = peer.get(asked, headers)
            assert (response.status_code, response.json()["code"]) == (status, str(status)), asked
            assert text in response.json()["details"]

    def test_terms(self, peer: Peer) -> None:
        headers = peer.headers(token=peer.token("Atzr|local-noterms").json()["access_token"])
        assert peer.get("/amc/instances", headers).status_code == 200
        assert "Terms and conditions" in peer.get("/amc/instances/amclocalus1", headers).json()["details"]
        peer.control("POST", "options", {"terms_on_list": True})
        assert peer.get("/amc/instances", headers).status_code == 403

    def test_token_expires_by_the_servers_clock(self, peer: Peer) -> None:
        headers = peer.headers()
        peer.control("POST", "clock", {"advance": 3601})
        assert peer.get("/amc/accounts", headers).status_code == 401


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "text"),
        [
            ({"fault": "token_expired"}, 401, "Unauthorized"),
            ({"fault": "forbidden_expired"}, 403, "Unauthorized"),
            ({"fault": "terms_required"}, 403, "Terms and conditions"),
            ({"fault": "unknown_instance", "status": 403}, 403, "Unauthorized"),
            ({"fault": "missing_header"}, 400, "entityId"),
            ({"fault": "throttle", "variant": "html"}, 429, "<html>"),
            ({"fault": "server_error", "status": 504}, 504, "timed out"),
            ({"fault": "server_error", "status": 502, "variant": "empty"}, 502, ""),
            ({"fault": "bad_json"}, 200, '{"instance": {'),
            ({"fault": "empty_200"}, 200, ""),
            ({"fault": "unknown_status"}, 200, "HIBERNATING"),
            ({"fault": "null_fields"}, 200, '"instanceName": null'),
            ({"fault": "extra_fields"}, 200, "brandNewField"),
        ],
    )
    def test_answer(self, peer: Peer, fault: dict[str, Any], status: int, text: str) -> None:
        assert peer.control("POST", "faults", fault).status_code == 200
        response = peer.get("/amc/instances/amclocalus1")
        assert response.status_code == status
        assert text in response.text

    def test_retry_after_forms(self, peer: Peer) -> None:
        for variant, pattern in (("", r"3"), ("date", r"\w{3}, .* GMT"), ("none", "")):
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": "throttle", "seconds": 3, "variant": variant})
            assert re.fullmatch(pattern, peer.get("/amc/accounts").headers.get("Retry-After", ""))

    def test_nth_and_count(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "server_error", "nth": 2, "count": 2})
        headers = peer.headers()
        assert [peer.get("/amc/accounts", headers).status_code for _ in range(5)] == [200, 500, 500, 200, 200]

    def test_only_one_instance(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "server_error", "instance": "amclocalus2"})
        assert peer.get("/amc/instances/amclocalus1").status_code == 200
        assert peer.get("/amc/instances/amclocalus2").status_code == 500

    def test_probability_is_repeatable(self, peer: Peer) -> None:
        headers = peer.headers()
        runs = []
        for _ in range(2):
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": "server_error", "probability": 0.5})
            runs.append([peer.get("/amc/accounts", headers).status_code for _ in range(12)])
        assert runs[0] == runs[1]
        assert set(runs[0]) == {200, 500}

    def test_broken_connections(self, peer: Peer) -> None:
        headers = peer.headers()
        for fault in ("reset", "truncated_body"):
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": fault})
            with pytest.raises(requests.RequestException):
                peer.get("/amc/instances/amclocalus1", headers)

    def test_slow_and_hang(self, peer: Peer) -> None:
        headers = peer.headers()
        peer.control("POST", "faults", {"fault": "slow", "seconds": 0.5})
        began = time.monotonic()
        assert peer.get("/amc/accounts", headers).status_code == 200
        assert time.monotonic() - began >= 0.5
        peer.control("DELETE", "faults")
        peer.control("POST", "faults", {"fault": "hang", "seconds": 2})
        with pytest.raises(requests.Timeout):
            requests.get(f"{peer.url}/amc/accounts", headers=headers, timeout=0.5)

    def test_sign_in_faults(self, peer: Peer) -> None:
        for fault, status in (("invalid_grant", 400), ("invalid_client", 401), ("lwa_500", 500), ("lwa_429", 429)):
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": fault})
            assert peer.token().status_code == status

    def test_paging_faults(self, peer: Peer) -> None:
        headers = peer.headers()
        peer.control("POST", "faults", {"fault": "paging_loop"})
        first = peer.get("/amc/instances", headers).json()["nextToken"]
        assert peer.get("/amc/instances", headers, nextToken=first).json()["nextToken"] == first
        peer.control("DELETE", "faults")
        peer.control("POST", "faults", {"fault": "paging_empty_page"})
        assert peer.get("/amc/instances", headers).json()["instances"] == []

    def test_account_disappears(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "account_disappears", "entity": "ENTITYLOCALDE1"})
        assert "ENTITYLOCALDE1" not in peer.get("/amc/accounts").text

    def test_unknown_fault_is_refused_with_the_known_ones(self, peer: Peer) -> None:
        answer = peer.control("POST", "faults", {"fault": "meteor"})
        assert answer.status_code == 400
        assert "throttle" in answer.json()["error"]


class TestControl:
    def test_requests_are_remembered_without_secrets(self, peer: Peer) -> None:
        peer.get("/amc/instances/amclocalus1")
        text = peer.control("GET", "requests").text
        assert "/amc/instances/amclocalus1" in text
        assert "ENTITYLOCALUS1" in text
        for secret in ("Atza|", "Atzr|", CLIENT_SECRET):
            assert secret not in text

    def test_closed_without_the_flag(self) -> None:
        with LocalAmcServer(has_control=False) as closed:
            answer = requests.post(f"{closed.url}/__control/reset", timeout=10)
        assert answer.status_code == 404


class TestProgram:
    def start(self, store: Path, port: int = 0) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_amc", "--port", str(port), "--store", str(store), "--control"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        return process, process.stdout.readline().rsplit(" ", 1)[-1].strip()

    def test_restart_keeps_tokens_and_stop_is_clean(self, tmp_path: Path) -> None:
        process, url = self.start(tmp_path)
        headers = Peer(url).headers()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
        assert (process.returncode, errors) == (0, "")
        process, url = self.start(tmp_path)
        try:
            assert Peer(url).get("/amc/accounts", headers).status_code == 200
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=15)
        assert process.returncode == 0

    def test_taken_port_is_explained(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            process, _ = self.start(tmp_path, taken.getsockname()[1])
            _, errors = process.communicate(timeout=15)
        assert process.returncode == 1
        assert "Choose another --port" in errors

    def test_it_imports_nothing_of_the_product(self) -> None:
        code = "import sys, local_amc.__main__; print([m for m in sys.modules if m.split('.')[0] in " \
               "('django', 'amchelper', 'instances', 'templates_app')])"  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
