"""The local AMC over real HTTP: faults, control routes, starting and stopping."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client

from local_amc.fixtures import CLIENT_ID, CLIENT_SECRET
from local_amc.server import LocalAmc, LocalAmcServer
from tests.serving import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
US = "ATVPDKIKX0DER"


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
        return requests.post(f"{self.url}/auth/o2/token", data=fields, timeout=PATIENCE)

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
        return requests.get(self.url + path, headers=headers or self.headers(), params=params, timeout=PATIENCE)

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> requests.Response:
        return requests.request(method, f"{self.url}/__control/{route}", json=body, timeout=PATIENCE)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAmcServer]:
    with LocalAmcServer() as running:
        yield running


@pytest.fixture
def peer(server: LocalAmcServer) -> Peer:
    peer = Peer(server.url)
    peer.control("POST", "reset")
    return peer


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "text"),
        [
            ({"fault": "token_expired"}, 401, "Unauthorized"),
            ({"fault": "forbidden_expired", "variant": "always"}, 403, "Unauthorized"),
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
            ({"fault": "wrong_entity"}, 403, "Unauthorized request."),
            ({"fault": "wrong_marketplace"}, 404, "marketplace"),
            ({"fault": "unknown_instance"}, 404, "not found"),
            ({"fault": "throttle"}, 429, "Too Many Requests"),
            ({"fault": "server_error"}, 500, '"details"'),
            ({"fault": "server_error", "status": 503, "variant": "message"}, 503, '"message"'),
            ({"fault": "server_error", "status": 500, "variant": "html"}, 500, "<html>"),
            ({"fault": "instance_in_progress"}, 200, '"IN_PROGRESS"'),
            ({"fault": "instance_failed"}, 200, '"FAILED"'),
            ({"fault": "account_disappears", "entity": "ENTITYLOCALUS1"}, 403, "Unauthorized request."),
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

    def test_faults_of_old_tokens_end_with_a_refresh(self, peer: Peer) -> None:
        for fault, status in (
            ({"fault": "forbidden_expired"}, 403),
            ({"fault": "token_expired", "variant": "old"}, 401),
        ):
            peer.control("DELETE", "faults")
            old = peer.headers()
            peer.control("POST", "faults", fault)
            assert [peer.get("/amc/accounts", old).status_code for _ in range(2)] == [status, status]
            assert peer.get("/amc/accounts", peer.headers()).status_code == 200

    def test_routes_and_entities(self, peer: Peer) -> None:
        headers = peer.headers()
        paths = {
            "accounts": "/amc/accounts",
            "instances": "/amc/instances",
            "instance": "/amc/instances/amclocalus1",
            "advertisers": "/amc/instances/amclocalus1/advertisers",
            "workflows": "/amc/reporting/amclocalus1/workflows",
        }
        for where, hit in (
            *(({"route": name}, {name}) for name in paths),
            ({"route": "/amc/instances/"}, {"instance", "advertisers"}),
            ({"instance": "amclocalus1"}, {"instance", "advertisers", "workflows"}),
            ({"entity": "ENTITYLOCALUS1", "route": "accounts"}, {"accounts"}),
            ({"entity": "ENTITYLOCALDE1"}, set()),
            ({"method": "POST"}, set()),
        ):
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": "missing_header", **where})
            found = {name for name, path in paths.items() if peer.get(path, headers).status_code == 400}
            assert found == hit, where

    def test_instance_faults_reach_the_list_and_reporting(self, peer: Peer) -> None:
        headers = peer.headers()
        peer.control("POST", "faults", {"fault": "instance_in_progress", "instance": "amclocalus2"})
        rows = peer.get("/amc/instances", headers).json()["instances"]
        assert [row["creationStatus"] for row in rows] == ["COMPLETED", "IN_PROGRESS", "COMPLETED"]
        assert peer.get("/amc/reporting/amclocalus2/workflows", headers).status_code == 400
        assert peer.get("/amc/reporting/amclocalus1/workflows", headers).status_code == 200

    def test_wrong_content_type_keeps_the_body(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "wrong_content_type"})
        response = peer.get("/amc/accounts")
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.json()["amcAccounts"]

    def test_faults_come_before_all_checks(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "server_error", "status": 503})
        assert peer.get("/amc/accounts", {"X": "no token"}).status_code == 503

    def test_reset_is_a_reset_on_the_wire(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "reset"})
        with socket.create_connection(("127.0.0.1", int(peer.url.rsplit(":", 1)[1])), 10) as raw:
            raw.sendall(b"GET /amc/accounts HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                raw.recv(100)

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

    @pytest.mark.parametrize("variant", ["", "head"])
    def test_dripping_answer_comes_whole_once_disarmed(self, peer: Peer, variant: str) -> None:
        headers = peer.headers()
        whole = peer.get("/amc/accounts", headers).content
        peer.control("POST", "faults", {"fault": "drip", "seconds": 60, "variant": variant})
        lines = [f"{name}: {value}" for name, value in {**headers, "Host": "x"}.items()]
        with socket.create_connection(("127.0.0.1", int(peer.url.rsplit(":", 1)[1])), 10) as raw:
            raw.sendall("\r\n".join(["GET /amc/accounts HTTP/1.1", *lines, "", ""]).encode())
            came = raw.recv(10_000)
            while variant != "head" and not came.partition(b"\r\n\r\n")[2]:
                came += raw.recv(10_000)
            assert came == b"H" if variant == "head" else came.endswith(b"\r\n\r\n{")
            peer.control("DELETE", "faults")
            while more := raw.recv(10_000):
                came += more
        assert came.startswith(b"HTTP/1.1 200 OK\r\n")
        assert came.partition(b"\r\n\r\n")[2] == whole

    def test_message_in_place_of_what_was_asked_for(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "message_200"})
        answer = peer.get("/amc/accounts")
        assert (answer.status_code, list(answer.json())) == (200, ["message"])

    def test_sign_in_faults(self, peer: Peer) -> None:
        for fault, status in (("invalid_grant", 400), ("invalid_client", 401), ("lwa_500", 500), ("lwa_429", 429),
                              ("lwa_503", 503), ("unauthorized_client", 400), ("invalid_scope", 400)):  # fmt: skip
            peer.control("DELETE", "faults")
            peer.control("POST", "faults", {"fault": fault})
            assert peer.token().status_code == status

    def test_paging_faults(self, peer: Peer) -> None:
        headers = peer.headers()
        peer.control("POST", "faults", {"fault": "paging_loop"})
        first = peer.get("/amc/instances", headers).json()["nextToken"]
        assert peer.get("/amc/instances", headers, nextToken=first).json()["nextToken"] == first
        peer.control("DELETE", "faults")
        peer.control("POST", "faults", {"fault": "paging_repeat"})
        pages = [peer.get("/amc/instances", headers, limit="2").json()]
        pages.append(peer.get("/amc/instances", headers, limit="2", nextToken=pages[0]["nextToken"]).json())
        assert pages[0]["instances"] == pages[1]["instances"]
        assert pages[1]["nextToken"] is None
        peer.control("DELETE", "faults")
        peer.control("POST", "faults", {"fault": "paging_empty_page"})
        body = peer.get("/amc/instances", headers).json()
        assert (body["instances"], bool(body["nextToken"])) == ([], True)
        peer.control("DELETE", "faults")
        assert len(peer.get("/amc/instances", headers, nextToken=body["nextToken"]).json()["instances"]) == 3

    def test_account_disappears(self, peer: Peer) -> None:
        peer.control("POST", "faults", {"fault": "account_disappears", "entity": "ENTITYLOCALDE1"})
        assert "ENTITYLOCALDE1" not in peer.get("/amc/accounts").text

    def test_unknown_fault_is_refused_with_the_known_ones(self, peer: Peer) -> None:
        answer = peer.control("POST", "faults", {"fault": "meteor"})
        assert answer.status_code == 400
        assert "throttle" in answer.json()["error"]


class TestControl:
    def test_requests_are_remembered_without_secrets(self, peer: Peer) -> None:
        peer.get("/amc/instances/amclocalus1", nextToken="Atza|in-the-wrong-place")
        fields = {"refresh_token": "Atzr|local-healthy", "nested": {"client_secret": CLIENT_SECRET}}
        requests.post(f"{peer.url}/auth/o2/token", json=fields, timeout=PATIENCE)
        text = peer.control("GET", "requests").text
        assert "/amc/instances/amclocalus1" in text
        assert "ENTITYLOCALUS1" in text
        for secret in ("Atza|", "Atzr|", CLIENT_SECRET):
            assert secret not in text
        peer.control("DELETE", "requests")
        assert peer.control("GET", "requests").json() == {"requests": []}

    def test_clock_is_set_and_moved(self, peer: Peer) -> None:
        answer = peer.control("POST", "clock", {"set": "2030-01-01T00:00:00Z", "advance": 60}).json()
        assert answer["now"].startswith("2030-01-01T00:01:0")
        assert peer.control("GET", "clock").json()["now"].startswith("2030-01-01T00:01:0")
        assert peer.control("POST", "clock", {"set": "yesterday"}).status_code == 400

    def test_one_fault_is_disarmed_by_its_number(self, peer: Peer) -> None:
        first = peer.control("POST", "faults", {"fault": "slow"}).json()["id"]
        peer.control("POST", "faults", {"fault": "slow"})
        assert peer.control("DELETE", "faults", {"id": first}).json() == {"disarmed": 1}
        assert len(peer.control("GET", "faults").json()["faults"]) == 1

    @pytest.mark.parametrize(
        "spec",
        [
            {}, {"fault": "slow", "sekunden": 1}, {"fault": "slow", "nth": "2"}, {"fault": "slow", "nth": 0},
            {"fault": "slow", "probability": 2}, {"fault": "slow", "route": "instnaces"},
            {"fault": "slow", "id": 4},
            {"fault": "throttle", "variant": "blue"}, {"fault": "server_error", "status": 418},
            {"fault": "slow", "count": True}, {"fault": "slow", "seconds": -1},
        ],
    )  # fmt: skip
    def test_mistakes_in_a_fault_are_named(self, peer: Peer, spec: dict[str, Any]) -> None:
        answer = peer.control("POST", "faults", spec)
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert peer.control("GET", "faults").json() == {"faults": []}

    def test_pages_in_a_browser_are_refused(self, peer: Peer) -> None:
        headers = {"Origin": "http://evil.example.com"}
        assert requests.post(f"{peer.url}/__control/reset", headers=headers, timeout=PATIENCE).status_code == 403

    def test_only_this_machine_may_control(self) -> None:
        client = Client(LocalAmc(has_control=True))
        for address, status in (("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403)):
            answer = client.get("/__control/clock", environ_overrides={"REMOTE_ADDR": address})
            assert answer.status_code == status

    def test_closed_without_the_flag(self) -> None:
        with LocalAmcServer(has_control=False) as closed:
            answer = requests.post(f"{closed.url}/__control/reset", timeout=PATIENCE)
        assert answer.status_code == 404


class TestConnections:
    def test_one_connection_serves_many_requests(self, server: LocalAmcServer) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        sockets = set()
        for body in (None, b"grant_type=x", None):
            connection.request("POST" if body else "GET", "/auth/o2/token" if body else "/amc/accounts", body)
            connection.getresponse().read()
            sockets.add(connection.sock)
        assert len(sockets) == 1
        assert None not in sockets
        connection.close()

    def test_64_connections_are_served_at_once(self, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
        headers = peer.headers()
        answer, everybody = LocalAmc.__call__, threading.Barrier(64, timeout=PATIENCE)

        def answer_together(app: LocalAmc, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            # A caller that is not served beside the others keeps all waiting until the barrier breaks.
            everybody.wait()
            return answer(app, environ, start_response)

        monkeypatch.setattr(LocalAmc, "__call__", answer_together)
        with ThreadPoolExecutor(64) as pool:
            codes = list(pool.map(lambda _: peer.get("/amc/accounts", headers).status_code, range(64)))
        assert set(codes) == {200}

    def test_a_stopped_server_answers_no_client(self) -> None:
        with LocalAmcServer() as amc:
            connection = http.client.HTTPConnection("127.0.0.1", amc.port, timeout=PATIENCE)
            connection.request("GET", "/amc/accounts")
            connection.getresponse().read()

        def ask_again() -> None:
            connection.request("GET", "/amc/accounts")
            connection.getresponse()

        with pytest.raises((http.client.HTTPException, ConnectionError)):
            ask_again()

    def test_a_body_that_is_too_long_is_refused(self, peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", int(peer.url.rsplit(":", 1)[1])), 10) as raw:
            raw.sendall(b"POST /auth/o2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


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
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in errors
        # One line per request, and nothing in it that opens a door.
        assert len(re.findall(r"POST /auth/o2/token 200 [A-Z0-9]{20}$", errors, re.MULTILINE)) == 1
        assert not re.search(r"Atz[ar]\||local-secret", errors)
        process, url = self.start(tmp_path)
        try:
            assert Peer(url).get("/amc/accounts", headers).status_code == 200
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0

    def test_taken_port_is_explained(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            process, _ = self.start(tmp_path, taken.getsockname()[1])
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "Choose another --port" in errors
        assert "Traceback" not in errors

    def test_it_imports_nothing_of_the_product(self) -> None:
        product = ("django", "amchelper", "planning", "instances", "templates_app", "executions", "schedules")
        code = f"import sys, local_amc.__main__; print([m for m in sys.modules if m.split('.')[0] in {product}])"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
