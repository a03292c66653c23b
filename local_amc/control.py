"""Control routes: reset, clock, faults, options, executions, uploaded tables, and the requests received."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from local_amc.records import UPLOADS
from local_amc.request_fields import read_object
from local_amc.responses import json_response
from local_amc.runs.execution import ALL_STATES, WorkflowExecution
from local_amc.runs.uploads import check_upload
from local_amc.state import ServerState

_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", str: "a text"}


def handle(state: ServerState, request: Request) -> Response:
    """Return the response of a control route; JSON in, JSON out, 400 with `error` for a wrong value."""
    if not _is_trusted(request):
        return json_response({"error": "control answers programs on this machine only"}, 403)
    route = request.path.removeprefix("/__control/")
    action = _ACTIONS.get((request.method, route))
    if action is None:
        return json_response({"error": f"there is no {request.method} /__control/{route}"}, 404)
    try:
        return json_response(action(state, read_object(request) if request.get_data() else {}))
    except (TypeError, ValueError, OverflowError) as problem:
        return json_response({"error": str(problem)}, 400)


def _is_trusted(request: Request) -> bool:
    """Return whether a program on this machine asks: no other address, and no page in a browser."""
    try:
        is_local = ipaddress.ip_address(request.environ.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
    return is_local and "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers


def _reset(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    state.reset()
    return {}


def _clock(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    if "set" in body:
        state.clock.set(datetime.fromisoformat(_typed(body, "set", str, "")))
    if "advance" in body:
        state.clock.advance(float(body["advance"]))
    return {"now": state.clock.now().isoformat()}


def _disarm(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    name, fault_id = _typed(body, "fault", str, ""), _typed(body, "id", int, 0)
    return {"disarmed": state.faults.disarm(name=name, fault_id=fault_id)}


def _forget(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    state.requests.clear()
    return {}


def _options(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    before = state.options.to_json()
    unknown = sorted(set(body) - set(before))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; known are {', '.join(before)}")
    # All are read before one is set.
    after = {name: _typed(body, name, type(value), value) for name, value in before.items()}
    if after["rows_per_part"] < 1:
        raise ValueError("rows_per_part must be at least 1")
    state.options.update(after)
    return after


def _typed(body: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """Return a field, or what stands for a missing one; raises ValueError for one of another type."""
    value = body.get(name, default)
    if type(value) is not kind:
        raise ValueError(f"{name} must be {_KINDS[kind]}")
    return value


def _executions(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    state.runner.advance()
    rows = [WorkflowExecution.from_record(record) for record in state.store.records.executions()]
    now = state.clock.timestamp()
    return {
        "executions": [{**row.to_json(now, with_workflow=True), "instanceId": row.instance_id} for row in rows]
    }


def _set_execution(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    """Set the status of an execution, with a reason."""
    key, reason = _typed(body, "id", str, ""), _typed(body, "reason", str, "")
    status = body.get("status")
    if status not in ALL_STATES:
        raise ValueError(f"status must be one of {', '.join(ALL_STATES)}")
    if not state.runner.force(key, str(status), reason):
        raise ValueError("there is no execution with that id")
    record = state.store.records.execution(key)
    return WorkflowExecution.from_record(record).to_json(state.clock.timestamp()) if record else {}


def _create_table(state: ServerState, body: dict[str, Any]) -> dict[str, Any]:
    instance_id = _typed(body, "instance", str, "")
    if instance_id not in state.instances:
        raise ValueError(f"there is no instance {instance_id!r}")
    upload = check_upload(body)
    state.store.records.put(UPLOADS, instance_id, upload["name"], upload)
    return {"instance": instance_id, **upload}


_ACTIONS: dict[tuple[str, str], Callable[[ServerState, dict[str, Any]], dict[str, Any]]] = {
    ("POST", "reset"): _reset,
    ("GET", "clock"): lambda state, body: {"now": state.clock.now().isoformat()},
    ("POST", "clock"): _clock,
    ("GET", "faults"): lambda state, body: {"faults": state.faults.list()},
    ("POST", "faults"): lambda state, body: state.faults.arm(body, now=state.clock.timestamp()),
    ("DELETE", "faults"): _disarm,
    ("GET", "requests"): lambda state, body: {"requests": state.requests.list()},
    ("DELETE", "requests"): _forget,
    ("GET", "options"): lambda state, body: state.options.to_json(),
    ("GET", "executions"): _executions,
    ("POST", "executions"): _set_execution,
    ("POST", "tables"): _create_table,
    ("POST", "options"): _options,
}
