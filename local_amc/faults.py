"""Faults that can be armed: which request they hit, and what it gets instead of an answer."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from werkzeug.wrappers import Request, Response

NAMES = frozenset(
    {
        "token_expired", "forbidden_expired", "invalid_grant", "invalid_client", "lwa_500", "lwa_429",
        "wrong_entity", "terms_required", "unknown_instance", "wrong_marketplace", "missing_header", "throttle",
        "server_error", "slow", "hang", "reset", "truncated_body", "bad_json", "wrong_content_type", "empty_200",
        "null_fields", "extra_fields", "unknown_status", "paging_loop", "paging_empty_page",
        "instance_in_progress", "instance_failed", "account_disappears",
    }
)  # fmt: skip
# These hit the token endpoint; all others the API.
LWA_FAULTS = frozenset({"invalid_grant", "invalid_client", "lwa_500", "lwa_429"})


class DropConnection(ConnectionError):  # noqa: N818  a signal to the server, not an error of ours
    """The connection was broken on purpose."""


@dataclass
class Fault:
    """One armed fault and whom it may hit."""

    fault: str
    route: str = ""
    instance: str = ""
    entity: str = ""
    nth: int = 1
    count: int = 0
    probability: float = 1.0
    status: int = 0
    variant: str = ""
    seconds: float = 0.0
    matched: int = 0
    fired: int = 0

    def matches(self, request: Request) -> bool:
        """Tell whether the request is one of those this fault is armed for."""
        if self.fault in LWA_FAULTS:
            return request.path == "/auth/o2/token"
        # Without a route a fault hits the API only; sign-in and control keep working.
        if self.route not in request.path or not (self.route or request.path.startswith("/amc/")):
            return False
        if self.instance and self.instance not in request.path.split("/"):
            return False
        # For an account that disappears, the entity is the one that goes, not the one that asks.
        if not self.entity or self.fault == "account_disappears":
            return True
        return request.headers.get("Amazon-Advertising-API-AdvertiserId") == self.entity


class Faults:
    """The armed faults; safe for many threads."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._dice = random.Random(seed)  # noqa: S311  repeatable faults, not secrets

    def arm(self, spec: dict[str, Any]) -> Fault:
        """Arm a fault; raises ValueError naming what is wrong with `spec`."""
        name = spec.get("fault")
        if name not in NAMES:
            raise ValueError(f"unknown fault {name!r}; known are {', '.join(sorted(NAMES))}")
        unknown = set(spec) - set(Fault.__dataclass_fields__) | set(spec) & {"matched", "fired"}
        if unknown:
            raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
        fault = Fault(**spec)
        with self._lock:
            self._armed.append(fault)
        return fault

    def disarm(self, name: str = "") -> None:
        """Disarm all faults, or those of one name."""
        with self._lock:
            self._armed = [fault for fault in self._armed if name and fault.fault != name]
            self._dice = random.Random(self._seed)  # noqa: S311  as above

    def list(self) -> list[dict[str, Any]]:
        """Give the armed faults with how often they matched and fired."""
        with self._lock:
            return [dict(vars(fault)) for fault in self._armed]

    def pick(self, request: Request) -> Fault | None:
        """Give the fault this request gets, counting it."""
        if not self._armed:
            return None
        with self._lock:
            for fault in self._armed:
                if not fault.matches(request):
                    continue
                fault.matched += 1
                spent = fault.count and fault.fired >= fault.count
                if fault.matched < fault.nth or spent or self._dice.random() >= fault.probability:
                    continue
                fault.fired += 1
                return fault
        return None


def error(status: int, details: str, code: str = "") -> Response:
    """Give Amazon's usual error body."""
    body = json.dumps({"code": code or str(status), "details": details})
    return Response(body, status, content_type="application/json")


def instead(fault: Fault, request: Request) -> Response | None:
    """Give the answer a fault puts in place of the real one; None when it only changes the real one."""
    make = _INSTEAD.get(fault.fault)
    return make(fault, request) if make else None


def change(fault: Fault, response: Response) -> Response:
    """Change the real answer as the fault says."""
    make = _CHANGE.get(fault.fault)
    return make(fault, response) if make else response


def _throttle(fault: Fault, request: Request) -> Response:
    if fault.variant == "html":
        return Response("<html><body>Too many requests</body></html>", 429, content_type="text/html")
    response = Response('{"message": "Too Many Requests"}', 429, content_type="application/json")
    if fault.variant == "date":
        response.headers["Retry-After"] = format_datetime(
            datetime.now(UTC) + timedelta(seconds=fault.seconds or 1), usegmt=True
        )
    elif fault.variant != "none":
        response.headers["Retry-After"] = f"{fault.seconds or 1:.0f}"
    return response


