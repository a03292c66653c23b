"""A tiny AMC on a real socket: it keeps executions and result parts, and misbehaves as told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.instances.amc_reporting.builders import shown

# Seconds without an answer; longer than a client of these tests waits.
SILENCE = 4
XML = '<?xml version="1.0"?><Error><Code>{}</Code><Message>Request has expired</Message></Error>'


class TinyAmc:
    """What the server knows and how it is to answer; each list is used up from its front, then all is well."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.parts: list[bytes] = []
        self.part_headers: dict[str, str] = {}
        self.post_faults: list[str] = []
        self.list_faults: list[str] = []
        self.link_faults: list[str] = []
        self.part_faults: dict[int, list[str]] = {}
        self.keeps_our_ids = True
        self.is_hiding = False
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.url = ""

    def count(self, method: str, path: str) -> int:
        """Count the requests whose path contains this."""
        return sum(1 for asked, where, _ in self.requests if asked == method and path in where)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a run as AMC would."""
        workflow = body["workflow"]
        kept = workflow["workflowId"] if self.keeps_our_ids else f"transient_{len(self.runs)}"
        run = shown(
            f"exec-{len(self.runs) + 1}",
            workflowId=kept,
            parameterValues=body["parameterValues"],
            workflowExecutionTimeoutSeconds=body["workflowExecutionTimeoutSeconds"],
            timeWindowStartOriginal=body["timeWindowStart"],
            timeWindowEndOriginal=body["timeWindowEnd"],
            timeWindowTimeZoneOriginal=body["timeWindowTimeZone"],
        )
        self.runs.append({**run, "sqlQuery": workflow["sqlQuery"]})
        return run

    def listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Filter as the list does, newest first."""
        rows = [] if self.is_hiding else list(reversed(self.runs))
        rows = [row for row in rows if query.get("workflowId", row["workflowId"]) == row["workflowId"]]
        rows = [row for row in rows if row["createTime"] >= query.get("minCreationTime", "")]
        if query.get("includeCancelled") != "true":
            rows = [row for row in rows if row["status"] != "CANCELLED"]
        hidden = set() if query.get("includeWorkflow") == "true" else {"sqlQuery"}
        return [{name: value for name, value in row.items() if name not in hidden} for row in rows]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        amc = self._note()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = amc.post_faults.pop(0) if amc.post_faults else ""
        if fault.startswith("slow_"):
            time.sleep(0.3)
            fault = fault.removeprefix("slow_")
        if fault == "throttled":
            return self._json(429, {"message": "Too Many Requests"})
        if fault == "unauthorized":
            return self._json(401, {"code": "401", "details": "Unauthorized"})
        if fault == "limit":
            return self._json(422, {"code": "422", "details": "You have reached your execution limit"})
        if fault == "refused_broken":
            return self._send(400, b'{"details": ', length=500)
        if not fault.startswith("lost_"):
            run = amc.create(body)
        self._answer_post(fault.removeprefix("lost_"), run if not fault.startswith("lost_") else {})
        return None

    def _answer_post(self, fault: str, run: dict[str, Any]) -> None:
        if fault == "reset":
            self._reset()
        elif fault == "hang":
            time.sleep(SILENCE)
            self.close_connection = True
        elif fault == "truncated":
            self._send(200, json.dumps(run).encode()[:20], length=500)
        elif fault.isdecimal():
            self._json(int(fault), {"message": "Endpoint request timed out"})
        elif fault in {"empty", "garbage", "no_id"}:
            self._send(200, {"empty": b"", "garbage": b"<html>", "no_id": b'{"status": "PENDING"}'}[fault])
        else:
            self._json(200, run)

    def do_GET(self) -> None:
        amc = self._note()
        parts = urlsplit(self.path)
        if parts.path.startswith("/results/"):
            return self._part(amc, int(parts.path.rsplit("/", 1)[1].removesuffix(".csv")))
        if parts.path.endswith("/downloadUrls"):
            return self._links(amc)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        fault = amc.list_faults.pop(0) if amc.list_faults else ""
        if fault == "reset":
            return self._reset()
        if fault.isdecimal():
            return self._json(int(fault), {})
        if fault == "empty":
            return self._send(200, b"")
        token = "again" if fault == "loop" else None
        if fault == "loop":
            amc.list_faults.insert(0, "loop")
        return self._json(200, {"executions": amc.listed(query), "nextToken": token})

    def _links(self, amc: TinyAmc) -> None:
        fault = amc.link_faults.pop(0) if amc.link_faults else ""
        if fault == "not_ready":
            return self._json(400, {"code": "400", "details": "Execution x is unavailable for download"})
        signature = amc.count("GET", "downloadUrls")
        links = [
            f"{amc.url}/results/{n}.csv?X-Amz-Expires=600&X-Amz-Signature=sig{signature}"
            for n in range(len(amc.parts))
        ]
        if fault == "reversed":
            links.reverse()
        if fault == "fewer":
            links.pop()
        return self._json(200, {"downloadUrls": links, "nextToken": None})

    def _part(self, amc: TinyAmc, index: int) -> None:
        faults = amc.part_faults.get(index, [])
        fault = faults.pop(0) if faults else ""
        body = amc.parts[index]
        if fault == "expired":
            return self._send(403, XML.format("AccessDenied").encode())
        if fault == "bad_signature":
            return self._send(403, XML.format("SignatureDoesNotMatch").encode())
        if fault.isdecimal():
            return self._send(int(fault), XML.format("SlowDown").encode())
        if fault == "truncated":
            return self._send(200, body[: len(body) // 2], length=len(body))
        if fault == "reset":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
            return self._reset()
        if fault == "stall":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
            time.sleep(SILENCE)
            self.close_connection = True
            return None
        if fault == "drip":
            return self._drip(body)
        if fault == "half_gzip":
            return self._send(200, body[:-9])
        if fault == "empty":
            return self._send(200, b"")
        return self._send(200, body, headers=amc.part_headers)

    def _drip(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            time.sleep(0.01)
        self.close_connection = True

    def _note(self) -> TinyAmc:
        amc = self.server.amc
        amc.requests.append((self.command, self.path, dict(self.headers)))
        return amc

    def _json(self, status: int, payload: Any) -> None:
        self._send(status, json.dumps(payload).encode())

    def _send(
        self, status: int, body: bytes, *, length: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Set-Cookie", "session=abc; Path=/")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = length is not None

    def _reset(self) -> None:
        self.wfile.flush()
        time.sleep(0.05)  # let what was sent arrive before the reset discards it
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            return  # reset on purpose


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    amc: TinyAmc

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about connections that broke."""


@contextmanager
def tiny_amc() -> Iterator[TinyAmc]:
    """Run one for a while."""
    server = _Server(("127.0.0.1", 0), _Handler)
    amc = server.amc = TinyAmc()
    amc.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield amc
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
