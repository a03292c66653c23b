"""`/workflows`: saved queries, and the rules of a workflow object wherever one is sent."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from local_amc.access import check_reporting
from local_amc.faults import is_hit_by
from local_amc.paging import page
from local_amc.records import SCHEDULES, WORKFLOWS
from local_amc.request_fields import id_field, invalid, read_body, text_field, without_nulls
from local_amc.responses import json_response, single
from local_amc.sql.compiler import check_syntax
from local_amc.sql.errors import SqlSyntaxError
from local_amc.sql.parameters import ParameterTypeError, declare
from local_amc.state import ServerState

_TYPE = "application/vnd.amcworkflows.v1+json"
_MAX_ITEMS = 100
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ADDED_COLUMNS = ("filteredMetricsDiscriminatorColumn", "distinctUserCountColumn", "filteredReasonColumn")
_BEHAVIOURS = ("REMOVE_ROWS", "REMOVE_VALUES")
_COLUMN_TYPES = ("DIMENSION", "METRIC")
_DATA_TYPES = (
    "ARRAY", "BINARY", "BOOLEAN", "BYTE", "CALENDAR_INTERVAL", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER",
    "LONG", "SHORT", "STRING", "TIMESTAMP",
)  # fmt: skip


def workflows(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    check_reporting(state, request, instance_id)
    if request.method == "POST":
        return _create(state, request, instance_id)
    rows = state.store.records.all(WORKFLOWS, instance_id)
    return json_response(page(request, "workflows", rows, bound_to=f"workflows:{instance_id}"), content_type=_TYPE)


def workflow(state: ServerState, request: Request, instance_id: str, workflow_id: str) -> Response:
    """`GET`, `PUT` and `DELETE` one."""
    check_reporting(state, request, instance_id)
    records = state.store.records
    found = records.get(WORKFLOWS, instance_id, workflow_id)
    if found is None:
        raise invalid(f"Workflow with ID {workflow_id} does not exist.")
    if request.method == "PUT":
        body = check_workflow(state, read_body(request))
        if body.get("workflowId") != workflow_id:
            raise invalid(f"workflowId must be {workflow_id}, as in the path")
        records.put(WORKFLOWS, instance_id, workflow_id, body)
        return json_response({})
    if request.method == "DELETE":
        _check_unused(state, request, instance_id, workflow_id)
        records.delete(WORKFLOWS, instance_id, workflow_id)
        return json_response({}, content_type=_TYPE)
    return single("workflow", found, is_wrapped=state.options.wraps_answers, content_type=_TYPE)


def check_workflow(state: ServerState, body: dict[str, Any], *, needs_id: bool = True) -> dict[str, Any]:
    """Return what is kept of a workflow object; raises RequestRejectedError, 400 for SQL that is not AMC's."""
    body = without_nulls(body)
    if needs_id or "workflowId" in body:
        id_field(body, "workflowId")
    sql = body.get("sqlQuery")
    if not isinstance(sql, str) or not sql.strip():
        raise invalid("sqlQuery is required")
    _check_items(body, "inputParameters")
    _check_items(body, "outputColumns")
    _check_columns(body.get("outputColumns", []))
    for name in _ADDED_COLUMNS:
        value = text_field(body, name)
        if value is not None and not _COLUMN.fullmatch(value):
            raise invalid(f"{name} must be the name of a column: letters, digits and _")
    if body.get("privacyFilteringBehavior", _BEHAVIOURS[0]) not in _BEHAVIOURS:
        raise invalid(f"privacyFilteringBehavior must be one of {', '.join(_BEHAVIOURS)}")
    _check_format(body.get("outputFormat"))
    try:
        declare(body.get("inputParameters", []), {})
        check_syntax(sql, state.options.sql_rules())
    except ParameterTypeError as problem:
        raise invalid(str(problem)) from problem
    except SqlSyntaxError as problem:
        raise invalid(str(problem)) from problem
    _check_words(body.get("inputParameters", []))
    return body


def _create(state: ServerState, request: Request, instance_id: str) -> Response:
    body = check_workflow(state, read_body(request))
    key = body["workflowId"]
    is_duplicate = is_hit_by(request, "duplicate_workflow")
    if is_duplicate or not state.store.records.add(WORKFLOWS, instance_id, key, body):
        raise invalid(f"Workflow with ID {key} already exists.")
    # Amazon says octet-stream here, and sends JSON.
    return json_response({}, content_type="application/octet-stream")


def _check_unused(state: ServerState, request: Request, instance_id: str, workflow_id: str) -> None:
    used = [
        s["scheduleId"] for s in state.store.records.all(SCHEDULES, instance_id) if s["workflowId"] == workflow_id
    ]
    if is_hit_by(request, "delete_referenced_workflow"):
        used = used or ["weekly"]
    if used:
        raise invalid(f"Workflow with ID {workflow_id} is used by the schedule {used[0]}; delete that first.")


def _check_items(body: dict[str, Any], name: str) -> None:
    items = body.get(name)
    if items is None:
        return
    if not isinstance(items, list) or len(items) > _MAX_ITEMS or not all(isinstance(i, dict) for i in items):
        raise invalid(f"{name} must be a list of at most {_MAX_ITEMS} objects")


def _check_words(definitions: list[dict[str, Any]]) -> None:
    for definition in definitions:
        if text_field(definition, "columnType") not in (None, *_COLUMN_TYPES):
            raise invalid(f"inputParameters: columnType must be one of {', '.join(_COLUMN_TYPES)}")
        for name in ("displayName", "description"):
            text_field(definition, name)


def _check_columns(columns: list[dict[str, Any]]) -> None:
    for column in columns:
        if not text_field(column, "name"):
            raise invalid("outputColumns: each needs a name")
        for name, allowed in (("columnType", _COLUMN_TYPES), ("dataType", _DATA_TYPES)):
            if text_field(column, name) not in (None, *allowed):
                raise invalid(f"outputColumns: {name} must be one of {', '.join(allowed)}")
        for name in ("dataTypePrecision", "dataTypeScale"):
            number = column.get(name)
            if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
                raise invalid(f"outputColumns: {name} must be a whole number")
        text_field(column, "description")


def _check_format(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise invalid("outputFormat must be an object")
    for name in ("separatorCharacter", "quoteCharacter", "escapeCharacter"):
        character = value.get(name)
        if character is not None and not _is_character(character):
            raise invalid(f"outputFormat.{name} must be one character")
    separator, quote = value.get("separatorCharacter") or ",", value.get("quoteCharacter") or '"'
    if separator in (quote, value.get("escapeCharacter")):
        raise invalid("outputFormat.separatorCharacter must differ from the other two")


def _is_character(value: Any) -> bool:
    """Return whether this can stand in a file: half a character cannot."""
    is_one = isinstance(value, str) and len(value) == 1 and value not in "\r\n\0"
    return is_one and not "\ud800" <= value <= "\udfff"