def _server_error(fault: Fault, request: Request) -> Response:
    status = fault.status or 500
    if fault.variant == "html":
        return Response("<html><body>Service unavailable</body></html>", status, content_type="text/html")
    if fault.variant == "empty":
        return Response("", status)
    if status == 504 or fault.variant == "message":
        return Response('{"message": "Endpoint request timed out"}', status, content_type="application/json")
    return error(status, "Internal error")


def _hang(fault: Fault, request: Request) -> Response:
    time.sleep(min(fault.seconds or 60, 120))
    raise DropConnection


def _slow(fault: Fault, request: Request) -> None:
    time.sleep(min(fault.seconds or 1, 60))


def _reset(fault: Fault, request: Request) -> Response:
    connection: socket.socket = request.environ["werkzeug.socket"]
    # Lingering for zero seconds makes close() send a reset instead of an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    raise DropConnection


def _lwa(status: int, name: str) -> Callable[[Fault, Request], Response]:
    def make(fault: Fault, request: Request) -> Response:
        body = {"error": name, "error_description": f"The request failed: {name}", "request_id": "local"}
        return Response(json.dumps(body), status, content_type="application/json")

    return make


def _unknown_instance(fault: Fault, request: Request) -> Response:
    status = fault.status or 404
    return error(status, "Unauthorized request." if status == 403 else "The instance was not found.")


_INSTEAD: dict[str, Callable[[Fault, Request], Response | None]] = {
    "token_expired": lambda f, r: error(401, "Unauthorized"),
    "forbidden_expired": lambda f, r: error(403, "Unauthorized request."),
    "wrong_entity": lambda f, r: error(403, "Unauthorized request."),
    "terms_required": lambda f, r: error(403, "Terms and conditions must be accepted to continue"),
    "unknown_instance": _unknown_instance,
    "wrong_marketplace": lambda f, r: error(404, "The marketplace does not belong to this entity."),
    "missing_header": lambda f, r: error(400, "entityId provided is null"),
    "throttle": _throttle,
    "server_error": _server_error,
    "slow": _slow,
    "hang": _hang,
    "reset": _reset,
    "bad_json": lambda f, r: Response('{"instance": {"instanceId": ', 200, content_type="application/json"),
    "empty_200": lambda f, r: Response("", 200, content_type="application/json"),
    "invalid_grant": _lwa(400, "invalid_grant"),
    "invalid_client": _lwa(401, "invalid_client"),
    "lwa_500": _lwa(500, "server_error"),
    "lwa_429": _lwa(429, "slow_down"),
}


def _edit_instances(edit: Callable[[dict[str, Any]], None]) -> Callable[[Fault, Response], Response]:
    def make(fault: Fault, response: Response) -> Response:
        body = json.loads(response.get_data() or b"{}")
        for instance in [body.get("instance"), *body.get("instances", [])]:
            if instance:
                edit(instance)
        response.set_data(json.dumps(body))
        return response

    return make


def _null_fields(instance: dict[str, Any]) -> None:
    for name in instance:
        if name not in {"instanceId", "creationStatus"}:
            instance[name] = None


def _edit_token(token: str, *, empty: bool) -> Callable[[Fault, Response], Response]:
    def make(fault: Fault, response: Response) -> Response:
        body = json.loads(response.get_data() or b"{}")
        body["nextToken"] = token
        if empty:
            for name in ("instances", "amcAccounts"):
                if name in body:
                    body[name], body["nextToken"] = [], None
        response.set_data(json.dumps(body))
        return response

    return make


def _wrong_content_type(fault: Fault, response: Response) -> Response:
    response.content_type = "application/octet-stream"
    return response


def _truncated(fault: Fault, response: Response) -> Response:
    body = response.get_data()
    response.set_data(body[: len(body) // 2])
    response.headers["Content-Length"] = str(len(body))
    response.headers["Connection"] = "close"
    return response


def _account_disappears(fault: Fault, response: Response) -> Response:
    body = json.loads(response.get_data() or b"{}")
    if "amcAccounts" in body:
        gone = fault.entity or "ENTITYLOCALJP1"
        body["amcAccounts"] = [account for account in body["amcAccounts"] if account["accountId"] != gone]
        response.set_data(json.dumps(body))
    return response


_CHANGE: dict[str, Callable[[Fault, Response], Response]] = {
    "null_fields": _edit_instances(_null_fields),
    "extra_fields": _edit_instances(lambda i: i.update(brandNewField={"a": [1]}, anotherOne="x")),
    "unknown_status": _edit_instances(lambda i: i.update(creationStatus="HIBERNATING")),
    "instance_in_progress": _edit_instances(lambda i: i.update(creationStatus="IN_PROGRESS")),
    "instance_failed": _edit_instances(lambda i: i.update(creationStatus="FAILED")),
    "paging_loop": _edit_token("the-same-token", empty=False),
    "paging_empty_page": _edit_token("", empty=True),
    "wrong_content_type": _wrong_content_type,
    "truncated_body": _truncated,
    "account_disappears": _account_disappears,
}
