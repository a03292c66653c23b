"""Control routes: reset, clock, faults, options, executions, uploaded tables, and the requests received."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.answers import json_answer
from local_amc.bodies import read_object
from local_amc.fixtures import save_fixtures
from local_amc.records import UPLOADS
from local_amc.reporting.execution import ALL_STATES, Execution
from local_amc.reporting.uploads import check_upload
from local_amc.sql.compiler import Rules

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_REMEMBERED = 20_000
_SECRET_NAMES = frozenset(
    {"authorization", "cookie", "client_secret", "refresh_token", "access_token", "code", "code_verifier"}
)
_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", str: "a text"}
_TOKEN = re.compile(r"Atz[ar](?:\||%7[Cc])\S*")


class RequestLog:
    """The latest requests, secrets shortened to a hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    def add(self, request: Request, received_at: datetime) -> None:
        """Remember a request."""
        entry = {
            "received_at": received_at.isoformat(),
            "method": request.method,
            "path": _TOKEN.sub(lambda match: _hashed(match[0]), request.path),
            "query": _redacted(request.args.to_dict()),
            "headers": _redacted(dict(request.headers.items())),
            "body": _redacted(_fields(request)),
        }
        with self._lock:
            self._entries.append(entry)

    def list(self) -> list[dict[str, Any]]:
        """Return what is remembered, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()


def handle(app: LocalAmc, request: Request) -> Response:
    """Answer a control route; JSON in, JSON out."""
    if not _is_trusted(request):
        return json_answer({"error": "control answers programs on this machine only"}, 403)
    route = request.path.removeprefix("/__control/")
    action = _ACTIONS.get((request.method, route))
    if action is None:
        return json_answer({"error": f"there is no {request.method} /__control/{route}"}, 404)
    try:
        return json_answer(action(app, read_object(request) if request.get_data() else {}))
    except (TypeError, ValueError, OverflowError) as problem:
        return json_answer({"error": str(problem)}, 400)


def _is_trusted(request: Request) -> bool:
    """Return whether a program on this machine asks: no other address, and no page in a browser."""
    try:
        is_local = ipaddress.ip_address(request.environ.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
    return is_local and "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers


def _reset(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    app.faults.disarm()
    app.clock.reset()
    app.requests.clear()
    app.runner.forget()
    app.store.clear()
    save_fixtures(app.store.records)
    app.restore_options()
    return {}


def _clock(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    if "set" in body:
        app.clock.set(datetime.fromisoformat(_typed(body, "set", str, "")))
    if "advance" in body:
        app.clock.advance(float(body["advance"]))
    return {"now": app.clock.now().isoformat()}


def _disarm(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    name, fault_id = _typed(body, "fault", str, ""), _typed(body, "id", int, 0)
    return {"disarmed": app.faults.disarm(name=name, fault_id=fault_id)}


def _forget(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    app.requests.clear()
    return {}


def _options(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    before = _shown_options(app)
    unknown = sorted(set(body) - set(before))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; known are {', '.join(before)}")
    # All are read before one is set.
    after = {name: _typed(body, name, type(value), value) for name, value in before.items()}
    if after["rows_per_part"] < 1:
        raise ValueError("rows_per_part must be at least 1")
    app.terms_on_list, app.wraps_answers = after["terms_on_list"], after["wraps_answers"]
    app.rows_per_part, app.rules = after["rows_per_part"], Rules(accepts_order_by=after["accepts_order_by"])
    app.refuses_at_post = after["refuses_at_post"]
    return after


def _typed(body: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """Return a field, or what stands for a missing one; raises ValueError for one of another type."""
    value = body.get(name, default)
    if type(value) is not kind:
        raise ValueError(f"{name} must be {_KINDS[kind]}")
    return value


def _shown_options(app: LocalAmc) -> dict[str, Any]:
    return {
        "terms_on_list": app.terms_on_list,
        "wraps_answers": app.wraps_answers,
        "rows_per_part": app.rows_per_part,
        "accepts_order_by": app.rules.accepts_order_by,
        "refuses_at_post": app.refuses_at_post,
    }


def _executions(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    app.runner.advance()
    rows = [Execution.from_record(record) for record in app.store.records.executions()]
    now = app.clock.timestamp()
    return {
        "executions": [{**row.to_json(now, with_workflow=True), "instanceId": row.instance_id} for row in rows]
    }


def _set_execution(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    """Return an execution another status, with a reason."""
    key, reason = _typed(body, "id", str, ""), _typed(body, "reason", str, "")
    status = body.get("status")
    if status not in ALL_STATES:
        raise ValueError(f"status must be one of {', '.join(ALL_STATES)}")
    if not app.runner.force(key, str(status), reason):
        raise ValueError("there is no execution with that id")
    record = app.store.records.execution(key)
    return Execution.from_record(record).to_json(app.clock.timestamp()) if record else {}


def _create_table(app: LocalAmc, body: dict[str, Any]) -> dict[str, Any]:
    instance_id = _typed(body, "instance", str, "")
    if instance_id not in app.instances:
        raise ValueError(f"there is no instance {instance_id!r}")
    upload = check_upload(body)
    app.store.records.put(UPLOADS, instance_id, upload["name"], upload)
    return {"instance": instance_id, **upload}


_ACTIONS: dict[tuple[str, str], Callable[[LocalAmc, dict[str, Any]], dict[str, Any]]] = {
    ("POST", "reset"): _reset,
    ("GET", "clock"): lambda app, body: {"now": app.clock.now().isoformat()},
    ("POST", "clock"): _clock,
    ("GET", "faults"): lambda app, body: {"faults": app.faults.list()},
    ("POST", "faults"): lambda app, body: app.faults.arm(body, now=app.clock.timestamp()),
    ("DELETE", "faults"): _disarm,
    ("GET", "requests"): lambda app, body: {"requests": app.requests.list()},
    ("DELETE", "requests"): _forget,
    ("GET", "options"): lambda app, body: _shown_options(app),
    ("GET", "executions"): _executions,
    ("POST", "executions"): _set_execution,
    ("POST", "tables"): _create_table,
    ("POST", "options"): _options,
}


def _fields(request: Request) -> dict[str, Any]:
    """Return a body's fields; the raw text of other bodies could hold a secret."""
    if request.mimetype == "application/json":
        with suppress(ValueError):
            return read_object(request)
        return {}
    return request.form.to_dict()


def _redacted(value: Any, name: str = "") -> Any:
    """Return `value` with secrets, by name or by look, shortened to a hash."""
    if isinstance(value, dict):
        return {str(key): _redacted(inner, str(key).lower()) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner, name) for inner in value]
    if name in _SECRET_NAMES:
        return _hashed(str(value))
    return _TOKEN.sub(lambda match: _hashed(match[0]), value) if isinstance(value, str) else value


def _hashed(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()[:12]}"
