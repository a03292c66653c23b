"""What each fault does: a response in place of the real one, or a change to the real one."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from local_amc.faults import Fault
from local_amc.responses import (
    entity_missing,
    error,
    forbidden,
    instance_not_ready,
    instance_unknown,
    json_response,
    marketplace_unknown,
    terms_required,
    unauthorized,
)

_MAX_WAIT_SECONDS = 120.0
# How soon a slow answer notices that its fault was disarmed.
_LOOK_AGAIN_SECONDS = 0.1


class DropConnectionError(ConnectionError):
    """The connection is to be broken on purpose."""


def instead(fault: Fault, request: Request) -> Response | None:
    """Return the response a fault puts in place of the real one; None when the real one is needed."""
    make = _INSTEAD.get(fault.fault)
    return make(fault, request) if make else None


def change(fault: Fault, request: Request, response: Response) -> Response:
    """Return the real response, changed as the fault says; error responses stay as they are."""
    make = _CHANGE.get(fault.fault)
    return make(fault, request, response) if make and response.status_code == 200 else response


def _throttle(fault: Fault, request: Request) -> Response:
    seconds = fault.seconds or 1
    if fault.variant == "html":
        return Response("<html><body>Too many requests</body></html>", 429, content_type="text/html")
    response = json_response({"message": "Too Many Requests"}, 429)
    if fault.variant == "none":
        response.headers["amazon-advertising-api-throttled"] = "true"
    elif fault.variant == "date":
        # Real time, not the server's clock: this is what the client compares it with.
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        response.headers["Retry-After"] = format_datetime(until, usegmt=True)
    else:
        response.headers["Retry-After"] = f"{seconds:.0f}"
    return response


def _server_error(fault: Fault, request: Request) -> Response:
    status = fault.status or 500
    variant = fault.variant or ("message" if status == 504 else "json")
    if variant == "html":
        return Response(f"<html><body><h1>{status}</h1></body></html>", status, content_type="text/html")
    if variant == "empty":
        return Response("", status)
    if variant == "message":
        text = "Endpoint request timed out" if status == 504 else "Internal server error"
        return json_response({"message": text}, status)
    return error(status, "Internal error")


def _hang(fault: Fault, request: Request) -> Response:
    connection: socket.socket = request.environ["werkzeug.socket"]
    # Readable means that the client gave up: then this thread is not kept waiting.
    select.select([connection], [], [], min(fault.seconds or 60, _MAX_WAIT_SECONDS))
    raise DropConnectionError


def _drip(fault: Fault, request: Request, response: Response) -> Response:
    """Send the real response a byte at a time; the rest follows at once when the fault is disarmed."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    response.direct_passthrough = False
    body = response.get_data()
    response.headers.update({"Content-Length": str(len(body)), "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers), "", ""]
    head = "\r\n".join(lines).encode("latin-1")
    at_once, slowly = (b"", head + body) if fault.variant == "head" else (head, body)
    connection.sendall(at_once)
    for position in range(len(slowly)):
        if fault.is_disarmed:
            connection.sendall(slowly[position:])
            break
        connection.sendall(slowly[position : position + 1])
        if _gives_up(connection, fault):
            break
    raise DropConnectionError


def _gives_up(connection: socket.socket, fault: Fault) -> bool:
    """Wait for the fault's seconds, or until it is disarmed; returns at once, True, when the client goes away."""
    ends_at = time.monotonic() + min(fault.seconds or 1, _MAX_WAIT_SECONDS)
    while (left := ends_at - time.monotonic()) > 0 and not fault.is_disarmed:
        # Readable means that the client closed the connection.
        if select.select([connection], [], [], min(left, _LOOK_AGAIN_SECONDS))[0]:
            return True
    return False


def _slow(fault: Fault, request: Request) -> None:
    time.sleep(min(fault.seconds or 1, _MAX_WAIT_SECONDS))


def _reset(fault: Fault, request: Request) -> Response:
    connection: socket.socket = request.environ["werkzeug.socket"]
    # Lingering for zero seconds makes close() send a reset. The descriptor is closed here, because the
    # socket server would first shut the connection down, and the client saw an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
    raise DropConnectionError


def _lwa(status: int, name: str) -> Callable[[Fault, Request], Response]:
    def make(fault: Fault, request: Request) -> Response:
        body = {"error": name, "error_description": f"The request failed: {name}", "request_id": "local-fault"}
        response = json_response(body, status)
        if status == 429 and fault.seconds:
            response.headers["Retry-After"] = f"{fault.seconds:.0f}"
        return response

    return make


def _unknown_instance(fault: Fault, request: Request) -> Response:
    if (fault.status or 404) == 403:
        return forbidden()
    return instance_unknown(fault.instance or request.path.rpartition("/")[2])


def _account_gone(fault: Fault, request: Request) -> Response | None:
    return None if request.path == "/amc/accounts" else forbidden()


def _not_ready(fault: Fault, request: Request) -> Response | None:
    return instance_not_ready() if request.path.startswith("/amc/reporting/") else None


_INSTEAD: dict[str, Callable[[Fault, Request], Response | None]] = {
    "token_expired": lambda fault, request: unauthorized(),
    "forbidden_expired": lambda fault, request: forbidden(),
    "wrong_entity": lambda fault, request: forbidden(),
    "terms_required": lambda fault, request: terms_required(),
    "unknown_instance": _unknown_instance,
    "wrong_marketplace": lambda fault, request: marketplace_unknown(),
    "missing_header": lambda fault, request: entity_missing(),
    "throttle": _throttle,
    "server_error": _server_error,
    "slow": _slow,
    "hang": _hang,
    "reset": _reset,
    "bad_json": lambda fault, request: Response('{"instance": {"instanceId": ', content_type="application/json"),
    "empty_200": lambda fault, request: Response("", content_type="application/json"),
    "message_200": lambda fault, request: json_response({"message": "This service is being moved"}, 200),
    "invalid_grant": _lwa(400, "invalid_grant"),
    "invalid_client": _lwa(401, "invalid_client"),
    "unauthorized_client": _lwa(400, "unauthorized_client"),
    "invalid_scope": _lwa(400, "invalid_scope"),
    "lwa_500": _lwa(500, "server_error"),
    "lwa_503": _lwa(503, "server_error"),
    "lwa_429": _lwa(429, "slow_down"),
    "account_disappears": _account_gone,
    "instance_in_progress": _not_ready,
    "instance_failed": _not_ready,
}


_Edit = Callable[[dict[str, Any]], None]


def _edit(
    instances: _Edit, executions: _Edit = lambda row: None
) -> Callable[[Fault, Request, Response], Response]:
    """Return a change of the instances and executions in a response, single, wrapped or listed."""

    def make(fault: Fault, request: Request, response: Response) -> Response:
        body = response.get_json(silent=True)
        if not isinstance(body, dict):
            return response
        for row in [body.get("instance"), *body.get("instances", [])]:
            if row and fault.instance in ("", row["instanceId"]):
                instances(row)
        for row in [body, body.get("workflowExecution", {}), *body.get("executions", [])]:
            if "workflowExecutionId" in row:
                executions(row)
        response.set_data(json.dumps(body))
        return response

    return make


def _null_instance(row: dict[str, Any]) -> None:
    _empty(row, missing={"s3BucketName", "acrCollaboration"}, kept={"instanceId", "creationStatus"})


def _null_execution(row: dict[str, Any]) -> None:
    _empty(row, missing={"parameterValues", "dataGaps"}, kept={"workflowExecutionId", "workflowId", "status"})


def _empty(row: dict[str, Any], *, missing: set[str], kept: set[str]) -> None:
    for name in list(row):
        if name in missing:
            del row[name]
        elif name not in kept:
            row[name] = None


def _extend(row: dict[str, Any]) -> None:
    row.update(brandNewField={"a": [1]}, anotherOne="x")


def _set(**fields: str) -> _Edit:
    return lambda row: row.update(fields)


def _wrong_content_type(fault: Fault, request: Request, response: Response) -> Response:
    response.content_type = "application/octet-stream"
    return response


def _truncated(fault: Fault, request: Request, response: Response) -> Response:
    # A file is handed through in pieces otherwise.
    response.direct_passthrough = False
    body = response.get_data()
    response.set_data(body[: len(body) // 2])
    response.headers["Content-Length"] = str(len(body))
    # The promised bytes never come, so the connection cannot be used again.
    response.headers["Connection"] = "close"
    return response


def _account_disappears(fault: Fault, request: Request, response: Response) -> Response:
    body = response.get_json(silent=True)
    if isinstance(body, dict) and "amcAccounts" in body:
        body["amcAccounts"] = [row for row in body["amcAccounts"] if row["accountId"] != fault.gone_entity]
        response.set_data(json.dumps(body))
    return response


def _created_but_lost(fault: Fault, request: Request, response: Response) -> Response:
    """The work is done; only the response is lost."""
    if fault.variant == "reset":
        return _reset(fault, request)
    return json_response({"message": "Endpoint request timed out"}, 504)


_CHANGE: dict[str, Callable[[Fault, Request, Response], Response]] = {
    "null_fields": _edit(_null_instance, _null_execution),
    "extra_fields": _edit(_extend, _extend),
    "unknown_status": _edit(_set(creationStatus="HIBERNATING"), _set(status="HIBERNATING")),
    "created_but_504": _created_but_lost,
    "instance_in_progress": _edit(_set(creationStatus="IN_PROGRESS")),
    "instance_failed": _edit(_set(creationStatus="FAILED")),
    "wrong_content_type": _wrong_content_type,
    "truncated_body": _truncated,
    "drip": _drip,
    "account_disappears": _account_disappears,
}
